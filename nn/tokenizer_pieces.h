/* nn/tokenizer_pieces.h - tokenizers that are made of a list of pieces, as SentencePiece and GGUF
 * files hold them, instead of a tokenizer.json. Only for nn/tokenizer_*.c. */
#ifndef RAG_NN_TOKENIZER_PIECES_H
#define RAG_NN_TOKENIZER_PIECES_H

#include "nn/tokenizer_internal.h"

/* SentencePiece's ModelProto.SentencePiece.Type; GGUF's tokenizer.ggml.token_type has the same
 * numbers. */
enum piece_type {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN,
    PIECE_CONTROL,
    PIECE_USER_DEFINED,
    PIECE_UNUSED,
    PIECE_BYTE,
};

/* The piece of id i is the i-th of a list. */
struct vocab_piece {
    const char *text; /* [n], UTF-8; n = 0: the id has no token */
    size_t n;
    float score;
    enum piece_type type;
};

#define META_MARK "\xE2\x96\x81" /* U+2581, which stands for a space */

/* Vocabulary, added tokens (control, unknown: special; user-defined: not) and byte tokens of t. A
 * mark in a user-defined token stands for a space, as in every piece. RAG_EFORMAT,
 * RAG_ELIMIT, RAG_ENOMEM; messages name the token by its id. */
enum rag_status pieces_vocab(struct tokenizer *t, const struct vocab_piece *pieces, size_t n,
                             struct rag_error *reterr);
/* BPE that merges neighbours into the piece of the highest score, of equal ones the leftmost
 * (sentencepiece's bpe_model.cc), with byte fallback where there are byte tokens. Behind
 * pieces_vocab(). RAG_EFORMAT (a score is not a number; no unknown token and no bytes). */
enum rag_status pieces_bpe(struct tokenizer *t, const struct vocab_piece *pieces, size_t n,
                           struct rag_error *reterr);
/* The Unigram model of the same. */
enum rag_status pieces_unigram(struct tokenizer *t, const struct vocab_piece *pieces, size_t n,
                               struct rag_error *reterr);

/* What happens to spaces around such a model. */
struct piece_spaces {
    bool squeeze; /* remove_extra_whitespaces: none at both ends, one between words */
    bool prefix;  /* add_dummy_prefix: one in front */
    bool escape;  /* escape_whitespaces: U+2581 for each */
};
enum rag_status pieces_spaces(struct tokenizer *t, const struct piece_spaces *spaces,
                              struct rag_error *reterr);
/* The tokens of one text: [bos] text [eos]; ID_NONE: none. */
void pieces_template(struct tokenizer *t, uint32_t bos, uint32_t eos);

/* Byte-level BPE: cut by these expressions one after another, then bytes as characters. */
enum rag_status pieces_byte_level(struct tokenizer *t, const char *const *patterns, size_t n,
                                  bool nfc, struct rag_error *reterr);

#endif
