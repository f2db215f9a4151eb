#include "daemon/ragctl/ragctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_args.h"

#define ERROR_JSON_BYTES_MAX 8192  /* a message is at most 512 bytes */
#define TIMEOUT_MAX_S        86400 /* a day: a restore of a huge state, not more */

struct shared_option {
    const char *name;
    const char *short_name; /* or NULL */
    bool *flag;             /* takes no value */
    const char **text;
};

/* If 'word' is this option, set its target. Returns how many words it takes (0: it is
 * another option), or -1 when the value is missing. */
static int take_option(const struct shared_option *option, const char *word, const char *next)
{
    size_t n = strlen(option->name);

    if (option->flag) {
        if (strcmp(word, option->name) != 0 &&
            (!option->short_name || strcmp(word, option->short_name) != 0))
            return 0;
        *option->flag = true;
        return 1;
    }
    if (strncmp(word, option->name, n) == 0 && word[n] == '=') {
        *option->text = word + n + 1;
        return 1;
    }
    if (strcmp(word, option->name) == 0 ||
        (option->short_name && strcmp(word, option->short_name) == 0)) {
        if (!next)
            return -1;
        *option->text = next;
        return 2;
    }
    return 0;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] != '\0' ? value : NULL;
}

enum rag_status ragctl_options_take(int *argc, char **argv, struct ragctl_options *ret,
                                    bool *ret_help, struct rag_error *reterr)
{
    const char *socket_path = NULL;
    const char *timeout = NULL;
    struct ragctl_options o = {.program = argv[0]};
    int64_t timeout_s = 0;
    bool help = false;
    int n = 1;
    const struct shared_option shared[] = {
        {"--socket",     "-s", NULL,     &socket_path },
        {"--url",        NULL, NULL,     &o.url       },
        {"--collection", "-c", NULL,     &o.collection},
        {"--timeout",    NULL, NULL,     &timeout     },
        {"--json",       NULL, &o.json,  NULL         },
        {"--quiet",      "-q", &o.quiet, NULL         },
        {"--help",       "-h", &help,    NULL         },
    };

    for (int i = 1; i < *argc;) {
        int taken = 0;

        if (strcmp(argv[i], "--") == 0) {
            while (i < *argc)
                argv[n++] = argv[i++];
            break;
        }
        for (size_t k = 0; k < sizeof shared / sizeof shared[0] && taken == 0; k++)
            taken = take_option(&shared[k], argv[i], i + 1 < *argc ? argv[i + 1] : NULL);
        if (taken < 0)
            return rag_fail(reterr, RAG_EINVAL, "option '%s': needs a value", argv[i]);
        if (taken == 0)
            argv[n++] = argv[i++];
        i += taken;
    }
    if (timeout) {
        enum rag_status status =
            ragctl_args_number(timeout, "option --timeout", 1, TIMEOUT_MAX_S, &timeout_s, reterr);
        if (status != RAG_OK)
            return status;
    }
    o.timeout_ms = timeout_s * 1000;
    o.socket_given = socket_path != NULL;
    if (!socket_path)
        socket_path = environment("RAGD_SOCKET");
    o.socket_path = socket_path ? socket_path : RAGCTL_SOCKET_DEFAULT;
    o.token = environment("RAGD_TOKEN");
    argv[n] = NULL;
    *argc = n;
    *ret = o;
    *ret_help = help;
    return RAG_OK;
}

int ragctl_fail(const struct ragctl_options *options, const struct rag_error *error)
{
    struct json_writer w;
    struct buf out;

    fprintf(stderr, "ragctl: %s\n", error->text);
    if (!options->json)
        return RAGCTL_FAILED;
    buf_init(&out, ERROR_JSON_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_begin_object(&w, "error");
    json_put_string(&w, "type", "ragctl");
    json_put_string(&w, "code", rag_status_code(error->status));
    json_put_string(&w, "message", error->text);
    json_put_null(&w, "param");
    json_end_object(&w);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
    return RAGCTL_FAILED;
}

int ragctl_usage(const char *command, const struct rag_error *error)
{
    const struct ragctl_command *c = ragctl_command_find(command);

    fprintf(stderr, "ragctl: %s\n", error->text);
    if (c)
        fprintf(stderr, "usage: ragctl %s\n       'ragctl %s --help' explains it\n", c->usage,
                c->name);
    else
        fprintf(stderr, "usage: ragctl COMMAND [options]; 'ragctl --help' lists the commands\n");
    return RAGCTL_USAGE;
}

void ragctl_note(const struct ragctl_options *options, const char *fmt, ...)
{
    va_list ap;

    if (options->quiet)
        return;
    fflush(stdout); /* it is about what was printed before */
    fputs("ragctl: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}
