/* generate/chat_template_internal.h - what the files generate/chat_template*.c share. */
#ifndef RAG_GENERATE_CHAT_TEMPLATE_INTERNAL_H
#define RAG_GENERATE_CHAT_TEMPLATE_INTERNAL_H

#include "generate/chat_template.h"

enum chat_format {
    CHAT_EXAONE,
    CHAT_CHATML,
    CHAT_LLAMA3,
    CHAT_GEMMA,
    CHAT_LLAMA2,
    CHAT_ZEPHYR,
};
#define CHAT_FORMATS 6

/* Control tokens: places in chat_template.ids. One format uses a part of them. */
enum chat_control {
    CONTROL_BEGIN, /* of the conversation; ID of none where the format writes none */
    CONTROL_SYSTEM,
    CONTROL_USER,
    CONTROL_ASSISTANT,
    CONTROL_OPEN,  /* of a turn */
    CONTROL_ROLE,  /* behind its role */
    CONTROL_CLOSE, /* of a turn */
    CONTROL_THINK,
    CONTROL_THOUGHT, /* the end of thoughts */
    CONTROLS,
};

#define CHAT_ID_NONE UINT32_MAX
#define CHAT_ENDS    4 /* ids that end an answer */
#define CHAT_REFUSED (CONTROLS + CHAT_ENDS + 8)

struct chat_template {
    enum chat_format format;
    const struct tokenizer *tokenizer;
    const char *names[CONTROLS]; /* as written; static; NULL: not of this format */
    uint32_t ids[CONTROLS];      /* CHAT_ID_NONE: written as text, or not of this format */
    uint32_t ends[CHAT_ENDS];
    size_t n_ends;
    uint32_t refused[CHAT_REFUSED]; /* what no text may become, whatever its flags */
    size_t n_refused;
    char *system;        /* when the conversation has none; owned; NULL: nothing then */
    bool begins;         /* ChatML: the tokenizer's beginning token goes before all */
    char *begin_name;    /* its text then; owned */
    bool empty_system;   /* EXAONE: an empty system turn when there is none */
    bool dated;          /* Llama 3.1 on: the system turn begins with two dates */
    bool think_block;    /* Qwen3: an empty thought when none is wanted */
    bool drops_thoughts; /* Qwen3: earlier answers without their thoughts */
    bool trims;          /* ChatML: messages without white space around them */
};

extern const char *const chat_format_names[CHAT_FORMATS];

/* What the model's text says beyond the format's name. RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status chat_template_details(struct chat_template *c, const char *text, size_t n,
                                      struct rag_error *reterr);
/* RAG_EFORMAT: none of the formats. */
enum rag_status chat_template_recognise(const char *text, size_t n, enum chat_format *ret,
                                        struct rag_error *reterr);

#endif
