/* Negation, opposites, and what kind of answer is asked for. */
#include <string.h>

#include "cache/confirm_internal.h"

/* ---- negation ---- */

static bool any_is(const struct confirm_word *w, const char *const *list)
{
    for (; *list; list++)
        if (word_is(w, *list))
            return true;
    return false;
}

static bool any_begins(const struct confirm_word *w, const char *const *list)
{
    for (; *list; list++)
        if (word_begins(w, *list))
            return true;
    return false;
}

static bool any_contains(const struct confirm_word *w, const char *const *list)
{
    for (; *list; list++)
        if (word_contains(w, *list))
            return true;
    return false;
}

static bool negates_english(const struct confirm_word *w)
{
    static const char *const words[] = {
        "not",       "no",         "never",  "without",    "cannot",      "none",      "nobody",
        "nothing",   "neither",    "nor",    "unable",     "except",      "excluding", "dont",
        "cant",      "wont",       "isnt",   "arent",      "doesnt",      "didnt",     "prohibited",
        "forbidden", "disallowed", "banned", "impossible", "unavailable", "exclude",   "excludes",
        "excluded",  "hardly",     NULL};
    return any_is(w, words) || word_ends(w, "n't") || word_ends(w, "n\xE2\x80\x99t");
}

static bool negates_korean(const struct confirm_side *side, size_t i)
{
    /* 없애다, 끊임없이, 틀림없이: not a denial of the sentence. */
    static const char *const not_so[] = {"없애",   "없앨",       "없앤",   "없앴", "끊임없",
                                         "틀림없", "어김없",     "아낌없", "잘못", "상관없",
                                         "못지않", "하지않아도", "안내",   NULL};
    static const char *const anywhere[] = {"않",   "없",   "불가", "금지", "제외", "못하", "못한",
                                           "못했", "못해", "못할", "못함", "못합", "못됩", "못돼",
                                           "지말", "지마", "금물", "삼가", NULL};
    static const char *const alone[] = {"안",   "못",     "말고", "빼고", "외에",
                                        "이외", "이외의", "외의", "그만", NULL};
    static const char *const at_start[] = {
        "안되",   "안돼",   "안됩",   "안된",   "안될",   "안하",   "안해",   "안할",
        "안한",   "안했",   "안가",   "안쓰",   "안먹",   "안와",   "안오",   "못가",
        "못쓰",   "못먹",   "못받",   "못들",   "미사용", "미포함", "미납",   "미제출",
        "미완료", "미등록", "미신청", "미가입", "미지급", "미수령", "미설치", "미적용",
        "미승인", "미충족", "미달",   "비공개", "비회원", "비활성", "비대상", "비과세",
        "불합격", "불참",   "불허",   "불법",   "불필요", "불충분", "무관",   "금하",
        "금합",   "아니",   "아닌",   "아닙",   "아녜",   "아님",   NULL};
    /* After a verb in -지: 하지 말고, 쓰지 마세요. */
    static const char *const do_not[] = {"말", "마", NULL};
    const struct confirm_word *w = &side->words[i];

    if (any_contains(w, not_so) || word_is(w, "아니면") || word_is(w, "아님"))
        return false;
    if (any_contains(w, anywhere) || any_is(w, alone) || any_begins(w, at_start))
        return true;
    return i > 0 && word_ends(&side->words[i - 1], "지") && any_begins(w, do_not);
}

unsigned confirm_negations(const struct confirm_side *side)
{
    unsigned n = 0;
    for (size_t i = 0; i < side->n_words; i++)
        n += negates_english(&side->words[i]) || negates_korean(side, i) ? 1 : 0;
    return n;
}

/* ---- opposites ---- */

/* '=': the whole word but for a particle; else anywhere in it. A word that holds one of the right
 * column does not count for the left one (불가능 holds 가능). */
static const char *const OPPOSITES[][2][6] = {
    {{"이상"},                                                 {"이하", "미만"}                                    },
    {{"초과"},                                                 {"이하", "미만", "이내"}                          },
    {{"최대"},                                                 {"최소", "최저"}                                    },
    {{"최고"},                                                 {"최저", "최악"}                                    },
    {{"상한"},                                                 {"하한"}                                              },
    {{"=전", "이전", "=앞"},                                 {"=후", "이후", "=뒤", "다음"}                    },
    {{"직전", "사전"},                                       {"직후", "사후"}                                    },
    {{"전날"},                                                 {"다음날", "이튿날"}                              },
    {{"오전"},                                                 {"오후"}                                              },
    {{"오늘"},                                                 {"내일", "어제", "모레", "그저께"}             },
    {{"내일"},                                                 {"어제", "모레"}                                    },
    {{"올해", "금년", "이번"},                             {"작년", "내년", "지난", "다음"}                },
    {{"작년", "지난"},                                       {"내년", "다음"}                                    },
    {{"시작", "개시", "개장", "착수"},                   {"종료", "끝", "마감", "폐장", "마지막"}      },
    {{"개업", "개점", "오픈"},                             {"폐업", "폐점"}                                    },
    {{"처음", "첫", "최초"},                                {"마지막", "최종", "최후"}                       },
    {{"=입구"},                                                {"=출구"}                                             },
    {{"입금"},                                                 {"출금", "송금", "인출"}                          },
    {{"입국"},                                                 {"출국"}                                              },
    {{"입장"},                                                 {"퇴장"}                                              },
    {{"입사", "채용"},                                       {"퇴사", "퇴직", "해고"}                          },
    {{"입원"},                                                 {"퇴원"}                                              },
    {{"입력"},                                                 {"출력"}                                              },
    {{"수입"},                                                 {"수출", "지출"}                                    },
    {{"출근"},                                                 {"퇴근", "결근"}                                    },
    {{"출발"},                                                 {"도착"}                                              },
    {{"승차", "탑승"},                                       {"하차"}                                              },
    {{"로그인"},                                              {"로그아웃"}                                        },
    {{"가입", "등록"},                                       {"탈퇴", "해지", "삭제"}                          },
    {{"신청", "예약", "주문"},                             {"취소", "철회"}                                    },
    {{"설치"},                                                 {"제거", "삭제", "철거"}                          },
    {{"설정"},                                                 {"해제"}                                              },
    {{"활성"},                                                 {"비활성"}                                           },
    {{"연결"},                                                 {"해제", "차단", "끊"}                             },
    {{"허용", "승인", "수락", "허가"},                   {"거부", "거절", "반려", "차단", "금지"}      },
    {{"추가", "포함"},                                       {"삭제", "제외", "제거"}                          },
    {{"저장"},                                                 {"삭제"}                                              },
    {{"업로드"},                                              {"다운로드"}                                        },
    {{"암호화"},                                              {"복호화"}                                           },
    {{"구매", "구입", "매수", "매입"},                   {"판매", "매도", "매각"}                          },
    {{"대여", "대출"},                                       {"반납", "상환"}                                    },
    {{"발신", "송신", "보내", "보낸"},                   {"수신", "받"}                                       },
    {{"증가", "상승", "인상", "올리", "올라", "늘"},
     {"감소", "하락", "인하", "내리", "내려", "줄"}                                                           },
    {{"확대"},                                                 {"축소"}                                              },
    {{"강화"},                                                 {"약화", "완화"}                                    },
    {{"남자", "남성", "남학생", "소년", "아버지"},   {"여자", "여성", "여학생", "소녀", "어머니"}},
    {{"할아버지"},                                           {"할머니"}                                           },
    {{"남편"},                                                 {"아내", "부인"}                                    },
    {{"아들"},                                                 {"딸"}                                                 },
    {{"=남", "=남아"},                                        {"=여", "=여아"}                                     },
    {{"국내"},                                                 {"해외", "국외"}                                    },
    {{"내부"},                                                 {"외부"}                                              },
    {{"실내"},                                                 {"실외", "야외"}                                    },
    {{"=안", "안쪽"},                                         {"=밖", "바깥"}                                      },
    {{"=위", "위쪽"},                                         {"=아래", "아래쪽", "=밑"}                        },
    {{"왼쪽", "좌측"},                                       {"오른쪽", "우측"}                                 },
    {{"북쪽", "=북"},                                         {"남쪽", "=남"}                                      },
    {{"동쪽"},                                                 {"서쪽"}                                              },
    {{"켜", "켤"},                                             {"끄", "꺼", "끌"}                                   },
    {{"열", "연다"},                                          {"닫"}                                                 },
    {{"높"},                                                    {"낮"}                                                 },
    {{"밝"},                                                    {"어둡", "어두"}                                    },
    {{"많"},                                                    {"적은", "적게", "적을"}                          },
    {{"=큰", "=크게", "크나", "더크"},                    {"=작은", "=작게", "작나"}                        },
    {{"빠르", "빨리", "빠른"},                             {"느리", "늦", "느린"}                             },
    {{"=긴", "=길게"},                                        {"짧"}                                                 },
    {{"비싼", "비싸"},                                       {"싼", "저렴"}                                       },
    {{"무거"},                                                 {"가벼"}                                              },
    {{"덥", "더운", "더워"},                                {"춥", "추운", "추워"}                             },
    {{"좋"},                                                    {"나쁜", "나쁘", "싫"}                             },
    {{"장점"},                                                 {"단점"}                                              },
    {{"이익", "흑자"},                                       {"손실", "적자", "손해"}                          },
    {{"성공", "합격"},                                       {"실패", "불합격", "탈락"}                       },
    {{"유료"},                                                 {"무료"}                                              },
    {{"유급"},                                                 {"무급"}                                              },
    {{"유선"},                                                 {"무선"}                                              },
    {{"정규"},                                                 {"비정규", "계약직"}                              },
    {{"평일"},                                                 {"주말", "휴일"}                                    },
    {{"필수"},                                                 {"선택"}                                              },
    {{"찬성"},                                                 {"반대"}                                              },
    {{"공격"},                                                 {"방어", "수비"}                                    },
    {{"개인"},                                                 {"법인", "단체", "기업"}                          },
    {{"=자동"},                                                {"=수동"}                                             },
    {{"=increase", "increases", "increased", "=rise", "=raise"},
     {"decrease", "reduce", "=fall", "=lower", "=drop"}                                                                  },
    {{"=maximum", "=max", "=most", "=highest"},                  {"=minimum", "=min", "=least", "=lowest"}               },
    {{"=before"},                                                {"=after"}                                              },
    {{"=start", "=begin", "starts", "begins", "=open"},          {"=end", "=finish", "ends", "=close"}                   },
    {{"=first"},                                                 {"=last"}                                               },
    {{"=today"},                                                 {"=tomorrow", "=yesterday"}                             },
    {{"=tomorrow"},                                              {"=yesterday"}                                          },
    {{"=enable", "=allow", "allowed", "=permitted"},             {"=disable", "=deny", "=block", "denied"}               },
    {{"=add", "=include", "=install"},                           {"=remove", "=delete", "=exclude", "=uninstall"}        },
    {{"=buy", "=purchase"},                                      {"=sell"}                                               },
    {{"=import"},                                                {"=export"}                                             },
    {{"=upload"},                                                {"=download"}                                           },
    {{"=login"},                                                 {"=logout"}                                             },
    {{"=man", "=men", "=male", "=boy", "=he"},                   {"=woman", "=women", "=female", "=girl", "=she"}        },
    {{"=domestic"},                                              {"=international", "=foreign", "=overseas"}             },
    {{"=internal"},                                              {"=external"}                                           },
    {{"=inside", "=indoor"},                                     {"=outside", "=outdoor"}                                },
    {{"=left"},                                                  {"=right"}                                              },
    {{"=above", "=over"},                                        {"=below", "=under"}                                    },
    {{"=up"},                                                    {"=down"}                                               },
    {{"=on"},                                                    {"=off"}                                                },
    {{"=more", "=greater"},                                      {"=less", "=fewer"}                                     },
    {{"=high", "=higher"},                                       {"=low", "=lower"}                                      },
    {{"=long", "=longer", "=longest"},                           {"=short", "=shorter", "=shortest"}                     },
    {{"=fast", "=faster"},                                       {"=slow", "=slower"}                                    },
    {{"=big", "=large", "=larger"},                              {"=small", "=smaller"}                                  },
    {{"=cheap", "=cheapest"},                                    {"=expensive"}                                          },
    {{"=best"},                                                  {"=worst"}                                              },
    {{"=win", "=won"},                                           {"=lose", "=lost"}                                      },
    {{"=send", "=sent"},                                         {"=receive", "=received"}                               },
    {{"=arrive", "=arrival"},                                    {"=depart", "=departure", "=leave"}                     },
    {{"=weekday", "=weekdays"},                                  {"=weekend", "=weekends"}                               },
    {{"=public"},                                                {"=private"}                                            },
    {{"=paid"},                                                  {"=unpaid", "=free"}                                    },
    {{"=required", "=mandatory"},                                {"=optional"}                                           },
    {{"=encrypt"},                                               {"=decrypt"}                                            },
    {{"=with"},                                                  {"=without"}                                            },
};

static bool holds(const struct confirm_word *w, const char *what)
{
    return what[0] == '=' ? word_is_noun(w, what + 1) : word_contains(w, what);
}

static bool holds_any(const struct confirm_word *w, const char *const what[6])
{
    for (size_t i = 0; i < 6 && what[i]; i++)
        if (holds(w, what[i]))
            return true;
    return false;
}

/* Poles of one Hangul syllable (열, 받) begin too many other words to count alone. */
static bool holds_long(const struct confirm_word *w, const char *const what[6])
{
    for (size_t i = 0; i < 6 && what[i]; i++)
        if (strlen(what[i]) > 4 && holds(w, what[i]))
            return true;
    return false;
}

bool confirm_has_opposite(const struct confirm_word *w)
{
    for (size_t row = 0; row < sizeof OPPOSITES / sizeof *OPPOSITES; row++)
        if (holds_long(w, OPPOSITES[row][0]) || holds_long(w, OPPOSITES[row][1]))
            return true;
    return false;
}

/* The poles of a row that the words of a side name, in order; of the words that the other side does
 * not have. */
struct poles {
    char marks[CONFIRM_WORDS_MAX]; /* 'l', 'r' */
    size_t n;
    bool left;
    bool right;
};

static void poles_of(const struct confirm_side *side, size_t row, struct poles *ret)
{
    ret->n = 0;
    ret->left = ret->right = false;
    for (size_t i = 0; i < side->n_words; i++) {
        if (side->words[i].same)
            continue;
        if (holds_any(&side->words[i], OPPOSITES[row][1])) {
            ret->marks[ret->n++] = 'r';
            ret->right = true;
        } else if (holds_any(&side->words[i], OPPOSITES[row][0])) {
            ret->marks[ret->n++] = 'l';
            ret->left = true;
        }
    }
}

bool confirm_opposite(const struct confirm_side *a, const struct confirm_side *b)
{
    struct poles x;
    struct poles y;

    for (size_t row = 0; row < sizeof OPPOSITES / sizeof *OPPOSITES; row++) {
        poles_of(a, row, &x);
        if (x.n == 0)
            continue;
        poles_of(b, row, &y);
        if ((x.left && !x.right && y.right && !y.left) ||
            (x.right && !x.left && y.left && !y.right))
            return true;
        /* Both name both: 여자친구가 남자도 is not 남자친구가 여자도. */
        if (x.left && x.right && y.left && y.right &&
            (x.n != y.n || memcmp(x.marks, y.marks, x.n) != 0))
            return true;
    }
    return false;
}

/* ---- what is asked for ---- */

static bool begins_as_question(const struct confirm_side *side)
{
    static const char *const words[] = {
        "who",  "whom",  "whose",  "where", "when", "why",  "what", "which", "how",
        "is",   "are",   "was",    "were",  "do",   "does", "did",  "can",   "could",
        "will", "would", "should", "may",   "must", "has",  "have", NULL};
    /* A canonical question (cache/canonical.h) has lost its mark. */
    return side->n_words > 0 && (any_is(&side->words[0], words) || side->text[side->n - 1] == '?');
}

static enum answer_kind asked_english(const struct confirm_side *side)
{
    static const char *const units_of_time[] = {"time", "day", "date", "year", "month", NULL};
    static const char *const auxiliaries[] = {"is",  "are",  "was",   "were", "do",    "does",
                                              "did", "can",  "could", "will", "would", "should",
                                              "may", "must", "has",   "have", "am",    NULL};
    for (size_t i = 0; i < side->n_words; i++) {
        const struct confirm_word *w = &side->words[i];
        const struct confirm_word *next = i + 1 < side->n_words ? w + 1 : NULL;

        if (word_is(w, "who") || word_is(w, "whom") || word_is(w, "whose"))
            return ANSWER_PERSON;
        if (word_is(w, "where"))
            return ANSWER_PLACE;
        if (word_is(w, "when"))
            return ANSWER_DATE;
        if (word_is(w, "why"))
            return ANSWER_REASON;
        if ((word_is(w, "what") || word_is(w, "which")) && next)
            return any_is(next, units_of_time) ? ANSWER_DATE : ANSWER_ANY;
        if (word_is(w, "how") && next)
            return word_is(next, "many") || word_is(next, "much") || word_is(next, "long") ||
                           word_is(next, "often") || word_is(next, "old") || word_is(next, "far")
                       ? ANSWER_QUANTITY
                       : ANSWER_METHOD;
    }
    return side->n_words > 0 && any_is(&side->words[0], auxiliaries) ? ANSWER_YESNO : ANSWER_ANY;
}

/* A request in the form of a question: may be about anything. */
static bool asks_to_tell(const struct confirm_side *side)
{
    static const char *const telling[] = {"알려", "알고", "설명", "말해", "가르쳐", "아냐", "아니",
                                          "아세", "아시", "아나", "궁금", "찾아",   "확인", NULL};
    for (size_t i = 0; i < side->n_words; i++)
        if (any_begins(&side->words[i], telling))
            return true;
    return false;
}

/* 가격이 어떻게 되나요 asks for the price. */
static bool asks_how_it_is(const struct confirm_side *side)
{
    static const char *const forms[] = {"되", "돼", "됩", "될", NULL};
    for (size_t i = 0; i + 1 < side->n_words; i++)
        if (word_begins(&side->words[i], "어떻게") && any_begins(&side->words[i + 1], forms))
            return true;
    return false;
}

enum answer_kind confirm_asked(const struct confirm_side *side)
{
    enum answer_kind kind = side->question.kind;

    if (!side->korean)
        return begins_as_question(side) ? asked_english(side) : ANSWER_ANY;
    if ((kind == ANSWER_YESNO && asks_to_tell(side)) ||
        (kind == ANSWER_METHOD && asks_how_it_is(side)))
        return ANSWER_ANY;
    /* 몇 시: a time, as 언제 asks for. */
    return kind == ANSWER_QUANTITY && side->question.unit_class == UNIT_CLOCK ? ANSWER_DATE : kind;
}

/* Asks for a thing (무엇, 어떤 것), which no time, place, person, reason or amount answers. */
static bool asks_what(const struct confirm_side *side)
{
    static const char *const words[] = {"뭐",   "뭘",   "뭔",   "무엇", "무얼",
                                        "무슨", "어떤", "어느", NULL};
    for (size_t i = 0; i < side->n_words && side->asked == ANSWER_ANY; i++)
        if (any_begins(&side->words[i], words))
            return true;
    return false;
}

static bool asks_no_thing(const struct confirm_side *side)
{
    return side->asked == ANSWER_DATE || side->asked == ANSWER_PLACE ||
           side->asked == ANSWER_PERSON || side->asked == ANSWER_REASON ||
           side->asked == ANSWER_QUANTITY;
}

bool confirm_asked_differs(const struct confirm_side *a, const struct confirm_side *b)
{
    if ((asks_what(a) && asks_no_thing(b)) || (asks_what(b) && asks_no_thing(a)))
        return true;
    if (a->asked == ANSWER_ANY || b->asked == ANSWER_ANY)
        return false;
    if (a->asked != b->asked)
        return true;
    /* 몇 명 and 몇 시간. */
    return a->question.unit_named && b->question.unit_named &&
           !unit_fits((enum unit_class)a->question.unit_class,
                      (enum unit_class)b->question.unit_class);
}
