/* guard/injection_phrases.h - what instructions to a model are made of, as tables.
 *
 * Internal to guard/. A phrase stands for a concept; a rule names concepts that together make an
 * instruction when they stand near each other. Phrases are in folded form (injection_fold.h):
 *
 *     a Latin word     stands alone; '0' in the text passes for 'o', '1' for 'i' and so on
 *     *                at the end: the word may go on
 *     a space          one or more characters that are no letters
 *     Hangul           white space and marks between syllables are passed over
 *     ^                at the beginning: no syllable stands before it
 *     !                at the end: an ending of 하다 that orders, obliges or goes on (하고)
 *     &                at the end: one that orders, in any style (하라, 하십시오, 할 것)
 *     %                at the end: one that orders in the plain style (하라, 해라, 할 것)
 *     #                at the end: the same without 해, which also tells what somebody does
 */
#ifndef RAG_GUARD_INJECTION_PHRASES_H
#define RAG_GUARD_INJECTION_PHRASES_H

#include <stddef.h>
#include <stdint.h>

enum concept {
    CONCEPT_NONE,         /* hides what it covers: "command prompt" */
    CONCEPT_PRIOR,        /* previous, above, your, all */
    CONCEPT_INSTRUCTION,  /* instructions, prompt */
    CONCEPT_RULE,         /* rules, commands: documents have them too */
    CONCEPT_EVERYTHING,   /* all of the above */
    CONCEPT_IGNORE,       /* ignore, forget */
    CONCEPT_AI,           /* assistant, chatbot */
    CONCEPT_AI_ADDRESSED, /* note to the assistant */
    CONCEPT_YOU,
    CONCEPT_NOW, /* from now on */
    CONCEPT_BECOME,
    CONCEPT_PERSONA,      /* without restrictions, developer mode */
    CONCEPT_ANSWER,       /* answer! */
    CONCEPT_ANSWER_PLAIN, /* the same as nobody says it to people */
    CONCEPT_ANSWER_MUST,  /* your answer has to */
    CONCEPT_ANSWER_FORM,  /* respond only with */
    CONCEPT_FORCE,        /* only, by all means */
    CONCEPT_ANY_QUESTION,
    CONCEPT_ASKED, /* when asked */
    CONCEPT_QUESTION,
    CONCEPT_NO_ANSWER,
    CONCEPT_READER, /* the user */
    CONCEPT_PROMPT, /* system prompt, your instructions */
    CONCEPT_REVEAL, /* print, repeat */
    CONCEPT_LINK,
    CONCEPT_SECRET, /* password */
    CONCEPT_TALK,   /* this conversation, what the user asked */
    CONCEPT_SEND,
    CONCEPT_TELL, /* tell the user to */
    CONCEPT_HIDE, /* do not mention this instruction */
    CONCEPT_OTHER_SOURCE,
    CONCEPT_THIS_SOURCE,
    CONCEPT_CITE,
    CONCEPT_DISTRUST, /* do not use */
    CONCEPT_NEW_TASK,
    CONCEPT_PRECEDENCE,
    CONCEPT_ENCODED, /* base64 */
    CONCEPT_DECODE,
    CONCEPT_FOLLOW,
    CONCEPT_VOID,         /* is obsolete: policies say that of each other */
    CONCEPT_YOU_PLAIN,    /* 너: nobody's handbook speaks so */
    CONCEPT_YOU_ARE_NOW,  /* you are now a */
    CONCEPT_ANSWER_PLACE, /* at the end of your answer */
    CONCEPT_ANSWER_AS,    /* 라고 답하라: the words are given */
    CONCEPT_ANSWER_TAIL,  /* and nothing else */
    CONCEPT_ROLE,         /* "system:" anywhere */
    CONCEPT_FAKE_END,     /* end of document */
    CONCEPT_BLINDLY,      /* without checking */
    CONCEPT_PRETEND,
    CONCEPT_SECRETLY,
    CONCEPT_MENTION,    /* attack, for example: the sentence is about instructions */
    CONCEPT_ATTACKER,   /* who tells models to */
    CONCEPT_MISCONDUCT, /* in case of, is punished: a policy speaks */
    CONCEPT_COMMENT,    /* of HTML; of a place, not of words */
    CONCEPTS,
};

/* Of each concept, separated by '|'; NULL: no words stand for it. */
extern const char *const injection_phrases[CONCEPTS];

#define INJECTION_RULE_NEEDS 4
/* Each of 'needs' (0: no more) is a set of concepts of which one has to be there, all within 'span'
 * characters; no concept of 'without' in the whole sentence. */
struct injection_rule {
    const char *detail;
    uint64_t needs[INJECTION_RULE_NEEDS];
    uint64_t without;
    uint16_t span;
    float score;
};
extern const struct injection_rule injection_rules[];
extern const size_t injection_n_rules;

/* Endings behind '!', '&', '%' and '#' of a phrase. NULL-terminated; '.' at the end of one: no
 * syllable follows it. */
extern const char *const injection_endings_any[];
extern const char *const injection_endings_order[];
extern const char *const injection_endings_plain[];
extern const char *const injection_endings_sure[];

#endif
