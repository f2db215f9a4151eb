/* tests/unit/nn/gguf_dir.h - a folder of the test's own and the name of a model in it, as the setup
 * and the teardown of its group. Every test removes what it writes there. */
#ifndef RAG_TESTS_GGUF_DIR_H
#define RAG_TESTS_GGUF_DIR_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/rag-gguf-dir-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/model.gguf", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

#endif
