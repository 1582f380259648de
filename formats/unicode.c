/*
 * unicode.c - see unicode.h.
 */
#include "formats/unicode.h"

#include "formats/unicode_own.h"
#include "formats/utf8.h"

enum {
    SIGMA = 0x3a3,
    SIGMA_SMALL = 0x3c3,
    SIGMA_FINAL = 0x3c2,
    I_WITH_DOT = 0x130, /* the only letter whose lower case is two */
    DOT_ABOVE = 0x307,
};

/* The syllables of Hangul are composed by arithmetic (Unicode 14, 3.12). */
enum {
    HANGUL = 0xac00,
    LEAD = 0x1100,
    VOWEL = 0x1161,
    TAIL = 0x11a7,
    LEADS = 19,
    VOWELS = 21,
    TAILS = 28,
    SYLLABLES = LEADS * VOWELS * TAILS
};

/* ---- properties ---------------------------------------------------------- */

/* The value of the run that c lies in; the first run begins at 0. */
static unsigned
value_of(const uint32_t *runs, size_t count, uint32_t c)
{
    size_t low = 0, high = count;

    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;

        if (runs[mid] >> 8 <= c)
            low = mid;
        else
            high = mid;
    }
    return runs[low] & 0xff;
}

unsigned
bs_unicode_of(uint32_t c)
{
    return value_of(bs_unicode_runs, bs_unicode_runs_count, c);
}

static unsigned
class_of(uint32_t c)
{
    return c < 0x300
               ? 0
               : value_of(bs_unicode_classes, bs_unicode_classes_count, c);
}

bool
bs_unicode_white(uint32_t c)
{
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* ---- text ---------------------------------------------------------------- */

static int
reserve(struct bs_text32 *t, size_t room, struct bs_err *e)
{
    size_t bytes;
    uint32_t *at;

    if (room <= t->room)
        return 0;
    if (room < 2 * t->room)
        room = 2 * t->room;
    if (!bs_mul(room, sizeof *at, &bytes) || (at = bs_alloc(bytes)) == NULL)
        return bs_err_memory(e, "text", room);
    if (t->len > 0)
        memcpy(at, t->at, t->len * sizeof *at);
    bs_free(t->at);
    t->at = at;
    t->room = room;
    return 0;
}

int
bs_text32_put(struct bs_text32 *t, uint32_t c, struct bs_err *e)
{
    int r = t->len < t->room ? 0 : reserve(t, t->len + 64, e);

    if (r == 0)
        t->at[t->len++] = c;
    return r;
}

/* The character of n bytes. */
static uint32_t
decode(const unsigned char *u, size_t n)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = u[0] & lead[n];
    size_t i;

    for (i = 1; i < n; i++)
        c = c << 6 | (u[i] & 0x3f);
    return c;
}

int
bs_text32_utf8(struct bs_text32 *t, const char *s, size_t len, struct bs_err *e)
{
    size_t i, n;
    int r = reserve(t, t->len + len, e);

    for (i = 0; i < len && r == 0; i += n) {
        n = bs_utf8_length(s + i, len - i);
        if (n == 0)
            return bs_err_set(e, BS_EX_DATA, "byte %zu: not UTF-8", i);
        r = bs_text32_put(t, decode((const unsigned char *)s + i, n), e);
    }
    return r;
}

void
bs_text32_release(struct bs_text32 *t)
{
    bs_free(t->at);
    *t = (struct bs_text32){0};
}

/* ---- lower case ---------------------------------------------------------- */

static uint32_t
lower_of(uint32_t c)
{
    size_t low = 0, high = bs_unicode_lower_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct bs_unicode_lower *run = &bs_unicode_lower[mid];

        if (c < run->first)
            high = mid;
        else if (c > run->last)
            low = mid + 1;
        else
            return (c - run->first) % (uint32_t)run->step != 0
                       ? c
                       : (uint32_t)((int32_t)c + run->distance);
    }
    return c;
}

int
bs_text32_put_lower(struct bs_text32 *t, uint32_t c, struct bs_err *e)
{
    int r;

    if (c != I_WITH_DOT)
        return bs_text32_put(t, lower_of(c), e);
    r = bs_text32_put(t, 'i', e);
    return r < 0 ? r : bs_text32_put(t, DOT_ABOVE, e);
}

/* Whether a cased letter lies behind s[i] in a direction, ignorable ones
 * aside. */
static bool
cased_beside(const uint32_t *s, size_t len, size_t i, int step)
{
    for (;;) {
        unsigned p;

        if (step < 0 ? i == 0 : i + 1 >= len)
            return false;
        i = step < 0 ? i - 1 : i + 1;
        p = bs_unicode_of(s[i]);
        if (!(p & BS_UNICODE_IGNORABLE))
            return p & BS_UNICODE_CASED;
    }
}

int
bs_text32_lower(struct bs_text32 *t, const uint32_t *s, size_t len,
                struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < len && r == 0; i++)
        if (s[i] != SIGMA)
            r = bs_text32_put_lower(t, s[i], e);
        else
            r = bs_text32_put(t,
                              cased_beside(s, len, i, -1) &&
                                      !cased_beside(s, len, i, 1)
                                  ? SIGMA_FINAL
                                  : SIGMA_SMALL,
                              e);
    return r;
}

/* ---- normal form NFC ----------------------------------------------------- */

static const struct bs_unicode_pair *
decomposition(uint32_t c)
{
    size_t low = 0, high = bs_unicode_pairs_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (bs_unicode_pairs[mid].whole == c)
            return &bs_unicode_pairs[mid];
        if (bs_unicode_pairs[mid].whole < c)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* Append c, decomposed to the last; the depth is that of the tables, 4. */
static int
put_decomposed(struct bs_text32 *t, uint32_t c, struct bs_err *e)
{
    uint32_t s = c - HANGUL;
    const struct bs_unicode_pair *pair;
    int r;

    if (s < SYLLABLES) {
        r = bs_text32_put(t, LEAD + s / (VOWELS * TAILS), e);
        if (r == 0)
            r = bs_text32_put(t, VOWEL + s / TAILS % VOWELS, e);
        return r < 0 || s % TAILS == 0 ? r
                                       : bs_text32_put(t, TAIL + s % TAILS, e);
    }
    pair = c < 0xc0 ? NULL : decomposition(c);
    if (pair == NULL)
        return bs_text32_put(t, c, e);
    r = put_decomposed(t, pair->first, e);
    return r < 0 || pair->second == 0 ? r : put_decomposed(t, pair->second, e);
}

/* Order a run of marks by their classes, stably; `spare` is as long. */
static void
order_marks(uint32_t *marks, uint32_t *spare, size_t n)
{
    size_t start[257] = {0}, i;

    for (i = 0; i < n; i++)
        start[class_of(marks[i]) + 1]++;
    for (i = 1; i < BS_LEN(start); i++)
        start[i] += start[i - 1];
    for (i = 0; i < n; i++)
        spare[start[class_of(marks[i])]++] = marks[i];
    memcpy(marks, spare, n * sizeof *marks);
}

static void
order(struct bs_text32 *t, uint32_t *spare)
{
    size_t i, from = 0;

    for (i = 0; i <= t->len; i++)
        if (i == t->len || class_of(t->at[i]) == 0) {
            if (i - from > 1)
                order_marks(t->at + from, spare, i - from);
            from = i + 1;
        }
}

/* What a and b compose to, or 0. */
static uint32_t
composite(uint32_t a, uint32_t b)
{
    size_t low = 0, high = bs_unicode_composites_count;

    if (a - LEAD < LEADS && b - VOWEL < VOWELS)
        return HANGUL + ((a - LEAD) * VOWELS + (b - VOWEL)) * TAILS;
    if (a - HANGUL < SYLLABLES && (a - HANGUL) % TAILS == 0 && b > TAIL &&
        b - TAIL < TAILS)
        return a + (b - TAIL);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct bs_unicode_pair *p =
            &bs_unicode_pairs[bs_unicode_composites[mid]];

        if (p->first == a && p->second == b)
            return p->whole;
        if (p->first < a || (p->first == a && p->second < b))
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

/* In place: a mark joins its starter unless one of its class, or of a higher
 * one, or a starter that stayed, stands between. */
static void
compose(struct bs_text32 *t)
{
    size_t i, kept = 0, starter = SIZE_MAX;
    unsigned before = 0; /* class of the last kept behind the starter */

    for (i = 0; i < t->len; i++) {
        uint32_t c = t->at[i], whole = 0;
        unsigned class = class_of(c);

        if (starter != SIZE_MAX &&
            (kept == starter + 1 || (before < class && before != 0)))
            whole = composite(t->at[starter], c);
        if (whole != 0) {
            t->at[starter] = whole;
            continue;
        }
        if (class == 0)
            starter = kept;
        before = class;
        t->at[kept++] = c;
    }
    t->len = kept;
}

int
bs_text32_nfc(struct bs_text32 *t, struct bs_err *e)
{
    struct bs_text32 d = {0};
    uint32_t *spare;
    size_t i;
    int r = reserve(&d, t->len, e);

    for (i = 0; i < t->len && r == 0; i++)
        r = put_decomposed(&d, t->at[i], e);
    if (r == 0) {
        spare = bs_alloc_array(d.len, sizeof *spare);
        r = spare == NULL ? bs_err_memory(e, "text", d.len * sizeof *spare) : 0;
        if (r == 0) {
            order(&d, spare);
            compose(&d);
        }
        bs_free(spare);
    }
    if (r == 0) {
        bs_text32_release(t);
        *t = d;
        return 0;
    }
    bs_text32_release(&d);
    return r;
}
