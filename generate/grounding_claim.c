#define _GNU_SOURCE /* memmem */
#include "generate/grounding_claim.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "generate/extractive_fit.h"
#include "generate/grounding_support.h"
#include "generate/word_list.h"
#include "text/char_class.h"

void claim_release(struct claim *c)
{
    term_list_release(&c->terms);
    term_list_release(&c->asked);
}

enum rag_status claim_question(struct claim *c, const struct analyzer *analyzer,
                               const struct generator_request *request)
{
    const char *text =
        request->n_messages > 0 ? request->messages[request->n_messages - 1].text : "";

    return analyzer_question(analyzer, text, strlen(text), &c->asked);
}

/* ---- terms ---- */

size_t claim_find(const struct claim *c, uint64_t id)
{
    for (size_t at = (size_t)id % CLAIM_SLOTS; c->slots[at] != 0; at = (at + 1) % CLAIM_SLOTS)
        if (c->terms.items[c->slots[at] - 1].id == id)
            return (size_t)c->slots[at] - 1;
    return CLAIM_NONE;
}

static bool question_has(const struct claim *c, uint64_t id)
{
    for (size_t i = 0; i < c->asked.n; i++)
        if (c->asked.items[i].id == id)
            return true;
    return false;
}

/* Words that a model puts around what it says: they claim nothing. */
static bool is_filler(const char *word, size_t n)
{
    static const char *const fillers[] = {
        "다음",   "아래",   "위의",  "따르",   "따라",   "대한",  "대해", "관한", "관련", "경우",
        "자료",   "문서",   "제공",  "질문",   "답변",   "답은",  "내용", "즉",   "또한", "그리",
        "따라서", "그러므", "하지",  "그러나", "이는",   "이에",  "해당", "됩니", "있습", "합니",
        "입니",   "것입",   "the",   "a",      "an",     "is",    "are",  "was",  "were", "of",
        "to",     "in",     "on",    "at",     "by",     "for",   "and",  "or",   "it",   "its",
        "this",   "that",   "with",  "as",     "be",     "been",  "has",  "have", "had",  "from",
        "which",  "who",    "there", "their",  "they",   "he",    "she",  "his",  "her",  "also",
        "will",   "can",    "may",   "must",   "should", "would", NULL};

    return word_list_has_stem(word, n, fillers);
}

static void weigh(struct claim *c, const struct generator_request *request)
{
    uint64_t ids[QUERY_TERMS_MAX];
    float idf[QUERY_TERMS_MAX];

    c->total = 0;
    memset(c->slots, 0, sizeof c->slots);
    for (size_t i = 0; i < c->terms.n; i++) {
        ids[i] = c->terms.items[i].id;
        idf[i] = 1;
    }
    if (request->idf_fn)
        request->idf_fn(request->idf_context, ids, c->terms.n, idf);
    for (size_t i = 0; i < c->terms.n; i++) {
        const struct term *t = &c->terms.items[i];
        size_t at = (size_t)t->id % CLAIM_SLOTS;

        while (c->slots[at] != 0)
            at = (at + 1) % CLAIM_SLOTS;
        c->slots[at] = (uint16_t)(i + 1);
        c->known[i] = question_has(c, t->id);
        c->full_mass[i] = t->kind == TERM_SYNONYM ? 0 : t->weight * idf[i];
        if (is_filler(c->text + t->byte_start,
                      c->n - t->byte_start > 0 ? t->byte_end - t->byte_start : 0))
            c->full_mass[i] *= 0.1f;
        c->mass[i] = t->kind == TERM_NUMBER ? 0 : c->full_mass[i];
        if (c->known[i])
            c->mass[i] *= SUPPORT_KNOWN;
        c->total += c->mass[i];
    }
}

/* ---- values and names ---- */

/* A Latin word of an English sentence is a name when it is written like one and does not begin the
 * sentence; of a Korean one always. */
static bool is_name(const struct claim *c, const struct entity *e, bool korean)
{
    const char *s = c->text + e->byte_start;
    size_t n = e->byte_end - e->byte_start;

    if (e->kind == ENTITY_CODE)
        return true;
    if (e->kind != ENTITY_LATIN || n < 2)
        return false;
    if (korean)
        return true;
    for (size_t i = 1; i < n; i++)
        if (s[i] >= 'A' && s[i] <= 'Z')
            return true; /* NASA, iPhone */
    return s[0] >= 'A' && s[0] <= 'Z' && e->byte_start > 0 && !is_filler(s, n);
}

static void add_entity(struct claim *c, const struct entity *e)
{
    if (c->n_entities < CLAIM_ENTITIES_MAX)
        c->entities[c->n_entities] = (struct claim_entity){*e, 0, c->n};
    c->n_entities++;
}

static bool is_value(const struct claim_entity *e)
{
    return e->entity.kind == ENTITY_NUMBER || e->entity.kind == ENTITY_DATE;
}

/* What stands between two values is said of both; values with nothing in between (1시간 20분) are
 * one. */
static void read_windows(struct claim *c)
{
    struct claim_entity *before = NULL; /* the last value */
    size_t from = 0;                    /* of the values that are one with it */

    for (size_t i = 0; i < c->n_entities && i < CLAIM_ENTITIES_MAX; i++) {
        struct claim_entity *value = &c->entities[i];
        size_t gap;

        if (!is_value(value))
            continue;
        gap = before ? before->entity.byte_end : 0;
        while (before && gap < value->entity.byte_start && c->text[gap] == ' ')
            gap++;
        if (before && gap < value->entity.byte_start) {
            from = before->entity.byte_end;
            for (size_t k = 0; k < i; k++)
                if (is_value(&c->entities[k]) && c->entities[k].to == c->n)
                    c->entities[k].to = value->entity.byte_start;
        }
        value->from = from;
        before = value;
    }
}

static void read_entities(struct claim *c)
{
    struct entity e;
    bool korean = text_has_hangul(c->text, c->n);
    uint32_t person = 0;
    uint32_t start;
    uint32_t end;
    size_t at = 0;

    c->n_entities = 0;
    while (entity_next(c->text, c->n, &at, &e))
        if (e.kind == ENTITY_NUMBER || e.kind == ENTITY_DATE || is_name(c, &e, korean))
            add_entity(c, &e);
    read_windows(c);
    while (fit_person_next(c->text, (uint32_t)c->n, FIT_PERSON_TITLED, &person, &start, &end)) {
        e = (struct entity){.kind = ENTITY_QUOTED, .byte_start = start, .byte_end = end};
        add_entity(c, &e);
    }
}

/* Bytes of what marks a list's item, a heading or a quotation at the beginning of a line. */
static size_t list_mark_bytes(const char *s, size_t n)
{
    size_t i = 0;
    size_t digits;

    while (i < n && strchr("-*#>+ \t", s[i]))
        i++;
    for (digits = 0; i + digits < n && s[i + digits] >= '0' && s[i + digits] <= '9';)
        digits++;
    if (digits > 0 && digits <= 2 && i + digits + 1 < n && strchr(".)", s[i + digits]) &&
        s[i + digits + 1] == ' ')
        i += digits + 2;
    if (n - i >= 3 && (memcmp(s + i, "•", 3) == 0 || memcmp(s + i, "·", 2) == 0))
        i += s[i] == "•"[0] ? 3 : 2;
    return i;
}

enum rag_status claim_read(struct claim *c, const struct analyzer *analyzer,
                           const struct generator_request *request, const char *text, size_t n)
{
    size_t skip = list_mark_bytes(text, n);
    enum rag_status status;

    c->text = text + skip;
    c->n = n - skip;
    status = analyzer_question(analyzer, c->text, c->n, &c->terms);
    if (status != RAG_OK)
        return status;
    weigh(c, request);
    read_entities(c);
    return RAG_OK;
}

/* ---- clauses ---- */

/* Does a clause end with this word? */
static bool ends_clause(const char *word, size_t n)
{
    static const char *const endings[] = {"지만", "으나", "으며", "하며", "되며", "이며", "하고",
                                          "되고", "이고", "않고", "없고", "있고", "으면", "하면",
                                          "되면", "는데", "면서", "해서", "므로", "니까", "라면",
                                          ",",    ";",    "다.",  "，",   " but", NULL};

    return word_list_ends(word, n, endings) > 0;
}

bool clause_next(const char *text, size_t n, struct clause *clause)
{
    size_t at = clause->end;
    size_t word;

    while (at < n && (text[at] == ' ' || text[at] == '\n'))
        at++;
    if (at >= n)
        return false;
    clause->start = at;
    for (;;) {
        word = at;
        while (at < n && text[at] != ' ' && text[at] != '\n')
            at++;
        clause->end = at;
        if (at >= n || ends_clause(text + word, at - word))
            return true;
        while (at < n && (text[at] == ' ' || text[at] == '\n'))
            at++;
        if (at >= n)
            return true;
    }
}

/* How often words of a list occur; *ret_last: the byte behind the last one. */
static size_t count_of(const char *s, size_t n, const char *const *list, size_t *ret_last)
{
    size_t count = 0;

    for (; *list; list++) {
        const char *at = s;
        size_t bytes = strlen(*list);

        while ((at = memmem(at, n - (size_t)(at - s), *list, bytes)) != NULL) {
            count++;
            at += bytes;
            if ((size_t)(at - s) > *ret_last)
                *ret_last = (size_t)(at - s);
        }
    }
    return count;
}

static bool is_ascii_letter(char c)
{
    return ((unsigned char)c | 0x20) >= 'a' && ((unsigned char)c | 0x20) <= 'z';
}

/* English words that say no, whole ones; what they say no to stands behind them. */
static size_t count_english(const char *s, size_t n, size_t *ret_last)
{
    static const char *const words[] = {"not",        "no",        "never",   "cannot", "without",
                                        "neither",    "nor",       "none",    "unable", "nobody",
                                        "prohibited", "forbidden", "nothing", NULL};
    size_t count = 0;
    size_t i = 0;

    while (i < n) {
        size_t start = i;
        size_t before = count;

        while (i < n && is_ascii_letter(s[i]))
            i++;
        for (size_t k = 0; words[k] && i > start; k++)
            count +=
                strlen(words[k]) == i - start && strncasecmp(s + start, words[k], i - start) == 0;
        count += i + 1 < n && i > start && s[i - 1] == 'n' && s[i] == '\'' && s[i + 1] == 't';
        if (count > before)
            *ret_last = n;
        i += i == start || i < n;
    }
    return count;
}

bool clause_negative(const char *text, const struct clause *clause, struct clause *ret_said)
{
    static const char *const markers[] = {
        "않",   "없",     "못하",   "못한",   "못 ",   "못했",  "못합",  "아니", "아닌",
        "아닙", "안 되",  "안 된",  "안 됩",  "안 돼", "안 한", "안 합", "불가", "금지",
        "제외", "말아야", "마십시", "마세요", "안된",  "안됩",  NULL};
    /* hold a marker and say no such thing */
    static const char *const harmless[] = {"뿐만 아니", "뿐 아니", "관계없", "상관없", "관계 없",
                                           "상관 없",   "밖에 없", "끊임없", "틀림없", "빠짐없",
                                           "문제없",    "변함없",  "없애",   "없앤",   "아니라",
                                           "불가피",    NULL};
    const char *s = text + clause->start;
    size_t n = clause->end - clause->start;
    size_t last = 0;
    size_t ignored = 0;
    size_t count = count_of(s, n, markers, &last) + count_english(s, n, &last);
    size_t less = count_of(s, n, harmless, &ignored);
    size_t from = last;

    for (int words = 0; from > 0 && words < 3; words++) {
        while (from > 0 && s[from - 1] == ' ')
            from--;
        while (from > 0 && s[from - 1] != ' ')
            from--;
    }
    *ret_said = (struct clause){clause->start + from, clause->start + last};
    return (count - (less < count ? less : count)) % 2 == 1;
}
