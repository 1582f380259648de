/*
 * median.c - the geometric median; see kmeans.h.
 */
#include "cmd/models/kmeans.h"

#include "common/mem.h"

#include <math.h>

#define STEPS 100
#define ENOUGH 1e-6

static double
squares_between(const float *x, const double *at, size_t n)
{
    double lane[8] = {0};
    size_t i, l;

    for (i = 0; i + 8 <= n; i += 8)
        for (l = 0; l < 8; l++)
            lane[l] +=
                ((double)x[i + l] - at[i + l]) * ((double)x[i + l] - at[i + l]);
    for (l = 0; i + l < n; l++)
        lane[l] +=
            ((double)x[i + l] - at[i + l]) * ((double)x[i + l] - at[i + l]);
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* The mean of tokens, each weighing 1 / its distance to `at` (NULL: 1), and the
 * root of the mean square of these distances. */
static double
weigh(const float *x, size_t m, size_t width, const double *at, double least,
      double *out)
{
    double total = 0, spread = 0;
    size_t i, c;

    for (c = 0; c < width; c++)
        out[c] = 0;
    for (i = 0; i < m; i++, x += width) {
        double square = at != NULL ? squares_between(x, at, width) : 0;
        double weight = 1;

        if (at != NULL && least > 0)
            weight = 1 / fmax(sqrt(square), least);
        for (c = 0; c < width; c++)
            out[c] += weight * (double)x[c];
        total += weight;
        spread += square / (double)m;
    }
    for (c = 0; c < width; c++)
        out[c] /= total;
    return sqrt(spread);
}

static double
length_between(const double *a, const double *b, size_t n)
{
    double sum = 0;
    size_t c;

    for (c = 0; c < n; c++)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sqrt(sum);
}

int
bs_geometric_median(const float *x, size_t m, size_t width, float *centre,
                    struct bs_err *e)
{
    double *at = bs_alloc_array(width, sizeof *at), spread, moved = INFINITY;
    double *to = bs_alloc_array(width, sizeof *to), *swap;
    size_t step, c;

    if (at == NULL || to == NULL) {
        bs_free(at);
        bs_free(to);
        return bs_err_memory(e, "median", width * sizeof *at);
    }
    weigh(x, m, width, NULL, 0, at);
    spread = weigh(x, m, width, at, 0, to);
    for (step = 0; step < STEPS && moved > ENOUGH * spread; step++) {
        weigh(x, m, width, at, ENOUGH * spread, to);
        moved = length_between(at, to, width);
        swap = at;
        at = to;
        to = swap;
    }
    for (c = 0; c < width; c++)
        centre[c] = (float)at[c];
    bs_free(at);
    bs_free(to);
    return m > 0 && spread < INFINITY
               ? 0
               : bs_err_set(e, BS_EX_DATA,
                            "median: no tokens, or some not finite");
}
