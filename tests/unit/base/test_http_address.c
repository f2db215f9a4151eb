/* Which addresses are public, private, or never a server's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/http_address.h"

static const struct row {
    const char *address;
    enum http_address_class class;
} rows[] = {
    {"93.184.216.34",                      HTTP_ADDRESS_PUBLIC },
    {"9.255.255.255",                      HTTP_ADDRESS_PUBLIC },
    {"11.0.0.0",                           HTTP_ADDRESS_PUBLIC },
    {"100.63.255.255",                     HTTP_ADDRESS_PUBLIC },
    {"100.128.0.0",                        HTTP_ADDRESS_PUBLIC },
    {"172.15.255.255",                     HTTP_ADDRESS_PUBLIC },
    {"172.32.0.0",                         HTTP_ADDRESS_PUBLIC },
    {"192.167.255.255",                    HTTP_ADDRESS_PUBLIC },
    {"10.0.0.1",                           HTTP_ADDRESS_PRIVATE},
    {"100.64.0.1",                         HTTP_ADDRESS_PRIVATE},
    {"127.0.0.1",                          HTTP_ADDRESS_PRIVATE},
    {"127.255.255.254",                    HTTP_ADDRESS_PRIVATE},
    {"169.254.1.1",                        HTTP_ADDRESS_PRIVATE},
    {"172.16.0.1",                         HTTP_ADDRESS_PRIVATE},
    {"172.31.255.255",                     HTTP_ADDRESS_PRIVATE},
    {"192.168.1.1",                        HTTP_ADDRESS_PRIVATE},
    {"198.19.0.1",                         HTTP_ADDRESS_PRIVATE},
    {"0.0.0.0",                            HTTP_ADDRESS_NEVER  },
    {"100.100.100.200",                    HTTP_ADDRESS_NEVER  },
    {"169.254.169.254",                    HTTP_ADDRESS_NEVER  },
    {"169.254.170.2",                      HTTP_ADDRESS_NEVER  },
    {"192.0.0.8",                          HTTP_ADDRESS_NEVER  },
    {"192.0.2.1",                          HTTP_ADDRESS_NEVER  },
    {"198.51.100.1",                       HTTP_ADDRESS_NEVER  },
    {"203.0.113.9",                        HTTP_ADDRESS_NEVER  },
    {"224.0.0.1",                          HTTP_ADDRESS_NEVER  },
    {"255.255.255.255",                    HTTP_ADDRESS_NEVER  },
    {"2606:2800:220:1:248:1893:25c8:1946", HTTP_ADDRESS_PUBLIC },
    {"::ffff:93.184.216.34",               HTTP_ADDRESS_PUBLIC },
    {"64:ff9b::93.184.216.34",             HTTP_ADDRESS_PUBLIC },
    {"2002:5db8:d822::1",                  HTTP_ADDRESS_PUBLIC },
    {"::1",                                HTTP_ADDRESS_PRIVATE},
    {"::ffff:127.0.0.1",                   HTTP_ADDRESS_PRIVATE},
    {"64:ff9b::10.0.0.1",                  HTTP_ADDRESS_PRIVATE},
    {"64:ff9b:1::1",                       HTTP_ADDRESS_PRIVATE},
    {"2002:7f00:1::1",                     HTTP_ADDRESS_PRIVATE},
    {"fc00::1",                            HTTP_ADDRESS_PRIVATE},
    {"fdff:ffff::1",                       HTTP_ADDRESS_PRIVATE},
    {"fe80::1",                            HTTP_ADDRESS_PRIVATE},
    {"fec0::1",                            HTTP_ADDRESS_PRIVATE},
    {"::",                                 HTTP_ADDRESS_NEVER  },
    {"::7f00:1",                           HTTP_ADDRESS_NEVER  },
    {"::ffff:169.254.169.254",             HTTP_ADDRESS_NEVER  },
    {"fd00:ec2::254",                      HTTP_ADDRESS_NEVER  },
    {"100::1",                             HTTP_ADDRESS_NEVER  },
    {"2001::1",                            HTTP_ADDRESS_NEVER  },
    {"2001:db8::1",                        HTTP_ADDRESS_NEVER  },
    {"3fff::1",                            HTTP_ADDRESS_NEVER  },
    {"ff02::1",                            HTTP_ADDRESS_NEVER  },
};

static void addresses_have_their_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sockaddr_storage address;
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        char text[HTTP_ADDRESS_TEXT_BYTES];

        memset(&address, 0, sizeof address);
        if (strchr(rows[i].address, ':')) {
            assert_int_equal(inet_pton(AF_INET6, rows[i].address, &v6.sin6_addr), 1);
            memcpy(&address, &v6, sizeof v6);
        } else {
            assert_int_equal(inet_pton(AF_INET, rows[i].address, &v4.sin_addr), 1);
            memcpy(&address, &v4, sizeof v4);
        }
        if (http_address_class((struct sockaddr *)&address) != rows[i].class)
            fail_msg("%s: class %d, not %d", rows[i].address,
                     http_address_class((struct sockaddr *)&address), rows[i].class);
        http_address_text((struct sockaddr *)&address, text);
        assert_true(strlen(text) > 1);
    }
}

static void another_family_is_never_a_server(void **state)
{
    struct sockaddr address = {.sa_family = AF_UNIX};
    char text[HTTP_ADDRESS_TEXT_BYTES];

    (void)state;
    assert_int_equal(http_address_class(&address), HTTP_ADDRESS_NEVER);
    http_address_text(&address, text);
    assert_string_equal(text, "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_their_class),
        cmocka_unit_test(another_family_is_never_a_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
