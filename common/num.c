/*
 * num.c - see num.h.
 */
#include "common/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

static const char not_a_number[] = "not a number";
static const char too_small[] = "too small";
static const char too_large[] = "too large";

/* Digits at *s; moves *s behind them. */
static const char *
digits(const char **s, uint64_t *out)
{
    uint64_t value = 0;

    if (!isdigit((unsigned char)**s))
        return not_a_number;
    for (; isdigit((unsigned char)**s); ++*s)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(**s - '0'), &value))
            return too_large;
    *out = value;
    return NULL;
}

static const char *
ranged(uint64_t value, uint64_t min, uint64_t max, uint64_t *out)
{
    if (value < min)
        return too_small;
    if (value > max)
        return too_large;
    *out = value;
    return NULL;
}

const char *
bs_num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value;
    const char *why = digits(&s, &value);

    if (why != NULL)
        return why;
    return *s != '\0' ? not_a_number : ranged(value, min, max, out);
}

const char *
bs_num_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
    bool minus = *s == '-';
    uint64_t size;
    const char *why;
    int64_t value;

    s += minus;
    why = digits(&s, &size);
    if (why != NULL)
        return minus && why == too_large ? too_small : why;
    if (*s != '\0')
        return not_a_number;
    if (size > (uint64_t)INT64_MAX)
        return minus ? too_small : too_large;
    value = minus ? -(int64_t)size : (int64_t)size;
    if (value < min)
        return too_small;
    if (value > max)
        return too_large;
    *out = value;
    return NULL;
}

const char *
bs_num_size(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
    static const char units[] = "KMGT";
    uint64_t value;
    const char *why = digits(&s, &value), *unit;

    if (why != NULL)
        return why;
    if (*s != '\0') {
        unit = strchr(units, toupper((unsigned char)*s));
        if (unit == NULL)
            return not_a_number;
        s++;
        if (s[0] == 'i' && s[1] == 'B')
            s += 2;
        if (*s != '\0')
            return not_a_number;
        if (__builtin_mul_overflow(
                value, (uint64_t)1 << 10 * (unit - units + 1), &value))
            return too_large;
    }
    return ranged(value, min, max, out);
}

const char *
bs_num_f64(const char *s, double min, double max, double *out)
{
    char *end;
    double value;

    /* strtod would take spaces, hexadecimal, "inf" and "nan" */
    if (s[strspn(s, "0123456789+-.eE")] != '\0' || *s == '\0')
        return not_a_number;
    value = strtod(s, &end);
    if (*end != '\0')
        return not_a_number;
    if (!isfinite(value) || value > max)
        return value < min ? too_small : too_large;
    if (value < min)
        return too_small;
    *out = value;
    return NULL;
}

const char *
bs_num_seconds(const char *s, uint64_t max, uint64_t *out)
{
    uint64_t value, unit = 1;
    const char *why = digits(&s, &value);

    if (why != NULL)
        return why;
    if (*s != '\0') {
        unit = *s == 's'   ? 1
               : *s == 'm' ? 60
               : *s == 'h' ? 3600
               : *s == 'd' ? 86400
                           : 0;
        if (unit == 0 || s[1] != '\0')
            return not_a_number;
    }
    if (__builtin_mul_overflow(value, unit, &value))
        return too_large;
    return ranged(value, 0, max, out);
}
