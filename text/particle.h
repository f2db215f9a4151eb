/* text/particle.h - the form of a particle that a word takes in a message: 가 after a vowel,
 * 이 after a final consonant. Thread-safe. */
#ifndef RAG_TEXT_PARTICLE_H
#define RAG_TEXT_PARTICLE_H

#include <stddef.h>

enum particle {
    PARTICLE_SUBJECT, /* 이/가 */
    PARTICLE_TOPIC,   /* 은/는 */
    PARTICLE_OBJECT,  /* 을/를 */
    PARTICLE_AND,     /* 과/와 */
    PARTICLE_BY,      /* 으로/로 */
};

/* By how the last letter or digit of the word is read in Korean (7: 칠, M: 엠, %: 퍼센트);
 * marks behind it are passed over. "이(가)" and such when nothing readable is there. */
const char *particle_after(enum particle particle, const char *word, size_t n);

#endif
