#define _GNU_SOURCE /* memmem */
/* Which format a Jinja text writes, and with which of its variants: by strings that all known texts
 * of a format have and no others. The text is a program that is never run. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "generate/chat_template_internal.h"
#include "nn/mapped_file.h"
#include "nn/model_files.h"

const char *const chat_format_names[CHAT_FORMATS] = {"exaone", "chatml", "llama3",
                                                     "gemma",  "llama2", "zephyr"};

#define FEATURES_MAX 4

static const struct {
    enum chat_format format;
    const char *all[FEATURES_MAX];  /* of these, and */
    const char *none[FEATURES_MAX]; /* none of these */
} features[] = {
  /* EXAONE 4 has tools and writes roles otherwise; EXAONE Deep begins with <thought> */
    {CHAT_EXAONE, {"[|endofturn|]", "[|assistant|]"},            {"[|tool|]", "<thought>", "<think>"}     },
    {CHAT_CHATML, {"<|im_start|>", "<|im_end|>"},                {"<|im_sep|>", "[INST]", "<|im_middle|>"}},
    {CHAT_LLAMA3,
     {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
     {"<|im_start|>", "<|reserved_special_token"}                                                         },
    {CHAT_GEMMA,  {"<start_of_turn>", "<end_of_turn>"},          {"<|im_start|>"}                         },
    {CHAT_LLAMA2, {"[INST]", "[/INST]", "<<SYS>>"},              {"[AVAILABLE_TOOLS]", "<|im_start|>"}    },
 /* Phi 3 has <|end|>, StableLM and others another end */
    {CHAT_ZEPHYR,
     {"<|user|>", "<|assistant|>", "eos_token"},
     {"<|end|>", "<|im_start|>", "<|observation|>", "<|endoftext|>"}                                      },
};

static const char *find(const char *text, size_t n, const char *what)
{
    return memmem(text, n, what, strlen(what));
}

static bool has_features(size_t i, const char *text, size_t n)
{
    for (size_t k = 0; k < FEATURES_MAX; k++) {
        if (features[i].all[k] && !find(text, n, features[i].all[k]))
            return false;
        if (features[i].none[k] && find(text, n, features[i].none[k]))
            return false;
    }
    return true;
}

enum rag_status chat_template_recognise(const char *text, size_t n, enum chat_format *ret,
                                        struct rag_error *reterr)
{
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (has_features(i, text, n)) {
            *ret = features[i].format;
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "chat template: the model's is none of exaone, chatml, llama3, gemma, llama2, "
                    "zephyr; if it was trained with one of them, name it (chat_template = NAME in "
                    "ragd.conf, --chat-template NAME)");
}

/* ---- details ---- */

/* The character of a Jinja string literal at s[0, n): *ret_n bytes of it. 0: the literal ends. */
static char literal_char(const char *s, size_t n, size_t *ret_n)
{
    *ret_n = 1;
    if (s[0] == '\\' && n > 1) {
        *ret_n = 2;
        return s[1] == 'n' ? '\n' : s[1] == 't' ? '\t' : s[1];
    }
    return s[0] == '\'' || s[0] == '"' ? '\0' : s[0];
}

/* A literal '<|im_start|>system\n...<|im_end|>' is what a conversation without system begins with.
 */
static enum rag_status default_system(struct chat_template *c, const char *text, size_t n,
                                      struct rag_error *reterr)
{
    static const char head[] = "<|im_start|>system";
    static const char tail[] = "<|im_end|>";
    const char *end = text + n;
    enum rag_status status = RAG_OK;
    struct buf b;

    buf_init(&b, CHAT_SYSTEM_BYTES_MAX);
    for (const char *p = text;
         !c->system && status == RAG_OK && (p = find(p, (size_t)(end - p), head));) {
        size_t step = 1;
        char first;

        p += sizeof head - 1;
        first = p < end ? literal_char(p, (size_t)(end - p), &step) : '\0';
        if (first != '\n')
            continue;
        buf_reset(&b);
        for (p += step; p < end && buf_status(&b) == RAG_OK; p += step) {
            char ch = literal_char(p, (size_t)(end - p), &step);

            if (ch == '\0')
                break;
            if ((size_t)(end - p) >= sizeof tail - 1 && memcmp(p, tail, sizeof tail - 1) == 0) {
                c->system = strndup(buf_str(&b), b.len);
                status = c->system ? RAG_OK : RAG_ENOMEM;
                break;
            }
            buf_append_char(&b, ch);
        }
        if (buf_status(&b) == RAG_ENOMEM)
            status = RAG_ENOMEM;
    }
    buf_release(&b);
    return status == RAG_OK ? RAG_OK : rag_fail(reterr, status, "chat template: out of memory");
}

enum rag_status chat_template_details(struct chat_template *c, const char *text, size_t n,
                                      struct rag_error *reterr)
{
    switch (c->format) {
    case CHAT_EXAONE:
        c->empty_system = find(text, n, "[|system|][|endofturn|]") != NULL;
        return RAG_OK;
    case CHAT_CHATML:
        c->begins = find(text, n, "bos_token") != NULL;
        c->think_block = find(text, n, "enable_thinking") != NULL;
        c->drops_thoughts = find(text, n, "split('</think>')") != NULL;
        c->trims = find(text, n, "['content'] | trim") || find(text, n, "['content']|trim") ||
                   find(text, n, ".content | trim") || find(text, n, ".content|trim");
        return default_system(c, text, n, reterr);
    case CHAT_LLAMA3:
        c->dated = find(text, n, "Cutting Knowledge Date: ") != NULL;
        return RAG_OK;
    default:
        return RAG_OK;
    }
}

/* ---- where the text is ---- */

static enum rag_status copy_text(const char *text, size_t n, const char *where, char **ret,
                                 size_t *ret_n, struct rag_error *reterr)
{
    char *p;

    if (n > CHAT_TEMPLATE_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "chat template '%.300s': %zu bytes, the limit is %u",
                        where, n, CHAT_TEMPLATE_BYTES_MAX);
    p = malloc(n + 1);
    if (!p)
        return rag_fail(reterr, RAG_ENOMEM, "chat template: out of memory");
    memcpy(p, text, n);
    p[n] = '\0';
    *ret = p;
    *ret_n = n;
    return RAG_OK;
}

/* transformers writes newer templates into a file of their own, which then counts. */
static enum rag_status jinja_file(const char *dir, char **ret, size_t *ret_n,
                                  struct rag_error *reterr)
{
    struct mapped_file *f = NULL;
    enum rag_status status;
    struct buf path;

    buf_init(&path, HUB_NAME_BYTES_MAX + 4096);
    buf_printf(&path, "%s/chat_template.jinja", dir);
    status = buf_status(&path);
    if (status != RAG_OK)
        status = rag_fail(reterr, status, "chat template '%.200s...': path too long", dir);
    else
        status = mapped_file_open(buf_str(&path), &f, reterr);
    if (status == RAG_OK)
        status = copy_text((const char *)mapped_file_data(f), mapped_file_size(f), buf_str(&path),
                           ret, ret_n, reterr);
    mapped_file_close(f);
    buf_release(&path);
    return status;
}

/* A string, or of a list of {"name","template"} the one named "default". */
static const char *text_of_config(const struct json *config)
{
    const struct json *node = json_member(config, "chat_template");

    if (!json_is_array(node))
        return json_string(node);
    for (node = json_first(node); node; node = json_next(node)) {
        const char *name = json_string(json_member(node, "name"));

        if (name && strcmp(name, "default") == 0)
            return json_string(json_member(node, "template"));
    }
    return NULL;
}

enum rag_status chat_template_text_of_dir(const char *dir, char **ret, size_t *ret_n,
                                          struct rag_error *reterr)
{
    struct json *config = NULL;
    enum rag_status status = jinja_file(dir, ret, ret_n, reterr);
    const char *text;

    if (status != RAG_ENOTFOUND)
        return status;
    status = model_json(dir, "tokenizer_config.json", &config, reterr);
    if (status != RAG_OK)
        return status;
    text = text_of_config(config);
    if (text)
        status = copy_text(text, strlen(text), dir, ret, ret_n, reterr);
    else
        status = rag_fail(reterr, RAG_ENOTFOUND,
                          "chat template: neither chat_template.jinja nor \"chat_template\" in "
                          "tokenizer_config.json of '%.200s'",
                          dir);
    json_free(config);
    return status;
}

enum rag_status chat_template_text_of_gguf(const struct gguf *g, char **ret, size_t *ret_n,
                                           struct rag_error *reterr)
{
    struct gguf_string s;
    enum rag_status status = gguf_get_string(g, "tokenizer.chat_template", &s, reterr);

    return status == RAG_OK ? copy_text(s.text, s.n_bytes, gguf_path(g), ret, ret_n, reterr)
                            : status;
}
