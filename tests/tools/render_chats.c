/* render_chats DIR|FILE.gguf [TEMPLATE] - conversations to text and ids, for the comparisons in
 * tests/golden. TEMPLATE: a file with Jinja text in place of the model's own.
 *
 * A line of standard input is {"messages":[{"role","content"}],"open":bool,"thinking":bool}; for
 * each one line goes out: {"text","ids"} or {"error"}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "generate/chat_template.h"

#define LINE_BYTES_MAX (1u << 24)
#define MESSAGES_MAX   64

struct model {
    struct gguf *file;
    struct tokenizer *tokenizer;
    char *text; /* of the template */
    size_t n_text;
};

static enum rag_status read_template(const char *path, struct model *m, struct rag_error *error)
{
    FILE *f = fopen(path, "rb");

    if (!f)
        return rag_fail(error, RAG_EIO, "file '%s' cannot be read", path);
    m->text = calloc(1, LINE_BYTES_MAX);
    if (m->text)
        m->n_text = fread(m->text, 1, LINE_BYTES_MAX - 1, f);
    fclose(f);
    return m->text ? RAG_OK : RAG_ENOMEM;
}

static enum rag_status open_model(const char *dir, const char *template_path, struct model *m,
                                  struct rag_error *error)
{
    size_t n = strlen(dir);
    bool is_file = n > 5 && strcmp(dir + n - 5, ".gguf") == 0;
    enum rag_status status =
        is_file ? gguf_open(dir, &m->file, error) : tokenizer_open(dir, &m->tokenizer, error);

    if (status == RAG_OK && is_file)
        status = tokenizer_open_gguf(m->file, &m->tokenizer, error);
    if (status == RAG_OK && template_path)
        return read_template(template_path, m, error);
    if (status != RAG_OK)
        return status;
    return is_file ? chat_template_text_of_gguf(m->file, &m->text, &m->n_text, error)
                   : chat_template_text_of_dir(dir, &m->text, &m->n_text, error);
}

static size_t read_messages(const struct json *root, struct message *messages)
{
    size_t n = 0;

    for (const struct json *m = json_first(json_member(root, "messages")); m && n < MESSAGES_MAX;
         m = json_next(m)) {
        const char *role = json_string(json_member(m, "role"));

        messages[n].role = strcmp(role, "system") == 0 ? ROLE_SYSTEM
                           : strcmp(role, "user") == 0 ? ROLE_USER
                                                       : ROLE_ASSISTANT;
        messages[n++].text = json_string(json_member(m, "content"));
    }
    return n;
}

static void print_chat(const struct chat_template *c, const struct json *root)
{
    const struct chat_render_options options = {
        .open_answer = json_true(json_member(root, "open")),
        .thinking = json_true(json_member(root, "thinking")),
    };
    struct message messages[MESSAGES_MAX];
    size_t n = read_messages(root, messages);
    struct rag_error error = {RAG_OK, ""};
    struct token_list ids = {0};
    struct json_writer w;
    struct buf text;
    struct buf line;

    buf_init(&text, LINE_BYTES_MAX);
    buf_init(&line, LINE_BYTES_MAX);
    json_writer_init(&w, &line);
    json_begin_object(&w, NULL);
    if (chat_template_text(c, messages, n, &options, &text, &error) == RAG_OK &&
        chat_template_render(c, messages, n, &options, &ids, &error) == RAG_OK) {
        json_put_string_n(&w, "text", buf_str(&text), text.len);
        json_begin_array(&w, "ids");
        for (size_t i = 0; i < ids.n; i++)
            json_put_int(&w, NULL, ids.ids[i]);
        json_end_array(&w);
    } else {
        json_put_string(&w, "error", error.text);
    }
    json_end_object(&w);
    puts(buf_str(&line));
    token_list_release(&ids);
    buf_release(&text);
    buf_release(&line);
}

int main(int argc, char **argv)
{
    struct rag_error error = {RAG_OK, ""};
    struct model m = {.file = NULL};
    struct chat_template_source source = {.name = NULL};
    struct chat_template *c = NULL;
    char *line = malloc(LINE_BYTES_MAX);
    enum rag_status status = RAG_EINVAL;

    if (argc < 2 || !line) {
        fprintf(stderr, "usage: render_chats DIR|FILE.gguf [TEMPLATE] <conversations\n");
        free(line);
        return 2;
    }
    status = open_model(argv[1], argc > 2 ? argv[2] : NULL, &m, &error);
    source.text = m.text;
    source.n_bytes = m.n_text;
    if (status == RAG_OK)
        status = chat_template_open(&source, m.tokenizer, &c, &error);
    if (status != RAG_OK)
        fprintf(stderr, "%s\n", error.text);
    else
        fprintf(stderr, "%s\n", chat_template_name(c));
    while (status == RAG_OK && fgets(line, LINE_BYTES_MAX, stdin)) {
        struct json *root = NULL;

        status = json_parse(line, strcspn(line, "\n"), "line", &root, &error);
        if (status == RAG_OK)
            print_chat(c, root);
        else
            fprintf(stderr, "%s\n", error.text);
        json_free(root);
    }
    chat_template_close(c);
    tokenizer_close(m.tokenizer);
    gguf_close(m.file);
    free(m.text);
    free(line);
    return status == RAG_OK ? 0 : 1;
}
