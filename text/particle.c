#include "text/particle.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "text/char_class.h"

enum ending { ENDS_UNKNOWN, ENDS_VOWEL, ENDS_CONSONANT, ENDS_L };

/* How a character sounds at its end. */
static enum ending ending_of(uint32_t c)
{
    /* 영 일 이 삼 사 오 육 칠 팔 구 */
    static const uint8_t digits[10] = {ENDS_CONSONANT, ENDS_L,     ENDS_VOWEL,     ENDS_CONSONANT,
                                       ENDS_VOWEL,     ENDS_VOWEL, ENDS_CONSONANT, ENDS_L,
                                       ENDS_L,         ENDS_VOWEL};

    if (char_is_hangul(c)) {
        uint32_t final = char_final(c);

        return final == 0 ? ENDS_VOWEL : final == 8 ? ENDS_L : ENDS_CONSONANT;
    }
    if (c >= '0' && c <= '9')
        return (enum ending)digits[c - '0'];
    if (c >= 'A' && c <= 'Z')
        c += 32;
    if (c >= 'a' && c <= 'z') {
        if (c == 'l' || c == 'r')
            return ENDS_L;
        return c == 'm' || c == 'n' ? ENDS_CONSONANT : ENDS_VOWEL;
    }
    return c == '%' ? ENDS_VOWEL : ENDS_UNKNOWN;
}

const char *particle_after(enum particle particle, const char *word, size_t n)
{
    static const char *const forms[][3] = {
        [PARTICLE_SUBJECT] = {"이(가)", "가", "이"   },
          [PARTICLE_TOPIC] = {"은(는)", "는", "은"   },
        [PARTICLE_OBJECT] = {"을(를)", "를", "을"   },
          [PARTICLE_AND] = {"과(와)", "와", "과"   },
        [PARTICLE_BY] = {"(으)로", "로", "으로"},
    };
    enum ending ending = ENDS_UNKNOWN;

    while (n > 0 && ending == ENDS_UNKNOWN) {
        size_t start = utf8_floor(word, n, n - 1);
        uint32_t c = utf8_decode(word + start, NULL);

        ending = ending_of(c);
        if (char_is_word(c))
            break;
        n = start;
    }
    if (ending == ENDS_UNKNOWN)
        return forms[particle][0];
    if (ending == ENDS_L)
        return forms[particle][particle == PARTICLE_BY ? 1 : 2];
    return forms[particle][ending == ENDS_VOWEL ? 1 : 2];
}
