/* SentencePiece's tokenizer.model: a protobuf message (sentencepiece_model.proto). What is read:
 *
 *     ModelProto      1 pieces*: 1 piece (string), 2 score (float), 3 type (enum, default NORMAL)
 *                     2 trainer_spec: 3 model_type (1 Unigram, 2 BPE), 24
 * treat_whitespace_as_suffix, 35 byte_fallback, 40 unk_id, 41 bos_id, 42 eos_id 3 normalizer_spec:
 * 2 precompiled_charsmap (bytes), 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5
 * escape_whitespaces (bool, default true)
 *
 * Wire format: a field is a varint (number << 3 | type) and its value: type 0 a varint, 1 eight
 * bytes, 2 a varint n and n bytes, 5 four bytes (protobuf.dev/programming-guides/encoding). The
 * last of equal fields counts. The reference for ids is sentencepiece's own encoder. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/tokenizer_pieces.h"

/* ---- the wire format ---- */

struct wire {
    const uint8_t *data;
    size_t n;
    size_t at;
};

struct wire_field {
    uint64_t number;
    unsigned type;
    uint64_t value;    /* of types 0, 1, 5 */
    struct wire bytes; /* of type 2 */
};

static bool wire_varint(struct wire *w, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && w->at < w->n; shift += 7) {
        uint8_t byte = w->data[w->at++];

        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool wire_fixed(struct wire *w, size_t n, uint64_t *ret)
{
    uint64_t v = 0;

    if (n > w->n - w->at)
        return false;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)w->data[w->at + i] << 8 * i;
    w->at += n;
    *ret = v;
    return true;
}

/* The next field. False: the end, or (*bad) no field. */
static bool wire_next(struct wire *w, struct wire_field *f, bool *bad)
{
    uint64_t key;
    bool good = false;

    if (w->at == w->n)
        return false;
    *f = (struct wire_field){.number = 0};
    if (wire_varint(w, &key)) {
        f->number = key >> 3;
        f->type = (unsigned)(key & 7);
        if (f->type == 0) {
            good = wire_varint(w, &f->value);
        } else if (f->type == 1 || f->type == 5) {
            good = wire_fixed(w, f->type == 1 ? 8 : 4, &f->value);
        } else if (f->type == 2) {
            uint64_t n = 0;

            good = wire_varint(w, &n) && n <= w->n - w->at;
            if (good) {
                f->bytes = (struct wire){w->data + w->at, (size_t)n, 0};
                w->at += (size_t)n;
            }
        }
    }
    *bad = !good;
    return good;
}

/* ---- the messages ---- */

struct model_proto {
    struct vocab_piece *pieces; /* owned */
    size_t n;
    uint64_t model_type;
    uint64_t suffix; /* treat_whitespace_as_suffix */
    uint64_t bos_id, eos_id;
    uint64_t prefix, squeeze, escape;
    struct wire charsmap;
};

static enum rag_status broken(const char *what, const struct wire *w, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EFORMAT,
                    "%s: not a field of a protobuf message before its byte %zu", what, w->at);
}

static enum rag_status read_piece(struct wire w, size_t i, struct vocab_piece *ret,
                                  struct rag_error *reterr)
{
    struct wire_field f;
    bool bad = false;

    *ret = (struct vocab_piece){.text = "", .type = PIECE_NORMAL};
    while (wire_next(&w, &f, &bad)) {
        if (f.number == 1 && f.type == 2) {
            ret->text = (const char *)f.bytes.data;
            ret->n = f.bytes.n;
        } else if (f.number == 2 && f.type == 5) {
            uint32_t bits = (uint32_t)f.value;

            memcpy(&ret->score, &bits, sizeof bits);
        } else if (f.number == 3 && f.type == 0) {
            ret->type = f.value <= PIECE_BYTE ? (enum piece_type)f.value : (enum piece_type)0;
        } else if (f.number <= 3) {
            return rag_fail(reterr, RAG_EFORMAT, "piece %zu: field %d has wire type %u", i,
                            (int)f.number, f.type);
        }
    }
    return bad ? broken("piece", &w, reterr) : RAG_OK;
}

/* Fields of numbers: where each goes. */
struct number_field {
    uint64_t number;
    uint64_t *to;
};

static enum rag_status read_numbers(struct wire w, const char *what,
                                    const struct number_field *fields, size_t n_fields,
                                    struct wire *charsmap, struct rag_error *reterr)
{
    struct wire_field f;
    bool bad = false;

    while (wire_next(&w, &f, &bad)) {
        if (charsmap && f.number == 2 && f.type == 2)
            *charsmap = f.bytes;
        for (size_t i = 0; i < n_fields; i++) {
            if (f.number != fields[i].number)
                continue;
            if (f.type != 0)
                return rag_fail(reterr, RAG_EFORMAT, "%s: field %d has wire type %u", what,
                                (int)f.number, f.type);
            *fields[i].to = f.value;
        }
    }
    return bad ? broken(what, &w, reterr) : RAG_OK;
}

static size_t count_pieces(struct wire w)
{
    struct wire_field f;
    bool bad = false;
    size_t n = 0;

    while (wire_next(&w, &f, &bad))
        n += f.number == 1 && f.type == 2;
    return n;
}

static enum rag_status read_model(struct wire w, struct model_proto *p, struct rag_error *reterr)
{
    const struct number_field trainer[] = {
        {3,  &p->model_type},
        {24, &p->suffix    },
        {41, &p->bos_id    },
        {42, &p->eos_id    },
    };
    const struct number_field normalizer[] = {
        {3, &p->prefix },
        {4, &p->squeeze},
        {5, &p->escape },
    };
    enum rag_status status = RAG_OK;
    size_t n = count_pieces(w);
    struct wire_field f;
    bool bad = false;

    if (n > TOKENIZER_IDS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%zu pieces, the limit is %u", n, TOKENIZER_IDS_MAX);
    p->pieces = malloc((n + 1) * sizeof *p->pieces);
    if (!p->pieces)
        return rag_fail(reterr, RAG_ENOMEM, "pieces: out of memory");
    while (status == RAG_OK && wire_next(&w, &f, &bad)) {
        if (f.number >= 1 && f.number <= 3 && f.type != 2)
            return rag_fail(reterr, RAG_EFORMAT, "field %d has wire type %u: no tokenizer.model",
                            (int)f.number, f.type);
        if (f.number == 1) {
            status = read_piece(f.bytes, p->n, &p->pieces[p->n], reterr);
            p->n++;
        } else if (f.number == 2) {
            status = read_numbers(f.bytes, "trainer_spec", trainer,
                                  sizeof trainer / sizeof trainer[0], NULL, reterr);
        } else if (f.number == 3) {
            status = read_numbers(f.bytes, "normalizer_spec", normalizer,
                                  sizeof normalizer / sizeof normalizer[0], &p->charsmap, reterr);
        }
    }
    if (status == RAG_OK && bad)
        status = broken("the file", &w, reterr);
    return status;
}

/* ---- the tokenizer ---- */

static enum rag_status get_flag(const struct json *config, const char *key, bool *ret,
                                struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status = config ? json_get_bool(config, key, ret, &inner) : RAG_OK;

    return status == RAG_OK
               ? RAG_OK
               : rag_fail(reterr, RAG_EFORMAT, "tokenizer_config.json: %s", inner.text);
}

/* An id of the trainer_spec (-1: none, a varint of 64 bits), when there is such a control piece. */
static uint32_t control_id(const struct model_proto *p, uint64_t id)
{
    return id < p->n && p->pieces[id].type == PIECE_CONTROL ? (uint32_t)id : ID_NONE;
}

static enum rag_status build(struct tokenizer *t, const struct model_proto *p,
                             const struct json *config, struct rag_error *reterr)
{
    struct piece_spaces spaces = {
        .squeeze = p->squeeze != 0, .prefix = p->prefix != 0, .escape = p->escape != 0};
    bool add_bos = true; /* LlamaTokenizer's defaults */
    bool add_eos = false;
    enum rag_status status = get_flag(config, "add_bos_token", &add_bos, reterr);

    if (status == RAG_OK)
        status = get_flag(config, "add_eos_token", &add_eos, reterr);
    if (status == RAG_OK && p->model_type != 1 && p->model_type != 2)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "trainer_spec: model_type %d is not supported; known are 1 (Unigram) and "
                          "2 (BPE)",
                          (int)(p->model_type & 0xFFFF));
    if (status == RAG_OK && p->suffix != 0)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "trainer_spec: treat_whitespace_as_suffix is not supported");
    if (status == RAG_OK && p->charsmap.n > 0) {
        struct normalizer *z = &t->normalizers[t->n_normalizers++];

        z->kind = NORMALIZER_CHARSMAP;
        status = charsmap_read_bytes(p->charsmap.data, p->charsmap.n, &z->map, reterr);
        z->map.longest = true;
    }
    if (status == RAG_OK)
        status = pieces_vocab(t, p->pieces, p->n, reterr);
    if (status == RAG_OK && p->model_type == 1)
        status = pieces_unigram(t, p->pieces, p->n, reterr);
    else if (status == RAG_OK)
        status = pieces_bpe(t, p->pieces, p->n, reterr);
    if (status == RAG_OK)
        status = pieces_spaces(t, &spaces, reterr);
    if (status == RAG_OK)
        pieces_template(t, add_bos ? control_id(p, p->bos_id) : ID_NONE,
                        add_eos ? control_id(p, p->eos_id) : ID_NONE);
    return status;
}

enum rag_status tokenizer_read_sentencepiece(const uint8_t *data, size_t n,
                                             const struct json *config, struct tokenizer *t,
                                             struct rag_error *reterr)
{
    struct model_proto p = {
        .model_type = 1, .bos_id = 1, .eos_id = 2, .prefix = 1, .squeeze = 1, .escape = 1};
    enum rag_status status = read_model((struct wire){data, n, 0}, &p, reterr);

    if (status == RAG_OK)
        status = build(t, &p, config, reterr);
    free(p.pieces);
    return status;
}
