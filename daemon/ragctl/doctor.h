/* daemon/ragctl/doctor.h - what the parts of 'ragctl doctor' share.
 *
 *   ragctl_doctor.c   the command: options, order, printing
 *   doctor_files.c    the configuration and the files that it names
 *   doctor_system.c   this machine: kernels, clock, state folder
 *   doctor_daemon.c   the running daemon: socket, readiness, limits, audit
 *   doctor_data.c     its models, indexes, vectors, cache
 *   doctor_online.c   the servers that it would ask, with --online */
#ifndef RAG_DAEMON_DOCTOR_H
#define RAG_DAEMON_DOCTOR_H

#include <stdbool.h>

#include "base/json_writer.h"
#include "daemon/config.h"
#include "daemon/ragctl/ragctl_client.h"

#define DOCTOR_TEXT_BYTES_MAX 8192 /* of one message or path */
#define DOCTOR_TIMEOUT_MS     5000 /* of a check: a daemon that is well answers in milliseconds */
#define DOCTOR_SLOW_MS        3600000 /* of those that read everything */

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

/* One run; checks append a line or an object each. */
struct doctor {
    const struct ragctl_options *options;
    struct ragctl_client client;
    const char *state_dir;       /* --state, or of the configuration; or NULL */
    const char *config_path;     /* --config, or the installed one; or NULL */
    const struct config *config; /* NULL: there is none, or it cannot be read */
    bool online;
    struct buf out;
    struct json_writer w;
    unsigned n[3]; /* findings by kind */
};

/* One line: what was found and, unless it is fine, what to do. */
void doctor_finding(struct doctor *d, enum finding kind, const char *check, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A model left to 'default' that is not installed; why: of models_missing(). */
void doctor_warn_missing_model(struct doctor *d, const char *role, const char *why);

void doctor_check_config(struct doctor *d); /* by ragd itself: "ragd -n -f FILE" */
void doctor_check_files(struct doctor *d);  /* of d->config */
void doctor_check_compute(struct doctor *d);
void doctor_check_clock(struct doctor *d);
void doctor_check_state(struct doctor *d);
void doctor_check_socket(struct doctor *d);
bool doctor_check_daemon(struct doctor *d); /* is anybody there? The following need that */
void doctor_check_ready(struct doctor *d);
void doctor_check_limits(struct doctor *d);
void doctor_check_audit(struct doctor *d);
void doctor_check_audit_time(struct doctor *d);
void doctor_check_models(struct doctor *d);
void doctor_check_indexes(struct doctor *d);
void doctor_check_online(struct doctor *d);

#endif
