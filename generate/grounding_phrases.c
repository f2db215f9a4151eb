#define _GNU_SOURCE /* memmem */
#include "generate/grounding_phrases.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "generate/word_list.h"
#include "text/char_class.h"

#define ANNOUNCING_WORDS_MAX 12

/* Without regard to the case of Latin letters. */
static bool occurs_any(const char *s, size_t n, const char *const *list)
{
    for (; *list; list++) {
        size_t bytes = strlen(*list);

        for (size_t i = 0; i + bytes <= n; i++)
            if (strncasecmp(s + i, *list, bytes) == 0)
                return true;
    }
    return false;
}

enum refusal_phrase phrase_refusal(const char *s, size_t n)
{
    static const char *const lacks[] = {
        "찾을 수 없",       "찾지 못",         "답할 수 없",       "답변할 수 없",
        "답변드릴 수 없",   "답을 드릴 수 없", "확인할 수 없",     "확인되지 않",
        "나와 있지 않",     "나와있지 않",     "나오지 않",        "언급되어 있지 않",
        "언급되지 않",      "언급하지 않",     "언급하고 있지 않", "언급이 없",
        "포함되어 있지 않", "포함되지 않",     "포함하고 있지 않", "명시되어 있지 않",
        "명시되지 않",      "적혀 있지 않",    "제공되지 않",      "정보가 없",
        "정보는 없",        "내용이 없",       "내용은 없",        "알 수 없",
        "제공하지 않",      "다루지 않",       "not mention",      "n't mention",
        "not contain",      "n't contain",     "not provide",      "n't provide",
        "not include",      "n't include",     "not specif",       "n't specif",
        "not state",        "n't state",       "not answer",       "n't answer",
        "not find",         "n't find",        "no information",   "no mention",
        "unable to",        "not available",   "not discuss",      "not covered",
        "not given",        "not in the",      "insufficient",     NULL};
    static const char *const sources[] = {"자료",     "문서",   "제공된",  "주어진",   "본문",
                                          "지문",     "텍스트", "passage", "document", "context",
                                          "provided", "text",   "source",  NULL};
    static const char *const vague[] = {"알 수 없",        "모르겠",       "잘 모릅",
                                        "답을 찾을 수 없", "답변할 수 없", "답할 수 없",
                                        "답변드릴 수 없",  "죄송합니다",   "정보가 없",
                                        "정보는 없",       "don't know",   "do not know",
                                        "cannot answer",   "can't answer", "no information",
                                        "not mentioned",   "sorry",        NULL};

    if (occurs_any(s, n, lacks) && occurs_any(s, n, sources))
        return REFUSAL_SURE;
    return occurs_any(s, n, vague) ? REFUSAL_MAYBE : REFUSAL_NONE;
}

static bool is_announcing_word(const char *word, size_t n)
{
    /* Korean ones are beginnings of words, English ones whole words. */
    static const char *const words[] = {
        "다음",     "같습니",  "같이",      "아래",     "위",        "위의",      "질문",
        "답변",     "답은",    "답",        "답입",     "대한",      "대해",      "따르",
        "따라",     "자료",    "문서",      "제공",     "주어진",    "기반",      "바탕",
        "근거",     "내용",    "정리",      "요약",     "하면",      "하겠",      "드리",
        "드립",     "알려",    "말씀",      "설명",     "네",        "예",        "아니요",
        "아니오",   "물론",    "감사",      "안녕",     "도움",      "되었",      "되시",
        "되길",     "바랍",    "입니다",    "합니다",   "있습니다",  "이",        "더",
        "궁금",     "점이",    "있으",      "언제든",   "문의",      "주세요",    "주십",
        "하시",     "해",      "here",      "is",       "are",       "the",       "answer",
        "answers",  "to",      "your",      "question", "based",     "on",        "according",
        "passages", "passage", "provided",  "follows",  "as",        "following", "yes",
        "no",       "sure",    "certainly", "of",       "course",    "in",        "summary",
        "i",        "hope",    "this",      "helps",    "documents", "document",  "below",
        "these",    "from",    "given",     "it",       "and",       NULL};

    return word_list_has_stem(word, n, words);
}

bool phrase_announces(const char *s, size_t n)
{
    size_t n_words = 0;
    size_t i = 0;

    while (i < n) {
        size_t start;
        size_t step;

        while (i < n && !char_is_word(utf8_decode(s + i, &step)))
            i += step;
        start = i;
        while (i < n && char_is_word(utf8_decode(s + i, &step)))
            i += step;
        if (i > start &&
            (!is_announcing_word(s + start, i - start) || ++n_words > ANNOUNCING_WORDS_MAX))
            return false;
    }
    return true;
}

bool phrase_instructs(const char *s, size_t n)
{
    static const char *const phrases[] = {"지시를 무시",
                                          "지시는 무시",
                                          "지시사항을 무시",
                                          "지시 사항을 무시",
                                          "명령을 무시",
                                          "규칙을 무시",
                                          "시스템 프롬프트",
                                          "ignore previous",
                                          "ignore all",
                                          "ignore the above",
                                          "ignore your",
                                          "disregard previous",
                                          "disregard all",
                                          "disregard the above",
                                          "system prompt",
                                          "previous instructions",
                                          NULL};

    return occurs_any(s, n, phrases);
}
