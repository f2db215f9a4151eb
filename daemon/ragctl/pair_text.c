#include "daemon/ragctl/pair_text.h"

#include <string.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "base/utf8.h"

#define SENTENCE_CHARS_MIN 15
#define SENTENCE_CHARS_MAX 200
#define SENTENCE_WORDS_MIN 3
#define NAME_CHARS_MIN     6 /* "개요" and "Usage" are headings of everything */
#define NAME_WORDS_MIN     2
#define WORDS_READ_MAX     64 /* of a sentence of SENTENCE_CHARS_MAX */

/* What documents are divided into whatever they are about. */
static const char *const generic[] = {
    "개요",
    "소개",
    "요약",
    "목차",
    "예제",
    "예시",
    "예",
    "설명",
    "구문",
    "비고",
    "참고",
    "참고 항목",
    "참조",
    "관련 항목",
    "관련 내용",
    "다음 단계",
    "필수 조건",
    "사전 요구 사항",
    "전제 조건",
    "요구 사항",
    "매개 변수",
    "매개변수",
    "반환 값",
    "문제 해결",
    "추가 리소스",
    "추가 정보",
    "결론",
    "서론",
    "자주 묻는 질문",
    "overview",
    "introduction",
    "summary",
    "contents",
    "example",
    "examples",
    "description",
    "syntax",
    "remarks",
    "notes",
    "see also",
    "references",
    "next steps",
    "prerequisites",
    "requirements",
    "parameters",
    "return value",
    "usage",
    "installation",
    "troubleshooting",
    "conclusion",
    "abstract",
    "background",
    "getting started",
    "related content",
    "more information",
};

/* Words that ask for nothing. */
static const char *const functional[] = {
    "이",     "그",     "저",       "것",     "수",    "등",       "및",     "또는",  "그리고",
    "그러나", "하지만", "따라서",   "또한",   "때",    "더",       "할",     "하는",  "한",
    "하고",   "하여",   "해야",     "합니다", "한다",  "됩니다",   "된다",   "되는",  "된",
    "있는",   "있다",   "있습니다", "있으며", "없는",  "없습니다", "위해",   "위한",  "대한",
    "대해",   "통해",   "경우",     "다음",   "모든",  "같은",     "이러한", "그런",  "여러",
    "a",      "an",     "and",      "any",    "are",   "as",       "at",     "be",    "been",
    "but",    "by",     "can",      "do",     "does",  "for",      "from",   "had",   "has",
    "have",   "if",     "in",       "into",   "is",    "it",       "its",    "may",   "more",
    "must",   "no",     "not",      "of",     "on",    "or",       "should", "so",    "some",
    "such",   "than",   "that",     "the",    "their", "then",     "there",  "these", "they",
    "this",   "those",  "to",       "use",    "used",  "was",      "we",     "were",  "when",
    "which",  "will",   "with",     "would",  "you",   "your",
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static const char *skip_space(const char *s)
{
    while (is_space(*s))
        s++;
    return s;
}

/* The end of 'what' where it stands at 'text', or NULL; a run of white space equals another. */
static const char *match(const char *text, const char *what)
{
    what = skip_space(what);
    while (*what) {
        if (is_space(*what)) {
            what = skip_space(what);
            if (*what == '\0')
                break;
            if (!is_space(*text))
                return NULL;
            text = skip_space(text);
        } else if (lower(*text++) != lower(*what++)) {
            return NULL; /* also at the end of the text */
        }
    }
    return text;
}

static bool same(const char *a, const char *b)
{
    const char *end = match(skip_space(a), b);

    return end && *skip_space(end) == '\0';
}

static size_t count_words(const char *text, size_t n)
{
    size_t words = 0;
    bool inside = false;

    for (size_t i = 0; i < n; i++) {
        words += !is_space(text[i]) && !inside;
        inside = !is_space(text[i]);
    }
    return words;
}

bool pair_text_is_name(const char *text)
{
    size_t n = strlen(text);

    return utf8_count(text, n) >= NAME_CHARS_MIN && count_words(text, n) >= NAME_WORDS_MIN &&
           n <= QUESTION_BYTES_MAX;
}

bool pair_text_is_generic(const char *heading)
{
    for (size_t i = 0; i < sizeof generic / sizeof generic[0]; i++)
        if (same(heading, generic[i]))
            return true;
    return false;
}

bool pair_text_is_sentence(const char *text, size_t n)
{
    size_t chars = utf8_count(text, n);

    return chars >= SENTENCE_CHARS_MIN && chars <= SENTENCE_CHARS_MAX &&
           count_words(text, n) >= SENTENCE_WORDS_MIN && n <= QUESTION_BYTES_MAX &&
           text[0] != '#' &&      /* a heading of Markdown */
           !memchr(text, '|', n); /* a row of a table */
}

void pair_text_cut(char *text, const char *what)
{
    if (*skip_space(what) == '\0')
        return;
    for (char *at = text; *at;) {
        const char *end = match(at, what);

        if (end)
            memmove(at, end, strlen(end) + 1);
        else
            at++;
    }
}

void pair_text_cut_name(char *text, const char *name)
{
    const char *begin = skip_space(text);
    const char *end = match(begin, name);
    char *line = text;

    if (*skip_space(name) == '\0')
        return;
    if (end)
        memmove(text, end, strlen(end) + 1);
    while (*line) {
        char *next = line + strcspn(line, "\n");
        const char *from = line + strspn(line, " \t#");
        const char *to = match(from, name);

        next += *next == '\n';
        if (to && to <= next && skip_space(to) >= next)
            memmove(line, next, strlen(next) + 1);
        else
            line = next;
    }
}

void pair_text_cut_part(char *path, const char *part)
{
    char *out = path;
    char *at = path;

    for (bool more = true; more;) {
        char *end = strstr(at, " > ");
        size_t n = end ? (size_t)(end - at) : strlen(at);
        char *next = end ? end + 3 : at;
        const char *to = match(at, part);

        more = end != NULL;
        if (!(to && to == at + n)) {
            if (out > path) {
                memcpy(out, " > ", 3);
                out += 3;
            }
            memmove(out, at, n);
            out += n;
        }
        at = next;
    }
    *out = '\0';
}

bool pair_text_says(const char *text, const char *what)
{
    if (*skip_space(what) == '\0')
        return false;
    for (; *text; text++)
        if (match(text, what))
            return true;
    return false;
}

static bool is_functional(const char *word, size_t n)
{
    for (size_t i = 0; i < sizeof functional / sizeof functional[0]; i++) {
        const char *end = match(word, functional[i]);

        if (end && end == word + n)
            return true;
    }
    return false;
}

/* ASCII marks at either end of a word. */
static bool is_mark(char c)
{
    return strchr(".,;:!?()[]{}<>\"'`*_#", c) != NULL;
}

bool pair_text_reduce(char *text, uint64_t *random)
{
    struct {
        size_t start;
        size_t n;
    } words[WORDS_READ_MAX];
    size_t n_content = 0;
    size_t n_kept = 0;
    size_t n_out = 0;

    for (size_t at = 0; text[at] && n_content < WORDS_READ_MAX;) {
        size_t start = at + strspn(text + at, " \t\n\r");
        size_t end = start + strcspn(text + start, " \t\n\r");

        at = end;
        while (start < end && is_mark(text[start]))
            start++;
        while (end > start && is_mark(text[end - 1]))
            end--;
        if (end > start && !is_functional(text + start, end - start)) {
            words[n_content].start = start;
            words[n_content++].n = end - start;
        }
    }
    for (size_t i = 0; i < n_content && n_kept < PAIR_WORDS_MAX; i++) {
        size_t left = n_content - i;
        bool drop = splitmix_next(random) % 3 == 0;

        if (drop && n_kept + left > PAIR_WORDS_MIN)
            continue;
        if (n_out > 0)
            text[n_out++] = ' ';
        memmove(text + n_out, text + words[i].start, words[i].n);
        n_out += words[i].n;
        n_kept++;
    }
    text[n_out] = '\0';
    return n_kept >= PAIR_WORDS_MIN;
}

/* FNV-1a (Fowler, Noll and Vo; 64 bits) over the text as it compares. */
uint64_t pair_text_hash(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (text = skip_space(text); *text; text++) {
        char c = lower(*text);

        if (is_space(c)) {
            text = skip_space(text);
            if (*text == '\0')
                break;
            text--; /* the last of the run */
            c = ' ';
        }
        hash = (hash ^ (uint8_t)c) * 0x100000001b3u;
    }
    return hash;
}
