#include "text/question_focus.h"

#include <string.h>

#include "base/utf8.h"
#include "text/char_class.h"

struct focus {
    const char *end; /* what the noun ends with */
    uint8_t kind;
    const char *unit;
};

static const struct focus nouns[] = {
    {"사람",       ANSWER_PERSON,     ""   },
    {"인물",       ANSWER_PERSON,     ""   },
    {"감독",       ANSWER_PERSON,     ""   },
    {"작가",       ANSWER_PERSON,     ""   },
    {"배우",       ANSWER_PERSON,     ""   },
    {"가수",       ANSWER_PERSON,     ""   },
    {"선수",       ANSWER_PERSON,     ""   },
    {"대통령",    ANSWER_PERSON,     ""   },
    {"장군",       ANSWER_PERSON,     ""   },
    {"저자",       ANSWER_PERSON,     ""   },
    {"회장",       ANSWER_PERSON,     ""   },
    {"사장",       ANSWER_PERSON,     ""   },
    {"대표",       ANSWER_PERSON,     ""   },
    {"대표이사", ANSWER_PERSON,     ""   },
    {"의장",       ANSWER_PERSON,     ""   },
    {"총리",       ANSWER_PERSON,     ""   },
    {"장관",       ANSWER_PERSON,     ""   },
    {"교수",       ANSWER_PERSON,     ""   },
    {"박사",       ANSWER_PERSON,     ""   },
    {"화가",       ANSWER_PERSON,     ""   },
    {"작곡가",    ANSWER_PERSON,     ""   },
    {"시인",       ANSWER_PERSON,     ""   },
    {"소설가",    ANSWER_PERSON,     ""   },
    {"학자",       ANSWER_PERSON,     ""   },
    {"아버지",    ANSWER_PERSON,     ""   },
    {"어머니",    ANSWER_PERSON,     ""   },
    {"아들",       ANSWER_PERSON,     ""   },
    {"남편",       ANSWER_PERSON,     ""   },
    {"아내",       ANSWER_PERSON,     ""   },
    {"제자",       ANSWER_PERSON,     ""   },
    {"스승",       ANSWER_PERSON,     ""   },
    {"후보",       ANSWER_PERSON,     ""   },
    {"담당자",    ANSWER_PERSON,     ""   },
    {"책임자",    ANSWER_PERSON,     ""   },
    {"관리자",    ANSWER_PERSON,     ""   },
    {"작성자",    ANSWER_PERSON,     ""   },
    {"창립자",    ANSWER_PERSON,     ""   },
    {"설립자",    ANSWER_PERSON,     ""   },
    {"창시자",    ANSWER_PERSON,     ""   },
    {"건축가",    ANSWER_PERSON,     ""   },
    {"의원",       ANSWER_PERSON,     ""   },
    {"위원장",    ANSWER_PERSON,     ""   },
    {"부장",       ANSWER_PERSON,     ""   },
    {"팀장",       ANSWER_PERSON,     ""   },
    {"원장",       ANSWER_PERSON,     ""   },
    {"소장",       ANSWER_PERSON,     ""   },
    {"관장",       ANSWER_PERSON,     ""   },
    {"국왕",       ANSWER_PERSON,     ""   },
    {"황제",       ANSWER_PERSON,     ""   },
    {"왕비",       ANSWER_PERSON,     ""   },
    {"주인공",    ANSWER_PERSON,     ""   },
    {"기자",       ANSWER_PERSON,     ""   },
    {"변호사",    ANSWER_PERSON,     ""   },
    {"교황",       ANSWER_PERSON,     ""   },
    {"사령관",    ANSWER_PERSON,     ""   },
    {"수상자",    ANSWER_PERSON,     ""   },
    {"우승자",    ANSWER_PERSON,     ""   },
    {"지휘자",    ANSWER_PERSON,     ""   },
    {"철학자",    ANSWER_PERSON,     ""   },
    {"발명가",    ANSWER_PERSON,     ""   },
    {"멤버",       ANSWER_PERSON,     ""   },
    {"임금",       ANSWER_PERSON,     ""   },
    {"나라",       ANSWER_PLACE,      ""   },
    {"국가",       ANSWER_PLACE,      ""   },
    {"도시",       ANSWER_PLACE,      ""   },
    {"지역",       ANSWER_PLACE,      ""   },
    {"장소",       ANSWER_PLACE,      ""   },
    {"곳",          ANSWER_PLACE,      ""   },
    {"수도",       ANSWER_PLACE,      ""   },
    {"지방",       ANSWER_PLACE,      ""   },
    {"위치",       ANSWER_PLACE,      ""   },
    {"주소",       ANSWER_PLACE,      ""   },
    {"고향",       ANSWER_PLACE,      ""   },
    {"출생지",    ANSWER_PLACE,      ""   },
    {"대륙",       ANSWER_PLACE,      ""   },
    {"마을",       ANSWER_PLACE,      ""   },
    {"소재지",    ANSWER_PLACE,      ""   },
    {"날짜",       ANSWER_DATE,       ""   },
    {"연도",       ANSWER_DATE,       "년"},
    {"년도",       ANSWER_DATE,       "년"},
    {"해",          ANSWER_DATE,       "년"},
    {"시기",       ANSWER_DATE,       ""   },
    {"날",          ANSWER_DATE,       ""   },
    {"요일",       ANSWER_DATE,       ""   },
    {"생일",       ANSWER_DATE,       ""   },
    {"마감일",    ANSWER_DATE,       ""   },
    {"시작일",    ANSWER_DATE,       ""   },
    {"창립일",    ANSWER_DATE,       ""   },
    {"시행일",    ANSWER_DATE,       ""   },
    {"출시일",    ANSWER_DATE,       ""   },
    {"기념일",    ANSWER_DATE,       ""   },
    {"휴관일",    ANSWER_DATE,       ""   },
    {"휴무일",    ANSWER_DATE,       ""   },
    {"예정일",    ANSWER_DATE,       ""   },
    {"수",          ANSWER_QUANTITY,   ""   },
    {"개수",       ANSWER_QUANTITY,   "개"},
    {"횟수",       ANSWER_QUANTITY,   "회"},
    {"인원",       ANSWER_QUANTITY,   "명"},
    {"정원",       ANSWER_QUANTITY,   "명"},
    {"인구",       ANSWER_QUANTITY,   "명"},
    {"비율",       ANSWER_QUANTITY,   "%"  },
    {"득표율",    ANSWER_QUANTITY,   "%"  },
    {"점유율",    ANSWER_QUANTITY,   "%"  },
    {"시청률",    ANSWER_QUANTITY,   "%"  },
    {"금리",       ANSWER_QUANTITY,   "%"  },
    {"할인율",    ANSWER_QUANTITY,   "%"  },
    {"금액",       ANSWER_QUANTITY,   "원"},
    {"가격",       ANSWER_QUANTITY,   "원"},
    {"요금",       ANSWER_QUANTITY,   "원"},
    {"비용",       ANSWER_QUANTITY,   "원"},
    {"수수료",    ANSWER_QUANTITY,   "원"},
    {"연체료",    ANSWER_QUANTITY,   "원"},
    {"회비",       ANSWER_QUANTITY,   "원"},
    {"연봉",       ANSWER_QUANTITY,   "원"},
    {"월급",       ANSWER_QUANTITY,   "원"},
    {"봉급",       ANSWER_QUANTITY,   "원"},
    {"예산",       ANSWER_QUANTITY,   "원"},
    {"보증금",    ANSWER_QUANTITY,   "원"},
    {"값",          ANSWER_QUANTITY,   "원"},
    {"돈",          ANSWER_QUANTITY,   "원"},
    {"식비",       ANSWER_QUANTITY,   "원"},
    {"매출",       ANSWER_QUANTITY,   "원"},
    {"매출액",    ANSWER_QUANTITY,   "원"},
    {"지원금",    ANSWER_QUANTITY,   "원"},
    {"벌금",       ANSWER_QUANTITY,   "원"},
    {"과태료",    ANSWER_QUANTITY,   "원"},
    {"수당",       ANSWER_QUANTITY,   "원"},
    {"면적",       ANSWER_QUANTITY,   "㎡"},
    {"넓이",       ANSWER_QUANTITY,   "㎡"},
    {"높이",       ANSWER_QUANTITY,   "m"  },
    {"길이",       ANSWER_QUANTITY,   "m"  },
    {"깊이",       ANSWER_QUANTITY,   "m"  },
    {"거리",       ANSWER_QUANTITY,   "m"  },
    {"지름",       ANSWER_QUANTITY,   "m"  },
    {"무게",       ANSWER_QUANTITY,   "kg" },
    {"중량",       ANSWER_QUANTITY,   "kg" },
    {"몸무게",    ANSWER_QUANTITY,   "kg" },
    {"체중",       ANSWER_QUANTITY,   "kg" },
    {"온도",       ANSWER_QUANTITY,   "도"},
    {"기온",       ANSWER_QUANTITY,   "도"},
    {"나이",       ANSWER_QUANTITY,   "살"},
    {"연령",       ANSWER_QUANTITY,   "세"},
    {"소음",       ANSWER_QUANTITY,   "dB" },
    {"소비전력", ANSWER_QUANTITY,   "W"  },
    {"속도",       ANSWER_QUANTITY,   ""   },
    {"점수",       ANSWER_QUANTITY,   "점"},
    {"순위",       ANSWER_QUANTITY,   "위"},
    {"용량",       ANSWER_QUANTITY,   ""   },
    {"한도",       ANSWER_QUANTITY,   ""   },
    {"기간",       ANSWER_QUANTITY,   "일"},
    {"이름",       ANSWER_NAME,       ""   },
    {"명칭",       ANSWER_NAME,       ""   },
    {"제목",       ANSWER_NAME,       ""   },
    {"별명",       ANSWER_NAME,       ""   },
    {"별칭",       ANSWER_NAME,       ""   },
    {"칭호",       ANSWER_NAME,       ""   },
    {"단어",       ANSWER_NAME,       ""   },
    {"용어",       ANSWER_NAME,       ""   },
    {"이유",       ANSWER_REASON,     ""   },
    {"원인",       ANSWER_REASON,     ""   },
    {"까닭",       ANSWER_REASON,     ""   },
    {"계기",       ANSWER_REASON,     ""   },
    {"방법",       ANSWER_METHOD,     ""   },
    {"절차",       ANSWER_METHOD,     ""   },
    {"방식",       ANSWER_METHOD,     ""   },
    {"뜻",          ANSWER_DEFINITION, ""   },
    {"의미",       ANSWER_DEFINITION, ""   },
    {"정의",       ANSWER_DEFINITION, ""   },
};

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t length = strlen(end);

    return n >= length && memcmp(s + n - length, end, length) == 0;
}

enum answer_kind focus_kind(const char *noun, size_t n, const char **ret_unit)
{
    size_t best = 0;
    enum answer_kind kind = ANSWER_ANY;

    *ret_unit = "";
    for (size_t i = 0; i < sizeof nouns / sizeof nouns[0]; i++) {
        size_t length = strlen(nouns[i].end);

        if (length <= best || !ends_with(noun, n, nouns[i].end))
            continue;
        /* One syllable is a word only by itself: 해 in 이해 and 수 in 교수 are no focus. */
        if (length == 3 && n != 3)
            continue;
        best = length;
        kind = (enum answer_kind)nouns[i].kind;
        *ret_unit = nouns[i].unit;
    }
    return kind;
}

size_t focus_stem(const char *word, size_t n)
{
    /* Longest first; 1: after a final consonant, 0: after none, 2: either. */
    static const struct {
        const char *text;
        int final;
    } particles[] = {
        {"에서는", 2},
        {"에게서", 2},
        {"으로는", 2},
        {"이라는", 2},
        {"이라고", 2},
        {"에서",    2},
        {"에게",    2},
        {"에는",    2},
        {"으로",    2},
        {"이란",    1},
        {"까지",    2},
        {"부터",    2},
        {"라는",    0},
        {"라고",    0},
        {"이나",    1},
        {"은",       1},
        {"는",       0},
        {"이",       1},
        {"가",       0},
        {"을",       1},
        {"를",       0},
        {"의",       2},
        {"에",       2},
        {"란",       0},
        {"도",       2},
        {"만",       2},
        {"와",       0},
        {"과",       1},
        {"로",       2},
    };

    for (size_t i = 0; i < sizeof particles / sizeof particles[0]; i++) {
        size_t length = strlen(particles[i].text);
        uint32_t before;

        if (n <= length || !ends_with(word, n, particles[i].text))
            continue;
        before = utf8_decode(word + utf8_floor(word, n, n - length - 1), NULL);
        if (particles[i].final == 2 || !char_is_hangul(before) ||
            (char_final(before) != 0) == (particles[i].final == 1))
            return n - length;
    }
    return n;
}

bool asks_yesno(const char *word, size_t n)
{
    static const char *const endings[] = {
        "나요", "까요", "가요", "습니까", "입니까", "합니까", "됩니까", "립니까", "ㅂ니까",
        "니까", "은가", "는가", "인가",   "한가",   "던가",   "을까",   "할까",   "될까",
        "까",   "나",   "니",   "냐",     "돼",     "돼요",   "되요",   "어요",   "아요",
        "해요", "예요", "에요", "이요",   "죠",     "지요",   "지",     "있어",   "없어",
        "해",   "가능", "여부", "는지",   "은지",   "인지",   "건가",   "거야",   "거예요",
        "거지", "야",   "어",   "아",     "줘요",   "와요",   "려요",   "져요"};

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(word, n, endings[i]))
            return true;
    return false;
}

bool is_predicate(const char *word, size_t n)
{
    /* No ending that common nouns share: 휴가는, 역할, 어머니. */
    static const char *const endings[] = {
        "나요", "까요", "가요", "어요", "아요", "해요", "에요", "예요", "세요", "니까",
        "려면", "으면", "하면", "되면", "리면", "나면", "지면", "시면", "뜨면", "이면",
        "해도", "어도", "아도", "려도", "라도", "는가", "은가", "인가", "는지", "었을",
        "았을", "했을", "됐을", "하는", "되는", "있는", "없는", "받는", "해야", "어야",
        "아야", "려야", "하고", "되고", "어서", "아서", "해서", "려고", "줘",   "하죠",
        "되죠", "이야", "거야", "는데", "돼",   "했던", "었던", "하던", "하여", "하기",
        "되기", "될",   "있어", "없어", "냐",   "된",   "했나",
    };

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(word, n, endings[i]))
            return true;
    return false;
}
