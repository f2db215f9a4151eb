#define _GNU_SOURCE /* memmem */
/* The regular expressions of tokenizer.json, matched by backtracking.
 *
 * Only what the known split patterns use (GPT-2, cl100k, o200k, Llama 3, Qwen, DeepSeek, BLOOM):
 * literals, sets, \s \S \p{..} \P{..}, groups (?: ) (?i: ), alternatives, greedy and possessive
 * ? * + {m,n} of one character, an optional group, lookahead (?! ) (?= ). Everything else is an
 * error that names it. A library was not taken because ids depend on its Unicode tables; here
 * they are the reference's (Oniguruma's).
 *
 * The expression becomes nodes; a node leads only to nodes that were made before it, so matching
 * recurses no deeper than there are nodes, whatever the text is. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

#define RANGES_MAX   512 /* of all sets of one expression */
#define SETS_MAX     64
#define NODES_MAX    512
#define DEPTH_MAX    16 /* of groups */
#define BRANCHES_MAX 64
#define REPEAT_MAX   UINT32_MAX

struct set {
    uint32_t ascii[4];   /* the answer for ASCII, 'negated' included */
    uint32_t any;        /* characters with any of these flags are in */
    uint32_t lacking[4]; /* characters with none of these flags are in; 0: unused */
    uint16_t first_range, n_ranges;
    bool negated;
};

struct range {
    uint32_t first, last;
};

enum node_kind { NODE_MATCH, NODE_REPEAT, NODE_BRANCH, NODE_LOOK };
struct node {
    enum node_kind kind;
    uint16_t next;
    uint16_t set;      /* REPEAT */
    uint16_t inner;    /* LOOK: what must (not) follow; BRANCH: first of branches[] */
    uint16_t n;        /* BRANCH */
    bool possessive;   /* REPEAT */
    bool negative;     /* LOOK */
    uint32_t min, max; /* REPEAT */
};

struct pattern {
    char *literal; /* owned; not NULL: nothing but this text */
    size_t n_literal;
    struct set sets[SETS_MAX];
    size_t n_sets;
    struct range ranges[RANGES_MAX];
    size_t n_ranges;
    struct node nodes[NODES_MAX];
    size_t n_nodes;
    uint16_t branches[NODES_MAX];
    size_t n_branches;
    uint16_t start;
};

/* ---- compiling ---- */

/* The tree of one expression: items of a sequence, first to last. */
struct item {
    enum { ITEM_SET, ITEM_GROUP, ITEM_LOOK } kind;
    uint16_t set;
    uint32_t min, max;
    bool possessive;
    bool negative;
    size_t first_branch; /* GROUP, LOOK: in parser.sequences */
    size_t n_branches;
};
struct sequence {
    size_t first_item; /* linked by position: items are stored when the sequence is complete */
    size_t n_items;
};

struct parser {
    const struct unicode_table *u;
    const char *at;
    const char *source;
    struct pattern *p;
    struct item items[NODES_MAX];
    size_t n_items;
    struct sequence sequences[NODES_MAX];
    size_t n_sequences;
    bool ignore_case;
    size_t depth;
    struct rag_error *reterr;
};

static enum rag_status unsupported(struct parser *ps, const char *what)
{
    return rag_fail(ps->reterr, RAG_EFORMAT,
                    "regular expression '%.120s': %s at byte %td is not supported", ps->source,
                    what, ps->at - ps->source);
}

static bool set_has(const struct pattern *p, const struct set *set, const struct unicode_table *u,
                    uint32_t c)
{
    uint32_t flags = unicode_flags(u, c);
    bool in = (flags & set->any) != 0;

    for (size_t i = 0; i < 4 && !in; i++)
        in = set->lacking[i] != 0 && (flags & set->lacking[i]) == 0;
    for (size_t i = 0; i < set->n_ranges && !in; i++) {
        const struct range *r = &p->ranges[set->first_range + i];

        in = c >= r->first && c <= r->last;
    }
    return in != set->negated;
}

static enum rag_status set_new(struct parser *ps, uint16_t *ret)
{
    struct pattern *p = ps->p;

    if (p->n_sets == SETS_MAX)
        return unsupported(ps, "so many sets");
    *ret = (uint16_t)p->n_sets;
    p->sets[p->n_sets++] = (struct set){.first_range = (uint16_t)p->n_ranges};
    return RAG_OK;
}

static enum rag_status set_add_range(struct parser *ps, struct set *set, uint32_t first,
                                     uint32_t last)
{
    struct pattern *p = ps->p;

    if (p->n_ranges == RANGES_MAX)
        return unsupported(ps, "so many ranges");
    p->ranges[p->n_ranges++] = (struct range){first, last};
    set->n_ranges++;
    return RAG_OK;
}

static enum rag_status set_add_lacking(struct parser *ps, struct set *set, uint32_t flags)
{
    for (size_t i = 0; i < 4; i++) {
        if (set->lacking[i] == 0) {
            set->lacking[i] = flags;
            return RAG_OK;
        }
    }
    return unsupported(ps, "so many negated properties");
}

static void set_finish(struct parser *ps, struct set *set)
{
    for (uint32_t c = 0; c < 128; c++) {
        if (set_has(ps->p, set, ps->u, c))
            set->ascii[c / 32] |= 1u << c % 32;
    }
}

static uint32_t property_flags(const char *name, size_t n)
{
    static const struct {
        const char *name;
        uint32_t flags;
    } properties[] = {
        {"L",  UNICODE_L },
        {"Lu", UNICODE_LU},
        {"Ll", UNICODE_LL},
        {"Lt", UNICODE_LT},
        {"Lm", UNICODE_LM},
        {"Lo", UNICODE_LO},
        {"M",  UNICODE_M },
        {"N",  UNICODE_N },
        {"P",  UNICODE_P },
        {"S",  UNICODE_S },
    };

    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
        if (strlen(properties[i].name) == n && memcmp(properties[i].name, name, n) == 0)
            return properties[i].flags;
    }
    return 0;
}

/* What stands behind a backslash: one character (*ret_char), or flags and whether a character
 * needs one of them or none. */
static enum rag_status parse_escape(struct parser *ps, uint32_t *ret_char, uint32_t *ret_flags,
                                    bool *ret_lacking)
{
    char c = ps->at[1];

    *ret_flags = 0;
    *ret_lacking = c == 'S' || c == 'P';
    if (c == 's' || c == 'S') {
        *ret_flags = UNICODE_SPACE;
        ps->at += 2;
        return RAG_OK;
    }
    if (c == 'p' || c == 'P') {
        const char *end = ps->at[2] == '{' ? strchr(ps->at, '}') : NULL;

        if (end)
            *ret_flags = property_flags(ps->at + 3, (size_t)(end - ps->at) - 3);
        if (!end || *ret_flags == 0)
            return unsupported(ps, "this property");
        ps->at = end + 1;
        return RAG_OK;
    }
    if (c == 'r' || c == 'n' || c == 't') {
        *ret_char = c == 'r' ? '\r' : c == 'n' ? '\n' : '\t';
    } else if (c != '\0' && strchr("\\/[](){}.^$*+?|-'\"#&~!@%,:;<=>_` ", c)) {
        *ret_char = (unsigned char)c;
    } else {
        return unsupported(ps, "this escape");
    }
    ps->at += 2;
    return RAG_OK;
}

/* One character or escape inside [...]; a range when '-' and another one follow. */
static enum rag_status parse_set_item(struct parser *ps, struct set *set)
{
    uint32_t first = 0;
    uint32_t last = 0;
    uint32_t flags = 0;
    bool lacking = false;
    size_t step;
    enum rag_status status = RAG_OK;

    if (*ps->at == '\\') {
        status = parse_escape(ps, &first, &flags, &lacking);
        if (status != RAG_OK)
            return status;
        if (flags && lacking)
            return set_add_lacking(ps, set, flags);
        if (flags) {
            set->any |= flags;
            return RAG_OK;
        }
    } else {
        if (ps->at[0] == '&' && ps->at[1] == '&')
            return unsupported(ps, "a set intersection");
        first = unicode_at(ps->at, &step);
        ps->at += step;
    }
    last = first;
    if (ps->at[0] == '-' && ps->at[1] != ']' && ps->at[1] != '\0') {
        ps->at++;
        if (*ps->at == '\\') {
            status = parse_escape(ps, &last, &flags, &lacking);
            if (status == RAG_OK && flags)
                status = unsupported(ps, "a range that ends in a property");
        } else {
            last = unicode_at(ps->at, &step);
            ps->at += step;
        }
        if (status != RAG_OK)
            return status;
    }
    if (last < first)
        return unsupported(ps, "an empty range");
    return set_add_range(ps, set, first, last);
}

/* [...] at ps->at, into set; an inner [...] joins it. */
static enum rag_status parse_set(struct parser *ps, struct set *set, bool inner)
{
    enum rag_status status = RAG_OK;

    ps->at++;
    if (*ps->at == '^') {
        if (inner)
            return unsupported(ps, "a negated set in a set");
        set->negated = true;
        ps->at++;
    }
    if (*ps->at == ']')
        return unsupported(ps, "an empty set");
    while (status == RAG_OK && *ps->at != ']') {
        if (*ps->at == '\0')
            return unsupported(ps, "a set without end");
        if (*ps->at == '[') {
            if (ps->at[1] == ':' || inner)
                return unsupported(ps, "a set in a set");
            status = parse_set(ps, set, true);
        } else {
            status = parse_set_item(ps, set);
        }
    }
    if (status == RAG_OK)
        ps->at++;
    return status;
}

static enum rag_status add_literal(struct parser *ps, struct set *set, uint32_t c)
{
    enum rag_status status = set_add_range(ps, set, c, c);

    if (!ps->ignore_case || status != RAG_OK)
        return status;
    if (c >= 0x80)
        return unsupported(ps, "(?i:) of a character beyond ASCII");
    if ((c | 0x20) < 'a' || (c | 0x20) > 'z')
        return RAG_OK;
    status = set_add_range(ps, set, c ^ 0x20, c ^ 0x20);
    if (status == RAG_OK && (c | 0x20) == 's')
        status = set_add_range(ps, set, 0x17F, 0x17F); /* long s folds to s */
    if (status == RAG_OK && (c | 0x20) == 'k')
        status = set_add_range(ps, set, 0x212A, 0x212A); /* Kelvin */
    return status;
}

static enum rag_status parse_branches(struct parser *ps, size_t *ret_first, size_t *ret_n);

/* A group at ps->at. */
static enum rag_status parse_group(struct parser *ps, struct item *item)
{
    bool ignore_case = ps->ignore_case;
    enum rag_status status;

    item->kind = ITEM_GROUP;
    if (strncmp(ps->at, "(?:", 3) == 0) {
        ps->at += 3;
    } else if (strncmp(ps->at, "(?i:", 4) == 0) {
        ps->at += 4;
        ps->ignore_case = true;
    } else if (strncmp(ps->at, "(?!", 3) == 0 || strncmp(ps->at, "(?=", 3) == 0) {
        item->kind = ITEM_LOOK;
        item->negative = ps->at[2] == '!';
        ps->at += 3;
    } else if (ps->at[1] != '?') {
        ps->at++; /* a capture; nobody asks for it */
    } else {
        return unsupported(ps, "this kind of group");
    }
    if (++ps->depth > DEPTH_MAX)
        return unsupported(ps, "so deep a group");
    status = parse_branches(ps, &item->first_branch, &item->n_branches);
    ps->depth--;
    ps->ignore_case = ignore_case;
    if (status != RAG_OK)
        return status;
    if (*ps->at != ')')
        return unsupported(ps, "a group without end");
    ps->at++;
    return RAG_OK;
}

static enum rag_status parse_atom(struct parser *ps, struct item *item)
{
    struct set *set;
    uint32_t c = 0;
    uint32_t flags = 0;
    bool lacking = false;
    size_t step;
    enum rag_status status;

    if (*ps->at == '(')
        return parse_group(ps, item);
    status = set_new(ps, &item->set);
    if (status != RAG_OK)
        return status;
    set = &ps->p->sets[item->set];
    if (*ps->at == '[') {
        status = ps->ignore_case && strpbrk(ps->at, "]") &&
                         memchr(ps->at, '-', (size_t)(strpbrk(ps->at, "]") - ps->at))
                     ? unsupported(ps, "(?i:) of a range")
                     : parse_set(ps, set, false);
        /* (?i:[sdmt]): each literal in both cases */
        for (size_t i = 0, n = set->n_ranges; ps->ignore_case && status == RAG_OK && i < n; i++)
            status = add_literal(ps, set, ps->p->ranges[set->first_range + i].first);
    } else if (*ps->at == '\\') {
        status = parse_escape(ps, &c, &flags, &lacking);
        if (status == RAG_OK && flags && lacking)
            status = set_add_lacking(ps, set, flags);
        else if (status == RAG_OK && flags)
            set->any = flags;
        else if (status == RAG_OK)
            status = add_literal(ps, set, c);
    } else if (strchr(".^$*+?{", *ps->at)) {
        return unsupported(ps, "this operator");
    } else {
        c = unicode_at(ps->at, &step);
        ps->at += step;
        status = add_literal(ps, set, c);
    }
    if (status == RAG_OK)
        set_finish(ps, set);
    return status;
}

static bool parse_number(struct parser *ps, uint32_t *ret)
{
    const char *digits = ps->at;

    *ret = 0;
    while (*ps->at >= '0' && *ps->at <= '9' && ps->at - digits < 4)
        *ret = *ret * 10 + (uint32_t)(*ps->at++ - '0');
    return ps->at > digits;
}

static enum rag_status parse_quantifier(struct parser *ps, struct item *item)
{
    bool counted = false;

    item->min = 1;
    item->max = 1;
    if (*ps->at == '?' || *ps->at == '*' || *ps->at == '+') {
        item->min = *ps->at == '+';
        item->max = *ps->at == '?' ? 1 : REPEAT_MAX;
        ps->at++;
    } else if (*ps->at == '{') {
        ps->at++;
        if (!parse_number(ps, &item->min))
            return unsupported(ps, "this repetition");
        item->max = item->min;
        if (*ps->at == ',') {
            ps->at++;
            if (!parse_number(ps, &item->max))
                item->max = REPEAT_MAX;
        }
        if (*ps->at != '}' || item->max < item->min || item->max == 0)
            return unsupported(ps, "this repetition");
        ps->at++;
        counted = true;
    } else {
        return RAG_OK;
    }
    if (*ps->at == '+' && !counted) {
        item->possessive = true;
        ps->at++;
    }
    if (*ps->at == '?' || *ps->at == '*' || *ps->at == '+' || *ps->at == '{')
        return unsupported(ps, "a repeated repetition");
    if (item->kind == ITEM_LOOK ||
        (item->kind == ITEM_GROUP && (item->max > 1 || item->possessive)))
        return unsupported(ps, "a repeated group");
    return RAG_OK;
}

/* Branches up to ')' or the end. A branch's items are collected here, because those of its groups
 * are stored first. */
static enum rag_status parse_branches(struct parser *ps, size_t *ret_first, size_t *ret_n)
{
    struct sequence found[BRANCHES_MAX];
    size_t n_found = 0;
    enum rag_status status = RAG_OK;

    for (;;) {
        struct item items[32];
        size_t n = 0;

        while (status == RAG_OK && *ps->at != '\0' && *ps->at != '|' && *ps->at != ')') {
            if (n == sizeof items / sizeof items[0])
                return unsupported(ps, "so long a branch");
            items[n] = (struct item){0};
            status = parse_atom(ps, &items[n]);
            if (status == RAG_OK)
                status = parse_quantifier(ps, &items[n]);
            n++;
        }
        if (status != RAG_OK)
            return status;
        if (n_found == BRANCHES_MAX || n > NODES_MAX - ps->n_items)
            return unsupported(ps, "so long an expression");
        found[n_found++] = (struct sequence){ps->n_items, n};
        memcpy(ps->items + ps->n_items, items, n * sizeof items[0]);
        ps->n_items += n;
        if (*ps->at != '|')
            break;
        ps->at++;
    }
    if (n_found > NODES_MAX - ps->n_sequences)
        return unsupported(ps, "so long an expression");
    *ret_first = ps->n_sequences;
    *ret_n = n_found;
    memcpy(ps->sequences + ps->n_sequences, found, n_found * sizeof found[0]);
    ps->n_sequences += n_found;
    return RAG_OK;
}

static enum rag_status emit(struct parser *ps, struct node node, uint16_t *ret)
{
    if (ps->p->n_nodes == NODES_MAX)
        return unsupported(ps, "so long an expression");
    *ret = (uint16_t)ps->p->n_nodes;
    ps->p->nodes[ps->p->n_nodes++] = node;
    return RAG_OK;
}

/* Nodes for branches [first, first + n) that all go on at 'next'; optional: 'next' is one more. */
static enum rag_status emit_branches(struct parser *ps, size_t first, size_t n, bool optional,
                                     uint16_t next, uint16_t *ret);

static enum rag_status emit_item(struct parser *ps, const struct item *item, uint16_t next,
                                 uint16_t *ret)
{
    struct node node = {.next = next};
    uint16_t end = 0;
    enum rag_status status;

    if (item->kind == ITEM_GROUP)
        return emit_branches(ps, item->first_branch, item->n_branches, item->min == 0, next, ret);
    if (item->kind == ITEM_LOOK) {
        status = emit(ps, (struct node){.kind = NODE_MATCH}, &end);
        if (status == RAG_OK)
            status =
                emit_branches(ps, item->first_branch, item->n_branches, false, end, &node.inner);
        if (status != RAG_OK)
            return status;
        node.kind = NODE_LOOK;
        node.negative = item->negative;
        return emit(ps, node, ret);
    }
    node.kind = NODE_REPEAT;
    node.set = item->set;
    node.min = item->min;
    node.max = item->max;
    node.possessive = item->possessive;
    return emit(ps, node, ret);
}

static enum rag_status emit_branches(struct parser *ps, size_t first, size_t n, bool optional,
                                     uint16_t next, uint16_t *ret)
{
    uint16_t starts[BRANCHES_MAX + 1];
    struct node node = {.kind = NODE_BRANCH};
    struct pattern *p = ps->p;

    for (size_t b = 0; b < n; b++) {
        const struct sequence *sequence = &ps->sequences[first + b];
        uint16_t at = next;

        for (size_t i = sequence->n_items; i-- > 0;) {
            enum rag_status status = emit_item(ps, &ps->items[sequence->first_item + i], at, &at);

            if (status != RAG_OK)
                return status;
        }
        starts[b] = at;
    }
    if (optional)
        starts[n++] = next;
    if (n == 1) {
        *ret = starts[0];
        return RAG_OK;
    }
    if (n > NODES_MAX - p->n_branches)
        return unsupported(ps, "so many branches");
    node.inner = (uint16_t)p->n_branches;
    node.n = (uint16_t)n;
    memcpy(p->branches + p->n_branches, starts, n * sizeof starts[0]);
    p->n_branches += n;
    return emit(ps, node, ret);
}

enum rag_status pattern_compile(const char *source, const struct unicode_table *u,
                                struct pattern **ret, struct rag_error *reterr)
{
    struct pattern *p = calloc(1, sizeof *p);
    struct parser *ps = calloc(1, sizeof *ps);
    enum rag_status status = RAG_OK;
    size_t first;
    size_t n;
    uint16_t end = 0;

    if (!p || !ps) {
        status = rag_fail(reterr, RAG_ENOMEM, "regular expression: out of memory");
        goto out;
    }
    *ps = (struct parser){.u = u, .at = source, .source = source, .p = p, .reterr = reterr};
    status = parse_branches(ps, &first, &n);
    if (status == RAG_OK && *ps->at != '\0')
        status = unsupported(ps, "this ')'");
    if (status == RAG_OK)
        status = emit(ps, (struct node){.kind = NODE_MATCH}, &end);
    if (status == RAG_OK)
        status = emit_branches(ps, first, n, false, end, &p->start);
    if (status == RAG_OK) {
        *ret = p;
        p = NULL; /* the caller's now */
    }
out:
    free(ps);
    free(p);
    return status;
}

enum rag_status pattern_literal(const char *text, struct pattern **ret, struct rag_error *reterr)
{
    struct pattern *p = calloc(1, sizeof *p);
    char *copy = strdup(text);

    if (!p || !copy) {
        free(p);
        free(copy);
        return rag_fail(reterr, RAG_ENOMEM, "pattern: out of memory");
    }
    p->literal = copy;
    p->n_literal = strlen(copy);
    *ret = p;
    return RAG_OK;
}

void pattern_free(struct pattern *p)
{
    if (p)
        free(p->literal);
    free(p);
}

/* ---- matching ---- */

struct matcher {
    const struct pattern *p;
    const struct unicode_table *u;
    const char *s;
    size_t n;
    size_t end; /* of the match */
    size_t steps;
};

static inline bool set_at(struct matcher *m, const struct set *set, size_t at, size_t *ret_step)
{
    uint32_t c = (unsigned char)m->s[at];

    if (c < 0x80) {
        *ret_step = 1;
        return set->ascii[c / 32] >> c % 32 & 1;
    }
    return set_has(m->p, set, m->u, unicode_at(m->s + at, ret_step));
}

static bool run(struct matcher *m, uint16_t node_id, size_t at);

static bool run_repeat(struct matcher *m, const struct node *node, size_t at)
{
    const struct set *set = &m->p->sets[node->set];
    size_t end = at;
    uint32_t count = 0;
    size_t step;

    while (count < node->max && end < m->n && set_at(m, set, end, &step)) {
        end += step;
        count++;
        if (m->steps == 0)
            return false;
        m->steps--;
    }
    if (count < node->min)
        return false;
    if (node->possessive)
        return run(m, node->next, end);
    for (;;) {
        if (run(m, node->next, end))
            return true;
        if (count == node->min || m->steps == 0)
            return false;
        count--;
        end = utf8_floor(m->s, m->n, end - 1);
    }
}

static bool run(struct matcher *m, uint16_t node_id, size_t at)
{
    for (;;) {
        const struct node *node = &m->p->nodes[node_id];

        if (m->steps == 0)
            return false;
        m->steps--;
        switch (node->kind) {
        case NODE_MATCH:
            m->end = at;
            return true;
        case NODE_REPEAT:
            return run_repeat(m, node, at);
        case NODE_BRANCH:
            for (size_t i = 0; i + 1 < node->n; i++) {
                if (run(m, m->p->branches[node->inner + i], at))
                    return true;
            }
            node_id = m->p->branches[node->inner + node->n - 1];
            break;
        case NODE_LOOK:
            if (run(m, node->inner, at) == node->negative)
                return false;
            node_id = node->next;
            break;
        }
    }
}

enum rag_status pattern_next(const struct pattern *p, const struct unicode_table *u, const char *s,
                             size_t n, size_t from, size_t *ret_begin, size_t *ret_end,
                             size_t *steps)
{
    struct matcher m = {p, u, s, n, 0, *steps};
    size_t step;

    if (p->literal) {
        const char *found = p->n_literal > 0 && from < n
                                ? memmem(s + from, n - from, p->literal, p->n_literal)
                                : NULL;

        if (!found)
            return RAG_ENOTFOUND;
        *ret_begin = (size_t)(found - s);
        *ret_end = *ret_begin + p->n_literal;
        return RAG_OK;
    }
    for (size_t at = from; at < n; at += step) {
        bool found = run(&m, p->start, at);

        *steps = m.steps;
        if (m.steps == 0)
            return RAG_ELIMIT;
        if (found && m.end > at) { /* the reference drops empty pieces */
            *ret_begin = at;
            *ret_end = m.end;
            return RAG_OK;
        }
        unicode_at(s + at, &step);
    }
    return RAG_ENOTFOUND;
}
