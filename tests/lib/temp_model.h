/* tests/lib/temp_model.h - a model folder of a test's own, below /tmp, removed afterwards.
 */
#ifndef RAG_TESTS_TEMP_MODEL_H
#define RAG_TESTS_TEMP_MODEL_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_PATH_BYTES 1024

struct temp_model {
    char dir[64];
};

static inline void temp_model_make(struct temp_model *m)
{
    strcpy(m->dir, "/tmp/model-test.XXXXXX");
    assert_non_null(mkdtemp(m->dir));
}

static inline void temp_model_path(const struct temp_model *m, const char *name,
                                   char ret[TEMP_PATH_BYTES])
{
    assert_true(snprintf(ret, TEMP_PATH_BYTES, "%s/%s", m->dir, name) < TEMP_PATH_BYTES);
}

/* A file of the model; folders in its name are made. */
static inline void temp_model_write(const struct temp_model *m, const char *name, const void *data,
                                    size_t n)
{
    char path[TEMP_PATH_BYTES];
    FILE *f;

    temp_model_path(m, name, path);
    for (char *slash = strchr(path + strlen(m->dir) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void temp_model_text(const struct temp_model *m, const char *name, const char *text)
{
    temp_model_write(m, name, text, strlen(text));
}

/* Copies every file of another model folder. */
static inline void temp_model_copy(const struct temp_model *m, const char *from)
{
    DIR *d = opendir(from);

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[TEMP_PATH_BYTES];
        char *data;
        size_t n;
        FILE *f;

        if (e->d_name[0] == '.')
            continue;
        assert_true(snprintf(path, sizeof path, "%s/%s", from, e->d_name) < TEMP_PATH_BYTES);
        f = fopen(path, "rb");
        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        n = (size_t)ftell(f);
        rewind(f);
        data = malloc(n + 1);
        assert_non_null(data);
        assert_int_equal(fread(data, 1, n, f), n);
        fclose(f);
        temp_model_write(m, e->d_name, data, n);
        free(data);
    }
    closedir(d);
}

/* One tensor after another as F32 safetensors. */
struct temp_tensor {
    const char *name;
    size_t rows; /* 0: of one dimension */
    size_t columns;
    const float *values;
};
static inline void temp_model_tensors(const struct temp_model *m, const char *name,
                                      const struct temp_tensor *tensors, size_t n)
{
    char header[1024] = "{";
    char file[8192];
    size_t offset = 0;
    uint64_t length;
    size_t used;

    for (size_t i = 0; i < n; i++) {
        size_t bytes = 4 * (tensors[i].rows ? tensors[i].rows : 1) * tensors[i].columns;
        char shape[64];

        if (tensors[i].rows)
            sprintf(shape, "%zu,%zu", tensors[i].rows, tensors[i].columns);
        else
            sprintf(shape, "%zu", tensors[i].columns);
        sprintf(header + strlen(header),
                "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                i > 0 ? "," : "", tensors[i].name, shape, offset, offset + bytes);
        offset += bytes;
    }
    strcat(header, "}");
    while (strlen(header) % 8 != 0)
        strcat(header, " ");
    length = strlen(header);
    memcpy(file, &length, 8); /* little-endian, as this machine */
    memcpy(file + 8, header, length);
    used = 8 + length;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = 4 * (tensors[i].rows ? tensors[i].rows : 1) * tensors[i].columns;

        assert_true(used + bytes <= sizeof file);
        memcpy(file + used, tensors[i].values, bytes);
        used += bytes;
    }
    temp_model_write(m, name, file, used);
}

static inline void temp_model_remove(const struct temp_model *m)
{
    char command[128];

    assert_true(strncmp(m->dir, "/tmp/model-test.", 16) == 0);
    snprintf(command, sizeof command, "rm -rf '%s'", m->dir);
    assert_int_equal(system(command), 0);
}

#endif
