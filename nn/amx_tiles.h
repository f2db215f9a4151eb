/* nn/amx_tiles.h - the eight tiles, of 16 rows of 64 bytes unless said otherwise. Included by files
 * compiled for AMX. Whoever configures them releases them before returning, so that no thread
 * sleeps with tiles to be saved. (Intel SDM volume 1, chapter 18; the 64 bytes are LDTILECFG's
 * operand) */
#ifndef RAG_NN_AMX_TILES_H
#define RAG_NN_AMX_TILES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TILE_BYTES 1024

/* Tile i gets rows[i] rows of row_bytes[i] bytes. */
static inline void amx_configure_as(const uint8_t rows[8], const uint16_t row_bytes[8])
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
    memcpy(config.row_bytes, row_bytes, 8 * sizeof *row_bytes);
    memcpy(config.rows, rows, 8 * sizeof *rows);
    _tile_loadconfig(&config);
}

static inline void amx_configure(void)
{
    static const uint8_t rows[8] = {16, 16, 16, 16, 16, 16, 16, 16};
    static const uint16_t row_bytes[8] = {64, 64, 64, 64, 64, 64, 64, 64};

    amx_configure_as(rows, row_bytes);
}

static inline void amx_release(void)
{
    _tile_release();
}

#endif
