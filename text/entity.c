#include "text/entity.h"

#include <string.h>

#include "base/utf8.h"
#include "text/char_class.h"

#define QUOTED_CHARS_MAX  60 /* longer between quotation marks is speech, not a name */
#define NUMBER_DIGITS_MAX 15 /* exact in a double */

struct reader {
    const char *s;
    size_t n;
};

static uint32_t at_char(const struct reader *r, size_t at, size_t *ret_step)
{
    *ret_step = 0;
    return at < r->n ? utf8_decode(r->s + at, ret_step) : 0;
}

/* The digit at 'at', half or full width; -1 when there is none. */
static int digit_at(const struct reader *r, size_t at, size_t *ret_step)
{
    uint32_t c = at_char(r, at, ret_step);

    if (c >= '0' && c <= '9')
        return (int)(c - '0');
    return c >= 0xFF10 && c <= 0xFF19 ? (int)(c - 0xFF10) : -1;
}

static bool has(const struct reader *r, size_t at, const char *what)
{
    size_t length = strlen(what);

    return at <= r->n && r->n - at >= length && memcmp(r->s + at, what, length) == 0;
}

static size_t skip_space(const struct reader *r, size_t at)
{
    return at < r->n && r->s[at] == ' ' ? at + 1 : at;
}

/* A plain run of at most max_digits digits. Returns the byte after it, 0 when none. */
static size_t read_digits(const struct reader *r, size_t at, int max_digits, unsigned *ret)
{
    unsigned value = 0;
    size_t step;
    int n = 0;
    int digit;

    while ((digit = digit_at(r, at, &step)) >= 0) {
        if (++n > max_digits)
            return 0;
        value = value * 10 + (unsigned)digit;
        at += step;
    }
    *ret = value;
    return n > 0 ? at : 0;
}

/* 2024-06-11, 2024.6.11, 2024. 6. 11., 2024/06, 6/11. */
static size_t read_punctuated_date(const struct reader *r, size_t at, struct entity *e)
{
    unsigned part[3] = {0, 0, 0};
    size_t end = read_digits(r, at, 4, &part[0]);
    size_t n = 1;
    size_t last = end;
    char mark;

    if (end == 0 || end >= r->n || !strchr("-./", r->s[end]))
        return 0;
    mark = r->s[end];
    while (n < 3 && end < r->n && r->s[end] == mark) {
        size_t next = end + 1;

        if (mark == '.')
            next = skip_space(r, next);
        end = read_digits(r, next, 2, &part[n]);
        if (end == 0)
            break;
        last = end;
        n++;
    }
    if (last < r->n && (r->s[last] == '-' || r->s[last] == '/'))
        return 0;
    if (part[0] >= 1000 && n >= 2 && part[1] >= 1 && part[1] <= 12 && (n == 3 || mark != '.')) {
        e->year = (uint16_t)part[0];
        e->month = (uint8_t)part[1];
        if (n == 3 && part[2] >= 1 && part[2] <= 31)
            e->day = (uint8_t)part[2];
        return last;
    }
    if (n == 2 && mark == '/' && part[0] >= 1 && part[0] <= 12 && part[1] >= 1 && part[1] <= 31) {
        e->month = (uint8_t)part[0];
        e->day = (uint8_t)part[1];
        return last;
    }
    return 0;
}

/* A part "N unit" of a date; 0 when it is none or goes on as a duration (3년간, 5일간). */
static size_t read_date_part(const struct reader *r, size_t at, const char *unit, unsigned min,
                             unsigned max, unsigned *ret)
{
    static const char *const durations[] = {"간",    " 동안", "동안",  " 이상", " 이내",
                                            "째",    "차",    " 만에", "치",    " 미만",
                                            " 이하", " 넘",   " 뒤",   " 후"};
    unsigned value;
    size_t end = read_digits(r, at, 4, &value);

    if (end == 0)
        return 0;
    end = has(r, end, " ") && has(r, end + 1, unit) ? end + 1 : end;
    if (!has(r, end, unit) || value < min || value > max)
        return 0;
    end += strlen(unit);
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
        if (has(r, end, durations[i]) && value < 1000)
            return 0;
    *ret = value;
    return end;
}

/* 2024년 3월 1일, 2024년, 3월 1일, 3월. A lone "5일" is a number of days. */
static size_t read_worded_date(const struct reader *r, size_t at, struct entity *e)
{
    unsigned value = 0;
    size_t end = read_date_part(r, at, "년", 100, 2999, &value);
    size_t next;

    if (end > 0) {
        e->year = (uint16_t)value;
        if (has(r, end, "도"))
            end += strlen("도");
    } else {
        end = read_date_part(r, at, "월", 1, 12, &value);
        if (end == 0)
            return 0;
        e->month = (uint8_t)value;
    }
    if (e->month == 0) {
        next = read_date_part(r, skip_space(r, end), "월", 1, 12, &value);
        if (next == 0)
            return end;
        e->month = (uint8_t)value;
        end = next;
    }
    next = read_date_part(r, skip_space(r, end), "일", 1, 31, &value);
    if (next > 0) {
        e->day = (uint8_t)value;
        end = next;
    }
    return end;
}

/* 만, 억 ... behind a number; a value may go on: 1억 2,000만. */
static double read_scale(const struct reader *r, size_t *at)
{
    static const struct {
        const char *text;
        double value;
    } scales[] = {
        {"백만", 1e6 },
        {"천만", 1e7 },
        {"십만", 1e5 },
        {"만",    1e4 },
        {"억",    1e8 },
        {"조",    1e12},
        {"천",    1e3 },
        {"백",    1e2 }
    };

    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        if (!has(r, *at, scales[i].text))
            continue;
        /* 제3조 is an article and 3조 원 money; 3백 and 3천 are rare but plain. */
        if (scales[i].value > 1e11 && !has(r, *at + 3, " 원") && !has(r, *at + 3, "원") &&
            !has(r, *at + 3, " 달러"))
            return 0;
        *at += strlen(scales[i].text);
        return scales[i].value;
    }
    return 0;
}

static size_t read_decimal(const struct reader *r, size_t at, double *ret)
{
    double value = 0;
    double place = 0;
    int n = 0;
    size_t step;
    size_t after;
    int digit;

    for (;;) {
        if ((digit = digit_at(r, at, &step)) >= 0) {
            if (++n <= NUMBER_DIGITS_MAX) {
                value = place > 0 ? value + digit * place : value * 10 + digit;
                place /= 10;
            }
            at += step;
        } else if (at < r->n && ((r->s[at] == ',' && place <= 0) || r->s[at] == '.') &&
                   digit_at(r, at + 1, &after) >= 0) {
            if (r->s[at] == '.') {
                if (place > 0)
                    break;
                place = 0.1;
            }
            at++;
        } else {
            break;
        }
    }
    *ret = value;
    return at;
}

static void read_unit(const struct reader *r, size_t at, struct entity *e)
{
    size_t start = skip_space(r, at);
    size_t bytes;
    enum unit_class class = unit_read(r->s + start, r->n - start, &bytes);

    e->unit_start = e->unit_end = e->byte_end = (uint32_t)at;
    e->unit = UNIT_NONE;
    if (bytes == 0)
        return;
    e->unit = (uint8_t) class;
    e->unit_start = (uint32_t)start;
    e->unit_end = e->byte_end = (uint32_t)(start + bytes);
}

/* Number with its unit; 09:30 is a number of the clock. */
static void read_number(const struct reader *r, size_t at, struct entity *e)
{
    double value;
    size_t end = read_decimal(r, at, &value);
    double total = 0;
    unsigned minute;
    size_t after;
    double scale;

    e->kind = ENTITY_NUMBER;
    if (has(r, end, ":") && value < 25 && (after = read_digits(r, end + 1, 2, &minute)) > 0) {
        e->value = value + minute / 60.0;
        e->unit = UNIT_CLOCK;
        e->unit_start = e->unit_end = e->byte_end = (uint32_t)after;
        return;
    }
    while ((scale = read_scale(r, &end)) > 0) {
        size_t step;

        total += value * scale;
        value = 0;
        after = skip_space(r, end);
        if (digit_at(r, after, &step) < 0)
            break;
        end = read_decimal(r, after, &value);
    }
    e->value = total + value;
    read_unit(r, end, e);
}

static size_t read_code_run(const struct reader *r, size_t at, bool *ret_digits)
{
    *ret_digits = false;
    while (at < r->n) {
        char c = r->s[at];

        if (char_is_latin((uint32_t)(unsigned char)c) && (unsigned char)c < 0x80)
            at++;
        else if (c >= '0' && c <= '9') {
            *ret_digits = true;
            at++;
        } else if ((c == '-' || c == '.' || c == '_' || c == '/') && at + 1 < r->n &&
                   (char_is_latin((uint32_t)(unsigned char)r->s[at + 1]) ||
                    (r->s[at + 1] >= '0' && r->s[at + 1] <= '9')) &&
                   (unsigned char)r->s[at + 1] < 0x80)
            at++;
        else
            break;
    }
    return at;
}

static bool read_latin(const struct reader *r, size_t at, struct entity *e)
{
    bool digits;
    size_t end = read_code_run(r, at, &digits);

    if (end == at)
        return false;
    e->kind = digits ? ENTITY_CODE : ENTITY_LATIN;
    e->byte_end = e->unit_start = e->unit_end = (uint32_t)end;
    return true;
}

static bool read_digit_start(const struct reader *r, size_t at, struct entity *e)
{
    size_t end = read_punctuated_date(r, at, e);
    bool digits;

    if (end == 0)
        end = read_worded_date(r, at, e);
    if (end > 0) {
        e->kind = ENTITY_DATE;
        e->byte_end = e->unit_start = e->unit_end = (uint32_t)end;
        return true;
    }
    read_number(r, at, e);
    /* 3D, 2FA: letters that are no unit make it a code. */
    if (e->unit == UNIT_NONE && e->byte_end < r->n && (unsigned char)r->s[e->byte_end] < 0x80 &&
        char_is_latin((uint32_t)(unsigned char)r->s[e->byte_end])) {
        e->kind = ENTITY_CODE;
        e->value = 0;
        /* on from the number, whose digits may be full width */
        e->byte_end = (uint32_t)read_code_run(r, e->byte_end, &digits);
        e->unit_start = e->unit_end = e->byte_end;
    }
    return true;
}

/* Numerals of the native series with the counters that take them; days have own words. */
static bool read_native(const struct reader *r, size_t at, struct entity *e)
{
    static const struct {
        const char *text;
        double value;
    } numerals[] =
        {
            {"한",       1 },
            {"두",       2 },
            {"세",       3 },
            {"네",       4 },
            {"다섯",    5 },
            {"여섯",    6 },
            {"일곱",    7 },
            {"여덟",    8 },
            {"아홉",    9 },
            {"열",       10},
            {"열한",    11},
            {"열두",    12},
            {"열세",    13},
            {"열네",    14},
            {"열다섯", 15},
            {"스무",    20},
            {"스물",    20},
            {"서른",    30},
            {"마흔",    40},
            {"쉰",       50},
            {"석",       3 },
            {"넉",       4 },
            {"서너",    3 },
            {"두세",    2 }
    },
      days[] = {{"하루", 1}, {"이틀", 2},   {"사흘", 3},   {"나흘", 4},  {"닷새", 5}, {"엿새", 6},
                {"이레", 7}, {"여드레", 8}, {"아흐레", 9}, {"열흘", 10}, {"보름", 15}};
    static const char *const counters[] = {
        "명",   "사람", "번",   "개",   "시", "살", "달",   "대", "권", "차례", "가지", "곳",
        "군데", "마리", "잔",   "병",   "주", "장", "시간", "분", "척", "배",   "채",   "쌍",
        "편",   "끼",   "그루", "켤레", "팀", "해", "쪽",   "줄", "통", "벌",   "자리"};

    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++)
        if (has(r, at, days[i].text)) {
            e->kind = ENTITY_NUMBER;
            e->value = days[i].value;
            e->unit = UNIT_DAY;
            e->byte_end = (uint32_t)(at + strlen(days[i].text));
            e->unit_start = e->unit_end = e->byte_end;
            return true;
        }
    for (size_t i = 0; i < sizeof numerals / sizeof numerals[0]; i++) {
        size_t end = at + strlen(numerals[i].text);
        size_t start;

        if (!has(r, at, numerals[i].text))
            continue;
        start = skip_space(r, end);
        for (size_t k = 0; k < sizeof counters / sizeof counters[0]; k++) {
            if (!has(r, start, counters[k]))
                continue;
            e->kind = ENTITY_NUMBER;
            e->value = numerals[i].value;
            read_unit(r, end, e);
            return e->unit_end > e->unit_start;
        }
    }
    return false;
}

static bool read_weekday(const struct reader *r, size_t at, struct entity *e)
{
    static const char *const days[] = {"월요일", "화요일", "수요일", "목요일",
                                       "금요일", "토요일", "일요일"};

    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++)
        if (has(r, at, days[i])) {
            e->kind = ENTITY_DATE;
            e->byte_end = e->unit_start = e->unit_end = (uint32_t)(at + strlen(days[i]));
            e->value = (double)(i + 1);
            return true;
        }
    return false;
}

static bool read_quoted(const struct reader *r, size_t at, uint32_t c, size_t step,
                        struct entity *e)
{
    static const uint32_t pairs[][2] = {
        {'"',    '"'   },
        {'\'',   '\''  },
        {0x2018, 0x2019},
        {0x201C, 0x201D},
        {0x300C, 0x300D},
        {0x300E, 0x300F},
        {0x300A, 0x300B},
        {0x3008, 0x3009},
        {'<',    '>'   }
    };
    uint32_t close = 0;
    size_t inside = at + step;
    size_t chars = 0;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i][0] == c)
            close = pairs[i][1];
    if (close == 0)
        return false;
    for (size_t i = inside; chars < QUOTED_CHARS_MAX; i += step, chars++) {
        uint32_t d = at_char(r, i, &step);

        if (step == 0 || d == '\n')
            return false;
        if (d != close)
            continue;
        /* A space inside the marks: this was the closing mark of something before. */
        if (chars == 0 || r->s[inside] == ' ' || r->s[i - 1] == ' ')
            return false;
        e->kind = ENTITY_QUOTED;
        e->byte_start = (uint32_t)inside;
        e->byte_end = e->unit_start = e->unit_end = (uint32_t)i;
        return true;
    }
    return false;
}

bool entity_next(const char *text, size_t n, size_t *at, struct entity *ret)
{
    struct reader r = {text, n};
    uint32_t before = 0;
    size_t step;
    uint32_t c;

    if (*at > 0 && *at < n) {
        size_t start = utf8_floor(text, n, *at - 1);

        before = utf8_decode(text + start, NULL);
    }
    for (size_t i = *at; i < n; i += step, before = c) {
        struct entity e = {.byte_start = (uint32_t)i};
        size_t ignored;
        bool found = false;

        c = at_char(&r, i, &step);
        if (digit_at(&r, i, &ignored) >= 0)
            found = read_digit_start(&r, i, &e);
        else if (c < 0x80 && char_is_latin(c))
            found = read_latin(&r, i, &e);
        else if (char_is_hangul(c) && !char_is_hangul(before))
            found = read_native(&r, i, &e) || read_weekday(&r, i, &e);
        else
            found = read_quoted(&r, i, c, step, &e);
        if (!found)
            continue;
        *at = e.kind == ENTITY_QUOTED ? e.byte_start : e.byte_end;
        *ret = e;
        return true;
    }
    *at = n;
    return false;
}

/* The next letter or digit of a code, lower case and half width; 0 at the end. */
static uint32_t fold_next(const char *text, size_t end, size_t *at)
{
    while (*at < end) {
        size_t step;
        uint32_t c = utf8_decode(text + *at, &step);

        *at += step;
        if (c >= 0xFF01 && c <= 0xFF5E)
            c -= 0xFEE0;
        if (c >= 'A' && c <= 'Z')
            return c + 32;
        if (c != '-' && c != '_' && c != ' ' && c != 0xB7 && c != '.')
            return c;
    }
    return 0;
}

static bool same_text(const char *a, const struct entity *x, const char *b, const struct entity *y)
{
    size_t i = x->byte_start;
    size_t k = y->byte_start;
    uint32_t c;

    while ((c = fold_next(a, x->byte_end, &i)) == fold_next(b, y->byte_end, &k))
        if (c == 0)
            return true;
    return false;
}

static bool is_year_number(const struct entity *e)
{
    return e->kind == ENTITY_NUMBER && e->unit == UNIT_NONE && e->value >= 1000 && e->value < 3000;
}

static bool near(double a, double b)
{
    double d = a > b ? a - b : b - a;

    return d <= 1e-9 * (a > 1 ? a : 1);
}

bool entity_same(const char *wanted_text, const struct entity *wanted, const char *text,
                 const struct entity *found)
{
    if (wanted->kind == ENTITY_DATE) {
        if (is_year_number(found))
            return wanted->month == 0 && near(found->value, wanted->year);
        if (found->kind != ENTITY_DATE)
            return false;
        if (wanted->value > 0 && wanted->year == 0 && wanted->month == 0)
            return near(wanted->value, found->value);
        return (wanted->year == 0 || wanted->year == found->year) &&
               (wanted->month == 0 || wanted->month == found->month) &&
               (wanted->day == 0 || wanted->day == found->day);
    }
    if (wanted->kind == ENTITY_NUMBER) {
        if (found->kind == ENTITY_DATE)
            return is_year_number(wanted) && near(wanted->value, found->year);
        return found->kind == ENTITY_NUMBER && near(wanted->value, found->value) &&
               (wanted->unit == found->unit || wanted->unit == UNIT_NONE ||
                found->unit == UNIT_NONE);
    }
    return same_text(wanted_text, wanted, text, found);
}
