/* daemon/ragctl/interrupt.h - ends a long command between two requests: when a signal came, or when
 * the time that it was given is over. What it has made elsewhere can be taken away then. */
#ifndef RAG_DAEMON_INTERRUPT_H
#define RAG_DAEMON_INTERRUPT_H

#include <stdint.h>

#include "base/status.h"

/* SIGINT, SIGTERM and SIGHUP no longer end the process; interrupt_check() tells of them. 'what'
 * begins its messages ("evaluation"); a static text. limit_ms: from now; 0: none. */
void interrupt_install(const char *what, int64_t limit_ms);

/* RAG_ECANCELLED after a signal, RAG_ETIMEOUT after the limit. */
enum rag_status interrupt_check(struct rag_error *reterr);

#endif
