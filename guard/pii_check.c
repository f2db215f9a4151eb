#include "guard/pii_check.h"

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_of(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

bool pii_check_birth(const uint8_t d[7], uint32_t today)
{
    static const uint16_t centuries[] = {1800, 1900, 1900, 2000, 2000,
                                         1900, 1900, 2000, 2000, 1800};
    unsigned year = centuries[d[6]] + d[0] * 10u + d[1];
    unsigned month = d[2] * 10u + d[3];
    unsigned day = d[4] * 10u + d[5];

    return month >= 1 && month <= 12 && day >= 1 && day <= days_of(year, month) &&
           year * 10000 + month * 100 + day <= today;
}

bool pii_check_resident(const uint8_t d[13])
{
    bool foreigner = d[6] >= 5 && d[6] <= 8;
    unsigned sum = 0;

    for (unsigned i = 0; i < 12; i++)
        sum += d[i] * (2 + i % 8);
    return ((foreigner ? 13 : 11) - sum % 11) % 10 == d[12];
}

bool pii_check_business(const uint8_t d[10])
{
    static const uint8_t weights[] = {1, 3, 7, 1, 3, 7, 1, 3, 5};
    unsigned sum = d[8] * 5u / 10;

    for (unsigned i = 0; i < 9; i++)
        sum += d[i] * (unsigned)weights[i];
    return (10 - sum % 10) % 10 == d[9];
}

bool pii_check_luhn(const uint8_t *d, size_t n)
{
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned v = d[n - 1 - i] * (i % 2 ? 2u : 1u);

        sum += v > 9 ? v - 9 : v;
    }
    return n > 0 && sum % 10 == 0;
}

/* Ranges of the first digits (as many as 'low' has), and the lengths issued in them. Sources: the
 * networks' own rules as ISO/IEC 7812 registers them; 94 is what Korean issuers have for cards that
 * are good in Korea only (first digit 9: for national use). */
static const struct {
    uint32_t low;
    uint32_t high;
    uint8_t n_digits;
    uint8_t n_min;
    uint8_t n_max;
} issuers[] = {
    {4,    4,    1, 13, 13}, /* Visa, of old */
    {4,    4,    1, 16, 16}, /* Visa */
    {4,    4,    1, 19, 19},
    {51,   55,   2, 16, 16}, /* Mastercard */
    {2221, 2720, 4, 16, 16},
    {34,   34,   2, 15, 15}, /* American Express */
    {37,   37,   2, 15, 15},
    {300,  305,  3, 14, 16}, /* Diners Club */
    {3095, 3095, 4, 14, 16},
    {36,   36,   2, 14, 14},
    {38,   39,   2, 14, 16},
    {6011, 6011, 4, 16, 19}, /* Discover */
    {644,  649,  3, 16, 19},
    {65,   65,   2, 16, 19},
    {3528, 3589, 4, 16, 19}, /* JCB */
    {62,   62,   2, 16, 19}, /* UnionPay */
    {81,   81,   2, 16, 19},
    {5018, 5018, 4, 13, 19}, /* Maestro */
    {5020, 5020, 4, 13, 19},
    {5038, 5038, 4, 13, 19},
    {5893, 5893, 4, 13, 19},
    {6304, 6304, 4, 13, 19},
    {6759, 6763, 4, 13, 19},
    {94,   94,   2, 16, 16}, /* Korea only */
};

bool pii_check_issuer(const uint8_t *d, size_t n)
{
    for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++) {
        uint32_t prefix = 0;

        if (n < issuers[i].n_min || n > issuers[i].n_max)
            continue;
        for (size_t k = 0; k < issuers[i].n_digits; k++)
            prefix = prefix * 10 + d[k];
        if (prefix >= issuers[i].low && prefix <= issuers[i].high)
            return true;
    }
    return false;
}

uint32_t pii_check_today(int64_t wall_ms)
{
    uint32_t left = (uint32_t)((wall_ms / 1000 + 9 * 3600) / 86400); /* days since 1970 */
    unsigned year = 1970;
    unsigned month = 1;

    for (; left >= (is_leap(year) ? 366u : 365u); year++)
        left -= is_leap(year) ? 366u : 365u;
    for (; left >= days_of(year, month); month++)
        left -= days_of(year, month);
    return year * 10000 + month * 100 + left + 1;
}
