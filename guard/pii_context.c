#include "guard/pii_context.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "guard/pii.h"

#define PERSON (PII_RESIDENT_NUMBER | PII_FOREIGNER_NUMBER)
#define OTHER  PII_CONTEXT_OTHER
#define WEAK   (1u << 30) /* counts where no other word does */

/* In lower case, without blanks: the text is looked at so. */
static const struct {
    const char *word;
    uint32_t kinds;
} words[] = {
    {"주민등록",         PERSON                      },
    {"주민번호",         PERSON                      },
    {"주민",               PERSON                      },
    {"rrn",                  PERSON                      },
    {"residentregistration", PERSON                      },
    {"외국인등록",      PERSON                      },
    {"외국인번호",      PERSON                      },
    {"거소신고",         PERSON                      },
    {"외국인",            PERSON                      },
    {"alienregistration",    PERSON                      },
    {"사업자",            PII_BUSINESS_NUMBER         },
    {"businessregistration", PII_BUSINESS_NUMBER         },
    {"businessno",           PII_BUSINESS_NUMBER         },
    {"taxid",                PII_BUSINESS_NUMBER         },
    {"공급자",            PII_BUSINESS_NUMBER         },
    {"등록번호",         PERSON | PII_BUSINESS_NUMBER},
    {"상호",               PII_BUSINESS_NUMBER         },
    {"업태",               PII_BUSINESS_NUMBER         },
    {"업체",               PII_BUSINESS_NUMBER | WEAK  },
    {"거래처",            PII_BUSINESS_NUMBER | WEAK  },
    {"가맹점",            PII_BUSINESS_NUMBER | WEAK  },
    {"판매자",            PII_BUSINESS_NUMBER | WEAK  },
    {"판매처",            PII_BUSINESS_NUMBER | WEAK  },
    {"매출처",            PII_BUSINESS_NUMBER | WEAK  },
    {"매입처",            PII_BUSINESS_NUMBER | WEAK  },
    {"납품처",            PII_BUSINESS_NUMBER | WEAK  },
    {"발주처",            PII_BUSINESS_NUMBER | WEAK  },
    {"협력사",            PII_BUSINESS_NUMBER | WEAK  },
    {"과세자",            PII_BUSINESS_NUMBER | WEAK  },
    {"법인",               PII_BUSINESS_NUMBER | WEAK  },
    {"대표자",            PII_BUSINESS_NUMBER | WEAK  },
    {"대표",               PII_BUSINESS_NUMBER | WEAK  },
    {"공급받는자",      PII_BUSINESS_NUMBER         },
    {"세금계산서",      PII_BUSINESS_NUMBER         },
    {"현금영수증",      PII_BUSINESS_NUMBER | WEAK  },
    {"(주)",                PII_BUSINESS_NUMBER | WEAK  },
    {"㈜",                  PII_BUSINESS_NUMBER | WEAK  },
    {"주식회사",         PII_BUSINESS_NUMBER | WEAK  },
    {"카드",               PII_CARD                    },
    {"card",                 PII_CARD                    },
    {"visa",                 PII_CARD                    },
    {"전화",               PII_PHONE                   },
    {"연락",               PII_PHONE                   },
    {"휴대폰",            PII_PHONE                   },
    {"핸드폰",            PII_PHONE                   },
    {"팩스",               PII_PHONE                   },
    {"문자",               PII_PHONE                   },
    {"통화",               PII_PHONE                   },
    {"고객센터",         PII_PHONE                   },
    {"콜센터",            PII_PHONE                   },
    {"대표번호",         PII_PHONE                   },
    {"직통",               PII_PHONE                   },
    {"문의",               PII_PHONE                   },
    {"☎",                  PII_PHONE                   },
    {"📞",                 PII_PHONE                   },
    {"tel",                  PII_PHONE                   },
    {"fax",                  PII_PHONE                   },
    {"phone",                PII_PHONE                   },
    {"mobile",               PII_PHONE                   },
    {"call",                 PII_PHONE                   },
    {"여권",               PII_PASSPORT                },
    {"passport",             PII_PASSPORT                },
    {"면허",               PII_DRIVER_LICENCE          },
    {"licence",              PII_DRIVER_LICENCE          },
    {"license",              PII_DRIVER_LICENCE          },
    {"계좌",               PII_BANK_ACCOUNT            },
    {"통장",               PII_BANK_ACCOUNT            },
    {"입금",               PII_BANK_ACCOUNT            },
    {"송금",               PII_BANK_ACCOUNT            },
    {"이체",               PII_BANK_ACCOUNT            },
    {"예금주",            PII_BANK_ACCOUNT            },
    {"은행",               PII_BANK_ACCOUNT            },
    {"뱅크",               PII_BANK_ACCOUNT            },
    {"농협",               PII_BANK_ACCOUNT            },
    {"수협",               PII_BANK_ACCOUNT            },
    {"신협",               PII_BANK_ACCOUNT            },
    {"축협",               PII_BANK_ACCOUNT            },
    {"새마을금고",      PII_BANK_ACCOUNT            },
    {"우체국",            PII_BANK_ACCOUNT            },
    {"bank",                 PII_BANK_ACCOUNT            },
    {"accountno",            PII_BANK_ACCOUNT            },
    {"accountnumber",        PII_BANK_ACCOUNT            },
    {"주문번호",         OTHER                       },
    {"주문no",             OTHER                       },
    {"orderno",              OTHER                       },
    {"ordernumber",          OTHER                       },
    {"orderid",              OTHER                       },
    {"송장",               OTHER                       },
    {"운송장",            OTHER                       },
    {"배송번호",         OTHER                       },
    {"tracking",             OTHER                       },
    {"invoice",              OTHER                       },
    {"접수번호",         OTHER                       },
    {"문서번호",         OTHER                       },
    {"사건번호",         OTHER                       },
    {"관리번호",         OTHER                       },
    {"승인번호",         OTHER                       },
    {"거래번호",         OTHER                       },
    {"예약번호",         OTHER                       },
    {"참조번호",         OTHER                       },
    {"허가번호",         OTHER                       },
    {"인증번호",         OTHER                       },
    {"고객번호",         OTHER                       },
    {"회원번호",         OTHER                       },
    {"상품번호",         OTHER                       },
    {"상품코드",         OTHER                       },
    {"제품번호",         OTHER                       },
    {"제품코드",         OTHER                       },
    {"자산번호",         OTHER                       },
    {"품번",               OTHER                       },
    {"부품",               OTHER                       },
    {"도면",               OTHER                       },
    {"모델",               OTHER                       },
    {"model",                OTHER                       },
    {"일련번호",         OTHER                       },
    {"시리얼",            OTHER                       },
    {"serial",               OTHER                       },
    {"s/n",                  OTHER                       },
    {"바코드",            OTHER                       },
    {"barcode",              OTHER                       },
    {"isbn",                 OTHER                       },
    {"issn",                 OTHER                       },
    {"imei",                 OTHER                       },
    {"특허",               OTHER                       },
    {"출원번호",         OTHER                       },
    {"학번",               OTHER                       },
    {"사번",               OTHER                       },
    {"버전",               OTHER                       },
    {"version",              OTHER                       },
    {"build",                OTHER                       },
    {"빌드",               OTHER                       },
    {"타임스탬프",      OTHER                       },
    {"timestamp",            OTHER                       },
    {"금액",               OTHER                       },
    {"합계",               OTHER                       },
    {"총액",               OTHER                       },
    {"트랜잭션",         OTHER                       },
    {"transaction",          OTHER                       },
    {"ticket",               OTHER                       },
};
#define N_WORDS (sizeof words / sizeof words[0])

static_assert(N_WORDS <= PII_WORDS_MAX, "an index of a word is a byte");

/* Of three bytes; no word is shorter. */
static size_t bucket_of(const char *s)
{
    const unsigned char *b = (const unsigned char *)s;

    return (b[0] * 31u + b[1] * 7u + b[2]) % PII_WORDS_BUCKETS;
}

void pii_words_init(struct pii_words *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < N_WORDS; i++) {
        uint8_t *head = &ret->heads[bucket_of(words[i].word)];

        ret->next[i] = *head;
        *head = (uint8_t)(i + 1);
    }
}

/* Copy at most 'max' bytes of s[0..n) to ret in lower case without blanks, up to a line's end. */
static size_t fold(const char *s, size_t n, char *ret)
{
    size_t n_ret = 0;

    for (size_t i = 0; i < n; i++) {
        char c = s[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (c == '\n')
            n_ret = 0; /* what was before is another line */
        else if (c != ' ' && c != '\t')
            ret[n_ret++] = c;
    }
    return n_ret;
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Is words[i] in s at 'at', a Latin one as a word of its own? Two letters of "hotel" are no "tel".
 */
static bool is_at(size_t i, const char *s, size_t n, size_t at)
{
    size_t n_word = strlen(words[i].word);

    return n - at >= n_word && memcmp(s + at, words[i].word, n_word) == 0 &&
           !(is_letter(s[at]) && at > 0 && is_letter(s[at - 1]));
}

/* The longest word that is at 'at'. */
static uint32_t kinds_at(const struct pii_words *index, const char *s, size_t n, size_t at,
                         size_t *ret_bytes)
{
    uint32_t kinds = PII_CONTEXT_NONE;

    *ret_bytes = 0;
    if (n - at < 3)
        return kinds;
    for (size_t i = index->heads[bucket_of(s + at)]; i > 0; i = index->next[i - 1]) {
        size_t n_word = strlen(words[i - 1].word);

        if (n_word > *ret_bytes && is_at(i - 1, s, n, at)) {
            *ret_bytes = n_word;
            kinds = words[i - 1].kinds;
        }
    }
    return kinds;
}

/* Take the word 'here' into what is known so far: what comes nearer to the number counts more, but
 * for weak words. */
static uint32_t nearer(uint32_t known, uint32_t here)
{
    if ((here & WEAK) && known != PII_CONTEXT_NONE && !(known & WEAK))
        return known;
    return here;
}

/* The words before a number. A word for some other number tells of the first number behind it. */
static uint32_t context_before(const struct pii_words *index, const char *s, size_t n)
{
    uint32_t kinds = PII_CONTEXT_NONE;
    size_t n_word;

    for (size_t at = 0; at < n; at += n_word ? n_word : 1) {
        uint32_t here = kinds_at(index, s, n, at, &n_word);

        if (here != PII_CONTEXT_NONE)
            kinds = nearer(kinds, here);
        else if (kinds == PII_CONTEXT_OTHER && s[at] >= '0' && s[at] <= '9')
            kinds = PII_CONTEXT_NONE;
    }
    return kinds;
}

uint32_t pii_context(const struct pii_words *index, const char *text, size_t n, uint32_t start,
                     uint32_t end)
{
    size_t n_before = start < PII_CONTEXT_BEFORE ? start : PII_CONTEXT_BEFORE;
    size_t n_after = n - end < PII_CONTEXT_AFTER ? n - end : PII_CONTEXT_AFTER;
    const char *line = memchr(text + end, '\n', n_after);
    char s[PII_CONTEXT_BEFORE > PII_CONTEXT_AFTER ? PII_CONTEXT_BEFORE : PII_CONTEXT_AFTER];
    size_t n_s = fold(text + start - n_before, n_before, s);
    uint32_t kinds = context_before(index, s, n_s);
    size_t n_word;

    n_s = fold(text + end, line ? (size_t)(line - (text + end)) : n_after, s);
    for (size_t at = 0; at < n_s && (kinds == PII_CONTEXT_NONE || (kinds & WEAK)); at++) {
        uint32_t here = kinds_at(index, s, n_s, at, &n_word);

        if (here != PII_CONTEXT_NONE)
            kinds = nearer(kinds, here);
    }
    return kinds & ~WEAK;
}

size_t pii_context_region(const char *text, uint32_t end)
{
    static const char *const regions[] = {"서울", "부산", "경기", "강원", "충북", "충남",
                                          "전북", "전남", "경북", "경남", "제주", "대구",
                                          "인천", "광주", "대전", "울산"};
    size_t joined = end > 0 && (text[end - 1] == '-' || text[end - 1] == ' ') ? 1 : 0;
    size_t at = end - joined;

    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        size_t n = strlen(regions[i]);

        if (at >= n && memcmp(text + at - n, regions[i], n) == 0)
            return n + joined;
    }
    return 0;
}
