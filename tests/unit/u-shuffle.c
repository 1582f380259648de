/*
 * u-shuffle.c - the shuffle buffer: nothing lost, nothing twice, every order
 * alike, exact values whatever the types.
 */
#include "cmd/models/shuffle.h"
#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

enum { WIDTH = 3, TOKENS = 10000 };

static struct bs_shuffle *
open_buffer(size_t capacity, bool ordered, uint64_t seed)
{
    struct bs_shuffle_options o = {.width = WIDTH,
                                   .capacity = capacity,
                                   .ordered = ordered,
                                   .seed = seed,
                                   .name = "test"};
    struct bs_shuffle *s;
    struct bs_err e = {0};

    need(bs_shuffle_open(&s, &o, &e) == 0);
    return s;
}

/* Token i is (i, -i, 0). */
static void
put(struct bs_shuffle *s, unsigned i)
{
    float x[WIDTH] = {(float)i, -(float)i, 0};
    struct bs_err e = {0};

    need(bs_shuffle_put(s, BS_DTYPE_F32, x, 1, &e) == 0);
}

static unsigned
take(struct bs_shuffle *s)
{
    float x[WIDTH] = {0};

    bs_shuffle_take(s, x);
    return x[1] == -x[0] && x[2] == 0 ? (unsigned)x[0] : TOKENS;
}

/* Tokens 0..n-1 through the buffer, in what order they come out. */
static void
pass(struct bs_shuffle *s, unsigned n, unsigned *order)
{
    unsigned in = 0, out = 0;

    while (out < n) {
        while (in < n && bs_shuffle_room(s) > 0)
            put(s, in++);
        order[out++] = take(s);
    }
    need(bs_shuffle_count(s) == 0);
}

static bool
is_permutation(const unsigned *order, unsigned n)
{
    char *seen = calloc(n, 1);
    unsigned i;
    bool good = seen != NULL;

    for (i = 0; i < n && good; i++)
        good = order[i] < n && !seen[order[i]]++;
    free(seen);
    return good;
}

static void
test_orders(void)
{
    static unsigned a[TOKENS], b[TOKENS];
    static const size_t capacities[] = {1, 2, 7, 4096, 5000, TOKENS, 20000};
    struct bs_shuffle *s;
    unsigned i, n;
    size_t c;

    for (c = 0; c < BS_LEN(capacities); c++) {
        s = open_buffer(capacities[c], false, 1);
        pass(s, TOKENS, a);
        bs_shuffle_begin(s, 0);
        pass(s, TOKENS, b);
        ok(is_permutation(a, TOKENS) && memcmp(a, b, sizeof a) == 0,
           "capacity %zu: every token once, the same order again",
           capacities[c]);
        bs_shuffle_begin(s, 1);
        pass(s, TOKENS, b);
        ok(is_permutation(b, TOKENS) &&
               (memcmp(a, b, sizeof a) == 0) == (capacities[c] == 1),
           "capacity %zu: another pass, another order", capacities[c]);
        bs_shuffle_close(s);
        s = open_buffer(capacities[c], true, 1);
        pass(s, TOKENS, a);
        for (i = 0, n = 0; i < TOKENS; i++)
            n += a[i] == i;
        ok(n == TOKENS, "capacity %zu: in order where that is wanted",
           capacities[c]);
        bs_shuffle_close(s);
    }
}

/* Where token 0 comes out of a buffer that holds all: each place alike. */
static void
test_uniform(void)
{
    enum { N = 8, RUNS = 16000 };
    unsigned order[N], count[N] = {0}, i, k;
    struct bs_shuffle *s = open_buffer(N, false, 7);
    double chi = 0;

    for (i = 0; i < RUNS; i++) {
        bs_shuffle_begin(s, i);
        pass(s, N, order);
        for (k = 0; k < N; k++)
            if (order[k] == 0)
                count[k]++;
    }
    for (k = 0; k < N; k++) {
        double off = (double)count[k] - (double)RUNS / N;

        chi += off * off / ((double)RUNS / N);
    }
    /* seven degrees of freedom: beyond 24.3 once in a thousand seeds */
    ok(chi < 24.3, "a token comes out anywhere: chi square %.1f", chi);
    bs_shuffle_close(s);
}

static void
test_types(void)
{
    static const enum bs_dtype types[] = {BS_DTYPE_F16, BS_DTYPE_BF16,
                                          BS_DTYPE_F32};
    const float value[WIDTH] = {1.5f, -0.125f, 3.0f}; /* exact in all */
    struct bs_err e = {0};
    size_t i, j, k;

    for (i = 0; i < BS_LEN(types); i++)
        for (j = 0; j < BS_LEN(types); j++) {
            struct bs_shuffle *s = open_buffer(6000, false, 2);
            uint64_t raw[2][2];
            float x[WIDTH];
            bool good = true;

            bs_from_f32(raw[0], types[i], value, WIDTH);
            bs_from_f32(raw[1], types[j], value, WIDTH);
            for (k = 0; k < 5000; k++)
                need(bs_shuffle_put(s, types[i], raw[0], 1, &e) == 0);
            for (k = 0; k < 1000; k++)
                need(bs_shuffle_put(s, types[j], raw[1], 1, &e) == 0);
            bs_shuffle_peek(s, 17, x);
            good = memcmp(x, value, sizeof x) == 0;
            while (bs_shuffle_count(s) > 0) {
                bs_shuffle_take(s, x);
                good = good && memcmp(x, value, sizeof x) == 0;
            }
            ok(good, "%s beside %s: exact", bs_dtype_name(types[i]),
               bs_dtype_name(types[j]));
            bs_shuffle_close(s);
        }
}

/* Tokens that are dropped change nothing of what is drawn. */
static void
test_drop(void)
{
    struct bs_shuffle *a = open_buffer(50, false, 3);
    struct bs_shuffle *b = open_buffer(50, false, 3);
    unsigned i, same = 0;

    for (i = 0; i < 50; i++) {
        put(a, i);
        put(b, i);
    }
    for (i = 50; i < 500; i++) {
        bs_shuffle_take(a, NULL);
        (void)take(b);
        put(a, i);
        put(b, i);
    }
    for (i = 0; i < 50; i++)
        same += take(a) == take(b);
    ok(same == 50, "dropping is taking");
    bs_shuffle_close(a);
    bs_shuffle_close(b);
}

int
main(void)
{
    test_orders();
    test_uniform();
    test_types();
    test_drop();
    return tap_done();
}
