#define _POSIX_C_SOURCE 200809L
/* tokenizer.json: normalizers, pre-tokenizers, post-processors, decoders. A Sequence is spread out
 * into its members; whatever is not known here is an error that names it. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

#define GPT2_PATTERN                                                                               \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* One step of a file while it is read: what it is part of, and the first error. */
struct reader {
    const char *part; /* "normalizer" ... */
    const struct json *node;
    const char *type;
    struct tokenizer *t;
    struct rag_error *reterr;
    enum rag_status status; /* of the getters below; sticky */
};

static void failed(struct reader *r, enum rag_status status, const struct rag_error *inner)
{
    if (r->status == RAG_OK)
        r->status = rag_fail(r->reterr, status == RAG_EINVAL ? RAG_EFORMAT : status, "%s %s: %s",
                             r->part, r->type, inner->text);
}

static bool get_bool(struct reader *r, const char *key, bool otherwise)
{
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status = json_get_bool(r->node, key, &otherwise, &inner);

    if (status != RAG_OK)
        failed(r, status, &inner);
    return otherwise;
}

static const char *get_string(struct reader *r, const char *key, const char *otherwise)
{
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status =
        json_get_string(r->node, key, TOKENIZER_JSON_BYTES_MAX, &otherwise, &inner);

    if (status != RAG_OK)
        failed(r, status, &inner);
    if (!otherwise && r->status == RAG_OK)
        r->status =
            rag_fail(r->reterr, RAG_EFORMAT, "%s %s: '%s' is missing", r->part, r->type, key);
    return otherwise ? otherwise : "";
}

static size_t get_size(struct reader *r, const char *key, size_t otherwise)
{
    struct rag_error inner = {RAG_OK, ""};
    int64_t v = (int64_t)otherwise;
    enum rag_status status = json_get_int(r->node, key, 0, UINT16_MAX, &v, &inner);

    if (status != RAG_OK)
        failed(r, status, &inner);
    return (size_t)v;
}

static char *copy(struct reader *r, const char *text, size_t *ret_n)
{
    char *p = strdup(text);

    if (!p && r->status == RAG_OK)
        r->status = rag_fail(r->reterr, RAG_ENOMEM, "%s: out of memory", r->part);
    *ret_n = strlen(text);
    return p;
}

static enum rag_status unsupported(struct reader *r, const char *what)
{
    return rag_fail(r->reterr, RAG_EFORMAT, "%s %s: %s is not supported", r->part, r->type, what);
}

/* {"String": ..} or {"Regex": ..} */
static struct pattern *get_pattern(struct reader *r)
{
    const struct json *node = json_member(r->node, "pattern");
    const char *string = json_string(json_member(node, "String"));
    const char *regex = json_string(json_member(node, "Regex"));
    struct rag_error inner = {RAG_OK, ""};
    struct pattern *p = NULL;
    enum rag_status status = RAG_EFORMAT;

    if (string && *string)
        status = pattern_literal(string, &p, &inner);
    else if (regex)
        status = pattern_compile(regex, &r->t->unicode, &p, &inner);
    else
        status = rag_fail(&inner, RAG_EFORMAT, "'pattern' is neither a String nor a Regex");
    if (status != RAG_OK)
        failed(r, status, &inner);
    return p;
}

/* Calls read() for node, or for each member of a Sequence (JSON_DEPTH_MAX bounds the depth). */
static enum rag_status each(const char *part, const char *members, const struct json *node,
                            struct tokenizer *t, enum rag_status (*read)(struct reader *r),
                            struct rag_error *reterr)
{
    struct reader r = {part, node, NULL, t, reterr, RAG_OK};
    enum rag_status status = RAG_OK;

    if (!node || json_is_null(node))
        return RAG_OK;
    r.type = json_string(json_member(node, "type"));
    if (!r.type)
        return rag_fail(reterr, RAG_EFORMAT, "%s: 'type' is missing", part);
    if (strcmp(r.type, "Sequence") != 0)
        return read(&r);
    node = json_member(node, members);
    if (!json_is_array(node))
        return rag_fail(reterr, RAG_EFORMAT, "%s Sequence: '%s' is no array", part, members);
    for (node = json_first(node); node && status == RAG_OK; node = json_next(node))
        status = each(part, members, node, t, read, reterr);
    return status;
}

/* ---- normalizers ---- */

static enum rag_status read_normalizer(struct reader *r)
{
    static const struct {
        const char *type;
        enum normalizer_kind kind;
        enum unicode_form form;
    } kinds[] = {
        {"BertNormalizer", NORMALIZER_BERT,          UNICODE_NFC },
        {"NFC",            NORMALIZER_FORM,          UNICODE_NFC },
        {"NFD",            NORMALIZER_FORM,          UNICODE_NFD },
        {"NFKC",           NORMALIZER_FORM,          UNICODE_NFKC},
        {"NFKD",           NORMALIZER_FORM,          UNICODE_NFKD},
        {"Lowercase",      NORMALIZER_LOWERCASE,     UNICODE_NFC },
        {"StripAccents",   NORMALIZER_STRIP_ACCENTS, UNICODE_NFC },
        {"Strip",          NORMALIZER_STRIP,         UNICODE_NFC },
        {"Replace",        NORMALIZER_REPLACE,       UNICODE_NFC },
        {"Prepend",        NORMALIZER_PREPEND,       UNICODE_NFC },
        {"Precompiled",    NORMALIZER_CHARSMAP,      UNICODE_NFC },
        {"ByteLevel",      NORMALIZER_BYTE_LEVEL,    UNICODE_NFC },
        {"Nmt",            NORMALIZER_NMT,           UNICODE_NFC },
    };
    size_t i = 0;
    struct normalizer *z;

    while (i < sizeof kinds / sizeof kinds[0] && strcmp(kinds[i].type, r->type) != 0)
        i++;
    if (i == sizeof kinds / sizeof kinds[0])
        return unsupported(r, "this type");
    if (r->t->n_normalizers == TOKENIZER_STEPS_MAX)
        return unsupported(r, "so long a sequence");
    z = &r->t->normalizers[r->t->n_normalizers++]; /* zeroed; tokenizer_close() frees it */
    z->kind = kinds[i].kind;
    z->form = kinds[i].form;
    if (z->kind == NORMALIZER_BERT) {
        z->clean_text = get_bool(r, "clean_text", true);
        z->chinese = get_bool(r, "handle_chinese_chars", true);
        z->lowercase = get_bool(r, "lowercase", true);
        z->strip_accents = get_bool(r, "strip_accents", z->lowercase);
    } else if (z->kind == NORMALIZER_STRIP) {
        z->left = get_bool(r, "strip_left", false);
        z->right = get_bool(r, "strip_right", false);
    } else if (z->kind == NORMALIZER_REPLACE) {
        z->pattern = get_pattern(r);
        z->text = copy(r, get_string(r, "content", NULL), &z->n_text);
    } else if (z->kind == NORMALIZER_PREPEND) {
        z->text = copy(r, get_string(r, "prepend", NULL), &z->n_text);
    } else if (z->kind == NORMALIZER_CHARSMAP) {
        struct rag_error inner = {RAG_OK, ""};
        enum rag_status status =
            charsmap_read(get_string(r, "precompiled_charsmap", NULL), &z->map, &inner);

        if (status != RAG_OK)
            failed(r, status, &inner);
    }
    return r->status;
}

enum rag_status normalizers_read(const struct json *node, struct tokenizer *t,
                                 struct rag_error *reterr)
{
    return each("normalizer", "normalizers", node, t, read_normalizer, reterr);
}

/* ---- pre-tokenizers ---- */

static enum split_behavior get_behavior(struct reader *r, const char *otherwise)
{
    static const char *const names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
    const char *name = get_string(r, "behavior", otherwise);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return (enum split_behavior)i;
    }
    if (r->status == RAG_OK)
        r->status = unsupported(r, "this behavior");
    return SPLIT_ISOLATED;
}

/* "prepend_scheme", or the older "add_prefix_space". */
static enum prepend_scheme get_prepend_scheme(struct reader *r)
{
    const char *scheme = get_string(r, "prepend_scheme", "always");
    bool said = json_string(json_member(r->node, "prepend_scheme")) != NULL;
    enum prepend_scheme found = PREPEND_ALWAYS;

    if (strcmp(scheme, "first") == 0)
        found = PREPEND_FIRST;
    else if (strcmp(scheme, "never") == 0)
        found = PREPEND_NEVER;
    else if (strcmp(scheme, "always") != 0 && r->status == RAG_OK)
        r->status = unsupported(r, "this prepend_scheme");
    if (get_bool(r, "add_prefix_space", true))
        return found;
    if (said && found != PREPEND_NEVER && r->status == RAG_OK)
        r->status = unsupported(r, "'add_prefix_space' false with this prepend_scheme");
    return PREPEND_NEVER;
}

static void read_metaspace(struct reader *r, struct splitter *sp)
{
    const char *replacement = get_string(r, "replacement", "\xE2\x96\x81");
    size_t n = strlen(replacement);

    if (n == 0 || n > 4 || utf8_count(replacement, n) != 1) {
        if (r->status == RAG_OK)
            r->status = unsupported(r, "a 'replacement' that is not one character");
        return;
    }
    memcpy(sp->replacement, replacement, n + 1);
    sp->n_replacement = n;
    sp->prepend = get_prepend_scheme(r);
    if (sp->prepend == PREPEND_FIRST)
        r->t->needs_lead = true;
    sp->split = get_bool(r, "split", true);
}

static void read_byte_level(struct reader *r, struct splitter *sp)
{
    struct rag_error inner = {RAG_OK, ""};

    sp->add_prefix_space = get_bool(r, "add_prefix_space", true);
    if (get_bool(r, "use_regex", true)) {
        enum rag_status status =
            pattern_compile(GPT2_PATTERN, &r->t->unicode, &sp->pattern, &inner);

        if (status != RAG_OK)
            failed(r, status, &inner);
    }
}

static enum rag_status read_splitter(struct reader *r)
{
    static const struct {
        const char *type;
        enum splitter_kind kind;
    } kinds[] = {
        {"BertPreTokenizer", SPLIT_BERT            },
        {"Whitespace",       SPLIT_WHITESPACE_WORDS},
        {"WhitespaceSplit",  SPLIT_WHITESPACE      },
        {"Metaspace",        SPLIT_METASPACE       },
        {"ByteLevel",        SPLIT_BYTE_LEVEL      },
        {"Split",            SPLIT_PATTERN         },
        {"Punctuation",      SPLIT_PUNCTUATION     },
        {"Digits",           SPLIT_DIGITS          },
    };
    size_t i = 0;
    struct splitter *sp;

    while (i < sizeof kinds / sizeof kinds[0] && strcmp(kinds[i].type, r->type) != 0)
        i++;
    if (i == sizeof kinds / sizeof kinds[0])
        return unsupported(r, "this type");
    if (r->t->n_splitters == TOKENIZER_STEPS_MAX)
        return unsupported(r, "so long a sequence");
    sp = &r->t->splitters[r->t->n_splitters++]; /* zeroed; tokenizer_close() frees it */
    sp->kind = kinds[i].kind;
    switch (sp->kind) {
    case SPLIT_METASPACE:
        read_metaspace(r, sp);
        break;
    case SPLIT_BYTE_LEVEL:
        read_byte_level(r, sp);
        break;
    case SPLIT_PATTERN:
        sp->pattern = get_pattern(r);
        sp->behavior = get_behavior(r, NULL);
        sp->invert = get_bool(r, "invert", false);
        break;
    case SPLIT_PUNCTUATION:
        sp->behavior = get_behavior(r, "Isolated");
        break;
    case SPLIT_DIGITS:
        sp->behavior = get_bool(r, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
        break;
    default:
        sp->behavior = SPLIT_REMOVED;
        break;
    }
    return r->status;
}

enum rag_status splitters_read(const struct json *node, struct tokenizer *t,
                               struct rag_error *reterr)
{
    return each("pre_tokenizer", "pretokenizers", node, t, read_splitter, reterr);
}

/* ---- post-processors: all of them are templates ---- */

static void add_item(struct reader *r, struct template *tp, enum template_kind kind, uint32_t id,
                     uint8_t type)
{
    if (tp->n == TEMPLATE_ITEMS_MAX) {
        if (r->status == RAG_OK)
            r->status = unsupported(r, "so long a template");
        return;
    }
    tp->items[tp->n++] = (struct template_item){kind, id, type};
    tp->n_special += kind == TEMPLATE_SPECIAL;
}

static uint32_t get_id(struct reader *r, const struct json *node)
{
    double v = json_number(node);

    if (v >= 0 && v < TOKENIZER_IDS_MAX && v == (double)(uint32_t)v)
        return (uint32_t)v;
    if (r->status == RAG_OK)
        r->status = unsupported(r, "this token id");
    return 0;
}

/* The ids of special_tokens[name]. */
static void add_special(struct reader *r, struct template *tp, const char *name, uint8_t type)
{
    const struct json *special = json_member(json_member(r->node, "special_tokens"), name);
    const struct json *ids = json_member(special, "ids");

    if (!json_is_array(ids) && r->status == RAG_OK)
        r->status = rag_fail(r->reterr, RAG_EFORMAT, "%s %s: special token '%.64s' is not defined",
                             r->part, r->type, name);
    for (const struct json *id = json_first(ids); id && r->status == RAG_OK; id = json_next(id))
        add_item(r, tp, TEMPLATE_SPECIAL, get_id(r, id), type);
}

static void read_template(struct reader *r, const char *key, struct template *tp)
{
    const struct json *list = json_member(r->node, key);
    size_t n_first = 0;
    size_t n_second = 0;

    *tp = (struct template){.n = 0};
    for (const struct json *p = json_first(list); p && r->status == RAG_OK; p = json_next(p)) {
        const struct json *sequence = json_member(p, "Sequence");
        const struct json *special = json_member(p, "SpecialToken");
        const struct json *inner = sequence ? sequence : special;
        const char *id = json_string(json_member(inner, "id"));
        double type = json_number(json_member(inner, "type_id"));

        if (!id || !(type >= 0 && type <= UINT8_MAX) || type != (double)(uint8_t)type) {
            r->status = unsupported(r, "this template");
        } else if (special) {
            add_special(r, tp, id, (uint8_t)type);
        } else if (strcmp(id, "A") == 0) {
            n_first++;
            add_item(r, tp, TEMPLATE_FIRST, 0, (uint8_t)type);
        } else {
            n_second++;
            add_item(r, tp, TEMPLATE_SECOND, 0, (uint8_t)type);
        }
    }
    if (r->status == RAG_OK && (n_first > 1 || n_second > 1 || n_first == 0))
        r->status = unsupported(r, "a template that repeats or leaves out a sequence");
    if (r->status == RAG_OK && n_second != (tp == &r->t->pair))
        r->status = unsupported(r, "a template with the wrong number of sequences");
}

/* ["</s>", 2] */
static uint32_t get_pair_id(struct reader *r, const char *key)
{
    const struct json *list = json_member(r->node, key);

    /* an empty list has no first member to go on from */
    return get_id(r,
                  json_is_array(list) && json_size(list) == 2 ? json_next(json_first(list)) : NULL);
}

static void read_bert_or_roberta(struct reader *r, bool roberta)
{
    struct template *pair = &r->t->pair;
    struct template *single = &r->t->single;
    uint32_t cls = get_pair_id(r, "cls");
    uint32_t sep = get_pair_id(r, "sep");

    *single = (struct template){.n = 0};
    add_item(r, single, TEMPLATE_SPECIAL, cls, 0);
    add_item(r, single, TEMPLATE_FIRST, 0, 0);
    add_item(r, single, TEMPLATE_SPECIAL, sep, 0);
    *pair = *single;
    if (roberta)
        add_item(r, pair, TEMPLATE_SPECIAL, sep, 0);
    add_item(r, pair, TEMPLATE_SECOND, 0, !roberta);
    add_item(r, pair, TEMPLATE_SPECIAL, sep, !roberta);
}

static enum rag_status read_post(struct reader *r)
{
    if (strcmp(r->type, "ByteLevel") == 0) /* moves offsets, which nobody asks for here */
        return RAG_OK;
    if (r->t->single.n_special + r->t->pair.n_special > 0)
        return unsupported(r, "a second template in a sequence");
    if (strcmp(r->type, "TemplateProcessing") == 0) {
        read_template(r, "single", &r->t->single);
        read_template(r, "pair", &r->t->pair);
    } else if (strcmp(r->type, "BertProcessing") == 0) {
        read_bert_or_roberta(r, false);
    } else if (strcmp(r->type, "RobertaProcessing") == 0) {
        read_bert_or_roberta(r, true);
    } else {
        return unsupported(r, "this type");
    }
    return r->status;
}

enum rag_status post_read(const struct json *node, struct tokenizer *t, struct rag_error *reterr)
{
    t->single = (struct template){.items = {{TEMPLATE_FIRST, 0, 0}}, .n = 1};
    t->pair = (struct template){
        .items = {{TEMPLATE_FIRST, 0, 0}, {TEMPLATE_SECOND, 0, 1}},
          .n = 2
    };
    return each("post_processor", "processors", node, t, read_post, reterr);
}

static enum rag_status read_decoder(struct reader *r)
{
    static const struct {
        const char *type;
        enum decoder_kind kind;
    } kinds[] = {
        {"ByteLevel",    DECODER_BYTE_LEVEL   },
        {"WordPiece",    DECODER_WORDPIECE    },
        {"Metaspace",    DECODER_METASPACE    },
        {"BPEDecoder",   DECODER_BPE          },
        {"Replace",      DECODER_REPLACE      },
        {"ByteFallback", DECODER_BYTE_FALLBACK},
        {"Fuse",         DECODER_FUSE         },
        {"Strip",        DECODER_STRIP        },
    };
    size_t i = 0;
    struct decoder *d;

    while (i < sizeof kinds / sizeof kinds[0] && strcmp(kinds[i].type, r->type) != 0)
        i++;
    if (i == sizeof kinds / sizeof kinds[0])
        return unsupported(r, "this type");
    if (r->t->n_decoders == TOKENIZER_STEPS_MAX)
        return unsupported(r, "so long a sequence");
    d = &r->t->decoders[r->t->n_decoders++]; /* zeroed; tokenizer_close() frees it */
    d->kind = kinds[i].kind;
    switch (d->kind) {
    case DECODER_WORDPIECE:
        d->text = copy(r, get_string(r, "prefix", "##"), &d->n_text);
        d->cleanup = get_bool(r, "cleanup", true);
        break;
    case DECODER_METASPACE:
        d->text = copy(r, get_string(r, "replacement", "\xE2\x96\x81"), &d->n_text);
        d->prepend = get_prepend_scheme(r);
        break;
    case DECODER_BPE:
        d->text = copy(r, get_string(r, "suffix", "</w>"), &d->n_text);
        break;
    case DECODER_REPLACE:
        d->pattern = get_pattern(r);
        d->text = copy(r, get_string(r, "content", NULL), &d->n_text);
        break;
    case DECODER_STRIP:
        d->text = copy(r, get_string(r, "content", " "), &d->n_text);
        d->start = get_size(r, "start", 0);
        d->stop = get_size(r, "stop", 0);
        break;
    default:
        break;
    }
    if (r->status == RAG_OK && (d->kind == DECODER_METASPACE || d->kind == DECODER_STRIP) &&
        (d->n_text == 0 || utf8_count(d->text, d->n_text) != 1))
        r->status = unsupported(r, "a text that is not one character");
    return r->status;
}

enum rag_status decoders_read(const struct json *node, struct tokenizer *t,
                              struct rag_error *reterr)
{
    t->has_decoder = node && !json_is_null(node);
    return each("decoder", "decoders", node, t, read_decoder, reterr);
}
