/* Personal data of Korea: each form that is found, and what looks like one and is none. Numbers are
 * made up; their check digits are right where a row needs them so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "finding_list.h"
#include "guard/pii.h"
#include "guard/pii_check.h"

struct row {
    const char *name;
    const char *text;
    const char *found; /* "kind=text; ..." */
};

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct finding_list list = {0};
        const struct finding_sink sink = finding_list_sink(&list, rows[i].text);

        pii_find(rows[i].text, strlen(rows[i].text), PII_ALL, &sink);
        if (strcmp(list.line, rows[i].found) != 0)
            fail_msg("%s: '%s' in '%s'", rows[i].name, list.line, rows[i].text);
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows)[0])

static void test_persons(void **state)
{
    static const struct row rows[] = {
        {"with its check digit",                        "주민번호 900101-1234568입니다",       "resident_number=900101-1234568"    },
        {"without one, as issued since October 2020",   "주민등록번호: 900101-1234567",
         "resident_number=900101-1234567"                                                                                                 },
        {"a dash suffices where the date is right",     "홍길동 011231-3456789 귀하",
         "resident_number=011231-3456789"                                                                                                 },
        {"full-width digits and dash",                  "９００１０１－１２３４５６８",
         "resident_number=９００１０１－１２３４５６８"                                                                     },
        {"an en dash with blanks",                      "900101 – 1234568",                         "resident_number=900101 – 1234568"},
        {"zero-width characters hide nothing",          "9001\u200B01-123\u200B4568",
         "resident_number=9001\u200B01-123\u200B4568"                                                                                     },
        {"a particle follows",                          "번호는900101-1234568이고",              "resident_number=900101-1234568"    },
        {"digits alone with a check digit",             "9001011234568",                              "resident_number=9001011234568"     },
        {"digits alone without one",                    "주민등록번호 9001011234567 확인",
         "resident_number=9001011234567"                                                                                                  },
        {"and without the word",                        "코드 9001011234567 확인",                "resident_number=9001011234567"     },
        {"unless they are an article's number",         "코드 8801062123452 확인",                ""                                  },
        {"or a time in milliseconds",                   "시각 1705123456789",                       ""                                  },
        {"a foreigner's",                               "외국인등록번호 850315-5123452",       "foreigner_number=850315-5123452"   },
        {"a foreigner's by its form alone",             "850315-6123456",                             "foreigner_number=850315-6123456"   },
        {"born on the 29th of February of a leap year", "000229-4123456",
         "resident_number=000229-4123456"                                                                                                 },
        {"a 30th of February is no birthday",           "900230-1234567",                             ""                                  },
        {"month 13",                                    "901301-1234567",                             ""                                  },
        {"day 0",                                       "900100-1234567",                             ""                                  },
        {"not born yet",                                "901231-3234567",                             ""                                  },
        {"the 19th century only with its check digit",  "900101-9234567",                             ""                                  },
        {"a digit too many behind",                     "900101-12345678",                            ""                                  },
        {"a digit too many before",                     "1900101-1234568",                            ""                                  },
        {"part of a longer number",                     "3-900101-1234568",                           ""                                  },
        {"part of an identifier",                       "SN900101-1234568A",                          ""                                  },
        {"an order's number looks so",                  "주문번호 240115-1234567",                ""                                  },
        {"the word belongs to the number before",       "회원번호 1234 홍길동 900101-1234568",
         "resident_number=900101-1234568"                                                                                                 },
        {"two in a line",                               "900101-1234568, 900101-2234561",
         "resident_number=900101-1234568; resident_number=900101-2234561"                                                                 },
        {"hidden by its owner",                         "900101-1******",                             ""                                  },
        {"on two lines they are two numbers",           "900101\n1234568",                            ""                                  },
    };

    (void)state;
    CHECK(rows);
}

static void test_businesses_and_cards(void **state)
{
    static const struct row rows[] = {
        {"a business",                                             "사업자등록번호 124-81-00998",                        "business_number=124-81-00998"},
        {"a wrong check digit",                                    "사업자등록번호 124-81-00997",                        ""                            },
        {"digits alone with the word",                             "사업자번호 1248100998",                                "business_number=1248100998"  },
        {"digits alone without it",                                "수량 1248100998",                                         ""                            },
        {"digits alone beside a company",                          "(주)한빛 1248100998",                                    "business_number=1248100998"  },
        {"a company's account",                                    "국민은행 (주)한빛 110123456789",                     "bank_account=110123456789"   },
        {"an amount behind the word",                              "사업자 매출 1248100998원",                            ""                            },
        {"a kind of business that is none",                        "124-00-00999",                                              ""                            },
        {"a card in fours",                                        "카드 4111-1111-1111-1111",                                "card=4111-1111-1111-1111"    },
        {"with blanks",                                            "5555 5555 5555 4444",                                       "card=5555 5555 5555 4444"    },
        {"with points",                                            "5555.5555.5555.4444",                                       "card=5555.5555.5555.4444"    },
        {"digits alone",                                           "4111111111111111로 결제",                                "card=4111111111111111"       },
        {"American Express",                                       "3782-822463-10005",                                         "card=3782-822463-10005"      },
        {"Diners Club",                                            "3056-930902-5904",                                          "card=3056-930902-5904"       },
        {"full width",                                             "４１１１　１１１１　１１１１　１１１１",
         "card=４１１１　１１１１　１１１１　１１１１"                                                                                     },
        {"a wrong check digit",                                    "4111-1111-1111-1112",                                       ""                            },
        {"no issuer has such numbers",                             "1234-5678-9012-3452",                                       ""                            },
        {"twenty digits in fours are no card",                     "4111 1111 1111 1111 2222",                                  ""                            },
        {"a group of four before",                                 "2222 4111 1111 1111 1111",                                  ""                            },
        {"in a longer run of digits",                              "14111111111111111",                                         ""                            },
        {"an order's number that agrees by chance",                "주문번호 4111111111111111",                             ""                            },
        {"a book's number",                                        "ISBN 9788937460449",                                        ""                            },
        {"an article's number of 13 digits that agrees by chance", "4222222222222",                                             ""                            },
        {"13 digits with the word",                                "카드번호 4222222222222",                                "card=4222222222222"          },
        {"a decimal number",                                       "0.4111111111111111",                                        ""                            },
    };

    (void)state;
    CHECK(rows);
}

static void test_phones(void **state)
{
    static const struct row rows[] = {
        {"a mobile",                                  "제 번호는 010-1234-5678",             "phone=010-1234-5678"                          },
        {"digits alone",                              "01012345678로 연락",                   "phone=01012345678"                            },
        {"with blanks",                               "010 1234 5678",                           "phone=010 1234 5678"                          },
        {"with points",                               "010.1234.5678",                           "phone=010.1234.5678"                          },
        {"from abroad",                               "+82-10-1234-5678",                        "phone=+82-10-1234-5678"                       },
        {"from abroad with blanks",                   "+82 10 1234 5678",                        "phone=+82 10 1234 5678"                       },
        {"from abroad, digits alone",                 "+821012345678",                           "phone=+821012345678"                          },
        {"from abroad with the zero",                 "+82 (0)10-1234-5678",                     "phone=+82 (0)10-1234-5678"                    },
        {"from abroad, a city",                       "+82-2-123-4567",                          "phone=+82-2-123-4567"                         },
        {"an old mobile",                             "011-234-5678",                            "phone=011-234-5678"                           },
        {"Seoul",                                     "02-123-4567",                             "phone=02-123-4567"                            },
        {"Seoul in parentheses",                      "(02) 123-4567",                           "phone=(02) 123-4567"                          },
        {"a province",                                "031-1234-5678",                           "phone=031-1234-5678"                          },
        {"an internet phone",                         "070-1234-5678",                           "phone=070-1234-5678"                          },
        {"a number for life",                         "0505-123-4567",                           "phone=0505-123-4567"                          },
        {"for all of the country",                    "1588-1234로 전화",                     "phone=1588-1234"                              },
        {"a label touches it",                        "Tel02-123-4567",                          "phone=02-123-4567"                            },
        {"two with a comma",                          "010-1234-5678,010-2345-6789",
         "phone=010-1234-5678; phone=010-2345-6789"                                                                                             },
        {"two with a slash",                          "02-123-4567/010-1234-5678",               "phone=02-123-4567; phone=010-1234-5678"       },
        {"full width",                                "０１０－１２３４－５６７８", "phone=０１０－１２３４－５６７８"},
        {"a city without dashes needs the word",      "전화 0212345678",                       "phone=0212345678"                             },
        {"and is none without it",                    "코드 0212345678",                       ""                                             },
        {"a span of years",                           "1592-1598년",                            ""                                             },
        {"a span of years that begins like a number", "1800-1899년",                            ""                                             },
        {"a date",                                    "2024-01-15",                              ""                                             },
        {"an address on the net",                     "10.0.1.254, 192.168.0.1",                 ""                                             },
        {"a serial number",                           "SN010-1234-5678X",                        ""                                             },
        {"too many digits",                           "010-1234-56789",                          ""                                             },
        {"a longer number",                           "010-1234-5678-9012",                      ""                                             },
        {"a year before a month and a day",           "2020.10.05",                              ""                                             },
    };

    (void)state;
    CHECK(rows);
}

static void test_documents_accounts_and_mail(void **state)
{
    static const struct row rows[] = {
        {"an old passport",                  "여권 M12345678",                           "passport=M12345678"                },
        {"a new passport",                   "M123A4567",                                  "passport=M123A4567"                },
        {"a kind that needs the word",       "여권번호 S12345678",                     "passport=S12345678"                },
        {"a serial number",                  "S12345678",                                  ""                                  },
        {"a model's number",                 "모델 M12345678",                           ""                                  },
        {"a letter before",                  "AM12345678",                                 ""                                  },
        {"a digit too many",                 "M123456789",                                 ""                                  },
        {"a licence",                        "면허 11-12-123456-78",                     "driver_licence=11-12-123456-78"    },
        {"a licence of old",                 "서울 12-123456-78",                        "driver_licence=서울 12-123456-78"},
        {"no such region",                   "31-12-123456-78",                            ""                                  },
        {"digits alone with the word",       "운전면허 111212345678",                  "driver_licence=111212345678"       },
        {"an account beside its bank",       "국민은행 123456-01-123456",
         "bank_account=123456-01-123456"                                                                                       },
        {"digits alone beside the word",     "계좌번호 110123456789",                  "bank_account=110123456789"         },
        {"the bank behind it",               "110-123-456789 (신한은행)",              "bank_account=110-123-456789"       },
        {"neither bank nor word",            "110-123-456789",                             ""                                  },
        {"a bank's telephone",               "국민은행 1588-9999",                     "phone=1588-9999"                   },
        {"an amount paid in",                "계좌로 1234567890원 입금",             ""                                  },
        {"e-mail",                           "메일은 hong.gd+a@example.co.kr입니다", "email=hong.gd+a@example.co.kr"     },
        {"digits in a mailbox are no phone", "01012345678@naver.com",
         "email=01012345678@naver.com"                                                                                         },
        {"a point ends the sentence",        "a@b.com.",                                   "email=a@b.com"                     },
        {"no domain",                        "a@b",                                        ""                                  },
        {"a version of a package",           "left-pad@1.3.0",                             ""                                  },
        {"a file for high resolution",       "icon@2x.png",                                ""                                  },
        {"a repository",                     "git@github.com:org/repo",                    ""                                  },
        {"a mention",                        "@hong 님",                                  ""                                  },
    };

    (void)state;
    CHECK(rows);
}

static void test_only_the_kinds_asked_for(void **state)
{
    static const char text[] = "국민은행 010-1234-5678, a@b.com";
    struct finding_list list = {0};
    struct finding_sink sink = finding_list_sink(&list, text);

    (void)state;
    pii_find(text, strlen(text), PII_EMAIL | PII_BANK_ACCOUNT, &sink);
    assert_string_equal(list.line, "email=a@b.com");
    list.n_max = 1;
    sink = finding_list_sink(&list, text);
    pii_find(text, strlen(text), PII_ALL, &sink);
    assert_string_equal(list.line, "phone=010-1234-5678");
    assert_int_equal(pii_kind_parse("card"), PII_CARD);
    assert_int_equal(pii_kind_parse("cards"), 0);
}

/* Text made to be slow: a scan that looked at each group anew from each digit would not end. */
static void test_long_runs_end(void **state)
{
    static const char *const units[] = {"1", "1-", "1 ", "900101-", "4111 ",
                                        "M", "a.", "@",  "０",      "\u200B1"};
    const size_t n = 1 << 17;
    char *text = malloc(n + 16);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t unit = strlen(units[i]);
        struct finding_list list = {.n_max = 1};
        const struct finding_sink sink = finding_list_sink(&list, text);
        size_t at = 0;

        for (; at + unit <= n; at += unit)
            memcpy(text + at, units[i], unit);
        pii_find(text, at, PII_ALL, &sink);
        assert_int_equal(list.n, 0);
    }
    free(text);
}

static void test_days(void **state)
{
    (void)state;
    assert_int_equal(pii_check_today(0), 19700101);
    assert_int_equal(pii_check_today((int64_t)1582977600000), 20200229); /* 12:00 UTC */
    assert_int_equal(pii_check_today((int64_t)1735657200000), 20250101); /* midnight in Seoul */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_persons),
        cmocka_unit_test(test_businesses_and_cards),
        cmocka_unit_test(test_phones),
        cmocka_unit_test(test_documents_accounts_and_mail),
        cmocka_unit_test(test_only_the_kinds_asked_for),
        cmocka_unit_test(test_long_runs_end),
        cmocka_unit_test(test_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
