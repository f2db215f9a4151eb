/* Any text with any blocks over it: chunks keep every invariant. The first bytes choose the
 * sizes and the blocks, the rest is the text (invalid UTF-8 is read as plain text's error). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/embed/chunk_check.h"

#define BLOCKS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Blocks in order, each from two bytes: how far on, how long and of what kind. */
static size_t make_blocks(const uint8_t *data, struct extracted *e, struct block *blocks)
{
    size_t at = 0;
    size_t n = 0;

    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        struct block *b = &blocks[n];
        size_t start = utf8_floor(e->text, e->n_bytes, at + data[i * 2] % 32);
        size_t end = utf8_floor(e->text, e->n_bytes, start + data[i * 2 + 1] / 2);

        if (start < at || start >= end)
            continue;
        memset(b, 0, sizeof *b);
        b->byte_start = b->title_start = (uint32_t)start;
        b->byte_end = b->title_end = (uint32_t)end;
        b->kind = (uint8_t)((data[i * 2] / 32 + i) % (BLOCK_QUOTE + 1));
        b->level =
            b->kind == BLOCK_HEADING ? (uint8_t)(data[i * 2 + 1] % HEADING_DEPTH_MAX + 1) : 0;
        at = end;
        n++;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chunker_options options;
    struct block blocks[BLOCKS_MAX];
    struct extracted e = {0};
    struct extracted with_blocks;
    const char *wrong;

    if (size < BLOCKS_MAX * 2 + 2)
        return 0;
    options.chunk_chars = CHUNK_CHARS_MIN + data[0] % 64u;
    options.overlap_chars = data[1] % ((options.chunk_chars + 1) / 2);
    if (options.overlap_chars >= options.chunk_chars / 2)
        options.overlap_chars = 0;
    if (extract_document(FORMAT_TEXT, (const char *)data + BLOCKS_MAX * 2 + 2,
                         size - (BLOCKS_MAX * 2 + 2), &e, NULL) != RAG_OK)
        return 0;
    wrong = check_document(&e, &options);
    if (!wrong) {
        with_blocks = e;
        with_blocks.blocks = blocks;
        with_blocks.n_blocks = make_blocks(data + 2, &e, blocks);
        wrong = check_document(&with_blocks, &options);
    }
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    extracted_release(&e);
    return 0;
}
