/*
 * u-kmeans.c - mini-batch k-means against a plain loop, its seeding against the
 * exact probabilities of k-means++, and the geometric median against what
 * defines it.
 */
#include "cmd/models/kmeans.h"
#include "common/mem.h"
#include "tests/unit/tap.h"

#include <math.h>
#include <stdlib.h>

static struct bs_err error;

static void
must(int r)
{
    if (r == 0)
        return;
    ok(0, "%s", error.text);
    exit(tap_done());
}

static float
random_of(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return (float)(int32_t)(*state & 0xffffff00) / 2147483648.0f;
}

/* m tokens around `groups` centres. */
static float *
tokens_of(size_t m, size_t width, size_t groups, float noise, uint32_t seed)
{
    float *x = bs_alloc_array(m, width * sizeof *x);
    uint32_t state = seed;
    size_t i, c;

    for (i = 0; x != NULL && i < m; i++) {
        uint32_t centre = 77 + (uint32_t)(i % groups);

        for (c = 0; c < width; c++)
            x[i * width + c] =
                2 + 5 * random_of(&centre) + noise * random_of(&state);
    }
    return x;
}

static double
square(const float *a, const float *b, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

static size_t
nearest(const float *c, size_t points, const float *x, size_t width)
{
    size_t best = 0, j;

    for (j = 1; j < points; j++)
        if (square(c + j * width, x, width) <
            square(c + best * width, x, width))
            best = j;
    return best;
}

/* ---- steps -----------------------------------------------------------------
 */

/* A rate of 1 / count, token by token; each goes by the centroids before. */
static double
plain_step(double *c, const float *before, uint64_t *count, size_t points,
           const float *x, size_t m, size_t width)
{
    double inertia = 0;
    size_t i, j;

    for (i = 0; i < m; i++) {
        size_t at = nearest(before, points, x + i * width, width);
        double rate = 1 / (double)++count[at];

        inertia += square(before + at * width, x + i * width, width);
        for (j = 0; j < width; j++)
            c[at * width + j] +=
                rate * ((double)x[i * width + j] - c[at * width + j]);
    }
    return inertia / (double)m;
}

static void
check_steps(struct bs_dev *dev)
{
    enum { POINTS = 12, WIDTH = 23, M = 100, STEPS = 5 };
    float *x = tokens_of(STEPS * M, WIDTH, 9, 2, 1);
    float before[POINTS * WIDTH];
    double c[POINTS * WIDTH], inertia;
    uint64_t count[POINTS] = {0};
    struct bs_kmeans *k;
    size_t s, i, far = 0, off = 0;

    must(bs_kmeans_open(&k, POINTS, WIDTH, 3, dev, &error));
    must(bs_kmeans_seed(k, x, M, &error));
    for (i = 0; i < POINTS * WIDTH; i++)
        c[i] = (double)bs_kmeans_centroids(k)[i];
    for (s = 0; s < STEPS; s++) {
        double want;

        memcpy(before, bs_kmeans_centroids(k), sizeof before);
        want =
            plain_step(c, before, count, POINTS, x + s * M * WIDTH, M, WIDTH);
        must(bs_kmeans_step(k, x + s * M * WIDTH, M, &inertia, &error));
        far += !(fabs(inertia - want) <= 1e-6 * want);
        for (i = 0; i < POINTS * WIDTH; i++)
            off += !(fabs((double)bs_kmeans_centroids(k)[i] - c[i]) <= 1e-5);
    }
    ok(far == 0, "mean squared distances");
    ok(off == 0, "centroids of a plain loop");
    bs_kmeans_close(k);
    bs_free(x);
}

/* Tokens around as many centres as points: each seed falls to one of its own,
 * and a few steps find the means. */
static void
check_clusters(struct bs_dev *dev)
{
    enum { POINTS = 300, WIDTH = 40, M = 3000 };
    float *x = tokens_of(M, WIDTH, POINTS, 0.01f, 5);
    struct bs_kmeans *k;
    double first, inertia = 0;
    size_t i;

    must(bs_kmeans_open(&k, POINTS, WIDTH, 4, dev, &error));
    must(bs_kmeans_seed(k, x, M, &error));
    must(bs_kmeans_step(k, x, M, &first, &error));
    for (i = 0; i < 3; i++)
        must(bs_kmeans_step(k, x, M, &inertia, &error));
    ok(first < 0.01, "a seed in each of 300 clusters: %g", first);
    ok(inertia < first, "which the steps centre: %g", inertia);
    bs_kmeans_close(k);
    bs_free(x);
}

/* ---- seeding ---------------------------------------------------------------
 */

/* The three seeds of five tokens on a line, by k-means++, in order: 60 ways. */
static void
check_seeding(struct bs_dev *dev)
{
    enum { DRAWS = 20000 };
    static const float x[5] = {0, 1, 3, 7, 7.5f};
    unsigned seen[125] = {0};
    struct bs_kmeans *k;
    double worst = 0;
    uint64_t seed;
    size_t a, b, c, i, j;

    for (seed = 0; seed < DRAWS; seed++) {
        size_t way = 0;

        must(bs_kmeans_open(&k, 3, 1, seed, dev, &error));
        must(bs_kmeans_seed(k, x, 5, &error));
        for (i = 0; i < 3; i++)
            for (j = 0; j < 5; j++)
                way += bs_kmeans_centroids(k)[i] == x[j] ? j * (i == 0   ? 25
                                                                : i == 1 ? 5
                                                                         : 1)
                                                         : 0;
        seen[way]++;
        bs_kmeans_close(k);
    }
    for (a = 0; a < 5; a++)
        for (b = 0; b < 5; b++)
            for (c = 0; c < 5; c++) {
                double one = 0, two = 0, p, off;

                for (i = 0; i < 5; i++) {
                    double d = square(x + i, x + a, 1);

                    one += d;
                    two += fmin(d, square(x + i, x + b, 1));
                }
                p = square(x + b, x + a, 1) / one *
                    fmin(square(x + c, x + a, 1), square(x + c, x + b, 1)) /
                    two / 5;
                off = (double)seen[a * 25 + b * 5 + c] - p * DRAWS;
                /* In standard deviations; what cannot be must not be. */
                off = p > 0 ? fabs(off) / sqrt(p * (1 - p) * DRAWS) : fabs(off);
                worst = fmax(worst, p > 0 ? off : 1e3 * off);
            }
    ok(worst < 4.5,
       "seeds by the probabilities of k-means++: %.1f standard "
       "deviations at most",
       worst);
}

/* Not all different: one short, enough, and none but one. */
static void
check_few(struct bs_dev *dev)
{
    enum { WIDTH = 6, M = 60 };
    float *x = tokens_of(M, WIDTH, 10, 0, 3);
    struct bs_kmeans *k;
    size_t i, j, same = 0;

    must(bs_kmeans_open(&k, 11, WIDTH, 1, dev, &error));
    ok(bs_kmeans_seed(k, x, M, &error) == -BS_EX_DATA,
       "fewer different tokens than points: %s", error.text);
    error = (struct bs_err){0};
    bs_kmeans_close(k);
    must(bs_kmeans_open(&k, 10, WIDTH, 1, dev, &error));
    ok(bs_kmeans_seed(k, x, M, &error) == 0, "as many");
    for (i = 0; i < 10; i++)
        for (j = 0; j < i; j++)
            same += square(bs_kmeans_centroids(k) + i * WIDTH,
                           bs_kmeans_centroids(k) + j * WIDTH, WIDTH) == 0;
    ok(same == 0, "each once");
    bs_kmeans_close(k);
    must(bs_kmeans_open(&k, 1, WIDTH, 1, dev, &error));
    memset(x, 0, M * WIDTH * sizeof *x);
    ok(bs_kmeans_seed(k, x, M, &error) == 0 &&
           bs_kmeans_step(k, x, M, NULL, &error) == 0 &&
           bs_kmeans_centroids(k)[0] == 0,
       "one point among zeros");
    x[7] = NAN;
    ok(bs_kmeans_step(k, x, M, NULL, &error) == -BS_EX_DATA &&
           strstr(error.text, "token 1 ") != NULL,
       "a token that is not finite: %s", error.text);
    error = (struct bs_err){0};
    ok(bs_kmeans_seed(k, x, 0, &error) == -BS_EX_DATA, "no tokens: %s",
       error.text);
    error = (struct bs_err){0};
    bs_kmeans_close(k);
    bs_free(x);
}

static void
check_threads(void)
{
    enum { POINTS = 40, WIDTH = 33, M = 500 };
    float *x = tokens_of(2 * M, WIDTH, 70, 1, 9);
    float *want = bs_alloc_array(POINTS, WIDTH * sizeof *want);
    size_t bytes = POINTS * WIDTH * sizeof *want;
    struct bs_kmeans *k;
    struct bs_dev *dev;
    unsigned threads;
    int good = 1;

    for (threads = 1; threads <= 3; threads++) {
        must(bs_dev_open(&dev, "cpu", threads, &error));
        must(bs_kmeans_open(&k, POINTS, WIDTH, 8, dev, &error));
        must(bs_kmeans_seed(k, x, M, &error));
        must(bs_kmeans_step(k, x + M * WIDTH, M, NULL, &error));
        if (threads == 1)
            memcpy(want, bs_kmeans_centroids(k), bytes);
        good &= memcmp(want, bs_kmeans_centroids(k), bytes) == 0;
        bs_kmeans_close(k);
        bs_dev_close(dev);
    }
    ok(good, "the same on any number of threads");
    bs_free(x);
    bs_free(want);
}

/* ---- median ----------------------------------------------------------------
 */

static void
check_median(void)
{
    enum { WIDTH = 5, M = 200 };
    float *x = tokens_of(M, WIDTH, 3, 2, 4), centre[WIDTH];
    static const float line[] = {1, 2, 3, 4, 100};
    double pull[WIDTH] = {0}, length = 0;
    size_t i, c;

    for (i = 0; i < WIDTH; i++)
        x[i] = 1e4f; /* far away: it counts as one */
    must(bs_geometric_median(x, M, WIDTH, centre, &error));
    for (i = 0; i < M; i++) {
        double d = sqrt(square(x + i * WIDTH, centre, WIDTH));

        for (c = 0; c < WIDTH; c++)
            pull[c] += ((double)x[i * WIDTH + c] - (double)centre[c]) / d;
    }
    for (c = 0; c < WIDTH; c++)
        length += pull[c] * pull[c];
    ok(sqrt(length) < 0.02 * M, "the directions to all tokens balance: %g",
       sqrt(length));
    must(bs_geometric_median(line, 5, 1, centre, &error));
    ok(fabsf(centre[0] - 3) < 0.05f, "on a line it is the median: %g",
       (double)centre[0]);
    must(bs_geometric_median(line, 1, 1, centre, &error));
    ok(centre[0] == 1, "of one token, the token");
    x[3] = INFINITY;
    ok(bs_geometric_median(x, M, WIDTH, centre, &error) == -BS_EX_DATA,
       "of what is not finite, none: %s", error.text);
    error = (struct bs_err){0};
    ok(bs_geometric_median(x, 0, WIDTH, centre, &error) == -BS_EX_DATA,
       "of none, none");
    error = (struct bs_err){0};
    bs_free(x);
}

int
main(void)
{
    struct bs_dev *dev;

    must(bs_dev_open(&dev, "cpu", 2, &error));
    check_steps(dev);
    check_clusters(dev);
    check_seeding(dev);
    check_few(dev);
    bs_dev_close(dev);
    check_threads();
    check_median();
    return tap_done();
}
