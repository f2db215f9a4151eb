#include "generate/grounding_sentence.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "generate/grounding_marks.h"
#include "generate/word_list.h"
#include "text/sentence.h"

#define PENDING_BYTES_MAX (4 * GROUNDING_SENTENCE_BYTES_MAX + ANSWER_BYTES_MAX)

static const char think_open[] = "<think>";
static const char think_close[] = "</think>";

/* Where a mark stood. */
struct mark_place {
    size_t clean; /* byte of the clean text */
    size_t raw;   /* byte of the pending text where it begins, what belongs to it included */
    uint64_t cited;
    bool leads; /* at the beginning of a line: of the sentence that follows */
};

void sentence_cutter_init(struct sentence_cutter *c, size_t n_passages)
{
    *c = (struct sentence_cutter){.n_passages = n_passages};
    buf_init(&c->pending, PENDING_BYTES_MAX);
    buf_init(&c->clean, PENDING_BYTES_MAX);
}

void sentence_cutter_release(struct sentence_cutter *c)
{
    buf_release(&c->pending);
    buf_release(&c->clean);
    free(c->marks);
    free(c->origin);
    c->marks = NULL;
    c->origin = NULL;
}

static void drop_front(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

static size_t count_spaces(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && (s[i] == ' ' || s[i] == '\n'))
        i++;
    return i;
}

/* Take thoughts out of the front of the pending text. false: wait for more of it. */
static bool skip_thoughts(struct sentence_cutter *c)
{
    size_t n_open = sizeof think_open - 1;
    size_t n_close = sizeof think_close - 1;

    while (!c->begun) {
        size_t spaces = count_spaces(buf_str(&c->pending), c->pending.len);
        const char *s = buf_str(&c->pending) + spaces;
        size_t n = c->pending.len - spaces;
        const char *close;

        if (c->thinking) {
            close = strstr(buf_str(&c->pending), think_close);
            if (!close) {
                if (c->pending.len > n_close)
                    drop_front(&c->pending, c->pending.len - n_close);
                return false;
            }
            drop_front(&c->pending, (size_t)(close - c->pending.data) + n_close);
            c->thinking = false;
        } else if (n >= n_open && memcmp(s, think_open, n_open) == 0) {
            drop_front(&c->pending, spaces + n_open);
            c->thinking = true;
        } else if (n < n_open && memcmp(s, think_open, n) == 0) {
            return false;
        } else {
            c->begun = true;
        }
    }
    return true;
}

enum rag_status sentence_cutter_put(struct sentence_cutter *c, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t step = utf8_sequence_bytes(text + i, n - i);

        if (step == 0) {
            buf_append_str(&c->pending, "\xEF\xBF\xBD"); /* U+FFFD */
            i++;
            continue;
        }
        if (step == 1 && (unsigned char)text[i] < 0x20 && text[i] != '\n')
            buf_append_char(&c->pending, ' ');
        else
            buf_append(&c->pending, text + i, step);
        i += step;
    }
    (void)skip_thoughts(c);
    return buf_status(&c->pending);
}

/* ---- marks ---- */

/* Bytes of a phrase that goes with the mark before it: "에 따르면,". 0: none. */
static size_t tail_bytes(const char *s, size_t n)
{
    static const char *const tails[] = {
        "에 따르면",        "에 의하면",   "에서는",           "에서",
        "번 자료에 따르면", "번에 따르면", "의 내용에 따르면", NULL};
    size_t bytes = word_list_begins(s, n, tails);

    return bytes + (bytes > 0 && bytes < n && s[bytes] == ',');
}

/* Bytes at the end of s that go with the mark behind it: "자료 ", "According to ". */
static size_t head_bytes(const char *s, size_t n)
{
    static const char *const heads[] = {"According to passage ",
                                        "According to ",
                                        "As stated in ",
                                        "Based on ",
                                        "자료 ",
                                        "자료",
                                        "문서 ",
                                        NULL};

    return word_list_ends(s, n, heads);
}

/* Bytes at the end of s of a bracket that names what the mark is: "(출처: ". */
static size_t wrapper_bytes(const char *s, size_t n)
{
    static const char *const wrappers[] = {
        "(출처: ", "(출처:", "(출처 ",  "(출처",     "(근거: ",   "(근거:", "(근거 ",
        "(참고: ", "(자료 ", "(자료: ", "(Source: ", "(source: ", "(",      NULL};

    return word_list_ends(s, n, wrappers);
}

static enum rag_status add_mark(struct sentence_cutter *c, size_t raw, uint64_t cited, bool leads)
{
    if (c->n_marks == c->cap_marks) {
        size_t cap = c->cap_marks ? c->cap_marks * 2 : 16;
        struct mark_place *grown = realloc(c->marks, cap * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        c->marks = grown;
        c->cap_marks = cap;
    }
    c->marks[c->n_marks++] = (struct mark_place){c->clean.len, raw, cited, leads};
    return RAG_OK;
}

/* Take n bytes off the end of the clean text; the byte of the pending text where it then ends. */
static size_t drop_back(struct sentence_cutter *c, size_t n)
{
    c->clean.len -= n;
    c->clean.data[c->clean.len] = '\0';
    return c->origin[c->clean.len];
}

/* Does the clean text stand at the beginning of a line, list marks not counted? */
static bool at_line_start(const struct buf *clean)
{
    size_t n = clean->len;

    while (n > 0 && strchr(" -*", clean->data[n - 1]))
        n--;
    return n == 0 || clean->data[n - 1] == '\n';
}

/* One mark of 'bytes' bytes at s[at]; returns the byte behind it and what goes with it. */
static size_t take_mark(struct sentence_cutter *c, const char *s, size_t n, size_t at, size_t bytes,
                        uint64_t cited, enum rag_status *ret_status)
{
    size_t end = at + bytes;
    size_t begin = at;
    size_t wrapper = wrapper_bytes(buf_str(&c->clean), c->clean.len);
    size_t head;
    size_t tail;
    bool leads;

    if (wrapper > 0 && end < n && s[end] == ')') {
        begin = drop_back(c, wrapper);
        end++;
    }
    tail = tail_bytes(s + end, n - end);
    head = head_bytes(buf_str(&c->clean), c->clean.len);
    if (head > 0 && (tail > 0 || (end < n && s[end] == ','))) {
        begin = drop_back(c, head);
        end += tail > 0 ? tail : 1;
    } else {
        head = 0;
        end += tail;
    }
    /* "그런데 [1]에 따르면 ..." belongs to what follows, wherever it stands */
    leads = at_line_start(&c->clean) || tail > 0 || head > 0;
    if (leads)
        while (end < n && s[end] == ' ')
            end++;
    else
        while (c->clean.len > 0 && c->clean.data[c->clean.len - 1] == ' ')
            begin = drop_back(c, 1);
    *ret_status = add_mark(c, begin, cited, leads);
    return end;
}

/* Fill 'clean', 'origin' and 'marks' from the pending text. A mark that has only begun is waited
 * for. */
static enum rag_status read_marks(struct sentence_cutter *c, bool final)
{
    const char *s = buf_str(&c->pending);
    size_t n = c->pending.len;
    enum rag_status status = RAG_OK;

    if (c->cap_origin < n) {
        uint32_t *grown = realloc(c->origin, 2 * n * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        c->origin = grown;
        c->cap_origin = 2 * n;
    }
    buf_reset(&c->clean);
    c->n_marks = 0;
    for (size_t i = 0; i < n && status == RAG_OK;) {
        uint64_t cited = 0;
        bool partial;
        size_t bytes = citation_mark_read(s + i, n - i, c->n_passages, &cited, &partial);

        if (bytes > 0) {
            i = take_mark(c, s, n, i, bytes, cited, &status);
            continue;
        }
        if (partial && !final)
            break;
        c->origin[c->clean.len] = (uint32_t)i;
        buf_append_char(&c->clean, s[i++]);
    }
    return status == RAG_OK ? buf_status(&c->clean) : status;
}

/* ---- sentences ---- */

/* The place of a sentence in the clean text, and of the one behind it (or the end). */
struct cut {
    size_t start;
    size_t end;
    size_t next;
    bool last; /* nothing is behind it */
};

static unsigned count_breaks(const char *s, size_t from, size_t to)
{
    unsigned n = 0;

    for (size_t i = from; i < to && n < 2; i++)
        n += s[i] == '\n';
    return n;
}

/* Can what is still to come no longer change where the sentence ends? */
static bool is_settled(const struct sentence_cutter *c, const struct cut *cut, size_t n_sentences)
{
    const char *s = buf_str(&c->clean);

    if (cut->last)
        return false;
    if (n_sentences > 2 || c->clean.len - cut->next >= SENTENCE_AHEAD)
        return true;
    return s[cut->next] != '(' && count_breaks(s, cut->end, cut->next) > 0;
}

/* A sentence that does not end is cut at its last space within the limit. */
static bool cut_long(const struct sentence_cutter *c, struct cut *cut)
{
    const char *s = buf_str(&c->clean);
    size_t end = cut->start + GROUNDING_SENTENCE_BYTES_MAX;

    if (cut->end - cut->start <= GROUNDING_SENTENCE_BYTES_MAX)
        return false;
    end = utf8_floor(s, c->clean.len, end);
    for (size_t i = end; i > cut->start + GROUNDING_SENTENCE_BYTES_MAX / 2; i--)
        if (s[i - 1] == ' ') {
            end = i;
            break;
        }
    cut->end = cut->next = end;
    cut->last = false;
    return true;
}

static bool ends_as_sentence(const char *s, const struct cut *cut, size_t n)
{
    static const char *const stops[] = {".", "!", "?", "。", "？", "！",
                                        "…", ":", ")", "\"", "”",  NULL};

    if (!cut->last || count_breaks(s, cut->end, n) > 0)
        return true;
    return word_list_ends(s + cut->start, cut->end - cut->start, stops) > 0;
}

/* Is the mark one of the sentence's? Also where the pending text goes on after it. */
static bool owns(const char *s, const struct cut *cut, const struct mark_place *mark)
{
    if (cut->last || mark->clean < cut->end)
        return true;
    if (mark->clean > cut->next)
        return false;
    return !mark->leads || count_breaks(s, mark->clean, cut->next) > 0;
}

static void give_out(struct sentence_cutter *c, const struct cut *cut, struct answer_sentence *ret)
{
    const char *s = buf_str(&c->clean);
    size_t raw_next =
        cut->last || cut->next >= c->clean.len ? c->pending.len : c->origin[cut->next];

    *ret = (struct answer_sentence){
        .text = s + cut->start,
        .n = cut->end - cut->start,
        .whole = ends_as_sentence(s, cut, c->clean.len),
        .breaks = c->breaks,
    };
    for (size_t i = 0; i < c->n_marks; i++) {
        const struct mark_place *mark = &c->marks[i];

        if (owns(s, cut, mark)) {
            ret->cited |= mark->cited;
            ret->marked = true;
        } else if (mark->raw < raw_next) {
            raw_next = mark->raw;
        }
    }
    c->breaks = cut->last ? 0 : count_breaks(s, cut->end, cut->next);
    drop_front(&c->pending, raw_next);
}

/* The first sentence of the clean text. RAG_OK with *ret_n, how many there are. */
static enum rag_status first_sentence(const struct sentence_cutter *c, struct cut *ret,
                                      size_t *ret_n)
{
    struct sentence *sentences;
    enum rag_status status = sentence_split(buf_str(&c->clean), c->clean.len, &sentences, ret_n);

    if (status != RAG_OK)
        return status;
    if (*ret_n > 0)
        *ret = (struct cut){
            .start = sentences[0].byte_start,
            .end = sentences[0].byte_end,
            .next = *ret_n > 1 ? sentences[1].byte_start : c->clean.len,
            .last = *ret_n == 1,
        };
    free(sentences);
    return RAG_OK;
}

enum rag_status sentence_cutter_next(struct sentence_cutter *c, bool final,
                                     struct answer_sentence *ret, bool *ret_found)
{
    enum rag_status status;
    struct cut cut = {0};
    size_t n = 0;

    *ret_found = false;
    if (!skip_thoughts(c) && (!final || c->thinking))
        return RAG_OK;
    status = read_marks(c, final);
    if (status == RAG_OK)
        status = first_sentence(c, &cut, &n);
    if (status != RAG_OK || n == 0)
        return status;
    if (!cut_long(c, &cut) && !is_settled(c, &cut, n) && !final)
        return RAG_OK;
    give_out(c, &cut, ret);
    *ret_found = true;
    return RAG_OK;
}
