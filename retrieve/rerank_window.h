/* retrieve/rerank_window.h - the part of a passage that a cross-encoder is given.
 *
 * What a cross-encoder costs grows with the tokens that it reads, and most of a passage of 700
 * characters is beside the question. A window is whole sentences around those that have the
 * question's words, within a number of tokens:
 *
 *   1. the sentence of the words (the passage's first one where no word was found),
 *   2. the next one and the one before in turn, each while it fits,
 *   3. where one sentence alone is too long: its part around the words, cut between words.
 *
 * Tokens are estimated from the characters, in hundredths: an ASCII letter 25, a Han character,
 * kana or mark 100, any other letter (a Hangul syllable) or digit 50, white space 0. Of 600 Korean
 * and 300 English passages the estimate is 1.13 and 1.06 times what a WordPiece vocabulary of
 * 32,000 makes of them (median; 5% to 95%: .83 to 1.30). That needs no tokenizer, which another
 * server's model has not, and costs less than reading a text twice. Pure; thread-safe. */
#ifndef RAG_RETRIEVE_RERANK_WINDOW_H
#define RAG_RETRIEVE_RERANK_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct byte_span {
    uint32_t start;
    uint32_t end;
};

/* About how many tokens n bytes of well-formed UTF-8 are, in hundredths. */
uint64_t rerank_window_cost(const char *text, size_t n);

/* text: n bytes of NFC text, n <= UINT32_MAX. words: from the first to the last of the question's
 * words in the best sentence (struct lexical_evidence); empty: none was found. tokens_max 0: all of
 * the text. *ret is never empty unless the text is white space; it is as long as one character at
 * least, however few the tokens. RAG_OK, RAG_ENOMEM, RAG_ELIMIT (n). */
enum rag_status rerank_window(const char *text, size_t n, struct byte_span words, size_t tokens_max,
                              struct byte_span *ret);

#endif
