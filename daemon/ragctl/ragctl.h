/* daemon/ragctl/ragctl.h - the person's tool: what its commands share.
 *
 * ragctl.c reads the options that every command knows and calls the command's function
 * from the table in ragctl_commands.c. A command gets argv[0] = its own name and then the
 * words and options that are its own (the shared ones are taken out; a "--" that was
 * given is still there). It prints for people on stdout, or, with --json, exactly one JSON
 * object; what went wrong goes to stderr as one line. It returns the exit status.
 * One thread, but for ragctl_ingest.c. */
#ifndef RAG_DAEMON_RAGCTL_H
#define RAG_DAEMON_RAGCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define RAGCTL_SOCKET_DEFAULT "/run/ragd/ragd.sock"

/* Exit statuses. Scripts rely on them. */
#define RAGCTL_OK      0
#define RAGCTL_FAILED  1 /* said why on stderr */
#define RAGCTL_USAGE   2 /* the command line makes no sense; usage on stderr */
#define RAGCTL_REFUSED 3 /* ask: the documents do not answer this question */

/* The options that every command knows. Texts are borrowed from argv or the environment. */
struct ragctl_options {
    const char *program;     /* argv[0] of the process: ragd is looked for beside it */
    const char *socket_path; /* --socket, else $RAGD_SOCKET, else RAGCTL_SOCKET_DEFAULT */
    bool socket_given;       /* by --socket; eval starts a private daemon when it was not */
    const char *url;         /* --url http://127.0.0.1:PORT: TCP instead of the socket; or NULL */
    const char *token;       /* $RAGD_TOKEN, the bearer token that --url needs; or NULL */
    const char *collection;  /* --collection, or NULL */
    bool json;               /* --json */
    bool quiet;              /* --quiet: no progress, no notes */
    int64_t timeout_ms;      /* --timeout SECONDS for one request; 0: the command's default */
};

struct ragctl_command {
    const char *name;
    const char *usage;   /* "ask --collection C [options] QUESTION" */
    const char *summary; /* a few words for the list of commands */
    const char *help;    /* what --help prints below the usage, lines of < 80 columns */
    bool needs_collection;
    int (*run)(const struct ragctl_options *options, int argc, char **argv);
};
/* By name; NULL when there is none. The table ends with a row whose name is NULL. */
const struct ragctl_command *ragctl_command_find(const char *name);
const struct ragctl_command *ragctl_command_table(void);

/* Take the shared options out of argv (argv[0] stays; everything after "--" is left as it
 * is) and put them into *ret, defaults included. *ret_help: --help or -h was there.
 * RAG_EINVAL: an option without its value, or a value out of range. */
enum rag_status ragctl_options_take(int *argc, char **argv, struct ragctl_options *ret,
                                    bool *ret_help, struct rag_error *reterr);

/* Report a failure: "ragctl: <message>" on stderr and, with --json, an object
 * {"error":{"type","code","message"}} on stdout. Returns RAGCTL_FAILED. */
int ragctl_fail(const struct ragctl_options *options, const struct rag_error *error);
/* Report a command line that makes no sense, with the command's usage. Returns RAGCTL_USAGE. */
int ragctl_usage(const char *command, const struct rag_error *error);
/* A note for a person on stderr ("ragctl: ..."); nothing with --quiet. */
void ragctl_note(const struct ragctl_options *options, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The commands. */
int ragctl_ingest(const struct ragctl_options *options, int argc, char **argv);
int ragctl_search(const struct ragctl_options *options, int argc, char **argv);
int ragctl_ask(const struct ragctl_options *options, int argc, char **argv);
int ragctl_chat(const struct ragctl_options *options, int argc, char **argv);
int ragctl_collection(const struct ragctl_options *options, int argc, char **argv);
int ragctl_document(const struct ragctl_options *options, int argc, char **argv);
int ragctl_audit(const struct ragctl_options *options, int argc, char **argv);
int ragctl_cache(const struct ragctl_options *options, int argc, char **argv);
int ragctl_mcp(const struct ragctl_options *options, int argc, char **argv);
int ragctl_backup(const struct ragctl_options *options, int argc, char **argv);
int ragctl_restore(const struct ragctl_options *options, int argc, char **argv);
int ragctl_status(const struct ragctl_options *options, int argc, char **argv);
int ragctl_doctor(const struct ragctl_options *options, int argc, char **argv);
int ragctl_top(const struct ragctl_options *options, int argc, char **argv);
int ragctl_metrics(const struct ragctl_options *options, int argc, char **argv);
int ragctl_version(const struct ragctl_options *options, int argc, char **argv);
int ragctl_tune(const struct ragctl_options *options, int argc, char **argv);
int ragctl_export(const struct ragctl_options *options, int argc, char **argv);
int ragctl_eval(const struct ragctl_options *options, int argc, char **argv);
int ragctl_guard(const struct ragctl_options *options, int argc, char **argv);
int ragctl_model(const struct ragctl_options *options, int argc, char **argv);

#endif
