/* daemon/ragctl/doctor_files.c - the configuration and the files that it names. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/models_configured.h"
#include "daemon/ragctl/doctor.h"
#include "daemon/ragctl/model_record.h"

/* ragd knows its configuration best: "ragd -n -f FILE", the one beside this ragctl. */
void doctor_check_config(struct doctor *d)
{
    const char *slash = strrchr(d->options->program, '/');
    char ragd[DOCTOR_TEXT_BYTES_MAX];
    char said[DOCTOR_TEXT_BYTES_MAX];
    int ends[2];
    size_t n = 0;
    pid_t pid;
    int status = -1;

    if (!d->config_path)
        return;
    if (slash)
        snprintf(ragd, sizeof ragd, "%.*s/ragd", (int)(slash - d->options->program),
                 d->options->program);
    else
        snprintf(ragd, sizeof ragd, "ragd");
    if (pipe2(ends, O_CLOEXEC) != 0) {
        doctor_finding(d, FINDING_WARN, "config", "not checked: %s", strerror(errno));
        return;
    }
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execlp(ragd, ragd, "-n", "-f", d->config_path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while (n < sizeof said - 1) {
        ssize_t got = read(ends[0], said + n, sizeof said - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(ends[0]);
    said[n] = '\0';
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (status == 0)
        doctor_finding(d, FINDING_OK, "config", "'%s' is fine", d->config_path);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        doctor_finding(d, FINDING_WARN, "config", "not checked: '%s' cannot be run", ragd);
    else
        doctor_finding(d, FINDING_FAIL, "config", "%s", said);
}

/* ---- the files that it names ---- */

/* Who may read and write a file that must be the owner's; 'secret': nobody else may read it. */
static void check_mode(struct doctor *d, const char *what, const char *path, bool secret)
{
    struct stat sb;
    unsigned mode;

    if (stat(path, &sb) != 0) {
        doctor_finding(d, errno == EACCES ? FINDING_WARN : FINDING_FAIL, "files", "%s '%s': %s",
                       what, path, strerror(errno));
        return;
    }
    mode = (unsigned)(sb.st_mode & 07777);
    if (!S_ISREG(sb.st_mode))
        doctor_finding(d, FINDING_FAIL, "files", "%s '%s': is no file", what, path);
    else if (secret && (mode & 0007) != 0)
        doctor_finding(d, FINDING_FAIL, "files",
                       "%s '%s': mode %04o lets everybody at it; chmod 600 it, and change what is "
                       "in it",
                       what, path, mode);
    else if ((mode & 0002) != 0)
        doctor_finding(d, FINDING_FAIL, "files",
                       "%s '%s': mode %04o lets everybody write it; chmod o-w it", what, path,
                       mode);
    else if ((mode & 0020) != 0)
        doctor_finding(d, FINDING_WARN, "files",
                       "%s '%s': mode %04o lets its group write it; chmod g-w it", what, path,
                       mode);
    else
        doctor_finding(d, FINDING_OK, "files", "%s '%s': mode %04o", what, path, mode);
}

static bool is_this_machine(const char *url)
{
    static const char *const hosts[] = {"http://127.", "http://localhost", "http://[::1]"};
    size_t i = 0;

    while (i < sizeof hosts / sizeof hosts[0] && strncmp(url, hosts[i], strlen(hosts[i])) != 0)
        i++;
    return i < sizeof hosts / sizeof hosts[0];
}

/* A secret that the daemon would send in the clear is one no more. */
static void check_url(struct doctor *d, const char *what, const char *url, bool with_key)
{
    if (strncmp(url, "https://", 8) == 0)
        doctor_finding(d, FINDING_OK, "remote", "%s '%s': by https", what, url);
    else if (is_this_machine(url))
        doctor_finding(d, FINDING_OK, "remote", "%s '%s': by http, on this machine", what, url);
    else
        doctor_finding(d, FINDING_WARN, "remote",
                       "%s '%s': %s go over the network in the clear; use https", what, url,
                       with_key ? "its key and what is sent" : "what is sent and received");
}

static void check_key(struct doctor *d, const char *what, const char *file, const char *variable)
{
    if (file)
        check_mode(d, what, file, true);
    else if (variable && !getenv(variable))
        doctor_finding(d, FINDING_OK, "files",
                       "%s: in $%s, which is not set here; the daemon's environment must have it",
                       what, variable);
}

static void check_servers(struct doctor *d)
{
    const struct config *c = d->config;
    const struct {
        const char *what, *url, *key_what, *key_file, *key_env;
    } servers[] = {
        {"[openai] base_url",   c->openai_url,     "[openai] key_file",        c->openai_key_file,
         c->openai_key_env                                                                             },
        {"[remote] embed_url",  c->embed_url,      "[remote] embed_key_file",  c->embed_key_file,
         c->embed_key_env                                                                              },
        {"[remote] rerank_url", c->rerank_url,     "[remote] rerank_key_file", c->rerank_key_file,
         c->rerank_key_env                                                                             },
        {"[trace] endpoint",    c->trace_endpoint, "[trace] key_file",         c->trace_key_file,  NULL},
    };

    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        if (!servers[i].url)
            continue;
        check_url(d, servers[i].what, servers[i].url, servers[i].key_file || servers[i].key_env);
        check_key(d, servers[i].key_what, servers[i].key_file, servers[i].key_env);
    }
}

/* What a configured model may be used for. */
static void check_licence(struct doctor *d, const char *what, enum model_role role,
                          const char *name)
{
    struct model_record record = {0};
    struct rag_error error = {RAG_OK, ""};
    char *licence = NULL;
    char *dir = NULL;

    if (!name)
        return;
    if (model_configured_dir(d->config, role, name, &dir, &error) != RAG_OK)
        doctor_finding(d, FINDING_FAIL, "model", "%s: %s", what, error.text);
    else if (*dir == '\0') {
        if (strcmp(name, MODEL_NAME_DEFAULT) != 0) /* check_missing() tells of that one */
            doctor_finding(d, FINDING_OK, "model", "%s '%s': no model", what, name);
    } else if (model_record_read(dir, &record, NULL) == RAG_OK && record.licence[0])
        doctor_finding(d, FINDING_OK, "licence", "%s '%s': %s (%s)", what, name, record.licence,
                       record.source);
    else if (model_readme_licence(dir, &licence) == RAG_OK && licence[0])
        doctor_finding(d, FINDING_OK, "licence", "%s '%s': %s", what, name, licence);
    else
        doctor_finding(d, FINDING_OK, "licence",
                       "%s '%s': its folder does not say; look where it came from", what, name);
    model_record_release(&record);
    free(licence);
    free(dir);
}

static void check_missing(struct doctor *d)
{
    struct model_missing missing[MODELS_MISSING_MAX];
    size_t n = models_missing(d->config, missing);

    for (size_t i = 0; i < n; i++)
        doctor_warn_missing_model(d, missing[i].role, missing[i].why.text);
}

void doctor_check_files(struct doctor *d)
{
    const struct config *c = d->config;

    if (!c)
        return;
    check_mode(d, "configuration", d->config_path, false);
    if (c->token_file[0])
        check_mode(d, "[http] token_file", c->token_file, true);
    check_servers(d);
    check_licence(d, "[models] embedder", MODEL_EMBEDDER, c->models_embedder);
    check_licence(d, "[models] reranker", MODEL_RERANKER, c->models_reranker);
    check_missing(d);
    check_licence(d, "[generate] model", MODEL_GENERATOR, c->generate_model);
}
