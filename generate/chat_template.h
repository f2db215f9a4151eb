/* generate/chat_template.h - messages to the token ids that a chat model was trained on.
 *
 * Templates are known formats, not programs: the model's own Jinja text is looked at to find out
 * which format it is, and rendered by code of ours whose output equals the reference's on the
 * messages that a conversation can hold. A text that is none of them is an error that says how to
 * name one ("chat_template = chatml" in ragd.conf, --chat-template).
 *
 *     exaone    [|system|]...[|endofturn|]\n[|user|]...\n[|assistant|]    (3.0, 3.5)
 *     chatml    <|im_start|>user\n...<|im_end|>\n<|im_start|>assistant\n    (Qwen, MiniMind; Qwen3
 *               with an empty <think></think> unless thinking is wanted)
 *     llama3    <|start_header_id|>user<|end_header_id|>\n\n...<|eot_id|>
 *     gemma     <start_of_turn>user\n...<end_of_turn>\n<start_of_turn>model\n
 *     llama2    <s>[INST] <<SYS>>\n...\n<</SYS>>\n\n... [/INST]
 *     zephyr    <|user|>\n...</s>\n<|assistant|>\n    (TinyLlama)
 *
 * Control tokens are put in by id; all else, the user's text before all, is encoded as plain text:
 * nothing that a user or a document writes becomes a control token, whatever flags the tokenizer's
 * file gives it. Words that mean a role without being a token ([INST], <|user|>) get a space inside
 * where a message has them. */
#ifndef RAG_GENERATE_CHAT_TEMPLATE_H
#define RAG_GENERATE_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "generate/generator.h"
#include "nn/gguf.h"
#include "nn/tokenizer.h"

struct chat_template; /* opaque, immutable */

struct chat_template_source {
    const char *name; /* a name of the table above, which then counts; or NULL */
    const char *text; /* the model's Jinja text, [n_bytes]; or NULL */
    size_t n_bytes;
    const char *family; /* of decoder_family_name(), for what texts leave open */
};

/* Every control token of the format has to be in the tokenizer as one token.
 * RAG_ENOTFOUND (no text and no name), RAG_EFORMAT (unknown text; a control token is missing:
 * which), RAG_EINVAL (unknown name; lists the names), RAG_ENOMEM. */
enum rag_status chat_template_open(const struct chat_template_source *source,
                                   const struct tokenizer *t, struct chat_template **ret,
                                   struct rag_error *reterr);
void chat_template_close(struct chat_template *c); /* NULL is a no-op */
const char *chat_template_name(const struct chat_template *c);

/* The Jinja text of a model: tokenizer_config.json ("chat_template": a string, or a list with the
 * name "default"), chat_template.jinja, or the key tokenizer.chat_template; malloc'ed.
 * RAG_ENOTFOUND, RAG_EFORMAT, RAG_ELIMIT (CHAT_TEMPLATE_BYTES_MAX), RAG_EIO, RAG_ENOMEM. */
enum rag_status chat_template_text_of_dir(const char *dir, char **ret, size_t *ret_n,
                                          struct rag_error *reterr);
enum rag_status chat_template_text_of_gguf(const struct gguf *g, char **ret, size_t *ret_n,
                                           struct rag_error *reterr);

struct chat_render_options {
    bool open_answer; /* end with the beginning of the assistant's turn */
    bool thinking;    /* Qwen3: leave room for thoughts */
    const char
        *date; /* Llama 3.1 and later write one, as "26 Jul 2024"; NULL: just that, which their
                * text names itself: a prompt that changes at midnight cannot be reused */
};

/* Token ids of the messages (system first or nowhere; gemma and llama2: then user and assistant by
 * turns), beginning token included where the format has one. ret is replaced. RAG_EINVAL (an order
 * that the format cannot say; not UTF-8), RAG_ELIMIT, RAG_ENOMEM. */
enum rag_status chat_template_render(const struct chat_template *c, const struct message *messages,
                                     size_t n, const struct chat_render_options *options,
                                     struct token_list *ret, struct rag_error *reterr);
/* The same as text, control tokens as they are written: for people, logs and tests. */
enum rag_status chat_template_text(const struct chat_template *c, const struct message *messages,
                                   size_t n, const struct chat_render_options *options,
                                   struct buf *ret, struct rag_error *reterr);

/* Ids that end the assistant's turn, besides those of the configuration. */
size_t chat_template_ends(const struct chat_template *c, const uint32_t **ret_ids);

#endif
