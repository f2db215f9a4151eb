"""Korean-looking text of any amount, the same for the same seed: words of one to four syllables
drawn from a Zipf distribution, with particles and sentence ends. For speed, not for quality."""
import bisect
import itertools
import random

PARTICLES = ("은", "는", "이", "가", "을", "를", "에", "에서", "의", "로", "와", "도", "")
ENDS = ("한다.", "이다.", "되었다.", "있다.", "합니다.", "됩니다.")


def vocabulary(n, seed):
    rng = random.Random(seed)
    words = set()
    while len(words) < n:
        words.add("".join(chr(0xAC00 + rng.randrange(0, 11172, 7)) for _ in range(rng.choice((1, 2, 2, 2, 3, 4)))))
    return sorted(words)


def passages(n, seed=1, n_words=30000):
    """Yield n distinct passages of 200 to 400 characters."""
    rng = random.Random(seed)
    words = vocabulary(n_words, seed)
    rng.shuffle(words)
    cumulative = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(words))))
    for i in range(n):
        sentences = []
        size = 0
        target = rng.randrange(200, 400)
        while size < target:
            picked = [words[bisect.bisect(cumulative, rng.random() * cumulative[-1]) % len(words)] +
                      rng.choice(PARTICLES) for _ in range(rng.randrange(5, 12))]
            sentence = " ".join(picked) + " " + rng.choice(ENDS)
            sentences.append(sentence)
            size += len(sentence) + 1
        yield " ".join(sentences) + f" 번호 {i}."
