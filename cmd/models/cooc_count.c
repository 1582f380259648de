/*
 * cooc_count.c - see cooc_count.h.
 *
 * In a bucket a row of Z is a word with its length less one above and its value
 * of the bucket's concept below, then its entries or, of a long row in memory,
 * its address.  Short rows are copied because the bucket is read from end to
 * end, and the rows themselves lie anywhere.
 */
#include "cmd/models/cooc_count.h"

#include <string.h>

#include "cmd/models/codes.h"
#include "kernels/gram.h"

enum { SHORT = 32 }; /* entries */

#define UNIT BS_CODES_UNIT
#define UNIT_SQUARED (BS_CODES_UNIT * BS_CODES_UNIT)

__extension__ typedef unsigned __int128 wide;

/* A sum of products and how many: 24 bytes, as there are many. */
struct bs_cooc_sum {
    uint64_t low, high, count;
};

static double
to_double(uint64_t high, uint64_t low)
{
    return high == 0 ? (double)low : (double)((wide)high << 64 | low);
}

static void
add_product(struct bs_cooc_sum *s, uint64_t a, uint64_t b)
{
    wide sum = ((wide)s->high << 64 | s->low) + (wide)a * b;

    s->low = (uint64_t)sum;
    s->high = (uint64_t)(sum >> 64);
}

/* ---- margins -------------------------------------------------------------
 */

struct margins {
    struct bs_cooc_margin *margin;
    const struct bs_cooc_set *sets;
    uint32_t concepts;
    struct bs_err *err; /* [sets] */
};

struct sums { /* of one set: [concepts] */
    struct bs_cooc_sum *square;
    struct bs_cooc_sum *sum; /* its count is not used */
};

/* Is a row of so many entries in a bucket by its address? */
static bool
by_address(const struct bs_cooc_set *set, size_t len)
{
    return set->resident && len > SHORT;
}

/* Words of a bucket that it takes. */
static size_t
words_of(const struct bs_cooc_set *set, size_t len)
{
    return 1 + (by_address(set, len) ? 1 : len);
}

static void
add_margins(struct bs_cooc_margin *m, struct sums *sums,
            const struct bs_cooc_set *set, const struct bs_cooc_rows *rows)
{
    const uint64_t *entry = rows->entry;
    size_t row, i;

    for (row = 0; row < rows->rows; row++)
        for (i = 0; i < rows->len[row]; i++, entry++) {
            uint32_t k = bs_gram_column(*entry);
            uint64_t v = bs_gram_value(*entry);

            m->fires[k]++;
            m->words[k] += words_of(set, rows->len[row]);
            m->reach[k] += rows->len[row];
            add_product(&sums->square[k], v, v);
            add_product(&sums->sum[k], v, 1);
        }
}

static int
margin_of(struct bs_cooc_margin *m, const struct bs_cooc_set *set,
          uint32_t concepts, struct bs_err *e)
{
    struct sums sums = {bs_alloc_array(concepts, sizeof *sums.square),
                        bs_alloc_array(concepts, sizeof *sums.sum)};
    struct bs_buf scratch = {0};
    struct bs_cooc_rows rows;
    size_t i;
    int r = 0;

    m->fires = bs_alloc_array(concepts, sizeof *m->fires);
    m->sum = bs_alloc_array(concepts, sizeof *m->sum);
    m->square = bs_alloc_array(concepts, sizeof *m->square);
    m->words = bs_alloc_array(concepts, sizeof *m->words);
    m->reach = bs_alloc_array(concepts, sizeof *m->reach);
    if (sums.square == NULL || sums.sum == NULL || m->fires == NULL ||
        m->sum == NULL || m->square == NULL || m->words == NULL ||
        m->reach == NULL)
        r = bs_err_memory(e, "counts", concepts);
    for (i = 0; i < set->count && r == 0; i++) {
        r = bs_cooc_set_get(set, i, &rows, &scratch, e);
        if (r == 0)
            add_margins(m, &sums, set, &rows);
    }
    for (i = 0; i < concepts && r == 0; i++) {
        m->sum[i] = to_double(sums.sum[i].high, sums.sum[i].low) * UNIT;
        m->square[i] =
            to_double(sums.square[i].high, sums.square[i].low) * UNIT_SQUARED;
    }
    bs_free(sums.square);
    bs_free(sums.sum);
    bs_buf_release(&scratch);
    return r;
}

static void
margin_chunk(void *arg, size_t i, unsigned thread)
{
    struct margins *m = arg;

    (void)thread;
    if (margin_of(&m->margin[i], &m->sets[i], m->concepts, &m->err[i]) < 0)
        return; /* err says so */
}

int
bs_cooc_margins(struct bs_cooc_margin *margin, const struct bs_cooc_set *sets,
                size_t n, uint32_t concepts, struct bs_pool *pool,
                struct bs_err *e)
{
    struct margins m = {margin, sets, concepts,
                        bs_alloc_array(n, sizeof *m.err)};
    size_t i;

    if (m.err == NULL)
        return bs_err_memory(e, "errors", n);
    bs_pool_run(pool, n, margin_chunk, &m);
    for (i = n; i-- > 0;)
        if (m.err[i].code != 0)
            *e = m.err[i];
    bs_free(m.err);
    return -e->code;
}

void
bs_cooc_margin_release(struct bs_cooc_margin *m)
{
    bs_free(m->fires);
    bs_free(m->sum);
    bs_free(m->square);
    bs_free(m->words);
    bs_free(m->reach);
    *m = (struct bs_cooc_margin){0};
}

uint32_t
bs_cooc_range(const struct bs_cooc_margin *margin, size_t n, uint32_t concepts,
              uint32_t from, size_t words, size_t elements)
{
    uint32_t to = concepts;
    size_t s;

    for (s = 0; s < n; s++) {
        const struct bs_cooc_margin *m = &margin[s];
        uint64_t w = 0, most = 0;
        uint32_t k;

        for (k = from; k < to; k++) {
            w += m->words[k];
            most += m->reach[k] < concepts - k ? m->reach[k] : concepts - k;
            if (k > from && (w > words || most > elements))
                break;
        }
        to = k;
    }
    return to;
}

size_t
bs_cooc_row_find(const struct bs_cooc_row *row, uint32_t concept)
{
    size_t from = 0, to = row->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (row->pair[middle].concept < concept)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* ---- counters ------------------------------------------------------------
 */

size_t
bs_cooc_counter_bytes(size_t n, uint32_t concepts, size_t words)
{
    return n * words * sizeof(uint64_t) +
           concepts * sizeof(struct bs_cooc_sum) + concepts / 8;
}

int
bs_cooc_counter_open(struct bs_cooc_counter *c, const struct bs_cooc_set *sets,
                     const struct bs_cooc_margin *margin, size_t n,
                     uint32_t concepts, size_t words, struct bs_err *e)
{
    size_t s;

    *c = (struct bs_cooc_counter){.sets = sets,
                                  .margin = margin,
                                  .n = n,
                                  .concepts = concepts,
                                  .words = words};
    c->bucket = bs_alloc_array(n, sizeof *c->bucket);
    c->end = bs_alloc_array(n, sizeof *c->end);
    c->sum = bs_alloc_array(concepts, sizeof *c->sum);
    c->mark = bs_alloc_array((concepts + 63) / 64, sizeof *c->mark);
    if (c->bucket == NULL || c->end == NULL || c->sum == NULL ||
        c->mark == NULL)
        return bs_err_memory(e, "counts", concepts);
    for (s = 0; s < n; s++) {
        c->bucket[s] = bs_alloc(words * sizeof **c->bucket);
        if (c->bucket[s] == NULL)
            return bs_err_memory(e, "counts", words * sizeof **c->bucket);
    }
    return 0;
}

void
bs_cooc_counter_close(struct bs_cooc_counter *c)
{
    size_t s;

    for (s = 0; s < c->n; s++) {
        if (c->bucket != NULL)
            bs_free(c->bucket[s]);
        if (c->end != NULL)
            bs_free(c->end[s]);
    }
    bs_free(c->bucket);
    bs_free(c->end);
    bs_free(c->sum);
    bs_free(c->mark);
    bs_buf_release(&c->scratch);
    *c = (struct bs_cooc_counter){0};
}

/* ---- counting ------------------------------------------------------------
 */

/* Add `value` times a row of Z. */
static void
add_row(struct bs_cooc_counter *c, uint64_t value, const uint64_t *entry,
        size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        uint32_t k = bs_gram_column(entry[i]);
        struct bs_cooc_sum *s = &c->sum[k];

        if (s->count++ == 0)
            c->mark[k / 64] |= (uint64_t)1 << k % 64;
        add_product(s, value, bs_gram_value(entry[i]));
    }
}

/* The row of G that was added up; the sums are cleared. */
static void
take_row(struct bs_cooc_counter *c, struct bs_cooc_row *row)
{
    size_t w;

    row->n = 0;
    for (w = 0; w < ((size_t)c->concepts + 63) / 64; w++) {
        uint64_t left = c->mark[w];

        for (; left != 0; left &= left - 1) {
            size_t k = 64 * w + (size_t)__builtin_ctzll(left);
            struct bs_cooc_sum *s = &c->sum[k];

            row->pair[row->n++] = (struct bs_cooc_pair){
                (uint32_t)k, (uint32_t)s->count,
                to_double(s->high, s->low) * UNIT_SQUARED};
            *s = (struct bs_cooc_sum){0};
        }
        c->mark[w] = 0;
    }
}

/* The first of a row's entries whose concept is at least `from`. */
static size_t
first_entry(const uint64_t *entry, size_t len, uint32_t from)
{
    uint64_t least = bs_gram_entry(from, 0);
    size_t lo = 0, i, n;

    while (len - lo > 16) {
        size_t middle = lo + (len - lo) / 2;

        if (entry[middle] < least)
            lo = middle + 1;
        else
            len = middle;
    }
    for (n = lo, i = lo; i < len; i++) /* a jump less a row */
        n += entry[i] < least;
    return n;
}

/* A row of Z goes to the set's buckets of its concepts from..to-1. */
static void
put_row(struct bs_cooc_counter *c, size_t set, const uint64_t *entry,
        size_t len, uint32_t from, uint32_t to)
{
    bool address = by_address(&c->sets[set], len);
    size_t words = words_of(&c->sets[set], len), i, *end = c->end[set];

    for (i = first_entry(entry, len, from); i < len; i++) {
        uint32_t k = bs_gram_column(entry[i]);
        uint64_t *at;

        if (k >= to)
            return;
        at = c->bucket[set] + end[k - from];
        *at = bs_gram_entry((uint32_t)(len - 1), bs_gram_value(entry[i]));
        if (address)
            memcpy(at + 1, &entry, sizeof entry);
        else
            memcpy(at + 1, entry, len * sizeof *entry);
        end[k - from] += words;
    }
}

/* Add the rows of a bucket. */
static void
add_bucket(struct bs_cooc_counter *c, const struct bs_cooc_set *set,
           const uint64_t *at, const uint64_t *end)
{
    while (at < end) {
        size_t len = (size_t)bs_gram_column(*at) + 1;
        const uint64_t *entry = at + 1;

        if (by_address(set, len))
            memcpy(&entry, at + 1, sizeof entry);
        add_row(c, bs_gram_value(*at), entry, len);
        at += words_of(set, len);
    }
}

/* Does the one concept of a range have no bucket? */
static bool
is_heavy(const struct bs_cooc_counter *c, size_t set, uint32_t concept)
{
    return c->margin[set].words[concept] > c->words;
}

/* Add all rows that have a concept which has no bucket. */
static int
add_heavy(struct bs_cooc_counter *c, size_t set, uint32_t concept,
          struct bs_err *e)
{
    struct bs_cooc_rows rows;
    size_t i, row, at;
    int r = 0;

    for (i = 0; i < c->sets[set].count && r == 0; i++) {
        const uint64_t *entry;

        r = bs_cooc_set_get(&c->sets[set], i, &rows, &c->scratch, e);
        entry = rows.entry;
        for (row = 0; row < rows.rows && r == 0; row++) {
            at = first_entry(entry, rows.len[row], concept);
            if (at < rows.len[row] && bs_gram_column(entry[at]) == concept)
                add_row(c, bs_gram_value(entry[at]), entry, rows.len[row]);
            entry += rows.len[row];
        }
    }
    return r;
}

static int
gather_set(struct bs_cooc_counter *c, size_t set, uint32_t from, uint32_t to,
           struct bs_err *e)
{
    struct bs_cooc_rows rows;
    size_t at = 0, i, row;
    int r = 0;

    if (is_heavy(c, set, from))
        return 0;
    for (i = from; i < to; i++) {
        c->end[set][i - from] = at;
        at += c->margin[set].words[i];
    }
    for (i = 0; i < c->sets[set].count && at > 0 && r == 0; i++) {
        const uint64_t *entry;

        r = bs_cooc_set_get(&c->sets[set], i, &rows, &c->scratch, e);
        entry = rows.entry;
        for (row = 0; row < rows.rows && r == 0; row++) {
            put_row(c, set, entry, rows.len[row], from, to);
            entry += rows.len[row];
        }
    }
    return r;
}

int
bs_cooc_gather(struct bs_cooc_counter *c, uint32_t from, uint32_t to,
               struct bs_err *e)
{
    size_t n = to - from, s;
    int r = 0;

    c->from = from;
    for (s = 0; s < c->n && n > c->room_end; s++) {
        bs_free(c->end[s]);
        c->end[s] = bs_alloc_array(n, sizeof **c->end);
        if (c->end[s] == NULL)
            return bs_err_memory(e, "counts", n);
    }
    c->room_end = n > c->room_end ? n : c->room_end;
    for (s = 0; s < c->n && r == 0; s++)
        r = gather_set(c, s, from, to, e);
    return r;
}

int
bs_cooc_count(struct bs_cooc_counter *c, size_t set, uint32_t concept,
              struct bs_cooc_row *row, struct bs_err *e)
{
    int r = 0;

    row->concept = concept;
    row->n = 0;
    if (c->margin[set].fires[concept] == 0)
        return 0;
    if (is_heavy(c, set, concept)) {
        r = add_heavy(c, set, concept, e);
    } else {
        const uint64_t *end = c->bucket[set] + c->end[set][concept - c->from];
        const uint64_t *at = end - c->margin[set].words[concept];

        add_bucket(c, &c->sets[set], at, end);
    }
    take_row(c, row);
    return r;
}
