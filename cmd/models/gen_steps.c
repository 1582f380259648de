/*
 * gen_steps.c - see gen_steps.h.
 */
#include "cmd/models/gen_steps.h"

#include <string.h>

#include "common/num.h"

/* One number, of a run of `count`; false if it is none. */
static bool
number(const char *text, size_t count, size_t *out)
{
    uint64_t n;

    if (bs_num_u64(text, 0, count - 1, &n) != NULL)
        return false;
    *out = (size_t)n;
    return true;
}

/* One item of the list, to from..to. */
static bool
item(char *text, size_t count, size_t *from, size_t *to)
{
    char *dash = strchr(text, '-');

    *from = 0;
    *to = count - 1;
    if (strcmp(text, "all") == 0)
        return true;
    if (strcmp(text, "first") == 0)
        *to = 0;
    else if (strcmp(text, "middle") == 0)
        *from = *to = count / 2;
    else if (strcmp(text, "last") == 0)
        *from = count - 1;
    else if (dash != NULL) {
        *dash = '\0';
        return number(text, count, from) && number(dash + 1, count, to) &&
               *from <= *to;
    } else {
        *to = 0;
        if (!number(text, count, from))
            return false;
        *to = *from;
    }
    return true;
}

ptrdiff_t
bs_gen_steps(bool *chosen, size_t count, const char *text, struct bs_err *e)
{
    const char *at = text;
    ptrdiff_t n = 0;
    size_t i, from, to;
    char part[32];

    memset(chosen, 0, count * sizeof *chosen);
    do {
        size_t len = strcspn(at, ",");

        if (len >= sizeof part)
            len = 0;
        memcpy(part, at, len);
        part[len] = '\0';
        if (count == 0 || len == 0 || !item(part, count, &from, &to))
            return bs_err_set(e, BS_EX_USAGE,
                              "steps '%.100s': numbers from 0 to %zu, ranges "
                              "as 0-9, first, middle, last or all, with commas",
                              text, count - 1);
        for (i = from; i <= to; i++)
            chosen[i] = true;
        at += strcspn(at, ",");
    } while (*at++ == ',');
    for (i = 0; i < count; i++)
        n += chosen[i];
    return n;
}
