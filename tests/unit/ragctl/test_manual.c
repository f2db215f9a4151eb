/* Goal: the manual pages tell of every command, option and configuration key that there is.
 * Method: the tables of the programs are looked up in the pages' source. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "daemon/ragctl/ragctl.h"

#define PAGE_BYTES_MAX 65536

static void read_page(const char *name, char page[PAGE_BYTES_MAX])
{
    char path[512];
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "%s/../../etc/man/%s", RAG_TEST_DATA, name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(page, 1, PAGE_BYTES_MAX - 1, f);
    fclose(f);
    assert_true(n > 1000 && n < PAGE_BYTES_MAX - 1);
    page[n] = '\0';
}

/* Is "Fl Fl word" there as a whole word? */
static bool has_option(const char *page, const char *word)
{
    char wanted[96];

    snprintf(wanted, sizeof wanted, "Fl Fl %s", word);
    for (const char *at = page; (at = strstr(at, wanted)) != NULL; at++) {
        char next = at[strlen(wanted)];

        if (!isalnum((unsigned char)next) && next != '-')
            return true;
    }
    return false;
}

static void every_command_has_a_section(void **state)
{
    static char page[PAGE_BYTES_MAX];
    char heading[64];

    (void)state;
    read_page("ragctl.1", page);
    for (const struct ragctl_command *c = ragctl_command_table(); c->name; c++) {
        snprintf(heading, sizeof heading, "\n.Ss %s", c->name);
        if (!strstr(page, heading))
            fail_msg("ragctl.1 has no section '%s'", c->name);
    }
}

static void every_option_is_explained(void **state)
{
    static char page[PAGE_BYTES_MAX];
    char word[64];

    (void)state;
    read_page("ragctl.1", page);
    for (const struct ragctl_command *c = ragctl_command_table(); c->name; c++) {
        for (const char *at = c->help; (at = strstr(at, "--")) != NULL;) {
            size_t n = 0;

            at += 2;
            while (n < sizeof word - 1 && (islower((unsigned char)at[n]) || at[n] == '-'))
                n++;
            if (n == 0)
                continue;
            memcpy(word, at, n);
            word[n] = '\0';
            if (!has_option(page, word))
                fail_msg("ragctl.1 does not explain --%s of '%s'", word, c->name);
        }
    }
}

static void every_key_is_explained(void **state)
{
    static char page[PAGE_BYTES_MAX];
    size_t n = 0;
    const struct config_key *keys = config_keys(&n);

    (void)state;
    read_page("ragd.conf.5", page);
    for (size_t i = 0; i < n; i++) {
        char heading[64];
        char item[256];
        char *section;

        snprintf(heading, sizeof heading, "\n.Ss [%s]", keys[i].section);
        section = strstr(page, heading);
        if (!section)
            fail_msg("ragd.conf.5 has no section [%s]", keys[i].section);
        if (keys[i].fallback[0] != '\0')
            snprintf(item, sizeof item, "\n.It Cm %s = Ar %s\n", keys[i].name, keys[i].fallback);
        else
            snprintf(item, sizeof item, "\n.It Cm %s\n", keys[i].name);
        if (!strstr(section, item))
            fail_msg("ragd.conf.5 lacks '%s' with its default", keys[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_a_section),
        cmocka_unit_test(every_option_is_explained),
        cmocka_unit_test(every_key_is_explained),
    };

    return cmocka_run_group_tests_name("manual", tests, NULL, NULL);
}
