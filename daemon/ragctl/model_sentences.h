/* daemon/ragctl/model_sentences.h - sentences that 'ragctl model check' computes with: half Korean,
 * half English, of the kinds that documents and questions are made of. Our own words. */
#ifndef RAG_DAEMON_MODEL_SENTENCES_H
#define RAG_DAEMON_MODEL_SENTENCES_H

#define MODEL_SENTENCES 64

extern const char *const model_sentences[MODEL_SENTENCES];

#endif
