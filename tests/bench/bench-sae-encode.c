/*
 * bench-sae-encode.c - tokens a second of the top-k code of a dictionary,
 * beside the processor's peak of f32 multiply-adds.
 *
 *     bench-sae-encode [rounds]
 *
 * A line for the Python part is: threads, rows, tokens a second.
 */
#include "tests/bench/bench.h"

#include "kernels/cpu.h"
#include "kernels/sae_ops.h"

#define WIDTH 768
#define CONCEPTS 32000
#define TOP 5
#define MOST_ROWS 4096

/* ---- data ------------------------------------------------------------------
 */

static double
normal(uint32_t *state)
{
    double sum = 0;
    int i;

    for (i = 0; i < 12; i++) {
        *state = *state * 1664525 + 1013904223;
        sum += (double)*state / 4294967296.0;
    }
    return sum - 6;
}

/* Rows of independent normal values: no atom stands out. */
static void
fill_normal(float *x, float *w, uint32_t state)
{
    size_t i;

    for (i = 0; i < (size_t)MOST_ROWS * WIDTH; i++)
        x[i] = (float)normal(&state);
    for (i = 0; i < (size_t)CONCEPTS * WIDTH; i++)
        w[i] = (float)normal(&state);
}

static void
to_length_1(float *x)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < WIDTH; i++)
        sum += (double)x[i] * (double)x[i];
    for (i = 0; i < WIDTH; i++)
        x[i] = (float)((double)x[i] / sqrt(sum));
}

/*
 * Rows like features of a network: correlated (a spectrum that falls off), a
 * common offset, heavy tails and two columns far larger than the rest.  Atoms
 * are such rows with noise, of length 1: a row has near relatives among them.
 */
static void
fill_features(float *x, float *w, uint32_t state)
{
    float *rows[2] = {x, w};
    size_t counts[2] = {MOST_ROWS, CONCEPTS}, which, i, c;

    for (which = 0; which < 2; which++)
        for (i = 0; i < counts[which]; i++) {
            float *row = rows[which] + i * WIDTH;
            double near = normal(&state), tail = fabs(normal(&state)) + 0.3;

            for (c = 0; c < WIDTH; c++) {
                double v = normal(&state);

                v *= tail * (1 + 20.0 / (1 + (double)(c % 97)));
                row[c] = (float)(v + near * (double)(c % 5) + 0.5);
            }
            row[13] *= 20;
            row[400] += 60;
            if (which == 1)
                to_length_1(row);
        }
}

/* ---- runs ------------------------------------------------------------------
 */

struct run {
    struct bs_dev *d;
    struct bs_encoder *enc;
    float *x;
    size_t m;
    struct bs_mem idx, val;
};

static void
run_encode(void *arg)
{
    struct run *r = arg;
    struct bs_mem x = mem_of(r->x, r->m * WIDTH);

    must(bs_dev_encode_topk(r->d, r->enc, &x, WIDTH, r->m, TOP, &r->idx,
                            &r->val) == 0,
         "encode");
}

static void
measure(struct run *r, const char *name, int rounds, double peak)
{
    struct bs_cpu *c = (struct bs_cpu *)r->d;
    double best = INFINITY, rate, flops = 2.0 * WIDTH * CONCEPTS, again;
    int i;

    atomic_store(&c->rescored, 0);
    run_encode(r);
    again = (double)atomic_load(&c->rescored) / (double)r->m;
    for (i = 0; i < rounds; i++)
        best = fmin(best, turn(run_encode, r, 2));
    rate = (double)r->m / best;
    printf("%-10s %7u %6zu %9.0f %9.1f %10.1f\n", name, c->threads, r->m, rate,
           peak > 0 ? 100e-9 * rate * flops / peak : 0, again);
    fflush(stdout);
}

static void
table(unsigned threads, int rounds, float *x, float *w, const char *data)
{
    static const size_t ms[] = {1024, 2048, MOST_ROWS};
    static const struct {
        const char *name;
        enum bs_screen screen;
    } screens[] = {{"f32", BS_SCREEN_NONE},
                   {"int16", BS_SCREEN_LOW},
                   {"int8", BS_SCREEN_BYTES}};
    double peak = peak_gflops(threads);
    struct bs_err e = {0};
    struct run r = {.x = x};
    size_t i, s;

    must(bs_dev_open(&r.d, "cpu", threads, &e) == 0, e.text);
    must(bs_dev_alloc(r.d, &r.idx, 4 * TOP * MOST_ROWS) == 0 &&
             bs_dev_alloc(r.d, &r.val, 4 * TOP * MOST_ROWS) == 0,
         "allocation");
    printf("# %s; %s; f32 peak %.1f GF/s\n", data, bs_dev_describe(r.d), peak);
    for (s = 0; s < BS_LEN(screens); s++) {
        must(bs_dev_encoder(r.d, &r.enc, w, NULL, CONCEPTS, WIDTH,
                            screens[s].screen) == 0,
             "encoder");
        for (i = 0; i < BS_LEN(ms); i++) {
            r.m = ms[i];
            measure(&r, screens[s].name, rounds, peak);
        }
        bs_dev_encoder_free(r.d, r.enc);
    }
    bs_dev_free(r.d, &r.idx);
    bs_dev_free(r.d, &r.val);
    bs_dev_close(r.d);
}

int
main(int argc, char *argv[])
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 3;
    unsigned all = bs_pool_processors(), threads;
    float *x = floats((size_t)MOST_ROWS * WIDTH);
    float *w = floats((size_t)CONCEPTS * WIDTH);
    int data;

    printf("%-10s %7s %6s %9s %9s %10s\n", "screened", "threads", "rows",
           "tokens/s", "% of peak", "rescored");
    for (data = 0; data < 2; data++) {
        if (data == 0)
            fill_normal(x, w, 1);
        else
            fill_features(x, w, 1);
        for (threads = 1; threads <= (all > 1 ? 2U : 1U); threads++)
            table(threads, rounds, x, w,
                  data == 0 ? "normal values" : "like features");
    }
    bs_free(x);
    bs_free(w);
    return 0;
}
