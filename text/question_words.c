#include "text/question_words.h"

#include <string.h>

#include "base/utf8.h"

enum fit {
    PREFIX, /* the word begins so: 무엇인가, 누구의 */
    EXACT,
};

struct weighted_word {
    const char *text;
    uint8_t fit;
    float weight;
};

#define ASKING 0.05f /* never stands beside the answer for its own sake */
#define EMPTY  0.1f
#define FOCUS  0.45f /* the kind of thing asked for: may or may not be written */

static const struct weighted_word words[] = {
    {"누구",       PREFIX, ASKING},
    {"누가",       PREFIX, ASKING},
    {"누군",       PREFIX, ASKING},
    {"무엇",       PREFIX, ASKING},
    {"무슨",       EXACT,  ASKING},
    {"무얼",       PREFIX, ASKING},
    {"뭐",          PREFIX, ASKING},
    {"뭔",          PREFIX, ASKING},
    {"뭘",          PREFIX, ASKING},
    {"어디",       PREFIX, ASKING},
    {"어느",       EXACT,  ASKING},
    {"언제",       PREFIX, ASKING},
    {"얼마",       PREFIX, ASKING},
    {"몇",          PREFIX, ASKING},
    {"며칠",       PREFIX, ASKING},
    {"어떤",       EXACT,  ASKING},
    {"어떻게",    PREFIX, ASKING},
    {"어떠",       PREFIX, ASKING},
    {"어땠",       PREFIX, ASKING},
    {"왜",          PREFIX, ASKING},
    {"어째서",    PREFIX, ASKING},
    {"하는가",    EXACT,  EMPTY },
    {"하나요",    EXACT,  EMPTY },
    {"했는가",    EXACT,  EMPTY },
    {"했나요",    EXACT,  EMPTY },
    {"하는지",    EXACT,  EMPTY },
    {"되는가",    EXACT,  EMPTY },
    {"되나요",    EXACT,  EMPTY },
    {"됐나요",    EXACT,  EMPTY },
    {"인가",       EXACT,  EMPTY },
    {"인가요",    EXACT,  EMPTY },
    {"입니까",    EXACT,  EMPTY },
    {"합니까",    EXACT,  EMPTY },
    {"있는가",    EXACT,  EMPTY },
    {"있나요",    EXACT,  EMPTY },
    {"있습니까", EXACT,  EMPTY },
    {"알려",       PREFIX, EMPTY },
    {"말해",       PREFIX, EMPTY },
    {"가르쳐",    PREFIX, EMPTY },
    {"설명해",    PREFIX, EMPTY },
    {"찾아줘",    EXACT,  EMPTY },
    {"궁금",       PREFIX, EMPTY },
    {"주세요",    EXACT,  EMPTY },
    {"줘",          EXACT,  EMPTY },
    {"줘요",       EXACT,  EMPTY },
    {"줄래",       PREFIX, EMPTY },
    {"싶어",       PREFIX, EMPTY },
    {"싶은데",    PREFIX, EMPTY },
    {"불리는가", EXACT,  EMPTY },
    {"부르는가", EXACT,  EMPTY },
    {"하는",       EXACT,  EMPTY },
    {"하는데",    EXACT,  EMPTY },
    {"한",          EXACT,  EMPTY },
    {"할",          EXACT,  EMPTY },
    {"된",          EXACT,  EMPTY },
    {"되는",       EXACT,  EMPTY },
    {"있는",       EXACT,  EMPTY },
    {"있던",       EXACT,  EMPTY },
    {"것",          EXACT,  EMPTY },
    {"것은",       EXACT,  EMPTY },
    {"것이",       EXACT,  EMPTY },
    {"것을",       EXACT,  EMPTY },
    {"것인가",    EXACT,  EMPTY },
    {"건가요",    EXACT,  EMPTY },
    {"수",          EXACT,  EMPTY },
    {"때",          EXACT,  EMPTY },
    {"때는",       EXACT,  EMPTY },
    {"등",          EXACT,  EMPTY },
    {"및",          EXACT,  EMPTY },
    {"또는",       EXACT,  EMPTY },
    {"그",          EXACT,  EMPTY },
    {"이",          EXACT,  EMPTY },
    {"저",          EXACT,  EMPTY },
    {"대한",       EXACT,  EMPTY },
    {"대해",       EXACT,  EMPTY },
    {"대해서",    EXACT,  EMPTY },
    {"관한",       EXACT,  EMPTY },
    {"관해",       EXACT,  EMPTY },
    {"위한",       EXACT,  EMPTY },
    {"위해",       EXACT,  EMPTY },
    {"의해",       EXACT,  EMPTY },
    {"따라",       EXACT,  EMPTY },
    {"통해",       EXACT,  EMPTY },
    {"이름",       PREFIX, FOCUS },
    {"명칭",       PREFIX, FOCUS },
    {"사람",       PREFIX, FOCUS },
    {"인물",       PREFIX, FOCUS },
    {"장소",       PREFIX, FOCUS },
    {"곳",          PREFIX, FOCUS },
    {"날짜",       PREFIX, FOCUS },
    {"날",          EXACT,  FOCUS },
    {"날은",       EXACT,  FOCUS },
    {"연도",       PREFIX, FOCUS },
    {"년도",       PREFIX, FOCUS },
    {"해는",       EXACT,  FOCUS },
    {"시기",       PREFIX, FOCUS },
    {"이유",       PREFIX, FOCUS },
    {"원인",       PREFIX, FOCUS },
    {"방법",       PREFIX, FOCUS },
    {"단어",       PREFIX, FOCUS },
    {"용어",       PREFIX, FOCUS },
    {"제목",       PREFIX, FOCUS },
    {"개수",       PREFIX, FOCUS },
    {"횟수",       PREFIX, FOCUS },
    {"숫자",       PREFIX, FOCUS },
    {"종류",       PREFIX, FOCUS },
    {"정도",       PREFIX, FOCUS },
    {"직책",       PREFIX, FOCUS },
};

float question_word_weight(const uint32_t *syllables, size_t n)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *p = words[i].text;
        size_t at = 0;

        for (size_t step; *p && at < n && utf8_decode(p, &step) == syllables[at]; at++)
            p += step;
        if (*p == '\0' && (at == n || words[i].fit == PREFIX))
            return words[i].weight;
    }
    return 1;
}
