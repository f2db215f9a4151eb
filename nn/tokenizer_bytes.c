/* What one token writes, as bytes: for who works below characters (nn/tokenizer_decode.c is for
 * texts, where bytes that are no character become U+FFFD). */
#include <string.h>

#include "nn/tokenizer_internal.h"

#define META_SPACE "\xE2\x96\x81" /* U+2581, SentencePiece's space */

struct habits {
    bool byte_level;
    bool byte_fallback;
    bool meta_space;
    bool continuing; /* WordPiece: a word begins with a space, "##" continues one */
};

static struct habits habits_of(const struct tokenizer *t)
{
    struct habits h = {false, false, false, false};

    for (size_t i = 0; i < t->n_decoders; i++) {
        enum decoder_kind kind = t->decoders[i].kind;

        h.byte_level |= kind == DECODER_BYTE_LEVEL;
        h.byte_fallback |= kind == DECODER_BYTE_FALLBACK;
        h.meta_space |= kind == DECODER_METASPACE || kind == DECODER_REPLACE;
        h.continuing |= kind == DECODER_WORDPIECE;
    }
    return h;
}

static void put_meta_space(const char *s, size_t n, struct buf *ret)
{
    for (size_t i = 0; i < n;) {
        if (n - i >= 3 && memcmp(s + i, META_SPACE, 3) == 0) {
            buf_append_char(ret, ' ');
            i += 3;
        } else {
            buf_append_char(ret, s[i++]);
        }
    }
}

enum rag_status tokenizer_token_bytes(const struct tokenizer *t, uint32_t id, struct buf *ret,
                                      struct rag_error *reterr)
{
    const struct added_token *added = added_find(t, id);
    struct habits h = habits_of(t);
    const char *s;
    size_t n;

    if (id >= t->vocab.n)
        return rag_fail(reterr, RAG_EINVAL, "token %u: the vocabulary ends at %u", id,
                        t->vocab.n - 1);
    s = vocab_text(&t->vocab, id, &n);
    if (!s || (added && added->special))
        return RAG_OK;
    if (added) {
        buf_append(ret, s, n);
    } else if (h.byte_fallback && token_fallback_byte(s, n) >= 0) {
        buf_append_char(ret, (char)token_fallback_byte(s, n));
    } else if (h.byte_level) {
        byte_level_append(s, n, ret);
    } else if (h.meta_space) {
        put_meta_space(s, n, ret);
    } else if (h.continuing && n > 2 && s[0] == '#' && s[1] == '#') {
        buf_append(ret, s + 2, n - 2);
    } else {
        if (h.continuing)
            buf_append_char(ret, ' ');
        buf_append(ret, s, n);
    }
    return buf_status(ret) == RAG_OK
               ? RAG_OK
               : rag_fail(reterr, buf_status(ret), "token %u: text too long or out of memory", id);
}
