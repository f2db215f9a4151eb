#include "daemon/cache_scope.h"

#include <string.h>

enum rag_status cache_scope(bool shared, struct collection *c, const char *principal,
                            uint8_t ret[SHA256_BYTES])
{
    const struct sha256_part own[] = {
        {"principal", 9                },
        {principal,   strlen(principal)},
    };

    return shared ? collection_readers_hash(c, ret) : sha256_lengths(own, 2, ret);
}
