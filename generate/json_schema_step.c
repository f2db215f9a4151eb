/* One byte of an answer at a time: which bytes can follow, by the compiled schema. */
#include <assert.h>
#include <string.h>

#include "generate/json_schema_internal.h"

/* The next byte is fed to a thread; it may become several (anyOf), which are appended here. */
struct step {
    const struct json_schema *schema;
    unsigned char byte;
    struct configuration *next;
};

static bool same_frame(const struct frame *a, const struct frame *b)
{
    return a->state == b->state && a->node == b->node && a->count == b->count &&
           a->offset == b->offset && a->first == b->first && a->end == b->end &&
           a->rest == b->rest && a->low == b->low && a->high == b->high;
}

static bool same_thread(const struct thread *a, const struct thread *b)
{
    if (a->depth != b->depth)
        return false;
    for (uint32_t i = 0; i < a->depth; i++)
        if (!same_frame(&a->frames[i], &b->frames[i]))
            return false;
    return true;
}

/* More threads than there is room for die: the language only gets smaller. */
static void add_thread(struct configuration *c, const struct thread *t)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (same_thread(&c->threads[i], t))
            return;
    if (c->n == JSON_SCHEMA_THREADS_MAX)
        return;
    memcpy(c->threads[c->n].frames, t->frames, t->depth * sizeof *t->frames);
    c->threads[c->n].depth = t->depth;
    c->n++;
}

static struct frame *top_of(struct thread *t)
{
    assert(t->depth > 0);
    return &t->frames[t->depth - 1];
}

static struct frame frame_of(enum frame_state state, uint32_t node)
{
    return (struct frame){.state = (uint8_t)state, .node = node};
}

static bool push(struct thread *t, enum frame_state state, uint32_t node)
{
    if (t->depth == JSON_SCHEMA_DEPTH_MAX)
        return false;
    t->frames[t->depth++] = frame_of(state, node);
    return true;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* ---- strings ---- */

/* A character of a string begins or is escaped. Only what a limit needs is counted, so that
 * threads in free strings stay alike. */
static bool begin_character(struct frame *f, uint64_t least, uint64_t most)
{
    if (f->count >= most)
        return false;
    if (most != UINT64_MAX || f->count < least)
        f->count++;
    return true;
}

static bool begin_utf8(struct frame *f, unsigned char c)
{
    f->low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    f->high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    f->rest = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    f->state = IN_UTF8;
    return c >= 0xC2 && c <= 0xF4;
}

/* What the hex digits of an escape were so far, in 'low'. */
#define HEX_D     1 /* d */
#define HEX_ZEROS 2 /* 0 alone */

static void string_limits(const struct schema_node *node, uint64_t *least, uint64_t *most)
{
    bool bounded = node->kind == SCHEMA_STRING; /* keys of a map and strings of ANY are free */

    *least = bounded ? node->least : 0;
    *most = bounded ? node->most : UINT64_MAX;
}

/* In a string: true when the byte can follow; *ret_end: it was the closing quote. */
static bool step_string(const struct schema_node *node, struct frame *f, unsigned char c,
                        bool *ret_end)
{
    uint64_t least;
    uint64_t most;

    string_limits(node, &least, &most);
    switch (f->state) {
    case IN_ESCAPE:
        f->rest = c == 'u' ? 4 : 0;
        f->state = c == 'u' ? IN_HEX : IN_STRING;
        return c != '\0' && strchr("\"\\/bfnrtu", c) != NULL;
    case IN_HEX: {
        bool hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool surrogate = f->low == HEX_D && (c < '0' || c > '7'); /* \ud8.. to \udf.. */
        bool zero = c == '0' && (f->rest == 4 || f->low == HEX_ZEROS);

        f->low = zero ? HEX_ZEROS : f->rest == 4 && (c == 'd' || c == 'D') ? HEX_D : 0;
        if (--f->rest == 0) {
            f->low = 0;
            f->state = IN_STRING;
        }
        return hex && !surrogate && !(zero && f->rest == 0); /* readers end texts at a NUL */
    }
    case IN_UTF8:
        if (c < f->low || c > f->high)
            return false;
        f->low = 0x80;
        f->high = 0xBF;
        if (--f->rest == 0) {
            f->low = f->high = 0;
            f->state = IN_STRING;
        }
        return true;
    default:
        break;
    }
    if (c == '"') {
        *ret_end = true;
        return f->count >= least;
    }
    if (c < 0x20 || c == 0x7F || !begin_character(f, least, most))
        return false;
    if (c == '\\')
        f->state = IN_ESCAPE;
    else if (c >= 0x80)
        return begin_utf8(f, c);
    return true;
}

/* ---- numbers ---- */

static bool number_may_end(const struct frame *f)
{
    return f->state == NUMBER_ZERO || f->state == NUMBER_DIGITS || f->state == NUMBER_FRACTION ||
           f->state == NUMBER_EXPONENT;
}

static bool begin_number(const struct schema_node *node, struct frame *f, unsigned char c)
{
    f->count = 0;
    if (c == '-') {
        f->state = NUMBER_SIGN;
        return !node->not_negative;
    }
    f->state = c == '0' ? NUMBER_ZERO : NUMBER_DIGITS;
    return is_digit(c);
}

static bool step_number(const struct schema_node *node, struct frame *f, unsigned char c)
{
    bool whole = node->kind == SCHEMA_INTEGER;

    switch (f->state) {
    case NUMBER_SIGN:
        f->state = c == '0' ? NUMBER_ZERO : NUMBER_DIGITS;
        return is_digit(c);
    case NUMBER_DIGITS:
    case NUMBER_FRACTION:
    case NUMBER_EXPONENT:
        if (is_digit(c)) {
            f->count++;
            return f->count < (f->state == NUMBER_EXPONENT ? 2 : JSON_SCHEMA_DIGITS_MAX);
        }
        break;
    case NUMBER_POINT:
        f->state = NUMBER_FRACTION;
        f->count = 0;
        return is_digit(c);
    case NUMBER_E:
    case NUMBER_E_SIGN:
        if (f->state == NUMBER_E && (c == '+' || c == '-')) {
            f->state = NUMBER_E_SIGN;
            return true;
        }
        f->state = NUMBER_EXPONENT;
        f->count = 0;
        return is_digit(c);
    default:
        break;
    }
    if (whole || f->state == NUMBER_EXPONENT)
        return false;
    if (c == '.' && f->state != NUMBER_FRACTION) {
        f->state = NUMBER_POINT;
        return true;
    }
    if (c == 'e' || c == 'E') {
        f->state = NUMBER_E;
        return true;
    }
    return false;
}

/* ---- literals ---- */

static bool step_literal(const struct schema_node *node, struct frame *f, unsigned char c)
{
    uint32_t first = f->first;
    uint32_t end;

    while (first < f->end && (unsigned char)node->literals[first][f->offset] < c)
        first++;
    end = first;
    while (end < f->end && (unsigned char)node->literals[end][f->offset] == c)
        end++;
    f->first = first;
    f->end = end;
    f->offset++;
    return c != '\0' && first < end;
}

static bool literal_may_end(const struct schema_node *node, const struct frame *f)
{
    return node->literals[f->first][f->offset] == '\0'; /* the shortest is the first */
}

/* ---- objects ---- */

/* Bits of the properties that may come next: up to the first required one. */
static uint64_t next_properties(const struct schema_node *node, uint32_t first)
{
    uint64_t mask = 0;

    for (uint32_t i = first; i < node->n; i++) {
        mask |= (uint64_t)1 << i;
        if (node->properties[i].required)
            break;
    }
    return mask;
}

static bool object_may_close(const struct schema_node *node, uint32_t first)
{
    for (uint32_t i = first; i < node->n; i++)
        if (node->properties[i].required)
            return false;
    return true;
}

/* A key begins with '"'. */
static bool begin_key(const struct schema_node *node, struct thread *t, unsigned char c)
{
    struct frame *f = top_of(t);

    if (c != '"')
        return false;
    if (node->kind != SCHEMA_OBJECT) {
        f->state = OBJECT_COLON;
        return push(t, IN_STRING, f->node);
    }
    f->state = OBJECT_KEY;
    f->offset = 1;
    f->count = next_properties(node, f->first);
    return f->count != 0;
}

static bool step_key(const struct schema_node *node, struct frame *f, unsigned char c)
{
    uint64_t mask = 0;
    bool whole = false;

    for (uint64_t rest = f->count; rest; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        const struct schema_property *p = &node->properties[i];

        if (f->offset < p->n_key && (unsigned char)p->key[f->offset] == c) {
            mask |= (uint64_t)1 << i;
            whole = f->offset + 1 == p->n_key; /* the quote ends it: then it is the only one */
        }
    }
    f->count = mask;
    f->offset++;
    if (whole)
        f->state = OBJECT_COLON;
    return mask != 0;
}

static bool begin_member_value(const struct schema_node *node, struct thread *t)
{
    struct frame *f = top_of(t);
    uint32_t value = node->child;

    if (node->kind == SCHEMA_OBJECT) {
        uint32_t i = (uint32_t)__builtin_ctzll(f->count);

        value = node->properties[i].value;
        f->first = i + 1;
        f->count = 0;
        f->offset = 0;
    } else if (node->kind == SCHEMA_ANY) {
        value = f->node;
    }
    f->state = OBJECT_AFTER;
    return push(t, AT_VALUE_SPACE, value);
}

static bool step_object(const struct schema_node *node, struct thread *t, unsigned char c)
{
    struct frame *f = top_of(t);
    bool free_keys = node->kind != SCHEMA_OBJECT;

    switch (f->state) {
    case OBJECT_OPEN:
        if (c == '}' && (free_keys || object_may_close(node, f->first))) {
            t->depth--;
            return true;
        }
        return begin_key(node, t, c);
    case OBJECT_KEY:
        return step_key(node, f, c);
    case OBJECT_COLON:
        return c == ':' && begin_member_value(node, t);
    case OBJECT_AFTER:
        if (c == '}' && (free_keys || object_may_close(node, f->first))) {
            t->depth--;
            return true;
        }
        f->state = OBJECT_COMMA;
        return c == ',' && (free_keys || f->first < node->n);
    case OBJECT_COMMA:
        f->state = OBJECT_COMMA_SPACE;
        if (c == ' ')
            return true;
        return begin_key(node, t, c);
    default:
        return begin_key(node, t, c);
    }
}

/* ---- arrays ---- */

static void feed(struct step *s, struct thread *t);

/* *ret_fed: the byte went on to an item already. */
static bool step_array(struct step *s, const struct schema_node *node, struct thread *t,
                       bool *ret_fed)
{
    struct frame *f = top_of(t);
    bool bounded = node->kind == SCHEMA_ARRAY;
    uint64_t least = bounded ? node->least : 0;
    uint64_t most = bounded ? node->most : UINT64_MAX;
    uint32_t item = bounded ? node->child : f->node;
    bool opening = f->state == ARRAY_OPEN;

    if (s->byte == ']' && f->count >= least) {
        t->depth--;
        return true;
    }
    if (f->count >= most || (!opening && s->byte != ','))
        return false;
    if (most != UINT64_MAX || f->count < least)
        f->count++;
    f->state = ARRAY_AFTER;
    if (!push(t, opening ? AT_VALUE : AT_VALUE_SPACE, item))
        return false;
    if (opening) {
        *ret_fed = true;
        feed(s, t);
    }
    return true;
}

/* ---- values ---- */

/* The first byte of a value of any kind that is no object, array or string. */
static bool begin_any_scalar(struct frame *f, unsigned char c)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < 3; i++)
        if (c == (unsigned char)words[i][0]) {
            f->state = IN_LITERAL;
            f->first = (uint32_t)i;
            f->end = (uint32_t)i + 1;
            f->offset = 1;
            return true;
        }
    f->state = c == '-' ? NUMBER_SIGN : c == '0' ? NUMBER_ZERO : NUMBER_DIGITS;
    return c == '-' || is_digit(c);
}

/* Words of ANY: as node->literals of a LITERALS node. */
static bool step_any_word(struct frame *f, unsigned char c)
{
    static const char *const words[] = {"true", "false", "null"};

    return c != '\0' && (unsigned char)words[f->first][f->offset++] == c;
}

static bool any_word_may_end(const struct frame *f)
{
    static const unsigned char lengths[] = {4, 5, 4};

    return f->offset == lengths[f->first];
}

static bool begin_value(const struct schema_node *node, struct thread *t, unsigned char c)
{
    struct frame *f = top_of(t);

    switch (node->kind) {
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        f->state = OBJECT_OPEN;
        return c == '{';
    case SCHEMA_ARRAY:
        f->state = ARRAY_OPEN;
        return c == '[';
    case SCHEMA_STRING:
        f->state = IN_STRING;
        return c == '"';
    case SCHEMA_NUMBER:
    case SCHEMA_INTEGER:
        return begin_number(node, f, c);
    case SCHEMA_LITERALS:
        f->state = IN_LITERAL;
        f->first = 0;
        f->end = (uint32_t)node->n;
        f->offset = 0;
        return step_literal(node, f, c);
    case SCHEMA_ANY:
        if (c == '{' || c == '[' || c == '"') {
            f->state = c == '{' ? OBJECT_OPEN : c == '[' ? ARRAY_OPEN : IN_STRING;
            return true;
        }
        return begin_any_scalar(f, c);
    case SCHEMA_ANY_OF:
        break; /* feed() */
    }
    return false;
}

/* A number or literal that may end: the byte may belong to what is around it. */
static bool may_end(const struct schema_node *node, const struct frame *f)
{
    if (f->state == IN_LITERAL)
        return node->kind == SCHEMA_ANY ? any_word_may_end(f) : literal_may_end(node, f);
    return number_may_end(f);
}

static bool step_scalar(const struct schema_node *node, struct thread *t, unsigned char c)
{
    struct frame *f = top_of(t);

    if (f->state == IN_LITERAL)
        return node->kind == SCHEMA_ANY ? !any_word_may_end(f) && step_any_word(f, c)
                                        : step_literal(node, f, c);
    return step_number(node, f, c);
}

static void feed_scalar(struct step *s, const struct schema_node *node, struct thread *t)
{
    struct frame before = *top_of(t);

    if (step_scalar(node, t, s->byte)) {
        add_thread(s->next, t);
        return;
    }
    *top_of(t) = before;
    if (may_end(node, &before) && t->depth > 1) {
        t->depth--;
        feed(s, t);
    }
}

static void feed_string(struct step *s, const struct schema_node *node, struct thread *t)
{
    bool end = false;

    if (!step_string(node, top_of(t), s->byte, &end))
        return;
    if (end)
        t->depth--;
    add_thread(s->next, t);
}

static void feed_any_of(struct step *s, const struct schema_node *node, const struct thread *t)
{
    for (size_t i = 0; i < node->n; i++) {
        struct thread alternative;

        alternative.depth = t->depth;
        memcpy(alternative.frames, t->frames, t->depth * sizeof *t->frames);
        *top_of(&alternative) = frame_of(AT_VALUE, node->children[i]);
        feed(s, &alternative);
    }
}

/* Give the byte to the thread (which is used up); what lives on is added to s->next. Recursion is
 * bounded: each call pops a frame, pushes the first item of an array (which then consumes the byte
 * or dies), or enters an alternative, whose chains end (json_schema_compile()). */
static void feed(struct step *s, struct thread *t)
{
    struct frame *f = top_of(t);
    const struct schema_node *node = &s->schema->nodes[f->node];
    bool fed = false;

    switch ((enum frame_state)f->state) {
    case AT_VALUE_SPACE:
        if (s->byte == ' ') {
            f->state = AT_VALUE;
            add_thread(s->next, t);
            return;
        }
        /* fall through */
    case AT_VALUE:
        if (node->kind == SCHEMA_ANY_OF)
            feed_any_of(s, node, t);
        else if (begin_value(node, t, s->byte))
            add_thread(s->next, t);
        return;
    case IN_STRING:
    case IN_ESCAPE:
    case IN_HEX:
    case IN_UTF8:
        feed_string(s, node, t);
        return;
    case IN_LITERAL:
    case NUMBER_SIGN:
    case NUMBER_ZERO:
    case NUMBER_DIGITS:
    case NUMBER_POINT:
    case NUMBER_FRACTION:
    case NUMBER_E:
    case NUMBER_E_SIGN:
    case NUMBER_EXPONENT:
        feed_scalar(s, node, t);
        return;
    case OBJECT_OPEN:
    case OBJECT_KEY:
    case OBJECT_COLON:
    case OBJECT_AFTER:
    case OBJECT_COMMA:
    case OBJECT_COMMA_SPACE:
        if (step_object(node, t, s->byte))
            add_thread(s->next, t);
        return;
    case ARRAY_OPEN:
    case ARRAY_AFTER:
        if (step_array(s, node, t, &fed) && !fed)
            add_thread(s->next, t);
        return;
    }
}

/* ---- configurations ---- */

void configuration_begin(struct configuration *c)
{
    c->n = 1;
    c->threads[0].depth = 1;
    c->threads[0].frames[0] = frame_of(AT_VALUE, 0);
}

void configuration_step(const struct json_schema *s, const struct configuration *c,
                        unsigned char byte, struct configuration *next)
{
    struct step step = {.schema = s, .byte = byte, .next = next};

    next->n = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        struct thread t;

        if (c->threads[i].depth == 0)
            continue; /* nothing may follow a complete value */
        t.depth = c->threads[i].depth;
        memcpy(t.frames, c->threads[i].frames, t.depth * sizeof *t.frames);
        feed(&step, &t);
    }
}

void configuration_copy(struct configuration *to, const struct configuration *from)
{
    to->n = from->n;
    for (uint32_t i = 0; i < from->n; i++) {
        to->threads[i].depth = from->threads[i].depth;
        memcpy(to->threads[i].frames, from->threads[i].frames,
               from->threads[i].depth * sizeof *from->threads[i].frames);
    }
}

bool configuration_complete(const struct json_schema *s, const struct configuration *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const struct thread *t = &c->threads[i];

        if (t->depth == 0)
            return true;
        if (t->depth == 1 && t->frames[0].state >= IN_LITERAL &&
            t->frames[0].state <= NUMBER_EXPONENT &&
            may_end(&s->nodes[t->frames[0].node], &t->frames[0]))
            return true; /* a number or word that ends with the answer */
    }
    return false;
}

bool configuration_takes_text(const struct json_schema *s, const struct configuration *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const struct thread *t = &c->threads[i];
        const struct frame *f;
        uint64_t least;
        uint64_t most;

        if (t->depth == 0)
            continue;
        f = &t->frames[t->depth - 1];
        string_limits(&s->nodes[f->node], &least, &most);
        if (f->state == IN_STRING && most == UINT64_MAX)
            return true;
    }
    return false;
}
