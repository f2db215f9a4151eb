/* nn/amx_tiles.h - the eight tiles, all of 16 rows of 64 bytes. Included by files compiled for AMX.
 * Whoever configures them releases them before returning, so that no thread sleeps with tiles to
 * be saved. (Intel SDM volume 1, chapter 18; the 64 bytes are LDTILECFG's operand) */
#ifndef RAG_NN_AMX_TILES_H
#define RAG_NN_AMX_TILES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TILE_BYTES 1024

static inline void amx_configure(void)
{
    struct {
        uint8_t palette;
        uint8_t start_row;
        uint8_t reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config __attribute__((aligned(64)));

    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (size_t i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    _tile_loadconfig(&config);
}

static inline void amx_release(void)
{
    _tile_release();
}

#endif
