/* nn/tokenizer.h - text to the token ids that a model was trained with.
 *
 * Reads tokenizer.json (huggingface/tokenizers: WordPiece, Unigram, byte-level BPE, BPE with byte
 * fallback, with their normalizers, pre-tokenizers, post-processors, added tokens and decoders),
 * or a bare vocab.txt (BERT; tokenizer_config.json's do_lower_case and strip_accents honoured).
 * Ids equal those of the reference library on every text (docs/MODELS.md lists what is supported;
 * anything else in the file is an error that names it, never ignored). The file is hostile:
 * sizes, ids, patterns are checked. "padding" in the file is ignored; so is "truncation", whose
 * limit is the caller's. */
#ifndef RAG_NN_TOKENIZER_H
#define RAG_NN_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "nn/gguf.h"

struct tokenizer; /* opaque; immutable after open, so thread-safe */

/* dir: a model directory. RAG_ENOTFOUND (neither file), RAG_EFORMAT (which file, which part),
 * RAG_EIO, RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status tokenizer_open(const char *dir, struct tokenizer **ret, struct rag_error *reterr);
void tokenizer_close(struct tokenizer *t); /* NULL is a no-op */

struct token_work; /* opaque */

/* A growing result; zeroed is empty. Reused over calls: tokenizer_encode() replaces what it holds
 * (and on failure leaves it empty). One thread at a time. */
struct token_list {
    uint32_t *ids;  /* owned */
    uint8_t *types; /* segment of each token: 0 or 1; owned */
    size_t n;
    size_t cap;
    size_t n_full;           /* tokens before truncation, special ones included */
    struct token_work *work; /* memory that the next call uses again; owned */
};
void token_list_release(struct token_list *list); /* a zeroed one is a no-op */
/* Room for n tokens in all; what is in it stays. RAG_OK, RAG_ENOMEM. */
enum rag_status token_list_room(struct token_list *list, size_t n);

struct tokenize_options {
    bool plain;        /* special tokens written in the text are text, and no other way (a merge, a
                        * word of the vocabulary) leads to their ids: a user cannot write a control
                        * token. Added tokens that are not special are recognised still, unless
                        * they look like it (<|x|>, [|x|]). The unknown token stands for unknown
                        * characters as ever */
    bool special;      /* add [CLS], [SEP], <s> ... as the post-processor says */
    size_t max_tokens; /* truncate to this, special tokens kept, longest first for pairs
                        * (the end is cut); 0: no limit */
    const uint32_t *refused; /* [n_refused]; when plain: ids that count as special too, a chat
                              * template's for one; few */
    size_t n_refused;
};

/* text (and pair, or NULL) are UTF-8, n bytes. Special tokens written in the text are recognised
 * as the reference does. RAG_OK, RAG_EINVAL (not UTF-8), RAG_ELIMIT (longer than
 * TOKENIZER_TEXT_BYTES_MAX; max_tokens smaller than the special tokens), RAG_ENOMEM. */
enum rag_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t n_bytes,
                                 const char *pair, size_t n_pair_bytes,
                                 const struct tokenize_options *options, struct token_list *ret,
                                 struct rag_error *reterr);

/* Text of the ids, appended. skip_special leaves special tokens out. RAG_EINVAL: id too large. */
enum rag_status tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n,
                                 bool skip_special, struct buf *ret, struct rag_error *reterr);

size_t tokenizer_vocab_size(const struct tokenizer *t); /* largest id + 1, added tokens included */
/* ---- decoders ---- */

/* The tokenizer of a GGUF file: tokenizer.ggml.model "gpt2" (byte-level BPE with the regular
 * expression that tokenizer.ggml.pre names), "llama" (SentencePiece BPE with byte fallback).
 * Statuses as tokenizer_open(), which reads SentencePiece's own tokenizer.model (BPE, Unigram)
 * too when a directory has no tokenizer.json. */
enum rag_status tokenizer_open_gguf(const struct gguf *g, struct tokenizer **ret,
                                    struct rag_error *reterr);

/* The bytes that a token writes into a text, appended: maybe part of a character; nothing for
 * special tokens. SentencePiece: the space before the first word is there too. RAG_EINVAL: id too
 * large; RAG_ENOMEM, RAG_ELIMIT of ret. */
enum rag_status tokenizer_token_bytes(const struct tokenizer *t, uint32_t id, struct buf *ret,
                                      struct rag_error *reterr);

/* Text of ids as they come, in pieces that may be shown: never half a character, and never half of
 * what a later token completes (bytes of a syllable, the space that SentencePiece puts before a
 * word). The pieces together are tokenizer_decode() of all ids. Constant time for each token.
 * A run of SentencePiece's byte tokens (<0xEA><0xB0><0x80>) appears when it ends: the reference
 * makes U+FFFD of all of it if one byte is wrong. */
struct token_stream {
    const struct tokenizer *tokenizer; /* borrowed */
    bool skip_special;
    struct token_stream_state *state; /* owned; NULL before the first token */
};
void token_stream_init(struct token_stream *s, const struct tokenizer *t, bool skip_special);
void token_stream_release(struct token_stream *s); /* a zeroed one is a no-op */
/* Appends to 'ret' what id lets be shown, maybe nothing. Bytes that are no UTF-8 become U+FFFD once
 * it is certain. RAG_EINVAL (id too large; the stream goes on without it), RAG_ENOMEM, RAG_ELIMIT
 * (the stream is of no more use). */
enum rag_status token_stream_put(struct token_stream *s, uint32_t id, struct buf *ret,
                                 struct rag_error *reterr);
/* The rest. The stream is as after token_stream_init() then. */
enum rag_status token_stream_finish(struct token_stream *s, struct buf *ret,
                                    struct rag_error *reterr);

/* The id of a token as written in the vocabulary. RAG_ENOTFOUND. */
enum rag_status tokenizer_id(const struct tokenizer *t, const char *token, uint32_t *ret);
/* The number of tokens that the post-processor adds to one text / to a pair. */
size_t tokenizer_n_special(const struct tokenizer *t, bool pair);

#endif
