/* The sentence-transformers files of a hostile model folder: read or refused with a message.
 *
 * The input is cut at zero bytes into the files below, in their order; the last takes the rest. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embed/sentence_transformers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"modules.json",
                                    "1_Pooling/config.json",
                                    "sentence_bert_config.json",
                                    "config.json",
                                    "config_sentence_transformers.json",
                                    "2_Dense/config.json",
                                    "2_Dense/model.safetensors"};

static char dir[64];

static void remove_dir(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (strstr(dir, "/fuzz-st.") && system(command) != 0)
        perror(dir);
}

static void make_dir(void)
{
    char path[128];

    /* in memory where that is possible: seven files for each input */
    snprintf(dir, sizeof dir, "%s/fuzz-st.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir))
        abort();
    snprintf(path, sizeof path, "%s/1_Pooling", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/2_Dense", dir);
    mkdir(path, 0700);
    atexit(remove_dir);
}

static void write_file(const char *name, const uint8_t *data, size_t n)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n == 0) { /* not there at all */
        unlink(path);
        return;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rag_error error = {RAG_OK, ""};
    struct sentence_settings s = {0};
    size_t n_names = sizeof names / sizeof names[0];

    if (dir[0] == '\0')
        make_dir();
    for (size_t i = 0; i < n_names; i++) {
        const uint8_t *end = i + 1 < n_names && size > 0 ? memchr(data, 0, size) : NULL;
        size_t n = end ? (size_t)(end - data) : size;

        write_file(names[i], data, n);
        data += n + (end ? 1 : 0);
        size -= n + (end ? 1 : 0);
    }
    if (sentence_settings_read(dir, &s, &error) != RAG_OK) {
        if (error.text[0] == '\0')
            abort();
        return 0;
    }
    if (!s.transformer_dir || strncmp(s.transformer_dir, dir, strlen(dir)) != 0 ||
        strstr(s.transformer_dir, ".."))
        abort();
    sentence_settings_release(&s);
    return 0;
}
