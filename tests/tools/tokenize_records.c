/* tokenize_records DIR|FILE.gguf - tokenize records from standard input, for the comparisons in
 * tests/golden.
 *
 * A record is a line "SPECIAL MAX_TOKENS N_TEXT N_PAIR" (numbers; SPECIAL 1: special tokens are
 * added, 2: those in the text are text, 3: both; N_PAIR -1: no pair), then that many bytes of text
 * and of pair: unlike JSON it carries U+0000. For each one line goes out:
 * "ids|types|n_full|hexadecimal of the decoded ids", or "error: ..." */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/gguf.h"
#include "nn/tokenizer.h"

static char *read_bytes(size_t n)
{
    char *data = malloc(n + 1);

    if (!data || fread(data, 1, n, stdin) != n) {
        fprintf(stderr, "tokenize_records: a record is cut short\n");
        exit(2);
    }
    data[n] = '\0';
    return data;
}

static void print_result(const struct tokenizer *t, const struct token_list *list)
{
    struct rag_error error = {RAG_OK, ""};
    struct buf text;

    for (size_t i = 0; i < list->n; i++)
        printf(i ? " %" PRIu32 : "%" PRIu32, list->ids[i]);
    putchar('|');
    for (size_t i = 0; i < list->n; i++)
        printf(i ? " %d" : "%d", list->types[i]);
    printf("|%zu|", list->n_full);
    buf_init(&text, TOKENIZER_NORMALIZED_BYTES_MAX);
    if (tokenizer_decode(t, list->ids, list->n, false, &text, &error) != RAG_OK)
        fprintf(stderr, "tokenize_records: %s\n", error.text);
    for (size_t i = 0; i < text.len; i++)
        printf("%02x", (unsigned char)buf_str(&text)[i]);
    putchar('\n');
    buf_release(&text);
}

/* dir: with a .gguf at its end a file. */
static enum rag_status open_any(const char *dir, struct gguf **ret_file, struct tokenizer **ret,
                                struct rag_error *error)
{
    size_t n = strlen(dir);
    enum rag_status status;

    if (n < 5 || strcmp(dir + n - 5, ".gguf") != 0)
        return tokenizer_open(dir, ret, error);
    status = gguf_open(dir, ret_file, error);
    return status == RAG_OK ? tokenizer_open_gguf(*ret_file, ret, error) : status;
}

int main(int argc, char **argv)
{
    struct rag_error error = {RAG_OK, ""};
    struct tokenizer *t = NULL;
    struct gguf *file = NULL;
    struct token_list list = {0};
    size_t special;
    size_t max;
    size_t n;
    long n_pair;

    if (argc != 2) {
        fprintf(stderr, "usage: tokenize_records DIR|FILE.gguf <records\n");
        return 2;
    }
    if (open_any(argv[1], &file, &t, &error) != RAG_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    while (scanf("%zu %zu %zu %ld", &special, &max, &n, &n_pair) == 4 && getchar() == '\n') {
        struct tokenize_options options = {
            .special = (special & 1) != 0, .plain = (special & 2) != 0, .max_tokens = max};
        char *text = read_bytes(n);
        char *pair = n_pair < 0 ? NULL : read_bytes((size_t)n_pair);

        if (tokenizer_encode(t, text, n, pair, pair ? (size_t)n_pair : 0, &options, &list,
                             &error) == RAG_OK)
            print_result(t, &list);
        else
            printf("error: %s\n", error.text);
        free(text);
        free(pair);
    }
    token_list_release(&list);
    tokenizer_close(t);
    gguf_close(file);
    return 0;
}
