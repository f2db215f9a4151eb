/* tests/fuzz/replay.c - run a fuzzer's entry point once over each file of the
 * directories and files named on the command line (no directory: no input). */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0;
    struct stat sb;

    if (!f)
        return 0;
    if (stat(path, &sb) == 0 && S_ISREG(sb.st_mode)) {
        /* exactly the bytes, so that ASan sees a read past the end */
        data = malloc(sb.st_size > 0 ? (size_t)sb.st_size : 1);
        if (data)
            size = fread(data, 1, (size_t)sb.st_size, f);
    }
    fclose(f);
    if (!data)
        return 0;
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    size_t n = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *entry;

        if (!dir) {
            n += replay_file(argv[i]);
            continue;
        }
        while ((entry = readdir(dir)) != NULL) {
            char path[4096];

            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            n += replay_file(path);
        }
        closedir(dir);
    }
    printf("%zu inputs replayed\n", n);
    return 0;
}
