/* daemon/ragctl/ragctl_doctor.c - 'ragctl doctor': what is wrong, and what to do about it. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ragctl/doctor.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_print.h"

#define OUTPUT_BYTES_MAX    (1u << 20)
#define CONFIG_PATH_DEFAULT "/etc/ragd/ragd.conf" /* that the unit names */

void doctor_finding(struct doctor *d, enum finding kind, const char *check, const char *fmt, ...)
{
    static const char *const names[] = {"ok", "warn", "FAIL"};
    static const char *const json_names[] = {"ok", "warn", "fail"};
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    d->n[kind]++;
    if (d->options->json) {
        json_begin_object(&d->w, NULL);
        json_put_string(&d->w, "check", check);
        json_put_string(&d->w, "result", json_names[kind]);
        json_put_string(&d->w, "message", text);
        json_end_object(&d->w);
    } else {
        buf_printf(&d->out, "%-4s  %-10s  ", names[kind], check);
        print_one_line(&d->out, text, (size_t)n, 0);
        buf_append_char(&d->out, '\n');
    }
    free(text);
}

static int print_findings(struct doctor *d)
{
    if (d->options->json) {
        json_end_array(&d->w);
        json_put_int(&d->w, "warnings", d->n[FINDING_WARN]);
        json_put_int(&d->w, "failures", d->n[FINDING_FAIL]);
        json_end_object(&d->w);
        buf_append_char(&d->out, '\n');
    } else {
        buf_printf(&d->out, "%u ok, %u warning%s, %u failure%s\n", d->n[FINDING_OK],
                   d->n[FINDING_WARN], d->n[FINDING_WARN] == 1 ? "" : "s", d->n[FINDING_FAIL],
                   d->n[FINDING_FAIL] == 1 ? "" : "s");
    }
    fputs(buf_str(&d->out), stdout);
    return d->n[FINDING_FAIL] > 0 ? RAGCTL_FAILED : RAGCTL_OK;
}

/* The configuration: the one given, else the installed one where the daemon asked is the installed
 * one too. Its values are needed here; what is wrong with it, ragd says best. */
static enum rag_status load_config(struct doctor *d, struct config **ret, struct rag_error *reterr)
{
    const struct ragctl_options *o = d->options;
    struct config *config = NULL;
    enum rag_status status;

    if (!d->config_path && !o->url && strcmp(o->socket_path, RAGCTL_SOCKET_DEFAULT) == 0 &&
        access(CONFIG_PATH_DEFAULT, R_OK) == 0)
        d->config_path = CONFIG_PATH_DEFAULT;
    if (!d->config_path)
        return RAG_OK;
    status = config_new(&config, reterr);
    if (status != RAG_OK)
        return status;
    if (config_load(config, d->config_path, NULL) != RAG_OK ||
        (d->state_dir && config_set(config, "state_dir", d->state_dir, NULL) != RAG_OK)) {
        config_free(config); /* doctor_check_config() says why */
        return RAG_OK;
    }
    *ret = config;
    d->config = config;
    if (!d->state_dir)
        d->state_dir = config->state_dir;
    return RAG_OK;
}

static void check_all(struct doctor *d)
{
    doctor_check_config(d);
    doctor_check_files(d);
    doctor_check_compute(d);
    doctor_check_clock(d);
    doctor_check_state(d);
    doctor_check_online(d);
    doctor_check_socket(d);
    if (!doctor_check_daemon(d))
        return;
    doctor_check_ready(d);
    doctor_check_limits(d);
    doctor_check_models(d);
    doctor_check_indexes(d);
    doctor_check_audit(d);
    doctor_check_audit_time(d);
}

int ragctl_doctor(const struct ragctl_options *options, int argc, char **argv)
{
    struct doctor d = {.options = options};
    const struct ragctl_arg table[] = {
        {.name = "--state",  .text = &d.state_dir  },
        {.name = "--config", .text = &d.config_path},
        {.name = "--online", .flag = &d.online     },
    };
    struct config *config = NULL;
    struct rag_error error = {0};
    int exit_status;

    if (ragctl_args_no_words("doctor", table, sizeof table / sizeof table[0], argc, argv, &error) !=
        RAG_OK)
        return ragctl_usage("doctor", &error);
    if (load_config(&d, &config, &error) != RAG_OK)
        return ragctl_fail(options, &error);
    buf_init(&d.out, OUTPUT_BYTES_MAX);
    json_writer_init(&d.w, &d.out);
    if (ragctl_client_open(options, &d.client, &error) != RAG_OK) {
        config_free(config);
        return ragctl_fail(options, &error);
    }
    if (options->json) {
        json_begin_object(&d.w, NULL);
        json_begin_array(&d.w, "checks");
    }
    check_all(&d);
    exit_status = print_findings(&d);
    ragctl_client_close(&d.client);
    buf_release(&d.out);
    config_free(config);
    return exit_status;
}
