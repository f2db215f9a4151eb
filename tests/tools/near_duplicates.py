#!/usr/bin/env python3
"""Near-duplicates: pairs of sentences that differ in one number, date, name, negation or opposite.

    near_duplicates.py PAIRS.jsonl [--half even|odd] [--seed N] [--max-per-kind N] > OUT.jsonl

Reads what 'ragctl eval cache' reads ("a" and "b", or "question"), changes one thing in each sentence
in which something can be changed, and writes {"a", "b", "equivalent": false, "kind"}. A sentence
gives at most one pair of each kind. The output is made from the input and the seed alone.

What is replaced is found here by plain patterns and lists, on purpose without the code that it is
meant to test. Every second entry of each list belongs to the "even" half, the others to the "odd"
half: rules can be written looking at one half and measured on the other.
"""
import argparse
import json
import random
import re
import sys

COUNTRIES = """한국 미국 중국 일본 영국 독일 프랑스 러시아 인도 호주 캐나다 이란 이라크 시리아 터키 이집트
이스라엘 파키스탄 아프가니스탄 우크라이나 북한 베트남 태국 멕시코 브라질 스페인 이탈리아 그리스 리비아
레바논 예멘 소말리아 케냐 나이지리아 남아공 필리핀 인도네시아 말레이시아 싱가포르 네팔 스위스 스웨덴
노르웨이 폴란드 체코 헝가리 쿠바 칠레 페루""".split()
CITIES = """서울 부산 대구 인천 광주 대전 울산 제주 수원 도쿄 베이징 런던 파리 베를린 모스크바 뉴욕
워싱턴 시카고 보스턴 시드니 카이로 다마스쿠스 바그다드 카불 델리 뭄바이 방콕 하노이 마닐라 로마 마드리드
아테네 빈 밀라노 토론토 홍콩 상하이 오사카""".split()
NAMES = """오바마 푸틴 부시 만델라 메르켈 카메론 시진핑 아베 트럼프 클린턴 케리 아사드 구글 애플
마이크로소프트 삼성 페이스북 아마존 인텔 도요타 소니 보잉 나토 유엔 네이버 카카오 지메일 아웃룩
다음 카카오톡 인스타그램 유튜브""".split()
ANIMALS_AND_THINGS = """고양이 강아지 원숭이 코끼리 판다 토끼 기타 피아노 플루트 바이올린 자전거 오토바이 버스
기차 양파 감자 당근 토마토 에어컨 선풍기 세탁기 냉장고 우산 장화 축구 농구 야구 수영 소파 침대
탁자 의자 커피 와인 태풍 지진 폭염 장마""".split()
LATIN = """Google Apple Microsoft IBM Intel Amazon Facebook Oracle Linux Windows Android iPhone Gmail
Outlook BBC CNN NASA FBI CIA EU UN PC TV London Paris Berlin Tokyo Obama Bush Putin""".split()
ENGLISH_NUMBERS = "two three four five six seven eight nine ten eleven twelve".split()
NUMERALS = "두 세 네 다섯 여섯 일곱 여덟 아홉 열".split()
WEEKDAYS = "월요일 화요일 수요일 목요일 금요일 토요일 일요일".split()
ENGLISH_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ENGLISH_MONTHS = """January February March April June July August September October November
December""".split()

# kind, pattern, replacement. The first that fits is taken.
RULES = [
    ("date", r"오늘", "내일"),
    ("date", r"내일", "모레"),
    ("date", r"어제", "그저께"),
    ("date", r"올해", "작년"),
    ("date", r"작년", "재작년"),
    ("date", r"지난해", "올해"),
    ("date", r"이번 ?주", "다음 주"),
    ("date", r"다음 ?주", "이번 주"),
    ("date", r"오전", "오후"),
    ("date", r"오후", "오전"),
    ("date", r"\btoday\b", "tomorrow"),
    ("date", r"\byesterday\b", "today"),
    ("negation", r"고 있다(?=\W*$)", "고 있지 않다"),
    ("negation", r"했다(?=\W*$)", "하지 않았다"),
    ("negation", r"한다(?=\W*$)", "하지 않는다"),
    ("negation", r"있다(?=\W*$)", "없다"),
    ("negation", r"없다(?=\W*$)", "있다"),
    ("negation", r"된다(?=\W*$)", "되지 않는다"),
    ("negation", r"되었다(?=\W*$)", "되지 않았다"),
    ("negation", r"할 수 있", "할 수 없"),
    ("negation", r"할 수 없", "할 수 있"),
    ("negation", r"있(?=[나어을]\w*\W*$)", "없"),
    ("negation", r"있습니까", "없습니까"),
    ("negation", r"해 ?줘(?=\W*$)", "하지 마"),
    ("negation", r"해 ?주세요(?=\W*$)", "하지 마세요"),
    ("negation", r"하세요(?=\W*$)", "하지 마세요"),
    ("negation", r"해라(?=\W*$)", "하지 마라"),
    ("negation", r"지 ?말아? ?", "도록 "),
    ("negation", r"지 ?마(?=\W|$)", "도록 해"),
    ("negation", r"가능", "불가능"),
    ("negation", r"되나요", "안 되나요"),
    ("negation", r"돼\?", "안 돼?"),
    ("negation", r"합니다(?=\W*$)", "하지 않습니다"),
    ("negation", r"됩니다(?=\W*$)", "되지 않습니다"),
    ("negation", r"인가요(?=\W*$)", "이 아닌가요"),
    ("negation", r"(?<=\w)이다(?=\W*$)", "이 아니다"),
    ("negation", r"(?<=\w)입니까(?=\W*$)", "이 아닙니까"),
    ("negation", r"\bis\b", "is not"),
    ("negation", r"\bcan\b", "cannot"),
    ("negation", r"\bare\b", "are not"),
    ("negation", r"\bdoes\b", "does not"),
    ("negation", r"\bwith\b", "without"),
    ("opposite", r"이상", "이하"),
    ("opposite", r"이하", "이상"),
    ("opposite", r"최대", "최소"),
    ("opposite", r"최고", "최저"),
    ("opposite", r"남자", "여자"),
    ("opposite", r"여자", "남자"),
    ("opposite", r"남성", "여성"),
    ("opposite", r"여성", "남성"),
    ("opposite", r"소년", "소녀"),
    ("opposite", r"소녀", "소년"),
    ("opposite", r"왼쪽", "오른쪽"),
    ("opposite", r" 위(?=[에의로 ])", " 아래"),
    ("opposite", r" 앞(?=[에의으 ])", " 뒤"),
    ("opposite", r" 전에", " 후에"),
    ("opposite", r" 후에?(?= )", " 전에"),
    ("opposite", r"증가", "감소"),
    ("opposite", r"상승", "하락"),
    ("opposite", r"하락", "상승"),
    ("opposite", r"시작", "종료"),
    ("opposite", r"큰", "작은"),
    ("opposite", r"작은", "큰"),
    ("opposite", r"켜", "꺼"),
    ("opposite", r"국내", "해외"),
    ("opposite", r"보내", "받아"),
    ("opposite", r"덥", "춥"),
    ("opposite", r"\bmaximum\b", "minimum"),
    ("opposite", r"\bbefore\b", "after"),
    ("opposite", r"\bincrease", "decrease"),
]


def final_consonant(word):
    code = ord(word[-1]) - 0xAC00
    return 0 <= code < 11172 and code % 28 != 0


def swap_in_list(sentence, words, rng, half, latin=False):
    """One word of the list, at the start of a word, by another that takes the same particles."""
    found = []
    for i, word in enumerate(words):
        if half is not None and i % 2 != half:
            continue
        pattern = rf"\b{re.escape(word)}\b" if latin else rf"(?<![가-힣]){re.escape(word)}"
        m = re.search(pattern, sentence, re.ASCII if latin else 0)
        if m:
            found.append((m, word))
    if not found:
        return None
    m, word = rng.choice(found)
    others = [w for w in words if w not in sentence
              and (latin or final_consonant(w) == final_consonant(word))]
    if not others:
        return None
    return sentence[:m.start()] + rng.choice(others) + sentence[m.end():]


def change_number(sentence, rng, half):
    """A run of digits by another number of as many digits; else a numeral in words."""
    runs = [m for m in re.finditer(r"\d[\d,]*(?:\.\d+)?", sentence)]
    if runs and half in (None, len(sentence) % 2):
        m = rng.choice(runs)
        digits = m.group()
        at = rng.randrange(len(digits))
        while not digits[at].isdigit():
            at = rng.randrange(len(digits))
        choices = [d for d in "123456789" if d != digits[at]]
        return sentence[:m.start() + at] + rng.choice(choices) + sentence[m.start() + at + 1:]
    for words, pattern in ((NUMERALS, r"(?<![가-힣\d]){}(?= )"), (ENGLISH_NUMBERS, r"\b{}\b")):
        for i, word in enumerate(words):
            m = re.search(pattern.format(word), sentence)
            if m and (half is None or i % 2 == half):
                other = rng.choice([w for w in words if w != word])
                return sentence[:m.start()] + other + sentence[m.end():]
    return None


def by_rules(kind, sentence, rng, half):
    fitting = []
    for i, (k, pattern, replacement) in enumerate(RULES):
        if k == kind and (half is None or i % 2 == half) and re.search(pattern, sentence):
            fitting.append((pattern, replacement))
    if not fitting:
        return None
    pattern, replacement = rng.choice(fitting)
    return re.sub(pattern, replacement, sentence, count=1)


def variants(sentence, rng, half):
    yield "number", change_number(sentence, rng, half)
    lists = [COUNTRIES, CITIES, NAMES, ANIMALS_AND_THINGS]
    rng.shuffle(lists)
    name = None
    for words in lists:
        name = name or swap_in_list(sentence, words, rng, half)
    yield "name", name or swap_in_list(sentence, LATIN, rng, half, latin=True)
    date = swap_in_list(sentence, WEEKDAYS, rng, half)
    date = date or swap_in_list(sentence, ENGLISH_DAYS, rng, half, latin=True)
    date = date or swap_in_list(sentence, ENGLISH_MONTHS, rng, half, latin=True)
    yield "date", date or by_rules("date", sentence, rng, half)
    yield "negation", by_rules("negation", sentence, rng, half)
    yield "opposite", by_rules("opposite", sentence, rng, half)


def sentences(path):
    seen = set()
    with open(path, encoding="utf-8") as f:
        for line in f:
            if not line.strip():
                continue
            row = json.loads(line)
            for key in ("a", "b", "question"):
                text = row.get(key)
                if text and text not in seen:
                    seen.add(text)
                    yield text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pairs")
    parser.add_argument("--half", choices=("even", "odd"))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--max-per-kind", type=int, default=1000)
    args = parser.parse_args()
    half = None if args.half is None else ("even", "odd").index(args.half)
    rng = random.Random(args.seed)
    made = {}
    for text in sentences(args.pairs):
        for kind, changed in variants(text, rng, half):
            if changed is None or changed == text:
                continue
            made.setdefault(kind, []).append((text, changed))
    for kind, pairs in made.items():
        for a, b in rng.sample(pairs, min(args.max_per_kind, len(pairs))):
            json.dump({"a": a, "b": b, "equivalent": False, "kind": kind}, sys.stdout,
                      ensure_ascii=False)
            sys.stdout.write("\n")


if __name__ == "__main__":
    main()
