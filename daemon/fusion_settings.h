/* daemon/fusion_settings.h - how lists are fused, as JSON: of a collection or of one search.
 *
 *     {"method":"scaled","weight_bm25":0.5,"weight_dense":0.5,"rrf_k":60,"depth":100}
 *
 * What is absent keeps its value; one weight alone (0..1) makes the other what is left of 1. */
#ifndef RAG_DAEMON_FUSION_SETTINGS_H
#define RAG_DAEMON_FUSION_SETTINGS_H

#include "base/json.h"
#include "base/json_writer.h"
#include "base/status.h"
#include "retrieve/fusion.h"

/* Change *options by an object; on failure it may be partly changed. RAG_EINVAL names the member,
 * its value and what is allowed. */
enum rag_status fusion_settings_read(const struct json *object, struct fusion_options *options,
                                     struct rag_error *reterr);
/* The members of an open object. */
void fusion_settings_write(struct json_writer *w, const struct fusion_options *options);

#endif
