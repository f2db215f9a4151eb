#define _POSIX_C_SOURCE 200809L
/* Writing a conversation: control tokens by their ids; between two of them one run of text, of the
 * format's own words and the messages together, because a tokenizer would join them. Runs are
 * encoded as plain text (nn/tokenizer.h), so no message can write a control token.
 *
 * Where a format's roles are words and no tokens ([INST] of Llama 2, <|user|> of TinyLlama), a
 * message that holds such a word gets a space behind the word's first character. */
#include "generate/chat_template.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "generate/chat_template_internal.h"

/* ---- formats ---- */

struct control_name {
    enum chat_control control;
    const char *name;
    bool optional; /* text where the tokenizer has no such token */
};

#define CONTROL_NAMES_MAX 6

static const struct {
    struct control_name controls[CONTROL_NAMES_MAX];
    const char *ends[CHAT_ENDS]; /* those that the tokenizer has; the first must be there */
} formats[CHAT_FORMATS] = {
    [CHAT_EXAONE] = {{{CONTROL_SYSTEM, "[|system|]", false},
                      {CONTROL_USER, "[|user|]", false},
                      {CONTROL_ASSISTANT, "[|assistant|]", false},
                      {CONTROL_CLOSE, "[|endofturn|]", false}},
                     {"[|endofturn|]"}                                                        },
    [CHAT_CHATML] = {{{CONTROL_OPEN, "<|im_start|>", false},
                      {CONTROL_CLOSE, "<|im_end|>", false},
                      {CONTROL_THINK, "<think>", true},
                      {CONTROL_THOUGHT, "</think>", true}},
                     {"<|im_end|>", "<|endoftext|>"}                                          },
    [CHAT_LLAMA3] = {{{CONTROL_BEGIN, "<|begin_of_text|>", false},
                      {CONTROL_OPEN, "<|start_header_id|>", false},
                      {CONTROL_ROLE, "<|end_header_id|>", false},
                      {CONTROL_CLOSE, "<|eot_id|>", false}},
                     {"<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"}                          },
    [CHAT_GEMMA] = {{{CONTROL_BEGIN, "<bos>", false},
                     {CONTROL_OPEN, "<start_of_turn>", false},
                     {CONTROL_CLOSE, "<end_of_turn>", false}},
                     {"<end_of_turn>", "<eos>"}                                               },
    [CHAT_LLAMA2] = {{{CONTROL_BEGIN, "<s>", false}, {CONTROL_CLOSE, "</s>", false}}, {"</s>"}},
    [CHAT_ZEPHYR] = {{{CONTROL_SYSTEM, "<|system|>", true},
                      {CONTROL_USER, "<|user|>", true},
                      {CONTROL_ASSISTANT, "<|assistant|>", true},
                      {CONTROL_CLOSE, "</s>", false}},
                     {"</s>"}                                                                 },
};

/* Words of a template that messages of its kind must not bring, whatever they are in the
 * vocabulary: the models know what they mean. */
static const char *const refused_words[] = {"<tool_call>", "</tool_call>", "<tool_response>",
                                            "</tool_response>", "<|endoftext|>"};

/* ---- opening ---- */

static void refuse(struct chat_template *c, uint32_t id)
{
    for (size_t i = 0; i < c->n_refused; i++) {
        if (c->refused[i] == id)
            return;
    }
    assert(c->n_refused < CHAT_REFUSED);
    c->refused[c->n_refused++] = id;
}

static enum rag_status find_controls(struct chat_template *c, struct rag_error *reterr)
{
    for (size_t i = 0; i < CONTROLS; i++)
        c->ids[i] = CHAT_ID_NONE;
    for (size_t i = 0; i < CONTROL_NAMES_MAX; i++) {
        const struct control_name *n = &formats[c->format].controls[i];

        if (!n->name)
            continue;
        c->names[n->control] = n->name;
        if (tokenizer_id(c->tokenizer, n->name, &c->ids[n->control]) == RAG_OK)
            refuse(c, c->ids[n->control]);
        else if (!n->optional)
            return rag_fail(reterr, RAG_EFORMAT,
                            "chat template %s: the tokenizer has no token '%s'",
                            chat_format_names[c->format], n->name);
    }
    for (size_t i = 0; i < CHAT_ENDS && formats[c->format].ends[i]; i++) {
        uint32_t id;

        if (tokenizer_id(c->tokenizer, formats[c->format].ends[i], &id) == RAG_OK) {
            c->ends[c->n_ends++] = id;
            refuse(c, id);
        }
    }
    for (size_t i = 0; i < sizeof refused_words / sizeof refused_words[0]; i++) {
        uint32_t id;

        if (tokenizer_id(c->tokenizer, refused_words[i], &id) == RAG_OK)
            refuse(c, id);
    }
    return RAG_OK;
}

/* The token that a text's "bos_token" stands for: the one that the tokenizer puts before a text, or
 * one of the usual ones. Where there is none nothing is written, as with an empty bos_token. */
static enum rag_status find_beginning(struct chat_template *c, struct rag_error *reterr)
{
    static const char *const usual[] = {"<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>"};
    const struct tokenize_options options = {.special = true};
    struct token_list list = {0};
    uint32_t id = CHAT_ID_NONE;
    size_t n = 0;
    enum rag_status status =
        tokenizer_encode(c->tokenizer, "", 0, NULL, 0, &options, &list, reterr);
    struct buf name;

    buf_init(&name, TOKENIZER_TOKEN_BYTES_MAX);
    if (status == RAG_OK && list.n > 0)
        id = list.ids[0];
    for (size_t i = 0; id == CHAT_ID_NONE && i < sizeof usual / sizeof usual[0]; i++)
        (void)tokenizer_id(c->tokenizer, usual[i], &id);
    if (status == RAG_OK && id != CHAT_ID_NONE) {
        status = tokenizer_decode(c->tokenizer, &id, 1, false, &name, reterr);
        if (status == RAG_OK)
            status = buf_take(&name, &c->begin_name, &n);
        c->names[CONTROL_BEGIN] = c->begin_name;
        c->ids[CONTROL_BEGIN] = id;
        refuse(c, id);
    }
    buf_release(&name);
    token_list_release(&list);
    return status;
}

static enum rag_status format_of_name(const char *name, enum chat_format *ret,
                                      struct rag_error *reterr)
{
    for (size_t i = 0; i < CHAT_FORMATS; i++) {
        if (strcmp(name, chat_format_names[i]) == 0) {
            *ret = (enum chat_format)i;
            return RAG_OK;
        }
    }
    return rag_fail(
        reterr, RAG_EINVAL,
        "chat template '%.64s': known are exaone, chatml, llama3, gemma, llama2, zephyr", name);
}

static enum rag_status decide_format(const struct chat_template_source *source,
                                     struct chat_template *c, struct rag_error *reterr)
{
    bool named = source->name && *source->name;
    enum chat_format of_text;
    enum rag_status status = RAG_OK;

    if (!named && !source->text)
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "chat template: the model has none; name the format that it was trained "
                        "with (chat_template = NAME in ragd.conf, --chat-template NAME): exaone, "
                        "chatml, llama3, gemma, llama2, zephyr");
    if (named) {
        status = format_of_name(source->name, &c->format, reterr);
        c->empty_system = c->format == CHAT_EXAONE;
        c->think_block = c->drops_thoughts = source->family && strcmp(source->family, "qwen3") == 0;
    } else {
        status = chat_template_recognise(source->text, source->n_bytes, &c->format, reterr);
    }
    /* a name that contradicts the text counts, and takes nothing from it */
    if (status == RAG_OK && source->text &&
        chat_template_recognise(source->text, source->n_bytes, &of_text, NULL) == RAG_OK &&
        of_text == c->format)
        status = chat_template_details(c, source->text, source->n_bytes, reterr);
    return status;
}

enum rag_status chat_template_open(const struct chat_template_source *source,
                                   const struct tokenizer *t, struct chat_template **ret,
                                   struct rag_error *reterr)
{
    struct chat_template *c = calloc(1, sizeof *c);
    enum rag_status status;

    if (!c)
        return rag_fail(reterr, RAG_ENOMEM, "chat template: out of memory");
    c->tokenizer = t;
    status = decide_format(source, c, reterr);
    if (status == RAG_OK)
        status = find_controls(c, reterr);
    if (status == RAG_OK && c->begins)
        status = find_beginning(c, reterr);
    if (status != RAG_OK) {
        chat_template_close(c);
        return status;
    }
    /* MiniMind's text speaks of thoughts, but the model has no tokens for them */
    if (c->ids[CONTROL_THINK] == CHAT_ID_NONE || c->ids[CONTROL_THOUGHT] == CHAT_ID_NONE)
        c->think_block = c->drops_thoughts = false;
    *ret = c;
    return RAG_OK;
}

void chat_template_close(struct chat_template *c)
{
    if (!c)
        return;
    free(c->system);
    free(c->begin_name);
    free(c);
}

const char *chat_template_name(const struct chat_template *c)
{
    return chat_format_names[c->format];
}

size_t chat_template_ends(const struct chat_template *c, const uint32_t **ret_ids)
{
    *ret_ids = c->ends;
    return c->n_ends;
}

/* ---- writing ---- */

/* Either ids (text NULL) or text. */
struct writer {
    const struct chat_template *c;
    struct buf *text;
    struct token_list *ids;
    struct buf run;            /* since the last control token */
    struct token_list encoded; /* the run's ids */
    enum rag_status status;    /* sticky */
    struct rag_error *reterr;
};

static void failed(struct writer *w, enum rag_status status)
{
    if (w->status == RAG_OK)
        w->status = rag_fail(w->reterr, status, "conversation: %s",
                             status == RAG_ELIMIT ? "too long" : "out of memory");
}

static void push_ids(struct writer *w, const uint32_t *ids, size_t n)
{
    struct token_list *list = w->ids;

    if (token_list_room(list, list->n + n) != RAG_OK) {
        failed(w, RAG_ENOMEM);
        return;
    }
    memcpy(list->ids + list->n, ids, n * sizeof *ids);
    memset(list->types + list->n, 0, n);
    list->n += n;
    list->n_full = list->n;
}

static void flush(struct writer *w)
{
    const struct tokenize_options options = {
        .plain = true, .refused = w->c->refused, .n_refused = w->c->n_refused};

    if (w->text || w->status != RAG_OK || w->run.len == 0)
        return;
    if (buf_status(&w->run) != RAG_OK) {
        failed(w, buf_status(&w->run));
        return;
    }
    w->status = tokenizer_encode(w->c->tokenizer, buf_str(&w->run), w->run.len, NULL, 0, &options,
                                 &w->encoded, w->reterr);
    buf_reset(&w->run);
    if (w->status == RAG_OK && w->encoded.n > 0)
        push_ids(w, w->encoded.ids, w->encoded.n);
}

static struct buf *out(struct writer *w)
{
    return w->text ? w->text : &w->run;
}

static void literal(struct writer *w, const char *text)
{
    buf_append_str(out(w), text);
}

static void control(struct writer *w, enum chat_control which)
{
    const struct chat_template *c = w->c;

    assert(c->names[which]);
    if (w->text || c->ids[which] == CHAT_ID_NONE) {
        literal(w, c->names[which]);
        return;
    }
    flush(w);
    if (w->status == RAG_OK)
        push_ids(w, &c->ids[which], 1);
}

/* ---- messages ---- */

struct span {
    const char *text;
    size_t n;
};

/* What Python's str.strip() takes away, and with it Jinja's trim. */
static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static struct span end_trimmed(struct span s)
{
    while (s.n > 0) {
        size_t at = utf8_floor(s.text, s.n, s.n - 1);

        if (utf8_sequence_bytes(s.text + at, s.n - at) == 0 ||
            !is_space(utf8_decode(s.text + at, NULL)))
            break;
        s.n = at;
    }
    return s;
}

static struct span trimmed(struct span s)
{
    size_t step;

    while (s.n > 0 && utf8_sequence_bytes(s.text, s.n) > 0 &&
           is_space(utf8_decode(s.text, &step))) {
        s.text += step;
        s.n -= step;
    }
    return end_trimmed(s);
}

static struct span without_newlines(struct span s, bool begin, bool end)
{
    while (begin && s.n > 0 && s.text[0] == '\n') {
        s.text++;
        s.n--;
    }
    while (end && s.n > 0 && s.text[s.n - 1] == '\n')
        s.n--;
    return s;
}

static struct span whole(const struct message *m)
{
    return (struct span){m->text, strlen(m->text)};
}

/* Words that stand for roles and are no tokens, by format. */
static size_t role_word(const struct chat_template *c, const char *s, size_t n)
{
    static const char *const llama2[] = {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"};
    static const char *const zephyr[] = {"<|system|>", "<|user|>", "<|assistant|>"};
    const char *const *words = c->format == CHAT_LLAMA2 ? llama2 : zephyr;
    size_t n_words = c->format == CHAT_LLAMA2   ? sizeof llama2 / sizeof llama2[0]
                     : c->format == CHAT_ZEPHYR ? sizeof zephyr / sizeof zephyr[0]
                                                : 0;

    for (size_t i = 0; i < n_words; i++) {
        size_t n_word = strlen(words[i]);

        if (n >= n_word && memcmp(s, words[i], n_word) == 0)
            return n_word;
    }
    return 0;
}

static void user_text(struct writer *w, struct span s)
{
    size_t done = 0;

    for (size_t i = 0; i < s.n; i++) {
        if ((s.text[i] != '[' && s.text[i] != '<') || role_word(w->c, s.text + i, s.n - i) == 0)
            continue;
        buf_append(out(w), s.text + done, i + 1 - done);
        buf_append_char(out(w), ' ');
        done = i + 1;
    }
    buf_append(out(w), s.text + done, s.n - done);
}

/* ---- the formats ---- */

/* [|user|] needs no end of its turn: the next role's token is one. */
static void write_exaone(struct writer *w, const struct message *messages, size_t n,
                         const struct chat_render_options *options)
{
    if (w->c->empty_system && messages[0].role != ROLE_SYSTEM) {
        control(w, CONTROL_SYSTEM);
        control(w, CONTROL_CLOSE);
        literal(w, "\n");
    }
    for (size_t i = 0; i < n; i++) {
        enum message_role role = messages[i].role;

        control(w, role == ROLE_SYSTEM ? CONTROL_SYSTEM
                   : role == ROLE_USER ? CONTROL_USER
                                       : CONTROL_ASSISTANT);
        user_text(w, whole(&messages[i]));
        if (role != ROLE_USER)
            control(w, CONTROL_CLOSE);
        literal(w, "\n");
    }
    if (options->open_answer)
        control(w, CONTROL_ASSISTANT);
}

/* s before the first, behind the last </think>. */
static bool split_thoughts(struct span s, struct span *ret_before, struct span *ret_behind)
{
    static const char mark[] = "</think>";
    size_t n_mark = sizeof mark - 1;
    bool found = false;

    for (size_t i = 0; i + n_mark <= s.n; i++) {
        if (memcmp(s.text + i, mark, n_mark) != 0)
            continue;
        if (!found)
            *ret_before = (struct span){s.text, i};
        *ret_behind = (struct span){s.text + i + n_mark, s.n - i - n_mark};
        found = true;
        i += n_mark - 1;
    }
    return found;
}

/* Behind the last <think>. */
static struct span behind_think(struct span s)
{
    static const char mark[] = "<think>";
    size_t n_mark = sizeof mark - 1;

    for (size_t i = s.n; i-- > 0;) {
        if (s.n - i >= n_mark && memcmp(s.text + i, mark, n_mark) == 0)
            return (struct span){s.text + i + n_mark, s.n - i - n_mark};
    }
    return s;
}

/* Qwen3: thoughts of earlier answers are left out, those behind the last question stay. */
static void write_thinking_answer(struct writer *w, struct span content, bool behind_question,
                                  bool last)
{
    struct span before = {"", 0};
    struct span thoughts = {"", 0};
    struct span behind;

    if (split_thoughts(content, &before, &behind)) {
        thoughts =
            without_newlines(behind_think(without_newlines(before, false, true)), true, false);
        content = without_newlines(behind, true, false);
    }
    if (behind_question && (last || thoughts.n > 0)) {
        control(w, CONTROL_THINK);
        literal(w, "\n");
        user_text(w, without_newlines(thoughts, true, true));
        literal(w, "\n");
        control(w, CONTROL_THOUGHT);
        literal(w, "\n\n");
        content = without_newlines(content, true, false);
    }
    user_text(w, content);
}

static bool is_tool_response(struct span s)
{
    static const char head[] = "<tool_response>";
    static const char tail[] = "</tool_response>";

    return s.n >= sizeof head - 1 && memcmp(s.text, head, sizeof head - 1) == 0 &&
           s.n >= sizeof tail - 1 &&
           memcmp(s.text + s.n - (sizeof tail - 1), tail, sizeof tail - 1) == 0;
}

static size_t last_question(const struct message *messages, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        if (messages[i].role == ROLE_USER && !is_tool_response(whole(&messages[i])))
            return i;
    }
    return n - 1;
}

static void write_chatml(struct writer *w, const struct message *messages, size_t n,
                         const struct chat_render_options *options)
{
    size_t question = last_question(messages, n);

    if (w->c->names[CONTROL_BEGIN])
        control(w, CONTROL_BEGIN);
    if (w->c->system && messages[0].role != ROLE_SYSTEM) {
        control(w, CONTROL_OPEN);
        literal(w, "system\n");
        literal(w, w->c->system);
        control(w, CONTROL_CLOSE);
        literal(w, "\n");
    }
    for (size_t i = 0; i < n; i++) {
        struct span content = whole(&messages[i]);

        if (w->c->trims)
            content = trimmed(content);
        control(w, CONTROL_OPEN);
        literal(w, message_role_name(messages[i].role));
        literal(w, "\n");
        if (messages[i].role == ROLE_ASSISTANT && w->c->drops_thoughts)
            write_thinking_answer(w, content, i > question, i + 1 == n);
        else
            user_text(w, content);
        control(w, CONTROL_CLOSE);
        literal(w, "\n");
    }
    if (!options->open_answer)
        return;
    control(w, CONTROL_OPEN);
    literal(w, "assistant\n");
    if (w->c->think_block && !options->thinking) {
        control(w, CONTROL_THINK);
        literal(w, "\n\n");
        control(w, CONTROL_THOUGHT);
        literal(w, "\n\n");
    }
}

static void llama3_header(struct writer *w, const char *role)
{
    control(w, CONTROL_OPEN);
    literal(w, role);
    control(w, CONTROL_ROLE);
    literal(w, "\n\n");
}

static void write_llama3(struct writer *w, const struct message *messages, size_t n,
                         const struct chat_render_options *options)
{
    size_t i = 0;

    control(w, CONTROL_BEGIN);
    if (w->c->dated) {
        llama3_header(w, "system");
        literal(w, "Cutting Knowledge Date: December 2023\nToday Date: ");
        literal(w, options->date ? options->date : "26 Jul 2024");
        literal(w, "\n\n");
        if (messages[0].role == ROLE_SYSTEM)
            user_text(w, trimmed(whole(&messages[i++])));
        control(w, CONTROL_CLOSE);
    }
    for (; i < n; i++) {
        llama3_header(w, message_role_name(messages[i].role));
        user_text(w, trimmed(whole(&messages[i])));
        control(w, CONTROL_CLOSE);
    }
    if (options->open_answer)
        llama3_header(w, "assistant");
}

/* Gemma knows no system: it goes before the first question. */
static void write_gemma(struct writer *w, const struct message *messages, size_t n,
                        const struct chat_render_options *options)
{
    size_t first = messages[0].role == ROLE_SYSTEM;

    control(w, CONTROL_BEGIN);
    for (size_t i = first; i < n; i++) {
        control(w, CONTROL_OPEN);
        literal(w, messages[i].role == ROLE_USER ? "user\n" : "model\n");
        if (i == first && first > 0) {
            user_text(w, whole(&messages[0]));
            literal(w, "\n\n");
        }
        user_text(w, trimmed(whole(&messages[i])));
        control(w, CONTROL_CLOSE);
        literal(w, "\n");
    }
    if (options->open_answer) {
        control(w, CONTROL_OPEN);
        literal(w, "model\n");
    }
}

/* An answer is open behind [/INST]: nothing begins it. */
static void write_llama2(struct writer *w, const struct message *messages, size_t n)
{
    size_t first = messages[0].role == ROLE_SYSTEM;

    for (size_t i = first; i < n; i++) {
        struct span content = trimmed(whole(&messages[i]));

        if (messages[i].role == ROLE_ASSISTANT) {
            literal(w, " ");
            user_text(w, content);
            literal(w, " ");
            control(w, CONTROL_CLOSE);
            continue;
        }
        control(w, CONTROL_BEGIN);
        literal(w, "[INST] ");
        if (i == first && first > 0) { /* trimmed together: what stands inside stays */
            literal(w, "<<SYS>>\n");
            user_text(w, whole(&messages[0]));
            literal(w, "\n<</SYS>>");
            content = end_trimmed(whole(&messages[i]));
            if (content.n > 0)
                literal(w, "\n\n");
        }
        user_text(w, content);
        literal(w, " [/INST]");
    }
}

static void write_zephyr(struct writer *w, const struct message *messages, size_t n,
                         const struct chat_render_options *options)
{
    for (size_t i = 0; i < n; i++) {
        enum message_role role = messages[i].role;

        control(w, role == ROLE_SYSTEM ? CONTROL_SYSTEM
                   : role == ROLE_USER ? CONTROL_USER
                                       : CONTROL_ASSISTANT);
        literal(w, "\n");
        user_text(w, whole(&messages[i]));
        control(w, CONTROL_CLOSE);
        literal(w, "\n");
    }
    if (options->open_answer) {
        control(w, CONTROL_ASSISTANT);
        literal(w, "\n");
    }
}

/* ---- rendering ---- */

/* System first or nowhere; Gemma and Llama 2 know only questions and answers by turns. */
static enum rag_status check_order(const struct chat_template *c, const struct message *messages,
                                   size_t n, struct rag_error *reterr)
{
    bool by_turns = c->format == CHAT_GEMMA || c->format == CHAT_LLAMA2;
    size_t first = n > 0 && messages[0].role == ROLE_SYSTEM;

    if (n == first)
        return rag_fail(reterr, RAG_EINVAL, "conversation: no message of the user");
    for (size_t i = first; i < n; i++) {
        if (messages[i].role == ROLE_SYSTEM)
            return rag_fail(reterr, RAG_EINVAL,
                            "conversation: message %zu is a system message, which can only be the "
                            "first",
                            i + 1);
        if (by_turns && (messages[i].role == ROLE_USER) != ((i - first) % 2 == 0))
            return rag_fail(reterr, RAG_EINVAL,
                            "conversation: message %zu is the %s's; a %s model takes user and "
                            "assistant by turns, the user first",
                            i + 1, message_role_name(messages[i].role),
                            chat_format_names[c->format]);
    }
    return RAG_OK;
}

static enum rag_status render(struct writer *w, const struct message *messages, size_t n,
                              const struct chat_render_options *options)
{
    w->status = check_order(w->c, messages, n, w->reterr);
    if (w->status != RAG_OK)
        return w->status;
    switch (w->c->format) {
    case CHAT_EXAONE:
        write_exaone(w, messages, n, options);
        break;
    case CHAT_CHATML:
        write_chatml(w, messages, n, options);
        break;
    case CHAT_LLAMA3:
        write_llama3(w, messages, n, options);
        break;
    case CHAT_GEMMA:
        write_gemma(w, messages, n, options);
        break;
    case CHAT_LLAMA2:
        write_llama2(w, messages, n);
        break;
    case CHAT_ZEPHYR:
        write_zephyr(w, messages, n, options);
        break;
    }
    flush(w);
    return w->status;
}

enum rag_status chat_template_render(const struct chat_template *c, const struct message *messages,
                                     size_t n, const struct chat_render_options *options,
                                     struct token_list *ret, struct rag_error *reterr)
{
    struct writer w = {.c = c, .ids = ret, .reterr = reterr};
    enum rag_status status;

    ret->n = 0;
    ret->n_full = 0;
    buf_init(&w.run, TOKENIZER_TEXT_BYTES_MAX);
    status = render(&w, messages, n, options);
    buf_release(&w.run);
    token_list_release(&w.encoded);
    if (status != RAG_OK)
        ret->n = ret->n_full = 0;
    return status;
}

enum rag_status chat_template_text(const struct chat_template *c, const struct message *messages,
                                   size_t n, const struct chat_render_options *options,
                                   struct buf *ret, struct rag_error *reterr)
{
    struct writer w = {.c = c, .text = ret, .reterr = reterr};
    enum rag_status status = render(&w, messages, n, options);

    if (status == RAG_OK && buf_status(ret) != RAG_OK)
        status = rag_fail(reterr, buf_status(ret), "conversation: too long or out of memory");
    return status;
}
