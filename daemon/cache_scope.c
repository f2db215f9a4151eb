#include "daemon/cache_scope.h"

#include <stdlib.h>
#include <string.h>

/* Two lists with the same principals in the same order are equal. */
static enum rag_status readers_hash(struct collection *c, uint8_t ret[SHA256_BYTES])
{
    enum rag_status status = RAG_ENOMEM;
    struct sha256_part *parts;

    pthread_mutex_lock(&c->mutex);
    parts = calloc(c->settings.n_readers + 1, sizeof *parts);
    if (parts) {
        parts[0] = (struct sha256_part){"readers", 7};
        for (size_t i = 0; i < c->settings.n_readers; i++)
            parts[i + 1] =
                (struct sha256_part){c->settings.readers[i], strlen(c->settings.readers[i])};
        status = sha256_lengths(parts, c->settings.n_readers + 1, ret);
    }
    pthread_mutex_unlock(&c->mutex);
    free(parts);
    return status;
}

enum rag_status cache_scope(bool shared, struct collection *c, const char *principal,
                            uint8_t ret[SHA256_BYTES])
{
    const struct sha256_part own[] = {
        {"principal", 9                },
        {principal,   strlen(principal)},
    };

    return shared ? readers_hash(c, ret) : sha256_lengths(own, 2, ret);
}
