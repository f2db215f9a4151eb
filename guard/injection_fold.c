#include "guard/injection_fold.h"

#include <stddef.h>

/* From 'first' on, each character folds to the one at its place. */
struct fold_run {
    uint32_t first;
    const char *to;
};

/* '~' stays as it is. */
static const struct fold_run runs[] = {
    {0xC0,
     "aaaaaaaceeeeiiiidnooooo~ouuuuypsaaaaaaaceeeeiiiidnooooo~ouuuuypy"               }, /* Latin with marks */
    {0x391,  "ab~~ezh~ik~mn~o~p~~ty~x~~~~~~~~~a~~~e~~~ik~~v~o~p~~~u~x"                }, /* Greek */
    {0x405,  "siij~~~~~~~a~b~~e~~~~k~mho~pct~~x~~~~~~~~~~a~b~~e~~~~k~mho~pcty~x~~~~~~~~~~~e~~~"
            "siij"                                                         }, /* Cyrillic
  */
    {0x251,
     "a~~~~~~~~~e~~~~~gg~~~~~~ii~~~~~~~~~n~~~~~~~~~~~r~~~~~~~~~~~~~~y~~~~~~~~~b~~h~~l"}, /* IPA */
    {0x1D00, "a~~~cd~e~~jk~m~o~~~~~~~~p~~tu~~~vwz"                                    }, /* small capitals */
    {0x2070, "0i~~456789~~~~~n0123456789~~~~~~aeox"                                   }, /* raised and lowered */
    {0x131,  "i"                                                                      }, /* without its dot */
    {0x4BB,  "h"                                                                      }, /* Cyrillic shha */
    {0x501,  "d"                                                                      }, /* Komi */
    {0x51B,  "q~w"                                                                    }, /* Kurdish qa, we */
};

static uint32_t fold_letter(uint32_t c)
{
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const char *to = runs[i].to;

        if (c < runs[i].first)
            continue;
        for (uint32_t k = runs[i].first; *to; to++, k++)
            if (k == c)
                return *to == '~' ? c : (uint32_t)(unsigned char)*to;
    }
    if (c >= 0x1D400 &&
        c <= 0x1D6A3) /* 13 mathematical alphabets of 26 capital, 26 small letters */
        return 'a' + (c - 0x1D400) % 26;
    if (c >= 0x1D7CE && c <= 0x1D7FF)
        return '0' + (c - 0x1D7CE) % 10;
    if (c >= 0x249C && c <= 0x24B5) /* in parentheses */
        return 'a' + (c - 0x249C);
    if (c >= 0x24B6 && c <= 0x24E9) /* in circles */
        return 'a' + (c - 0x24B6) % 26;
    if (c >= 0x1F110 &&
        c <= 0x1F129) /* capitals in parentheses, squares, circles, filled squares */
        return 'a' + (c - 0x1F110);
    if (c >= 0x1F130 && c <= 0x1F189 && (c - 0x1F130) % 32 < 26)
        return 'a' + (c - 0x1F130) % 32;
    return c;
}

static uint32_t fold_mark(uint32_t c)
{
    switch (c) {
    case 0x2039: /* single and double pointing quotes and brackets */
    case 0x2329:
    case 0x276E:
    case 0x2770:
    case 0x27E8:
    case 0x3008:
    case 0x300A:
    case 0xAB:
    case 0xFE64:
        return '<';
    case 0x203A:
    case 0x232A:
    case 0x276F:
    case 0x2771:
    case 0x27E9:
    case 0x3009:
    case 0x300B:
    case 0xBB:
    case 0xFE65:
        return '>';
    case 0x27E6:
    case 0x3010:
    case 0x3014:
    case 0x301A:
        return '[';
    case 0x27E7:
    case 0x3011:
    case 0x3015:
    case 0x301B:
        return ']';
    case 0xA6:
    case 0x1C0:
    case 0x2223:
    case 0x23D0:
    case 0x2502:
    case 0x2503:
    case 0x2758:
    case 0xFFE8:
        return '|';
    case 0x2018:
    case 0x2019:
    case 0x201A:
    case 0x201B:
    case 0x2032:
        return '\'';
    case 0x201C:
    case 0x201D:
    case 0x201E:
    case 0x2033:
    case 0x300C:
    case 0x300D:
    case 0x300E:
    case 0x300F:
        return '"';
    case 0x3001:
        return ',';
    case 0x3002:
    case 0xFF61:
        return '.';
    case 0xA789:
    case 0x2236:
        return ':';
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2015:
    case 0x2212:
        return '-';
    default:
        return c;
    }
}

bool injection_is_zero_width(uint32_t c)
{
    return (c >= 0x200B && c <= 0x200D) || (c >= 0x2060 && c <= 0x2064) || c == 0xFEFF ||
           c == 0x180E || c == 0x115F || c == 0x1160 || c == 0x3164 || c == 0xFFA0 || c == 0x34F;
}

bool injection_is_override(uint32_t c)
{
    return c == 0x202D || c == 0x202E;
}

bool injection_is_tag(uint32_t c)
{
    return c >= 0xE0020 && c <= 0xE007F;
}

static bool is_invisible(uint32_t c)
{
    return injection_is_zero_width(c) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
           (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xE0000 && c <= 0xE0FFF) ||
           (c >= 0x300 && c <= 0x36F) || (c >= 0x180B && c <= 0x180D);
}

uint32_t injection_fold(uint32_t c)
{
    if (c >= 0xFF01 && c <= 0xFF5E) /* full-width forms of ASCII */
        c -= 0xFEE0;
    if (c < 0x80) {
        if (c == '\t' || c == '\r' || c == '\v' || c == '\f')
            return ' ';
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    }
    if (c >= 0xAC00 && c <= 0xD7A3)
        return c;
    if (c == 0x2028 || c == 0x2029 || c == 0x85)
        return '\n';
    if (c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F ||
        c == 0x3000 || c == 0x2800)
        return ' ';
    if (is_invisible(c))
        return 0;
    return fold_letter(fold_mark(c));
}
