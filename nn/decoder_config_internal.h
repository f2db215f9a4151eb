/* nn/decoder_config_internal.h - what decoder_config.c, decoder_config_gguf.c and
 * decoder_config_hf.c share. Messages in here name no file: whoever calls puts it before them. */
#ifndef RAG_NN_DECODER_CONFIG_INTERNAL_H
#define RAG_NN_DECODER_CONFIG_INTERNAL_H

#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "nn/decoder_config.h"

#define DECODER_ROPE_THETA_DEFAULT     10000.0
#define DECODER_SLIDING_PATTERN_GEMMA3 6

/* Numbers that must agree with each other, whoever wrote them. Sets what follows from them: the
 * attention's scale when it is 0, the local theta when it is 0. RAG_EFORMAT. */
enum rag_status decoder_config_check(struct decoder_config *c, struct rag_error *reterr);
/* An id that ends an answer, unless it is known already. RAG_EFORMAT: too many, or out of the
 * vocabulary. */
enum rag_status decoder_config_add_eos(struct decoder_config *c, uint64_t id,
                                       struct rag_error *reterr);
/* Room for divisors that are all 'value'. RAG_ENOMEM. */
enum rag_status decoder_config_divide(struct decoder_config *c, float value,
                                      struct rag_error *reterr);

/* config.json; generation (generation_config.json) and tokenizer (tokenizer_config.json) may be
 * NULL. */
enum rag_status decoder_config_read_hf(const struct json *config, const struct json *generation,
                                       const struct json *tokenizer, struct decoder_config *ret,
                                       struct rag_error *reterr);
/* Does model_type or "architectures" name a decoder, supported or not? */
bool decoder_config_names_decoder(const struct json *config);

#endif
