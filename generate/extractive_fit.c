#define _GNU_SOURCE /* memmem */
#include "generate/extractive_fit.h"

#include <string.h>

#include "base/utf8.h"
#include "generate/word_list.h"
#include "text/char_class.h"
#include "text/entity.h"
#include "text/question_focus.h"

#define PHONE_FIT 0.9f
#define NEAR_BYTES                                                                                 \
    40.0f /* about four words: how far a candidate may stand from what it is about                 \
           */

static bool occurs(const char *s, size_t n, const char *what)
{
    return memmem(s, n, what, strlen(what)) != NULL;
}

static bool occurs_any(const char *s, size_t n, const char *const *list)
{
    for (; *list; list++)
        if (occurs(s, n, *list))
            return true;
    return false;
}

/* How near the question's words stand to the bytes [start, end): 0..1. */
static float closeness(const struct reading *r, uint32_t start, uint32_t end, size_t from,
                       size_t to)
{
    float sum = 0;

    for (size_t i = from; i < to; i++) {
        const struct overlap_hit *h = &r->hits.hits[i];
        float distance = 0;

        if (h->byte_end <= start)
            distance = (float)(start - h->byte_end);
        else if (h->byte_start >= end)
            distance = (float)(h->byte_start - end);
        sum += r->query.mass[h->term] / (1.0f + distance / NEAR_BYTES);
    }
    sum = r->query.total > 0 ? sum / r->query.total : 0;
    return sum > 1 ? 1 : sum;
}

/* What the question says itself answers nothing. */
static bool in_question(const struct reading *r, const char *text, const struct entity *e)
{
    struct entity asked;
    size_t at = 0;

    while (entity_next(r->text, r->text_bytes, &at, &asked)) {
        struct entity whole = *e;

        if (entity_same(text, &whole, r->text, &asked))
            return true;
    }
    return false;
}

static float entity_value(const struct question *q, const struct entity *e)
{
    if (q->kind == ANSWER_DATE) {
        if (e->kind == ENTITY_DATE)
            return q->unit_class == UNIT_YEAR && e->year == 0 ? 0.3f : 1.0f;
        if (e->kind != ENTITY_NUMBER)
            return 0;
        if (e->unit == UNIT_CLOCK)
            return 0.8f;
        return e->unit == UNIT_DAY || e->unit == UNIT_YEAR || e->unit == UNIT_MONTH ? 0.5f : 0;
    }
    if (e->kind == ENTITY_DATE)
        return q->unit_class == UNIT_DAY && e->year == 0 && e->month == 0 ? 1.0f : 0;
    if (e->kind != ENTITY_NUMBER)
        return 0;
    if (q->unit_class == UNIT_NONE)
        return e->unit == UNIT_NONE ? 0.6f : 1.0f;
    if (q->unit_class == UNIT_OTHER)
        return e->unit == UNIT_OTHER || e->unit == UNIT_NONE ? 1.0f : 0.3f;
    if (q->unit_class == e->unit)
        return 1.0f;
    if (unit_fits((enum unit_class)q->unit_class, (enum unit_class)e->unit))
        return 0.8f;
    return q->unit_named ? 0 : 0.3f;
}

/* A unit that no table has ("몇 골", "몇 꼭지") is found by its own letters behind a number. */
static bool has_unit_text(const struct question *q, const char *text, uint32_t at, uint32_t end)
{
    size_t n = strlen(q->unit);

    while (at < end && text[at] == ' ')
        at++;
    return n > 0 && end - at >= n && memcmp(text + at, q->unit, n) == 0;
}

static struct fit fit_entity(const struct reading *r, const char *text, uint32_t start,
                             uint32_t end, size_t from, size_t to)
{
    struct fit best = {0, 0, 0};
    float best_rank = 0;
    struct entity e;
    size_t at = start;

    while (entity_next(text, end, &at, &e)) {
        float value = entity_value(&r->question, &e);
        float rank;

        if (r->question.unit_class == UNIT_OTHER && e.kind == ENTITY_NUMBER &&
            has_unit_text(&r->question, text, e.byte_end, end))
            value = 1.0f;
        if (value <= 0 || in_question(r, text, &e))
            continue;
        rank = value * (0.3f + 0.7f * closeness(r, e.byte_start, e.byte_end, from, to));
        if (rank > best_rank) {
            best_rank = rank;
            best = (struct fit){value, e.byte_start, e.byte_end};
        }
    }
    if (best.end > best.start)
        best.value *= 0.6f + 0.4f * closeness(r, best.start, best.end, from, to);
    return best;
}

struct word_span {
    uint32_t start;
    uint32_t end;  /* with its particle */
    uint32_t stem; /* end without it */
};

/* The next run of letters at or after *at. */
static bool next_word(const char *text, uint32_t end, uint32_t *at, struct word_span *ret)
{
    uint32_t i = *at;
    size_t step;

    while (i < end && !char_is_word(utf8_decode(text + i, &step)))
        i += (uint32_t)step;
    if (i >= end)
        return false;
    ret->start = i;
    while (i < end && char_is_word(utf8_decode(text + i, &step)))
        i += (uint32_t)step;
    ret->end = *at = i;
    ret->stem = ret->start + (uint32_t)focus_stem(text + ret->start, i - ret->start);
    return true;
}

static bool ends_any(const char *text, const struct word_span *w, const char *const *list)
{
    size_t n = w->stem - w->start;

    for (; *list; list++) {
        size_t length = strlen(*list);

        if (n > length && memcmp(text + w->stem - length, *list, length) == 0)
            return true;
    }
    return false;
}

/* 0..1: does the word look like a person's name? Three syllables with a common surname, a
 * title behind, Han letters in brackets behind, a foreign name's middle dot. */
static float person_like(const char *text, uint32_t end, const struct word_span *w)
{
    static const char *const surnames =
        "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민나진지엄채"
        "원천"
        "방공현함변염여추도소석선설마길연표명기반왕금옥육인맹제모탁국어은편";
    static const char *const titles[] = {
        "씨",   "대통령", "교수", "감독", "박사", "선생", "장군",   "회장", "사장",
        "대표", "팀장",   "과장", "부장", "차장", "대리", "사원",   "이사", "의원",
        "장관", "총리",   "왕",   "황제", "목사", "신부", "기자",   "작가", "선수",
        "주임", "책임",   "실장", "원장", "소장", "관장", "위원장", "님",   NULL};
    size_t syllables = utf8_count(text + w->start, w->stem - w->start);
    uint32_t after = w->end;
    size_t step;
    uint32_t c = utf8_decode(text + w->start, &step);
    float value = 0;

    if (!char_is_hangul(c))
        return char_is_latin(c) && c >= 'A' && c <= 'Z' ? 0.3f : 0;
    if (syllables == 3 && memmem(surnames, strlen(surnames), text + w->start, step))
        value = 0.5f;
    else if (syllables >= 2 && syllables <= 6)
        value = 0.15f;
    if (after < end && text[after] == '(')
        value += char_is_han(utf8_decode(text + after + 1, NULL)) ? 0.5f : 0.2f;
    if (after < end && text[after] == ' ')
        after++;
    if (word_list_begins(text + after, end - after, titles) > 0 ||
        word_list_begins(text + w->stem, w->end - w->stem, titles) > 0)
        value += 0.4f;
    return value > 1 ? 1 : value;
}

bool fit_person_next(const char *text, uint32_t end, float min, uint32_t *at, uint32_t *ret_start,
                     uint32_t *ret_end)
{
    struct word_span w;

    while (next_word(text, end, at, &w)) {
        if (person_like(text, end, &w) < min)
            continue;
        *ret_start = w.start;
        *ret_end = w.stem;
        return true;
    }
    return false;
}

static float place_like(const char *text, uint32_t end, const struct word_span *w)
{
    static const char *const places[] = {
        "시",   "도",     "군",   "구",     "동",       "읍",   "면",     "역",   "산",   "강",
        "섬",   "국",     "주",   "층",     "실",       "관",   "센터",   "로",   "길",   "항",
        "공항", "대학",   "학교", "병원",   "사무실",   "광장", "공원",   "건물", "로비", "창고",
        "호",   "만",     "성",   "궁",     "사",       "마을", "지방",   "지역", "아",   "스",
        "랜드", "데스크", "창구", "게시판", "홈페이지", "포털", "사이트", "본부", "팀",   NULL};
    static const char *const after[] = {"에서", "에", "으로", "로", "의", "이다", "에는", NULL};
    float value = 0;

    if (ends_any(text, w, places))
        value = 0.5f;
    if (word_list_begins(text + w->stem, w->end - w->stem, after) > 0)
        value += 0.3f;
    (void)end;
    return value;
}

/* Is the word one of the question's own? */
static bool is_hit(const struct reading *r, const struct word_span *w, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (r->hits.hits[i].byte_start < w->stem && r->hits.hits[i].byte_end > w->start)
            return true;
    return false;
}

static struct fit fit_word(const struct reading *r, const char *text, uint32_t start, uint32_t end,
                           size_t from, size_t to)
{
    struct fit best = {0, 0, 0};
    float best_rank = 0;
    struct word_span w;
    uint32_t at = start;

    while (next_word(text, end, &at, &w)) {
        float value;
        float rank;

        if (is_hit(r, &w, from, to))
            continue;
        value = r->question.kind == ANSWER_PERSON ? person_like(text, end, &w)
                                                  : place_like(text, end, &w);
        rank = value * (0.3f + 0.7f * closeness(r, w.start, w.stem, from, to));
        if (rank > best_rank) {
            best_rank = rank;
            best = (struct fit){value, w.start, w.stem};
        }
    }
    return best;
}

/* A name is set off by quotation marks or stands in Latin letters. */
static struct fit fit_name(const struct reading *r, const char *text, uint32_t start, uint32_t end,
                           size_t from, size_t to)
{
    struct fit best = {0, 0, 0};
    float best_rank = 0;
    struct entity e;
    size_t at = start;

    while (entity_next(text, end, &at, &e)) {
        float value = e.kind == ENTITY_QUOTED                           ? 0.8f
                      : e.kind == ENTITY_LATIN || e.kind == ENTITY_CODE ? 0.4f
                                                                        : 0;
        float rank = value * (0.3f + 0.7f * closeness(r, e.byte_start, e.byte_end, from, to));

        if (value > 0 && rank > best_rank && !in_question(r, text, &e)) {
            best_rank = rank;
            best = (struct fit){value, e.byte_start, e.byte_end};
        }
    }
    return best;
}

/* Words by which Korean states reasons, ways, rules and definitions. */
static float fit_cue(enum answer_kind kind, const char *s, size_t n)
{
    static const char *const reasons[] = {"때문",   "위해",   "위하여", "이유", "원인", "까닭",
                                          "므로",   "인해",   "인하여", "덕분", "탓",   "계기",
                                          "따라서", "그래서", "하고자", "의해", "아서", "어서",
                                          "니까",   "하려고", NULL};
    static const char *const ways[] = {"통해", "이용", "방법", "먼저",   "누르",   "눌러", "누른",
                                       "클릭", "입력", "제출", "작성",   "신청",   "접속", "문의",
                                       "교체", "올린", "하면", "한 뒤",  "한 후",  "다음", "후에",
                                       "연락", "전화", "써서", "사용해", "으로써", "선택", "설치",
                                       "실행", "다시", NULL};
    static const char *const rules[] = {
        "수 있", "수 없", "가능", "불가",   "안 된",  "안 됩",  "해야", "하여야", "금지",
        "허용",  "않는",  "않습", "아니",   "된다",   "됩니다", "필요", "제외",   "포함",
        "지 못", "있다",  "없다", "있습니", "없습니", "만 ",    NULL};
    static const char *const meanings[] = {"말한다", "뜻한다", "가리킨", "뜻하는", "의미", "이란 ",
                                           "란 ",    "이다",   "말하며", "뜻으로", NULL};

    switch (kind) {
    case ANSWER_REASON:
        return occurs_any(s, n, reasons) ? 1 : 0;
    case ANSWER_METHOD:
        return occurs_any(s, n, ways) ? 1 : 0;
    case ANSWER_YESNO:
        return occurs_any(s, n, rules) ? 1 : 0;
    case ANSWER_DEFINITION:
        return occurs_any(s, n, meanings) ? 1 : 0;
    default:
        return 0;
    }
}

/* A telephone number: two or three groups of digits joined by hyphens, eight digits or more. */
static bool find_phone(const char *text, uint32_t start, uint32_t end, struct fit *ret)
{
    for (uint32_t i = start; i < end; i++) {
        uint32_t digits = 0;
        uint32_t hyphens = 0;
        uint32_t k = i;

        while (k < end && ((text[k] >= '0' && text[k] <= '9') || (text[k] == '-' && k > i))) {
            digits += text[k] != '-';
            hyphens += text[k] == '-';
            k++;
        }
        if (hyphens >= 1 && digits >= 8 && text[k - 1] != '-') {
            *ret = (struct fit){PHONE_FIT, i, k};
            return true;
        }
        if (k > i)
            i = k - 1;
    }
    return false;
}

/* "어디로 전화하나요" asks for a number or an office, not for a place on a map. */
static bool asks_contact(const struct reading *r)
{
    static const char *const words[] = {"전화", "연락", "문의", NULL};

    return occurs_any(r->text, r->text_bytes, words);
}

bool fit_named(enum answer_kind kind, const char *name, size_t n)
{
    static const char *const reasons[] = {"원인", "이유", "배경", "까닭", NULL};
    static const char *const ways[] = {"방법", "절차", "순서", "하는 법", NULL};

    if (kind == ANSWER_REASON)
        return occurs_any(name, n, reasons);
    return kind == ANSWER_METHOD && occurs_any(name, n, ways);
}

struct fit fit_find(const struct reading *r, const char *text, uint32_t start, uint32_t end,
                    size_t from, size_t to)
{
    struct fit phone;

    if (r->question.kind == ANSWER_PLACE && asks_contact(r) && find_phone(text, start, end, &phone))
        return phone;
    switch (r->question.kind) {
    case ANSWER_DATE:
    case ANSWER_QUANTITY:
        return fit_entity(r, text, start, end, from, to);
    case ANSWER_PERSON:
    case ANSWER_PLACE:
        return fit_word(r, text, start, end, from, to);
    case ANSWER_NAME:
        return fit_name(r, text, start, end, from, to);
    default:
        return (struct fit){fit_cue(r->question.kind, text + start, end - start), 0, 0};
    }
}
