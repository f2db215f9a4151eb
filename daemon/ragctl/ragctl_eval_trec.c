/* Which files of a folder, or of three named ones, are a TREC collection: told by what they hold.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/ragctl/ragctl_eval.h"
#include "eval/input.h"

#define SNIFF_LINES      40 /* a licence or an XML head may stand before the first record */
#define SNIFF_BYTES_MAX  65536
#define FOLDER_FILES_MAX 1000

static enum rag_status sniff(const char *path, enum trec_kind *ret, struct rag_error *reterr)
{
    struct input *in = NULL;
    enum rag_status status = input_open(path, &in, reterr);
    struct buf line;
    struct buf head;
    bool end = false;

    buf_init(&line, SNIFF_BYTES_MAX);
    buf_init(&head, SNIFF_BYTES_MAX * 2);
    for (int i = 0; status == RAG_OK && !end && i < SNIFF_LINES && head.len < SNIFF_BYTES_MAX;
         i++) {
        /* what is no text of lines is none of the three */
        if (input_line(in, &line, &end, NULL) != RAG_OK)
            break;
        buf_append(&head, buf_str(&line), line.len);
        buf_append_char(&head, '\n');
    }
    if (status == RAG_OK)
        *ret = dataset_trec_kind(buf_str(&head), head.len);
    input_close(in);
    buf_release(&line);
    buf_release(&head);
    return status;
}

static enum rag_status take(struct eval_trec *t, const char *path, struct rag_error *reterr)
{
    char **slots[] = {[TREC_DOCUMENTS] = &t->documents,
                      [TREC_TOPICS] = &t->topics,
                      [TREC_JUDGMENTS] = &t->judgments};
    enum trec_kind kind = TREC_NONE;
    enum rag_status status = sniff(path, &kind, reterr);

    if (status != RAG_OK || kind == TREC_NONE)
        return status;
    if (*slots[kind])
        return rag_fail(reterr, RAG_EINVAL,
                        "file '%s': holds the same part of a TREC collection as '%s'; name the "
                        "three files",
                        path, *slots[kind]);
    *slots[kind] = strdup(path);
    return *slots[kind] ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "evaluation: out of memory");
}

static enum rag_status take_folder(struct eval_trec *t, const char *folder,
                                   struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int n = 0;

    if (!dir)
        return rag_fail_errno(reterr, RAG_EIO, errno, "folder '%s': cannot be read", folder);
    while (status == RAG_OK && (entry = readdir(dir)) != NULL) {
        struct stat info;
        char *path = NULL;

        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
            status = rag_fail(reterr, RAG_ENOMEM, "evaluation: out of memory");
            break;
        }
        if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && ++n <= FOLDER_FILES_MAX)
            status = take(t, path, reterr);
        free(path);
    }
    closedir(dir);
    return status;
}

void eval_trec_release(struct eval_trec *t)
{
    free(t->documents);
    free(t->topics);
    free(t->judgments);
    *t = (struct eval_trec){0};
}

enum rag_status eval_trec_find(char *const *paths, int n_paths, struct eval_trec *ret,
                               struct rag_error *reterr)
{
    struct eval_trec t = {0};
    enum rag_status status = RAG_OK;

    if (n_paths == 1)
        status = take_folder(&t, paths[0], reterr);
    for (int i = 0; n_paths > 1 && status == RAG_OK && i < n_paths; i++)
        status = take(&t, paths[i], reterr);
    if (status == RAG_OK && (!t.documents || !t.topics || !t.judgments))
        status = rag_fail(
            reterr, RAG_ENOTFOUND,
            n_paths == 1 ? "folder '%s': holds neither 'questions.jsonl' nor a TREC collection "
                           "(no file of %s)"
                         : "file '%s' and the others: are no TREC collection (no file of %s)",
            paths[0],
            !t.documents ? "<doc> records"
            : !t.topics  ? "<top> records"
                         : "judgments");
    if (status != RAG_OK) {
        eval_trec_release(&t);
        return status;
    }
    *ret = t;
    return RAG_OK;
}

enum rag_status eval_trec_read(const struct eval_trec *t, struct dataset *d,
                               struct rag_error *reterr)
{
    struct input *documents = NULL;
    struct input *topics = NULL;
    struct input *judgments = NULL;
    enum rag_status status = input_open(t->documents, &documents, reterr);

    if (status == RAG_OK)
        status = input_open(t->topics, &topics, reterr);
    if (status == RAG_OK)
        status = input_open(t->judgments, &judgments, reterr);
    if (status == RAG_OK)
        status = dataset_read_trec(d, documents, topics, judgments, reterr);
    input_close(documents);
    input_close(topics);
    input_close(judgments);
    return status;
}
