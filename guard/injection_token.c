/* Control tokens and role markers of chat templates (generate/chat_template.h), and their kin. */
#define _GNU_SOURCE
#include <string.h>

#include "base/utf8.h"
#include "guard/injection.h"
#include "guard/injection_fold.h"
#include "guard/injection_internal.h"
#include "text/char_class.h"

/* Between their brackets, in folded form, spaces left out. What stands between bars (<|name|>,
 * [|name|]) is a token whatever its name. */
static const char *const tokens[] = {
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
    "<s>",
    "</s>",
    "[inst]",
    "[/inst]",
    "<<sys>>",
    "<</sys>>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
    "[system_prompt]",
    "[/system_prompt]",
    "[available_tools]",
    "[tool_calls]",
    "<passage>",
    "</passage>",
    "</context>",
    "</documents>",
    "</passages>",
    "<system>",
    "</system>",
    "<assistant>",
    "</assistant>",
    "<unk>",
    "<|endoftext|>",
};

/* At the beginning of a line. */
static const char *const roles[] = {
    "###system:",
    "###system ",
    "###instruction:",
    "###instructions:",
    "###response:",
    "###assistant:",
    "###user:",
    "###human:",
    "###input:",
    "###지시사항:",
    "[system]",
    "[assistant]",
    "[systemmessage]",
    "[systemprompt]",
    "[시스템]",
    "[시스템메시지]",
    "[시스템프롬프트]",
    "[시스템지시]",
    "[어시스턴트]",
    "systemprompt:",
    "시스템프롬프트:",
    "시스템지시:",
    "assistant:",
    "어시스턴트:",
    "systemmessage:",
    "\"role\":\"system\"",
    "\"role\":\"assistant\"",
    "\"role\":\"user\"",
    "{\"role\":\"system\"",
    "(system)",
    "system>",
    "assistant>",
    "ai어시스턴트:",
    "systeminstruction:",
    "beginsystemprompt",
    "system_prompt:",
    "newsystemprompt:",
};

/* The end of a name in the window, white space left out; 0: it is not there. */
static size_t match_name(const struct injection_window *w, size_t i, const char *name)
{
    size_t spaces = 0;

    for (size_t step; *name; name += step) {
        uint32_t c = utf8_decode(name, &step);

        while (i < w->n && w->chars[i] == ' ' && c != ' ' && spaces < INJECTION_MARKS_MAX) {
            i++;
            spaces++;
        }
        if (i >= w->n || w->chars[i] != c)
            return 0;
        i++;
    }
    return i;
}

/* <|name|> and [|name|]: a name of letters, digits, '_', '-' and spaces. */
static size_t match_barred(const struct injection_window *w, size_t at)
{
    uint32_t close = w->chars[at] == '<' ? '>' : ']';
    size_t i = at + 1;
    size_t letters = 0;

    if (w->chars[at] != '<' && w->chars[at] != '[')
        return 0;
    while (i < w->n && w->chars[i] == ' ')
        i++;
    if (i >= w->n || w->chars[i] != '|')
        return 0;
    for (i++; i < w->n && i - at < INJECTION_TOKEN_CHARS_MAX; i++) {
        uint32_t c = w->chars[i];

        if (c == '|')
            break;
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-' &&
            c != ' ' && c != '/' && c != 0x2581 && !char_is_hangul(c))
            return 0;
        letters += c != ' ';
    }
    if (i >= w->n || w->chars[i] != '|' || letters == 0)
        return 0;
    for (i++; i < w->n && w->chars[i] == ' ';)
        i++;
    return i < w->n && w->chars[i] == close ? i + 1 : 0;
}

size_t injection_token(const struct injection_window *w, size_t i, const char **ret_detail)
{
    size_t end = match_barred(w, i);

    *ret_detail = "control_token";
    for (size_t k = 0; end == 0 && k < sizeof tokens / sizeof tokens[0]; k++)
        if ((unsigned char)tokens[k][0] == w->chars[i])
            end = match_name(w, i, tokens[k]);
    if (end != 0 || !(w->flags[i] & WINDOW_LINE))
        return end;
    *ret_detail = "role";
    for (size_t k = 0; end == 0 && k < sizeof roles / sizeof roles[0]; k++)
        end = match_name(w, i, roles[k]);
    return end;
}

/* ---- making them harmless ---- */

struct neutraliser {
    const char *text;
    size_t done; /* bytes written */
    struct buf *out;
};

/* Of a control token: brackets and bars become the forms U+FF1C and so on, for which no tokenizer
 * has a control token, and what nobody sees goes. */
static bool widen(void *context, const char *detail, uint32_t start, uint32_t end, float score)
{
    struct neutraliser *t = context;
    size_t step;

    (void)detail;
    (void)score;
    buf_append(t->out, t->text + t->done, start - t->done);
    for (size_t i = start; i < end; i += step) {
        uint32_t folded = injection_fold(utf8_decode(t->text + i, &step));
        char wide[4];

        if (folded == '<' || folded == '>' || folded == '[' || folded == ']' || folded == '|')
            buf_append(t->out, wide, utf8_encode(folded + 0xFEE0, wide));
        else if (folded != 0)
            buf_append(t->out, t->text + i, step);
    }
    t->done = end;
    return true;
}

enum rag_status injection_neutralise(const char *text, size_t n, struct buf *out)
{
    struct neutraliser t = {.text = text, .out = out};
    const struct finding_sink sink = {widen, &t};

    injection_scan(text, n, INJECTION_TOKENS, NULL, &sink);
    buf_append(out, text + t.done, n - t.done);
    return buf_status(out);
}
