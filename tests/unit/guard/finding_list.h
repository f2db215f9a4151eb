/* What a kind of rule reported, as one line to compare: "card 4-23; phone 30-43". */
#ifndef RAG_TESTS_FINDING_LIST_H
#define RAG_TESTS_FINDING_LIST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "guard/finding.h"

struct finding_list {
    const char *text; /* what was looked at */
    char line[4096];  /* "detail=the text; ..." */
    size_t n;
    size_t n_max; /* stop after so many; 0: never */
    uint32_t last_end;
    bool ordered;
};

static inline bool finding_list_add(void *context, const char *detail, uint32_t start, uint32_t end,
                                    float score)
{
    struct finding_list *list = context;
    size_t n = strlen(list->line);

    (void)score;
    list->ordered = (list->n == 0 || list->ordered) && start >= list->last_end;
    list->last_end = end;
    list->n++;
    snprintf(list->line + n, sizeof list->line - n, "%s%s=%.*s", n ? "; " : "", detail,
             (int)(end - start), list->text + start);
    return list->n_max == 0 || list->n < list->n_max;
}

static inline struct finding_sink finding_list_sink(struct finding_list *list, const char *text)
{
    *list = (struct finding_list){.text = text, .n_max = list->n_max};
    return (struct finding_sink){finding_list_add, list};
}

#endif
