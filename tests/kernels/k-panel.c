/*
 * k-panel.c - panels of eight doubles a row, and sparse rows times them, on
 * every instruction set against plain sums.
 */
#include "tests/kernels/compare.h"

enum { P = BS_PANEL };

static const size_t row_counts[] = {0, 1, 2, 3, 7, 16, 31, 32, 33, 500};

/* n doubles between sentinels, at a multiple of 64 bytes. */
struct doubles {
    double *room, *at;
    size_t n;
};

static struct doubles
doubles_of(size_t n, uint32_t seed)
{
    struct doubles d = {need(bs_alloc((n + 16) * sizeof(double))), NULL, n};
    size_t i;

    d.at = d.room + 8;
    for (i = 0; i < n + 16; i++)
        d.room[i] = (double)SENTINEL;
    for (i = 0; i < n; i++)
        d.at[i] = (double)random_of(&seed);
    return d;
}

static int
doubles_free(struct doubles *d)
{
    size_t i;
    int good = 1;

    for (i = 0; i < 8; i++)
        good &= d->room[i] == (double)SENTINEL &&
                d->at[d->n + i] == (double)SENTINEL;
    bs_free(d->room);
    return good;
}

/* ---- panels --------------------------------------------------------------
 */

static int
dot_case(const struct bs_isa *isa, size_t n)
{
    struct doubles p = doubles_of(n * P, 1), w = doubles_of(n * P, 2);
    struct doubles c = doubles_of(P * P, 3), was = doubles_of(P * P, 3);
    size_t i, j, r;
    int good = 1;

    isa->panel_dot(p.at, w.at, n, c.at);
    for (i = 0; i < P; i++)
        for (j = 0; j < P; j++) {
            double want = was.at[i * P + j];

            for (r = 0; r < n; r++)
                want += p.at[r * P + i] * w.at[r * P + j];
            good &= near(c.at[i * P + j], want, 1e-13);
        }
    return doubles_free(&p) & doubles_free(&w) & doubles_free(&c) &
           doubles_free(&was) & good;
}

static int
sub_case(const struct bs_isa *isa, size_t n)
{
    struct doubles p = doubles_of(n * P, 1), c = doubles_of(P * P, 2);
    struct doubles w = doubles_of(n * P, 3), was = doubles_of(n * P, 3);
    size_t i, j, r;
    int good = 1;

    isa->panel_sub(p.at, c.at, n, w.at);
    for (r = 0; r < n; r++)
        for (j = 0; j < P; j++) {
            double want = was.at[r * P + j];

            for (i = 0; i < P; i++)
                want -= p.at[r * P + i] * c.at[i * P + j];
            good &= near(w.at[r * P + j], want, 1e-14);
        }
    return doubles_free(&p) & doubles_free(&c) & doubles_free(&w) &
           doubles_free(&was) & good;
}

/* ---- sparse rows ---------------------------------------------------------
 */

enum { COLUMNS = 97 };

/* Rows of 0 to 12 entries, some with the smallest and largest values. */
static size_t
make_rows(uint64_t *entry, uint32_t *len, size_t rows, uint64_t most)
{
    uint32_t seed = 5;
    size_t i, n = 0;

    for (i = 0; i < rows; i++) {
        uint32_t column = (uint32_t)(i % 5);

        len[i] = 0;
        while (len[i] < i % 13 && column < COLUMNS) {
            uint64_t v =
                (uint64_t)(fabs((double)random_of(&seed)) * (double)most);

            if (i % 11 == 3)
                v = len[i] % 2 == 0 ? most : 0;
            entry[n++] = bs_gram_entry(column, v);
            len[i]++;
            column += 1 + (uint32_t)(v % 9);
        }
    }
    return n;
}

static int
gram_case(const struct bs_isa *isa, size_t rows, uint64_t most)
{
    struct doubles x = doubles_of(COLUMNS * P, 1);
    struct doubles y = doubles_of(COLUMNS * P, 2);
    struct doubles want = doubles_of(COLUMNS * P, 2);
    uint64_t *entry = need(bs_alloc((rows * 13 + 1) * sizeof *entry)), *z;
    uint32_t *len = need(bs_alloc((rows + 1) * sizeof *len));
    double scale = (double)most * (double)most * (double)(rows + 1);
    size_t i, j, r;
    int good = 1;

    make_rows(entry, len, rows, most);
    isa->gram(entry, len, rows, x.at, y.at);
    for (r = 0, z = entry; r < rows; z += len[r], r++)
        for (j = 0; j < P; j++) {
            double s = 0;

            for (i = 0; i < len[r]; i++)
                s += (double)bs_gram_value(z[i]) *
                     x.at[bs_gram_column(z[i]) * P + j];
            for (i = 0; i < len[r]; i++)
                want.at[bs_gram_column(z[i]) * P + j] +=
                    (double)bs_gram_value(z[i]) * s;
        }
    for (i = 0; i < COLUMNS * P; i++)
        good &= near(y.at[i], want.at[i], 1e-14 * scale);
    bs_free(entry);
    bs_free(len);
    return doubles_free(&x) & doubles_free(&y) & doubles_free(&want) & good;
}

/* Rows taken at once or one by one: the same bits. */
static int
split_case(const struct bs_isa *isa)
{
    enum { ROWS = 40 };
    struct doubles x = doubles_of(COLUMNS * P, 1);
    struct doubles y = doubles_of(COLUMNS * P, 2);
    struct doubles one = doubles_of(COLUMNS * P, 2);
    uint64_t entry[ROWS * 13], *z = entry;
    uint32_t len[ROWS];
    size_t r;
    int good;

    make_rows(entry, len, ROWS, 1 << 26);
    isa->gram(entry, len, ROWS, x.at, y.at);
    for (r = 0; r < ROWS; z += len[r], r++)
        isa->gram(z, &len[r], 1, x.at, one.at);
    good = memcmp(y.at, one.at, COLUMNS * P * sizeof(double)) == 0;
    return doubles_free(&x) & doubles_free(&y) & doubles_free(&one) & good;
}

int
main(void)
{
    struct bs_isa isa[6];
    size_t n = isas_to_test(isa), i, j;

    for (i = 0; i < n; i++) {
        int dots = 1, subs = 1, grams = 1;

        for (j = 0; j < BS_LEN(row_counts); j++) {
            dots &= dot_case(&isa[i], row_counts[j]);
            subs &= sub_case(&isa[i], row_counts[j]);
            grams &= gram_case(&isa[i], row_counts[j], 1 << 24) &
                     gram_case(&isa[i], row_counts[j], BS_GRAM_VALUE_MAX);
        }
        ok(dots, "%s: products of panels", isa[i].name);
        ok(subs, "%s: panels taken out of others", isa[i].name);
        ok(grams, "%s: sparse rows, values to 2^40 - 1", isa[i].name);
        ok(split_case(&isa[i]), "%s: row by row, the same bits", isa[i].name);
    }
    return tap_done();
}
