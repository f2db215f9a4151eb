/* Which words are empty, which mean the same, and forms of one verb. */
#include <string.h>

#include "base/utf8.h"
#include "cache/confirm_internal.h"
#include "text/char_class.h"

/* ---- empty words ---- */

/* Whole words of a frame around what is asked, or that colour it; '~': words that begin so. */
static const char *const EMPTY_KOREAN[] = {
    "있다",       "있는",         "있나요",     "있나",     "있어",       "있어요",
    "있습니까",   "있을까",       "있을까요",   "있지",     "있는지",     "있음",
    "있니",       "있을",         "있는데",     "있게",     "있도록",     "있으면",
    "있으니",     "있었다",       "있던",       "있었어",   "한다",       "하는",
    "하고",       "해",           "하나요",     "하나",     "하니",       "하지",
    "할",         "할까",         "할까요",     "할래",     "합니까",     "해요",
    "했다",       "했어",         "했지",       "했던",     "하다",       "해야",
    "해야해",     "해야돼",       "해야지",     "하면",     "하려면",     "하려고",
    "하려는데",   "하려",         "하는데",     "하는게",   "하는지",     "하기로",
    "하도록",     "하자",         "합시다",     "하세요",   "하십시오",   "해라",
    "해서",       "해줘",         "해줘요",     "해주세요", "해주십시오", "해줄래",
    "해주실래요", "해주시겠어요", "해봐",       "한",       "된다",       "되나요",
    "되나",       "되는",         "되는지",     "되니",     "되요",       "돼요",
    "돼",         "될까",         "될까요",     "됩니까",   "되지",       "되어",
    "되고",       "되면",         "되도록",     "된",       "인가요",     "인가",
    "입니까",     "이다",         "이야",       "야",       "인지",       "건가요",
    "건가",       "건지",         "거야",       "거예요",   "겁니다",     "것인가",
    "것인지",     "것",           "것이",       "것을",     "것은",       "것으로",
    "거",         "게",           "걸",         "걸로",     "건",         "수",
    "때",         "때는",         "때에",       "때에는",   "땐",         "때가",
    "시",         "시에",         "시에는",     "때문에",   "위해",       "위한",
    "위해서",     "대한",         "대해",       "대해서",   "관한",       "관해",
    "관련",       "통해",         "따라",       "그",       "이",         "저",
    "그것은",     "그것이",       "이거",       "그거",     "우리",       "내가",
    "네가",       "너가",         "나는",       "난",       "너는",       "넌",
    "나",         "너",           "내",         "제",       "네",         "저는",
    "제가",       "당신",         "당신은",     "당신이",   "자네가",     "자네",
    "여러분",     "여러분이",     "저기요",     "여보세요", "어떤",       "어떤게",
    "어느",       "어느게",       "어느걸",     "무슨",     "뭐",         "뭘",
    "뭔가",       "좀",           "혹시",       "제발",     "그냥",       "바로",
    "꼭",         "반드시",       "정말",       "진짜",     "너무",       "매우",
    "아주",       "엄청",         "되게",       "조금",     "다시",       "지금",
    "현재",       "요즘",         "이제",       "보통",     "대체",       "도대체",
    "일반적으로", "및",           "그리고",     "또는",     "혹은",       "또",
    "더",         "등",           "중",         "중에",     "중에서",     "아니면",
    "경우",       "경우에",       "경우에는",   "정도",     "쯤",         "줘",
    "줘요",       "주세요",       "줄래",       "줄래요",   "주십시오",   "주실래요",
    "주시겠어요", "주실",         "주시면",     "바랍니다", "부탁",       "부탁해",
    "부탁해요",   "부탁드립니다", "부탁드려요", "싶어",     "싶어요",     "싶은데",
    "싶다",       "싶습니다",     "싶은데요",   "싶은",     "합니다",     "됩니다",
    "같아",       "같다",         "같아요",     "같은데",   "봐",         "봐요",
    "보세요",     "볼까",         "볼래",       "어때",     "어때요",     "어떤가요",
    "좋겠어",     "좋겠다",       "좋겠어요",   "좋겠네",   "그래",       "이렇게",
    "그렇게",     "알",           "아나요",     "아세요",   "아시나요",   "아니",
    "아냐",       "~알려",        "~말해",      "~가르쳐",  "~궁금",      "~알고",
    "~알아",      "~설명",        "~찾아",      "~확인해",  "~누군가",    "~무언가",
    "~뭔가",      "~무엇",        "~뭐가",      "~뭐야",    "~뭐지",      "~뭐니",
    "~뭐에",      "~뭐였",        "~뭐라",      "~뭔지",    "~뭘까",      "~뭔가요",
    "~어떻",      "~어떡",        "~누구",      "~누가",    "~어디",      "~언제",
    "~얼마",      "~며칠",        "~몇",        NULL};

static const char *const EMPTY_ENGLISH[] = {
    "a",       "an",      "the",    "is",     "are",  "was",   "were",  "be",    "been",  "being",
    "am",      "do",      "does",   "did",    "of",   "to",    "in",    "on",    "at",    "for",
    "by",      "with",    "from",   "and",    "or",   "that",  "this",  "these", "those", "it",
    "its",     "there",   "what",   "which",  "who",  "when",  "where", "why",   "how",   "can",
    "could",   "will",    "would",  "should", "may",  "i",     "you",   "we",    "my",    "your",
    "our",     "me",      "please", "tell",   "has",  "have",  "had",   "so",    "as",    "if",
    "one",     "some",    "any",    "his",    "her",  "their", "he",    "she",   "they",  "him",
    "them",    "into",    "about",  "just",   "also", "then",  "us",    "'s",    "does",  "know",
    "explain", "need",    "want",   "many",   "much", "let",   "get",   "got",   "not",   "no",
    "never",   "without", NULL};

/* Nouns that say again what a question word asks for: 받는 곳이 어디, 하는 방법은 어떻게. */
static bool repeats_what_is_asked(const struct confirm_side *side, const struct confirm_word *w)
{
    static const struct {
        uint8_t asked;
        const char *nouns[8];
    } rows[] = {
        {ANSWER_PLACE,  {"곳", "장소", "위치", "데", "place", "location", "located", "find"}},
        {ANSWER_DATE,   {"시간", "시각", "날짜", "때", "시기", "날", "time", "date"}    },
        {ANSWER_METHOD, {"방법", "방식", "절차", "way", "steps"}                            },
        {ANSWER_REASON, {"이유", "까닭", "원인", "사유", "reason"}                        },
        {ANSWER_PERSON, {"사람", "분", "인물", "person"}                                     },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; rows[i].asked == side->asked && k < 8 && rows[i].nouns[k]; k++)
            if (word_is_noun(w, rows[i].nouns[k]))
                return true;
    return false;
}

bool confirm_word_empty(const struct confirm_side *side, const struct confirm_word *w)
{
    /* Compared by their number: confirm_negations(). */
    static const char *const negators[] = {"안돼", "안됩", "안된", "않",   "말고", "말아", "말라",
                                           "말자", "말게", "말도", "마라", "마세", "마십", "금지",
                                           "금합", "아니", "없",   "못하", "못해", NULL};
    /* The unit of 몇 년 is compared with what is asked for. */
    if ((w > side->words && word_is(w - 1, "몇")) || repeats_what_is_asked(side, w))
        return true;
    if (word_is(w, "안") || word_is(w, "못") || word_is(w, "마"))
        return true;
    for (size_t i = 0; negators[i]; i++)
        if (word_begins(w, negators[i]))
            return true;
    for (size_t i = 0; EMPTY_KOREAN[i]; i++)
        if (EMPTY_KOREAN[i][0] == '~' ? word_begins(w, EMPTY_KOREAN[i] + 1)
                                      : word_is(w, EMPTY_KOREAN[i]))
            return true;
    for (size_t i = 0; EMPTY_ENGLISH[i]; i++)
        if (word_is(w, EMPTY_ENGLISH[i]))
            return true;
    return false;
}

/* ---- synonyms ---- */

/* Words that begin with one of a row mean the same where the rest of two sentences agrees. */
static const char *const SAME[][8] = {
    {"여자",        "여성",                 "여인", "숙녀"},
    {"남자",       "남성",                               "사내"},
    {"아이", "어린이","어린아이", "꼬마"},
    {"아내",        "부인"                    },
    {"사진",       "이미지",                               "그림"},
    {"하얀","흰",    "흰색", "하얀색"},
    {"검은","검정","검은색", "까만"},
    {"빨간",        "붉은",                            "빨간색"},
    {"파란",    "푸른",                            "파란색"},
    {"자동차",          "차량",                                        "승용차"},
    {"열차",               "기차"                               },
    {"비행기",    "항공기"},
    {"휴대폰",    "핸드폰","휴대전화", "스마트폰"},
    {"컴퓨터",     "PC"           },
    {"노트북",               "랩탑"                               },
    {"텔레비전",               "티비","TV"},
    {"이메일",               "메일",                             "전자우편", "이-메일"},
    {"비밀번호", "패스워드",                      "암호"},
    {"아이디",     "계정"                    },
    {"홈페이지",     "웹사이트",       "사이트"},
    {"회사",  "직장"   },
    {"직원",               "사원",                             "임직원", "근로자"},
    {"급여", "월급","봉급", "임금"},
    {"비용",  "가격",            "요금", "값", "금액"},
    {"휴가",               "휴무"                            },
    {"신청",               "접수"     },
    {"변경",    "바꾸",                      "바꿔", "바꿀", "바뀐", "교체", "수정"},
    {"구매",      "구입",                           "사려면"},
    {"사용","이용","활용"},
    {"방법",               "절차",                                "법"},
    {"이유",       "원인",                                       "까닭"},
    {"장소",        "위치",                       "곳"},
    {"기간",          "기한"                         },
    {"시간",        "시각"         },
    {"올해",        "금년",          "이번해"},
    {"작년",        "지난해"                    },
    {"내년",       "다음해"                      },
    {"최대",       "최고",                               "상한"},
    {"최소",  "최저"},
    {"가능",        "수있"                               },
    {"연락처",               "전화번호"                               },
    {"담당자",          "책임자",   "담당"},
    {"문의", "연락"},
    {"날씨",        "기상"                },
    {"기온",               "온도"                               },
    {"음식점",               "식당",       "맛집"},
    {"의사",               "의료진"                      },
    {"변호사",    "법률가"                  },
    {"경찰","경찰관"},
    {"대통령","국가원수"},
    {"요구", "촉구","요청"},
    {"연주",        "치고",                       "친다", "치는", "쳤"},
    {"자르",        "자른",                 "잘라", "잘랐", "썰", "베다", "베었", "베고"},
    {"요리",     "조리"},
    {"해변",     "해안",         "바닷가"},
    {"잔디",               "풀밭",                                "풀을"},
    {"선로",               "철로"                                                     },
    {"책장",               "책꽂이"               },
    {"책방",               "서점","책가게"},
    {"프라이팬",       "팬"                        },
    {"시체","시신"},
    {"억류", "구금"      },
    {"석방",        "해방",                                "풀려"},
    {"항복",    "자수"                            },
    {"개최",       "열린",                                     "열리", "열렸"},
    {"프로젝트",        "프로그램"                },
    {"남자친구",       "남친"                         },
    {"여자친구",        "여친"                },
    {"영상통화",       "영통"                         },
    {"생일",       "생신"                      },
    {"회의",        "미팅"                   },
    {"점심",        "오찬"                   },
    {"강아지",               "개를",                                "개가", "개는"},
    {"소가",       "젖소"},
    {"매년","해마다","연간"},
    {"매달","매월","월간"},
    {"매일","날마다"        },
    {"주말",  "토일"              },
    {"평일",        "주중"                                  },
    {"예정",        "계획"                       },
    {"일정",        "스케줄"                },
    {"사유",               "이유"                               },
    {"보내",               "전송",    "발송"},
    {"받는",       "받은","받을", "수신"},
    {"저장",  "보관"    },
    {"차단",  "막"           },
    {"로그인",  "접속"          },
    {"빠르",  "빨리",            "신속"},
    {"쉽게",        "간단"                 },
    {"사망",        "숨진",                 "숨졌", "죽었"},
    {"체포",        "검거",                 "구속"},
    {"발표",     "공표",       "밝혔"},
    {"시작",       "개시"                              },
    {"종료", "끝나",                          "끝"},
    {"삭제",            "제거",                                                                 "지우", "지울"},
    {"설치",        "깔"                                  },
    {"추천",               "권"                               },
    {"필요",               "있어야"                       },
    {"많은",               "수많은"                 },
    {"car",               "automobile","vehicle"},
    {"child",               "kid",         "children"},
    {"cost",               "price",                "fee"},
    {"buy",               "purchase", "buying"},
    {"start",       "begin",                            "starts", "begins"},
    {"end", "finish",                               "ends"},
    {"change",               "modify",                                "update", "alter"},
    {"delete",               "remove",                            "erase"},
    {"password",               "passcode"                 },
    {"phone",               "telephone",                      "cellphone"},
    {"employee",       "worker",                    "staff"},
    {"company","firm"      },
    {"vacation","leave","holiday"},
    {"big",               "large"                               },
    {"quick",       "fast",               "rapid"},
    {"use",   "utilize",             "using"},
    {"help",        "assist"                 },
    {"method",        "way",                        "procedure"},
    {"maximum",               "max"                               },
    {"minimum",       "min"},
    {"picture",        "photo",                    "image"},
    {"allowed",        "permitted"            },
    {"apply",        "request"      },
};

static bool listed(const struct confirm_word *w, const char *const row[8])
{
    for (size_t i = 0; i < 8 && row[i]; i++) {
        /* A short English word begins many others. */
        bool latin = (unsigned char)row[i][0] < 0x80;
        if (latin ? word_is(w, row[i]) || word_is_noun(w, row[i]) : word_begins(w, row[i]))
            return true;
    }
    return false;
}

/* ---- forms of one verb ---- */

/* What stands behind the stem of a verb; weak ones end nouns as well (사고, 사기). */
static bool is_ending(const char *s, size_t n, bool *ret_weak)
{
    static const char *const weak[] = {"",   "고", "기", "지", "자", "서", "면", "나",
                                       "라", "니", "게", "요", "네", "아", "어", "은",
                                       "을", "도", "는", "인", "야", NULL};
    static const char *const strong[] = {
        "다",       "며",       "던",       "나요",     "니다",   "는다",   "은다",     "었다",
        "았다",     "려고",     "으려고",   "으면",     "는데",   "은데",   "어서",     "아서",
        "세요",     "으세요",   "습니다",   "았어",     "었어",   "었어요", "았어요",   "어요",
        "아요",     "까",       "까요",     "을까",     "을까요", "습니까", "는지",     "은지",
        "을지",     "지만",     "는가",     "렴",       "시다",   "었던",   "았던",     "었지",
        "았지",     "어야",     "아야",     "어야지",   "아야지", "야지",   "어야겠다", "야겠다",
        "었나요",   "았나요",   "었나",     "았나",     "도록",   "면서",   "으면서",   "겠다",
        "겠어",     "십시오",   "어줘",     "아줘",     "줘",     "주세요", "고싶어",   "어야해",
        "야해",     "야돼",     "래",       "을래",     "었는데", "았는데", "는게",     "냐",
        "었습니까", "았습니까", "었습니다", "았습니다", NULL};

    *ret_weak = true;
    for (size_t i = 0; weak[i]; i++)
        if (n == strlen(weak[i]) && memcmp(s, weak[i], n) == 0)
            return true;
    *ret_weak = false;
    for (size_t i = 0; strong[i]; i++)
        if (n == strlen(strong[i]) && memcmp(s, strong[i], n) == 0)
            return true;
    return false;
}

/* A syllable as a stem: without what an ending has joined to it (탄, 탈, 탔, 탑 -> 타) and
 * with contracted vowels opened (봐 -> 보, 줘 -> 주, 쳐 -> 치, 해 -> 하). */
static uint32_t stem_syllable(uint32_t c)
{
    uint32_t index = c - 0xAC00;
    uint32_t onset = index / 588;
    uint32_t vowel = index % 588 / 28;
    uint32_t final = index % 28;

    if (final == 4 || final == 8 || final == 16 || final == 17 || final == 20)
        final = 0;
    if (final == 0)
        vowel = vowel == 9    ? 8  /* ㅘ: ㅗ */
                : vowel == 14 ? 13 /* ㅝ: ㅜ */
                : vowel == 6  ? 20 /* ㅕ: ㅣ */
                              : vowel;
    return 0xAC00 + onset * 588 + vowel * 28 + final;
}

/* Do two words have a stem of 'n' syllables in common, and endings behind it? */
static bool same_stem(const struct confirm_word *a, const struct confirm_word *b, size_t n)
{
    size_t i = utf8_advance(a->s, a->n, 0, n - 1);
    size_t k = utf8_advance(b->s, b->n, 0, n - 1);
    bool weak_a;
    bool weak_b;
    size_t step_a;
    size_t step_b;

    if (i != k || memcmp(a->s, b->s, i) != 0 || i == a->n || k == b->n)
        return false;
    uint32_t c = utf8_decode(a->s + i, &step_a);
    uint32_t d = utf8_decode(b->s + k, &step_b);
    if (!char_is_hangul(c) || !char_is_hangul(d) || stem_syllable(c) != stem_syllable(d) ||
        !is_ending(a->s + i + step_a, a->n - i - step_a, &weak_a) ||
        !is_ending(b->s + k + step_b, b->n - k - step_b, &weak_b))
        return false;
    /* An ending that has joined the stem is none of a noun: 탄, 탔. */
    return !weak_a || !weak_b || c != d;
}

static bool same_verb(const struct confirm_word *a, const struct confirm_word *b)
{
    for (size_t n = 1; n <= 3; n++)
        if (same_stem(a, b, n))
            return true;
    return false;
}

bool confirm_words_same(const struct confirm_word *a, const struct confirm_word *b)
{
    for (size_t row = 0; row < sizeof SAME / sizeof *SAME; row++)
        if (listed(a, SAME[row]) && listed(b, SAME[row]))
            return true;
    return same_verb(a, b);
}

/* ---- roles ---- */

enum word_role confirm_role(const struct confirm_side *side, size_t i)
{
    static const struct {
        const char *particle;
        uint8_t role;
    } particles[] = {
        {"에서",    ROLE_FROM   },
        {"부터",    ROLE_FROM   },
        {"에게서", ROLE_FROM   },
        {"까지",    ROLE_TO     },
        {"으로",    ROLE_TO     },
        {"로",       ROLE_TO     },
        {"에게",    ROLE_TO     },
        {"보다",    ROLE_THAN   },
        {"을",       ROLE_OBJECT },
        {"를",       ROLE_OBJECT },
        {"이",       ROLE_SUBJECT},
        {"가",       ROLE_SUBJECT},
        {"은",       ROLE_SUBJECT},
        {"는",       ROLE_SUBJECT},
    };
    const struct confirm_word *w = &side->words[i];
    const struct confirm_word *next = i + 1 < side->n_words ? w + 1 : NULL;

    if ((w->n > strlen("말고") && word_ends(w, "말고") && !word_ends(w, "지말고")) ||
        (next && (word_is(next, "말고") || word_is(next, "대신")) && !word_ends(w, "지")))
        return ROLE_NOT;
    if (i > 0 && !side->korean) {
        const struct confirm_word *before = w - 1;
        return word_is(before, "from")                            ? ROLE_FROM
               : word_is(before, "to") || word_is(before, "into") ? ROLE_TO
               : word_is(before, "than")                          ? ROLE_THAN
                                                                  : ROLE_NONE;
    }
    for (size_t k = 0; k < sizeof particles / sizeof *particles; k++)
        if (w->n > strlen(particles[k].particle) + 2 && word_ends(w, particles[k].particle))
            return (enum word_role)particles[k].role;
    return ROLE_NONE;
}
