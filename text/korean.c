#include "text/korean.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define SUFFIX_CHARS_MAX 6

/* When a suffix may follow a syllable. */
enum agreement {
    ANY,
    CLOSED,       /* after a final consonant */
    OPEN,         /* after none */
    OPEN_OR_L,    /* after none or ㄹ: 로 */
    CLOSED_BUT_L, /* after one other than ㄹ: 으로 */
};

struct suffix_row {
    const char *text;
    uint8_t agreement;
    uint8_t stem_min; /* syllables that must remain */
    uint8_t shape;    /* enum stem_shape */
};

static const struct suffix_row particles[] = {
    {"은",             CLOSED,       1, STEM_SURE     },
    {"는",             ANY,          1, STEM_SURE     }, /* after a final consonant it is the ending of 먹는 */
    {"이",             CLOSED,       1, STEM_AMBIGUOUS},
    {"가",             OPEN,         1, STEM_AMBIGUOUS},
    {"을",             CLOSED,       1, STEM_SURE     },
    {"를",             OPEN,         1, STEM_SURE     },
    {"과",             CLOSED,       1, STEM_AMBIGUOUS},
    {"와",             OPEN,         2, STEM_SURE     },
    {"의",             ANY,          1, STEM_AMBIGUOUS},
    {"에",             ANY,          1, STEM_SURE     },
    {"도",             ANY,          1, STEM_AMBIGUOUS},
    {"만",             ANY,          1, STEM_AMBIGUOUS},
    {"로",             OPEN_OR_L,    1, STEM_AMBIGUOUS},
    {"으로",          CLOSED_BUT_L, 1, STEM_SURE     },
    {"에서",          ANY,          1, STEM_SURE     },
    {"에게",          ANY,          1, STEM_SURE     },
    {"에게서",       ANY,          1, STEM_SURE     },
    {"한테",          ANY,          1, STEM_SURE     },
    {"께서",          ANY,          1, STEM_SURE     },
    {"께서는",       ANY,          1, STEM_SURE     },
    {"부터",          ANY,          1, STEM_SURE     },
    {"까지",          ANY,          1, STEM_SURE     },
    {"처럼",          ANY,          1, STEM_SURE     },
    {"같은",          ANY,          2, STEM_SURE     },
    {"같이",          ANY,          2, STEM_AMBIGUOUS},
    {"보다",          ANY,          2, STEM_SURE     },
    {"마다",          ANY,          1, STEM_SURE     },
    {"마저",          ANY,          2, STEM_SURE     },
    {"조차",          ANY,          2, STEM_SURE     },
    {"밖에",          ANY,          1, STEM_SURE     },
    {"대로",          ANY,          2, STEM_AMBIGUOUS},
    {"만큼",          ANY,          1, STEM_SURE     },
    {"이나",          CLOSED,       1, STEM_SURE     },
    {"나",             OPEN,         3, STEM_AMBIGUOUS},
    {"이랑",          CLOSED,       1, STEM_SURE     },
    {"랑",             OPEN,         2, STEM_AMBIGUOUS},
    {"이란",          CLOSED,       1, STEM_SURE     },
    {"란",             OPEN,         2, STEM_AMBIGUOUS},
    {"이라",          CLOSED,       1, STEM_SURE     },
    {"이라고",       CLOSED,       1, STEM_SURE     },
    {"라고",          OPEN,         2, STEM_SURE     },
    {"이라는",       CLOSED,       1, STEM_SURE     },
    {"라는",          OPEN,         2, STEM_SURE     },
    {"이라도",       CLOSED,       1, STEM_SURE     },
    {"라도",          OPEN,         2, STEM_AMBIGUOUS},
    {"으로서",       CLOSED_BUT_L, 1, STEM_SURE     },
    {"로서",          OPEN_OR_L,    1, STEM_SURE     },
    {"으로써",       CLOSED_BUT_L, 1, STEM_SURE     },
    {"로써",          OPEN_OR_L,    1, STEM_SURE     },
    {"으로는",       CLOSED_BUT_L, 1, STEM_SURE     },
    {"로는",          OPEN_OR_L,    1, STEM_SURE     },
    {"으로도",       CLOSED_BUT_L, 1, STEM_SURE     },
    {"로도",          OPEN_OR_L,    2, STEM_SURE     },
    {"으로만",       CLOSED_BUT_L, 1, STEM_SURE     },
    {"로만",          OPEN_OR_L,    2, STEM_AMBIGUOUS},
    {"으로의",       CLOSED_BUT_L, 1, STEM_SURE     },
    {"로의",          OPEN_OR_L,    2, STEM_SURE     },
    {"으로부터",    CLOSED_BUT_L, 1, STEM_SURE     },
    {"로부터",       OPEN_OR_L,    1, STEM_SURE     },
    {"으로까지",    CLOSED_BUT_L, 1, STEM_SURE     },
    {"로까지",       OPEN_OR_L,    1, STEM_SURE     },
    {"에는",          ANY,          1, STEM_SURE     },
    {"에도",          ANY,          1, STEM_SURE     },
    {"에만",          ANY,          1, STEM_SURE     },
    {"에의",          ANY,          2, STEM_SURE     },
    {"에서는",       ANY,          1, STEM_SURE     },
    {"에서도",       ANY,          1, STEM_SURE     },
    {"에서만",       ANY,          1, STEM_SURE     },
    {"에서의",       ANY,          1, STEM_SURE     },
    {"에서부터",    ANY,          1, STEM_SURE     },
    {"에게는",       ANY,          1, STEM_SURE     },
    {"에게도",       ANY,          1, STEM_SURE     },
    {"에게만",       ANY,          1, STEM_SURE     },
    {"에대한",       ANY,          1, STEM_SURE     },
    {"과의",          CLOSED,       2, STEM_SURE     },
    {"와의",          OPEN,         1, STEM_SURE     },
    {"과는",          CLOSED,       2, STEM_SURE     },
    {"와는",          OPEN,         1, STEM_SURE     },
    {"과도",          CLOSED,       2, STEM_SURE     },
    {"와도",          OPEN,         1, STEM_SURE     },
    {"만이",          ANY,          2, STEM_AMBIGUOUS},
    {"만을",          ANY,          2, STEM_AMBIGUOUS},
    {"만의",          ANY,          2, STEM_AMBIGUOUS},
    {"만은",          ANY,          2, STEM_AMBIGUOUS},
    {"만으로",       ANY,          2, STEM_SURE     },
    {"까지의",       ANY,          1, STEM_SURE     },
    {"까지는",       ANY,          1, STEM_SURE     },
    {"까지도",       ANY,          1, STEM_SURE     },
    {"까지만",       ANY,          1, STEM_SURE     },
    {"부터의",       ANY,          1, STEM_SURE     },
    {"부터는",       ANY,          1, STEM_SURE     },
    {"보다는",       ANY,          2, STEM_SURE     },
    {"보다도",       ANY,          2, STEM_SURE     },
    {"처럼은",       ANY,          2, STEM_SURE     },
    {"마다의",       ANY,          2, STEM_SURE     },
    {"이며",          CLOSED,       1, STEM_SURE     },
    {"이고",          CLOSED,       2, STEM_SURE     },
    {"이자",          CLOSED,       2, STEM_AMBIGUOUS},
    {"이다",          CLOSED,       1, STEM_SURE     },
    {"이었다",       CLOSED,       1, STEM_SURE     },
    {"였다",          OPEN,         1, STEM_SURE     },
    {"이었던",       CLOSED,       1, STEM_SURE     },
    {"였던",          OPEN,         1, STEM_SURE     },
    {"이었으며",    CLOSED,       1, STEM_SURE     },
    {"였으며",       OPEN,         1, STEM_SURE     },
    {"이었고",       CLOSED,       1, STEM_SURE     },
    {"였고",          OPEN,         1, STEM_SURE     },
    {"이었지만",    CLOSED,       1, STEM_SURE     },
    {"였지만",       OPEN,         1, STEM_SURE     },
    {"이었는데",    CLOSED,       1, STEM_SURE     },
    {"였는데",       OPEN,         1, STEM_SURE     },
    {"이지만",       CLOSED,       1, STEM_SURE     },
    {"지만",          OPEN,         1, STEM_SURE     },
    {"이면",          CLOSED,       2, STEM_AMBIGUOUS},
    {"이면서",       CLOSED,       1, STEM_SURE     },
    {"입니다",       ANY,          1, STEM_SURE     },
    {"입니까",       ANY,          1, STEM_SURE     },
    {"인가",          ANY,          1, STEM_SURE     },
    {"인가요",       ANY,          1, STEM_SURE     },
    {"인지",          ANY,          1, STEM_SURE     },
    {"이에요",       CLOSED,       1, STEM_SURE     },
    {"예요",          OPEN,         1, STEM_SURE     },
    {"이죠",          CLOSED,       1, STEM_SURE     },
    {"일까",          ANY,          1, STEM_SURE     },
    {"일까요",       ANY,          1, STEM_SURE     },
    {"이었는가",    CLOSED,       1, STEM_SURE     },
    {"였는가",       OPEN,         1, STEM_SURE     },
    {"이었나",       CLOSED,       1, STEM_SURE     },
    {"였나",          OPEN,         1, STEM_SURE     },
    {"이라면",       CLOSED,       1, STEM_SURE     },
    {"라면",          OPEN,         2, STEM_AMBIGUOUS},
    {"이라며",       CLOSED,       1, STEM_SURE     },
    {"이든",          CLOSED,       1, STEM_SURE     },
    {"이야",          CLOSED,       2, STEM_AMBIGUOUS},
    {"엔",             ANY,          1, STEM_SURE     },
    {"에선",          ANY,          1, STEM_SURE     },
    {"에겐",          ANY,          1, STEM_SURE     },
    {"으론",          CLOSED_BUT_L, 1, STEM_SURE     },
    {"론",             OPEN_OR_L,    3, STEM_AMBIGUOUS},
    {"까진",          ANY,          1, STEM_SURE     },
    {"부턴",          ANY,          1, STEM_SURE     },
    {"보단",          ANY,          2, STEM_SURE     },
    {"께",             ANY,          2, STEM_SURE     },
    {"하고",          ANY,          1, STEM_SURE     },
    {"뿐",             ANY,          2, STEM_SURE     },
    {"뿐만",          ANY,          1, STEM_SURE     },
    {"뿐이다",       ANY,          1, STEM_SURE     },
    {"씩",             ANY,          1, STEM_SURE     },
    {"쯤",             ANY,          1, STEM_SURE     },
    {"이라던",       CLOSED,       1, STEM_SURE     },
    {"인데",          ANY,          1, STEM_SURE     },
    {"인데요",       ANY,          1, STEM_SURE     },
    {"이었어",       CLOSED,       1, STEM_SURE     },
    {"이었어요",    CLOSED,       1, STEM_SURE     },
    {"였어",          OPEN,         1, STEM_SURE     },
    {"였어요",       OPEN,         1, STEM_SURE     },
    {"이었을까",    CLOSED,       1, STEM_SURE     },
    {"였을까",       OPEN,         1, STEM_SURE     },
    {"이었습니까", CLOSED,       1, STEM_SURE     },
    {"였습니까",    OPEN,         1, STEM_SURE     },
    {"이었습니다", CLOSED,       1, STEM_SURE     },
    {"였습니다",    OPEN,         1, STEM_SURE     },
    {"야",             OPEN,         3, STEM_AMBIGUOUS},
    {"이냐",          CLOSED,       1, STEM_SURE     },
    {"인지를",       ANY,          1, STEM_SURE     },
    {"에대해",       ANY,          1, STEM_SURE     },
    {"에서와",       ANY,          1, STEM_SURE     },
    {"에게로",       ANY,          1, STEM_SURE     },
    {"이기도",       CLOSED,       1, STEM_SURE     },
    {"이기에",       CLOSED,       1, STEM_SURE     },
    {"이어서",       CLOSED,       1, STEM_SURE     },
    {"여서",          OPEN,         2, STEM_AMBIGUOUS},
    {"이므로",       CLOSED,       1, STEM_SURE     },
    {"이니",          CLOSED,       2, STEM_AMBIGUOUS},
    {"이니까",       CLOSED,       1, STEM_SURE     },
    {"이던",          CLOSED,       2, STEM_AMBIGUOUS},
    {"들",             ANY,          2, STEM_SURE     }, /* the plural goes like a particle */
};

/* Word ends that look like noun + particle and are one noun (or adverb). */
static const char *const noun_ends[] = {
    "제도",   "속도",   "온도",   "정도",   "지도",   "철도",     "반도",   "년도",   "연도",
    "수도",   "용도",   "농도",   "밀도",   "습도",   "강도",     "각도",   "빈도",   "태도",
    "의도",   "기도",   "시도",   "유도",   "인도",   "포도",     "경도",   "위도",   "고도",
    "난이도", "만족도", "선호도", "충청도", "전라도", "경상도",   "강원도", "제주도", "평안도",
    "함경도", "황해도", "울릉도", "강화도", "거제도", "여의도",   "군도",   "열도",   "결과",
    "휴가",   "추가",   "허가",   "정치가", "활주로", "고속도로", "스스로", "프로",   "고양이",
    "호랑이", "원숭이", "어린이", "젊은이", "늙은이", "놀이",     "풀이",   "높이",   "깊이",
    "넓이",   "먹이",   "걸이",   "잡이",   "살이",   "벌이",     "맞이",   "지팡이", "곰팡이",
    "달팽이", "올챙이", "대만",   "불만",   "자만",   "비만",     "오스만", "하지만", "마을",
    "가을",   "노을",   "고을",   "라면",   "사랑",   "자랑",     "신랑",   "아들",   "그대로",
    "언제나", "누구나", "토마토", "바나나",
};

/* Empty words that a Hangul run after Latin letters or digits may be. They are in the
 * particle table too; here are those that only stand there. */
static const char *const after_only[] = {"이", "가", "은", "을", "과", "와",   "의",   "도", "만",
                                         "로", "나", "랑", "란", "들", "라면", "이면", "야"};

/* Verb endings whose first syllable may carry part of the stem (불리-ㄴ, 불리-었-다) are
 * found by final consonants; this is what may stand behind the last stem syllable. */
static const struct suffix_row endings[] = {
    {"다",          ANY, 2, STEM_VERB},
    {"고",          ANY, 2, STEM_VERB},
    {"며",          ANY, 2, STEM_VERB},
    {"면",          ANY, 2, STEM_VERB},
    {"면서",       ANY, 1, STEM_VERB},
    {"지",          ANY, 2, STEM_VERB},
    {"지만",       ANY, 1, STEM_VERB},
    {"지도",       ANY, 2, STEM_VERB},
    {"지는",       ANY, 2, STEM_VERB},
    {"기",          ANY, 2, STEM_VERB},
    {"기도",       ANY, 2, STEM_VERB},
    {"기는",       ANY, 2, STEM_VERB},
    {"기를",       ANY, 2, STEM_VERB},
    {"기에",       ANY, 2, STEM_VERB},
    {"기의",       ANY, 2, STEM_VERB},
    {"기로",       ANY, 2, STEM_VERB},
    {"기가",       ANY, 2, STEM_VERB},
    {"게",          ANY, 2, STEM_VERB},
    {"게도",       ANY, 2, STEM_VERB},
    {"던",          ANY, 2, STEM_VERB},
    {"는",          ANY, 1, STEM_VERB},
    {"는데",       ANY, 1, STEM_VERB},
    {"는지",       ANY, 1, STEM_VERB},
    {"는가",       ANY, 1, STEM_VERB},
    {"나",          ANY, 2, STEM_VERB},
    {"나요",       ANY, 1, STEM_VERB},
    {"니",          ANY, 2, STEM_VERB},
    {"니까",       ANY, 1, STEM_VERB},
    {"자",          ANY, 2, STEM_VERB},
    {"자마자",    ANY, 1, STEM_VERB},
    {"자고",       ANY, 2, STEM_VERB},
    {"도록",       ANY, 1, STEM_VERB},
    {"려고",       ANY, 1, STEM_VERB},
    {"려는",       ANY, 1, STEM_VERB},
    {"러",          ANY, 2, STEM_VERB},
    {"거나",       ANY, 1, STEM_VERB},
    {"든지",       ANY, 1, STEM_VERB},
    {"더라도",    ANY, 1, STEM_VERB},
    {"므로",       ANY, 1, STEM_VERB},
    {"다가",       ANY, 2, STEM_VERB},
    {"다고",       ANY, 1, STEM_VERB},
    {"다는",       ANY, 1, STEM_VERB},
    {"다며",       ANY, 1, STEM_VERB},
    {"다면",       ANY, 1, STEM_VERB},
    {"네",          ANY, 2, STEM_VERB},
    {"네요",       ANY, 1, STEM_VERB},
    {"군요",       ANY, 1, STEM_VERB},
    {"죠",          ANY, 2, STEM_VERB},
    {"지요",       ANY, 1, STEM_VERB},
    {"세요",       ANY, 1, STEM_VERB},
    {"십시오",    ANY, 1, STEM_VERB},
    {"시오",       ANY, 1, STEM_VERB},
    {"습니다",    ANY, 1, STEM_VERB},
    {"습니까",    ANY, 1, STEM_VERB},
    {"으며",       ANY, 1, STEM_VERB},
    {"으면",       ANY, 1, STEM_VERB},
    {"으면서",    ANY, 1, STEM_VERB},
    {"으나",       ANY, 1, STEM_VERB},
    {"으니",       ANY, 1, STEM_VERB},
    {"으니까",    ANY, 1, STEM_VERB},
    {"으므로",    ANY, 1, STEM_VERB},
    {"으려고",    ANY, 1, STEM_VERB},
    {"으려는",    ANY, 1, STEM_VERB},
    {"으러",       ANY, 1, STEM_VERB},
    {"으로써",    ANY, 1, STEM_VERB},
    {"은",          ANY, 1, STEM_VERB},
    {"을",          ANY, 1, STEM_VERB},
    {"음",          ANY, 2, STEM_VERB},
    {"음을",       ANY, 1, STEM_VERB},
    {"음에",       ANY, 1, STEM_VERB},
    {"음이",       ANY, 1, STEM_VERB},
    {"음은",       ANY, 1, STEM_VERB},
    {"음으로",    ANY, 1, STEM_VERB},
    {"은지",       ANY, 2, STEM_VERB},
    {"은가",       ANY, 1, STEM_VERB},
    {"을까",       ANY, 1, STEM_VERB},
    {"을까요",    ANY, 1, STEM_VERB},
    {"을지",       ANY, 1, STEM_VERB},
    {"을때",       ANY, 1, STEM_VERB},
    {"을수",       ANY, 1, STEM_VERB},
    {"어",          ANY, 2, STEM_VERB},
    {"아",          ANY, 2, STEM_VERB},
    {"여",          ANY, 2, STEM_VERB},
    {"어서",       ANY, 1, STEM_VERB},
    {"아서",       ANY, 1, STEM_VERB},
    {"여서",       ANY, 1, STEM_VERB},
    {"어도",       ANY, 1, STEM_VERB},
    {"아도",       ANY, 1, STEM_VERB},
    {"여도",       ANY, 1, STEM_VERB},
    {"어야",       ANY, 1, STEM_VERB},
    {"아야",       ANY, 1, STEM_VERB},
    {"여야",       ANY, 1, STEM_VERB},
    {"어요",       ANY, 1, STEM_VERB},
    {"아요",       ANY, 1, STEM_VERB},
    {"여요",       ANY, 1, STEM_VERB},
    {"어라",       ANY, 1, STEM_VERB},
    {"아라",       ANY, 1, STEM_VERB},
    {"었다",       ANY, 1, STEM_VERB},
    {"았다",       ANY, 1, STEM_VERB},
    {"였다",       ANY, 1, STEM_VERB},
    {"었던",       ANY, 1, STEM_VERB},
    {"았던",       ANY, 1, STEM_VERB},
    {"였던",       ANY, 1, STEM_VERB},
    {"었으며",    ANY, 1, STEM_VERB},
    {"았으며",    ANY, 1, STEM_VERB},
    {"였으며",    ANY, 1, STEM_VERB},
    {"었고",       ANY, 1, STEM_VERB},
    {"았고",       ANY, 1, STEM_VERB},
    {"였고",       ANY, 1, STEM_VERB},
    {"었는데",    ANY, 1, STEM_VERB},
    {"았는데",    ANY, 1, STEM_VERB},
    {"였는데",    ANY, 1, STEM_VERB},
    {"었지만",    ANY, 1, STEM_VERB},
    {"았지만",    ANY, 1, STEM_VERB},
    {"였지만",    ANY, 1, STEM_VERB},
    {"었으나",    ANY, 1, STEM_VERB},
    {"았으나",    ANY, 1, STEM_VERB},
    {"였으나",    ANY, 1, STEM_VERB},
    {"었을",       ANY, 1, STEM_VERB},
    {"았을",       ANY, 1, STEM_VERB},
    {"였을",       ANY, 1, STEM_VERB},
    {"었는가",    ANY, 1, STEM_VERB},
    {"았는가",    ANY, 1, STEM_VERB},
    {"였는가",    ANY, 1, STEM_VERB},
    {"었나",       ANY, 1, STEM_VERB},
    {"았나",       ANY, 1, STEM_VERB},
    {"였나",       ANY, 1, STEM_VERB},
    {"었나요",    ANY, 1, STEM_VERB},
    {"았나요",    ANY, 1, STEM_VERB},
    {"였나요",    ANY, 1, STEM_VERB},
    {"었습니다", ANY, 1, STEM_VERB},
    {"았습니다", ANY, 1, STEM_VERB},
    {"였습니다", ANY, 1, STEM_VERB},
    {"었습니까", ANY, 1, STEM_VERB},
    {"았습니까", ANY, 1, STEM_VERB},
    {"였습니까", ANY, 1, STEM_VERB},
    {"었음",       ANY, 1, STEM_VERB},
    {"았음",       ANY, 1, STEM_VERB},
    {"였음",       ANY, 1, STEM_VERB},
    {"었기",       ANY, 1, STEM_VERB},
    {"았기",       ANY, 1, STEM_VERB},
    {"였기",       ANY, 1, STEM_VERB},
    {"었는지",    ANY, 1, STEM_VERB},
    {"았는지",    ANY, 1, STEM_VERB},
    {"였는지",    ANY, 1, STEM_VERB},
    {"었다고",    ANY, 1, STEM_VERB},
    {"았다고",    ANY, 1, STEM_VERB},
    {"였다고",    ANY, 1, STEM_VERB},
    {"었다는",    ANY, 1, STEM_VERB},
    {"았다는",    ANY, 1, STEM_VERB},
    {"였다는",    ANY, 1, STEM_VERB},
    {"겠다",       ANY, 1, STEM_VERB},
    {"겠습니다", ANY, 1, STEM_VERB},
    {"는다",       ANY, 1, STEM_VERB},
    {"는다고",    ANY, 1, STEM_VERB},
    {"는다는",    ANY, 1, STEM_VERB},
    {"는다면",    ANY, 1, STEM_VERB},
    {"었을까",    ANY, 1, STEM_VERB},
    {"았을까",    ANY, 1, STEM_VERB},
    {"었으니",    ANY, 1, STEM_VERB},
    {"았으니",    ANY, 1, STEM_VERB},
    {"인데",       ANY, 1, STEM_VERB},
    {"인데요",    ANY, 1, STEM_VERB},
    {"은데",       ANY, 1, STEM_VERB},
    {"은데요",    ANY, 1, STEM_VERB},
    {"는데요",    ANY, 1, STEM_VERB},
    {"던데",       ANY, 1, STEM_VERB},
    {"다니",       ANY, 1, STEM_VERB},
    {"던지",       ANY, 1, STEM_VERB},
    {"는지를",    ANY, 1, STEM_VERB},
    {"는지도",    ANY, 1, STEM_VERB},
    {"는지는",    ANY, 1, STEM_VERB},
    {"었던가",    ANY, 1, STEM_VERB},
    {"니요",       ANY, 1, STEM_VERB},
    {"냐",          ANY, 2, STEM_VERB},
    {"느냐",       ANY, 1, STEM_VERB},
    {"으냐",       ANY, 1, STEM_VERB},
    {"자는",       ANY, 1, STEM_VERB},
    {"자며",       ANY, 1, STEM_VERB},
    {"자면",       ANY, 1, STEM_VERB},
    {"라고",       ANY, 1, STEM_VERB},
    {"라는",       ANY, 1, STEM_VERB},
    {"라며",       ANY, 1, STEM_VERB},
    {"려",          ANY, 2, STEM_VERB},
    {"려면",       ANY, 1, STEM_VERB},
    {"려다",       ANY, 1, STEM_VERB},
    {"으려",       ANY, 1, STEM_VERB},
    {"으려면",    ANY, 1, STEM_VERB},
    {"든",          ANY, 2, STEM_VERB},
    {"든가",       ANY, 1, STEM_VERB},
    {"거든",       ANY, 1, STEM_VERB},
    {"거든요",    ANY, 1, STEM_VERB},
    {"더니",       ANY, 1, STEM_VERB},
    {"었더니",    ANY, 1, STEM_VERB},
    {"았더니",    ANY, 1, STEM_VERB},
    {"도록은",    ANY, 1, STEM_VERB},
    {"게끔",       ANY, 1, STEM_VERB},
    {"세",          ANY, 2, STEM_VERB},
    {"셨다",       ANY, 1, STEM_VERB},
    {"시다",       ANY, 1, STEM_VERB},
    {"시는",       ANY, 1, STEM_VERB},
    {"십니다",    ANY, 1, STEM_VERB},
    {"신다",       ANY, 1, STEM_VERB},
    {"습니다만", ANY, 1, STEM_VERB},
    {"는군",       ANY, 1, STEM_VERB},
    {"구나",       ANY, 1, STEM_VERB},
    {"는구나",    ANY, 1, STEM_VERB},
    {"더군",       ANY, 1, STEM_VERB},
    {"더군요",    ANY, 1, STEM_VERB},
};

/* First syllables of the light verbs and every syllable that may follow them. */
static const char light_heads[] = "하한할함합해했되된될됨됩돼됐";
static const char light_tail[] =
    "고며면서지게기는던도록나니다까요어였었으여야자라려러므로만데시신실십"
    "습세셔셨겠을음를에의은이가인있없않거든지네죠군더았나줘주준줄줬줍드립린릴려렸봐본볼놓냐";

struct suffix {
    uint32_t chars[SUFFIX_CHARS_MAX];
    uint8_t n;
    uint8_t agreement;
    uint8_t stem_min;
    uint8_t shape;
};

struct suffix_list {
    struct suffix *items; /* owned; by last character, then longer first */
    size_t n;
};

struct suffix_tables {
    struct suffix_list particles;
    struct suffix_list noun_ends;
    struct suffix_list endings;
    struct suffix_list after_only;
};

static int by_last_then_length(const void *left, const void *right)
{
    const struct suffix *a = left;
    const struct suffix *b = right;
    uint32_t x = a->chars[a->n - 1];
    uint32_t y = b->chars[b->n - 1];

    if (x != y)
        return x < y ? -1 : 1;
    return (int)b->n - (int)a->n;
}

static struct suffix compile(const struct suffix_row *row)
{
    struct suffix s = {.agreement = row->agreement, .stem_min = row->stem_min, .shape = row->shape};
    size_t step;

    for (const char *p = row->text; *p && s.n < SUFFIX_CHARS_MAX; p += step)
        s.chars[s.n++] = utf8_decode(p, &step);
    return s;
}

static bool list_init(struct suffix_list *list, const struct suffix_row *rows,
                      const char *const *texts, size_t n)
{
    list->items = malloc(n * sizeof *list->items);
    if (!list->items)
        return false;
    list->n = n;
    for (size_t i = 0; i < n; i++) {
        struct suffix_row row = {texts ? texts[i] : NULL, ANY, 1, STEM_VERB};

        list->items[i] = compile(rows ? &rows[i] : &row);
    }
    qsort(list->items, n, sizeof *list->items, by_last_then_length);
    return true;
}

#define N_OF(array) (sizeof(array) / sizeof(array)[0])

struct suffix_tables *suffix_tables_new(void)
{
    struct suffix_tables *t = calloc(1, sizeof *t);

    if (t && list_init(&t->particles, particles, NULL, N_OF(particles)) &&
        list_init(&t->noun_ends, NULL, noun_ends, N_OF(noun_ends)) &&
        list_init(&t->endings, endings, NULL, N_OF(endings)) &&
        list_init(&t->after_only, NULL, after_only, N_OF(after_only)))
        return t;
    suffix_tables_free(t);
    return NULL;
}

void suffix_tables_free(struct suffix_tables *t)
{
    if (!t)
        return;
    free(t->particles.items);
    free(t->noun_ends.items);
    free(t->endings.items);
    free(t->after_only.items);
    free(t);
}

static bool agrees(enum agreement agreement, uint32_t before)
{
    uint32_t final = hangul_final(before);

    switch (agreement) {
    case CLOSED:
        return final != 0;
    case OPEN:
        return final == 0;
    case OPEN_OR_L:
        return final == 0 || final == 8;
    case CLOSED_BUT_L:
        return final != 0 && final != 8;
    default:
        return true;
    }
}

static bool ends_with(const uint32_t *s, size_t n, const struct suffix *suffix)
{
    return n >= suffix->n &&
           memcmp(s + n - suffix->n, suffix->chars, suffix->n * sizeof suffix->chars[0]) == 0;
}

/* The longest suffix of the list that ends s, leaves its least stem and agrees. */
static const struct suffix *find(const struct suffix_list *list, const uint32_t *s, size_t n,
                                 bool after)
{
    size_t low = 0;
    size_t high = list->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (list->items[mid].chars[list->items[mid].n - 1] < s[n - 1])
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < list->n && list->items[low].chars[list->items[low].n - 1] == s[n - 1]; low++) {
        const struct suffix *x = &list->items[low];

        if (!ends_with(s, n, x))
            continue;
        if (n == x->n) {
            if (after)
                return x;
            continue;
        }
        if (n - x->n >= (after ? 1u : x->stem_min) && agrees(x->agreement, s[n - x->n - 1]))
            return x;
    }
    return NULL;
}

static bool in_set(const char *set, uint32_t c)
{
    for (size_t step; *set; set += step)
        if (utf8_decode(set, &step) == c)
            return true;
    return false;
}

/* noun (two syllables or more) + 하다/되다 in any form: where the noun ends, or 0. */
static size_t light_verb(const uint32_t *s, size_t n)
{
    for (size_t p = 2; p < n; p++) {
        size_t i = p + 1;

        if (!in_set(light_heads, s[p]))
            continue;
        while (i < n && in_set(light_tail, s[i]))
            i++;
        if (i == n)
            return p;
    }
    return 0;
}

/* Final consonants that an ending puts on, or takes off, an open stem: ㄴ ㄹ ㅁ ㅂ ㅆ. */
static bool is_ending_final(uint32_t final)
{
    return final == 4 || final == 8 || final == 16 || final == 17 || final == 20;
}

/* The vowel before -어/-었- fused with it, or 'vowel' when there is none. */
static uint32_t unfused_vowel(uint32_t vowel)
{
    switch (vowel) {
    case 6: /* ㅕ <- ㅣ + ㅓ */
        return 20;
    case 9: /* ㅘ <- ㅗ + ㅏ */
        return 8;
    case 14: /* ㅝ <- ㅜ + ㅓ */
        return 13;
    case 10: /* ㅙ <- ㅚ + ㅓ */
        return 11;
    default:
        return vowel;
    }
}

bool korean_verb_key(const uint32_t *s, size_t n, bool sure, uint32_t *ret)
{
    uint32_t index = s[n - 1] - HANGUL_FIRST;
    uint32_t final = index % 28;
    uint32_t vowel = index / 28 % 21;
    uint32_t onset = index / 28 / 21;
    bool fused = (final == 0 || final == 20) && unfused_vowel(vowel) != vowel;

    if (!sure && !fused && !is_ending_final(final))
        return false;
    for (size_t i = 0; i < n; i++)
        ret[i] = s[i];
    if (n >= 2 && onset == 5 && (vowel == 0 || vowel == 4) && (final == 0 || final == 20) &&
        hangul_final(s[n - 2]) == 8) { /* 불러, 불렀 <- 부르 */
        ret[n - 2] = s[n - 2] - 8;
        ret[n - 1] = 0xB974;
        return true;
    }
    if (fused)
        vowel = unfused_vowel(vowel);
    if (is_ending_final(final))
        final = 0;
    ret[n - 1] = HANGUL_FIRST + (onset * 21 + vowel) * 28 + final;
    return true;
}

/* A verb with an ending. Past forms that are fused into the stem's last syllable carry
 * ㅆ there: 불렸다, 지어졌던. */
static bool verb_stem(const struct suffix_tables *t, const uint32_t *s, size_t n, struct stem *ret)
{
    const struct suffix *x = find(&t->endings, s, n, false);

    if (!x)
        return false;
    ret->n = n - x->n;
    ret->shape = STEM_VERB;
    return true;
}

/* -주의 (-ism) is a noun's end from the third syllable on: 민주주의, but 광주의. */
static bool is_one_noun(const struct suffix_tables *t, const uint32_t *s, size_t n)
{
    if (n >= 4 && s[n - 2] == 0xC8FC && s[n - 1] == 0xC758)
        return true;
    return find(&t->noun_ends, s, n, true) != NULL;
}

/* Particles that are verb endings too: 는 of 불리는, 은 of 높은, 을 of 먹을. */
static bool is_adnominal(uint32_t c)
{
    return c == 0xB294 || c == 0xC740 || c == 0xC744;
}

struct stem korean_stem(const struct suffix_tables *t, const uint32_t *s, size_t n, bool after,
                        unsigned tables)
{
    struct stem stem = {n, STEM_WHOLE, true};
    const struct suffix *x;
    size_t light;

    if (n == 1 && !after)
        return stem;
    if (after && n <= 2 && (x = find(&t->after_only, s, n, true)) && x->n == n) {
        stem.n = 0;
        stem.shape = STEM_EMPTY;
        return stem;
    }
    if ((tables & SUFFIX_VERBS) && (light = light_verb(s, n)) > 0)
        return (struct stem){light, STEM_SURE, false};
    for (int round = 0; round < 3 && (stem.n > 1 || after); round++) {
        if ((tables & SUFFIX_NOUN_ENDS) && is_one_noun(t, s, stem.n))
            break;
        x = tables & SUFFIX_PARTICLES ? find(&t->particles, s, stem.n, after) : NULL;
        if (!x)
            break;
        stem.n -= x->n;
        stem.maybe_verb = x->n == 1 && is_adnominal(x->chars[0]) && stem.shape == STEM_WHOLE;
        if (stem.n == 0)
            return (struct stem){0, STEM_EMPTY, false};
        if (stem.shape != STEM_AMBIGUOUS)
            stem.shape = (enum stem_shape)x->shape;
        if (s[stem.n] != 0xB4E4 && x->shape != STEM_SURE)
            break; /* only what is sure may uncover a further one (들 + 에게 + 는) */
    }
    if (stem.shape == STEM_WHOLE && (tables & SUFFIX_VERBS))
        verb_stem(t, s, n, &stem);
    return stem;
}
