/*
 * isa_panel.h - template: panels of BS_PANEL doubles a row, a cache line, and
 * sparse rows times them (kernels/gram.h, kernels/krylov.h).
 *
 * Vectors have VW / 2 doubles, so a line has 16 / VW of them.  Lanes do not
 * mix: a value's sum runs over the rows in their order.
 */
#ifndef BS_KERNELS_ISA_PANEL_H
#define BS_KERNELS_ISA_PANEL_H

#include "kernels/gram.h"
#include "kernels/isa_tile.h"

#define DW (VW / 2)        /* doubles of a vector */
#define DV (BS_PANEL / DW) /* vectors of a line */
#define DR (8 / DV)        /* lines of a tile: 8 accumulators */

typedef double D __attribute__((vector_size(8 * DW), aligned(8), may_alias));

#define LOAD_D(p) (*(const D *)(p))
#define STORE_D(p, v) (*(D *)(p) = (v))

/* y += z (z . x) for one row z of `n` entries. */
INLINE void
gram_row(const uint64_t *z, size_t n, const double *x, double *y)
{
    D s[DV];
    size_t i, j;

#pragma GCC unroll 4
    for (j = 0; j < DV; j++)
        s[j] = (D){0};
    for (i = 0; i < n; i++) {
        const double *line = x + bs_gram_column(z[i]) * BS_PANEL;
        double v = (double)(int64_t)bs_gram_value(z[i]);

#pragma GCC unroll 4
        for (j = 0; j < DV; j++)
            s[j] += v * LOAD_D(line + j * DW);
    }
    for (i = 0; i < n; i++) {
        double *line = y + bs_gram_column(z[i]) * BS_PANEL;
        double v = (double)(int64_t)bs_gram_value(z[i]);

#pragma GCC unroll 4
        for (j = 0; j < DV; j++)
            STORE_D(line + j * DW, LOAD_D(line + j * DW) + v * s[j]);
    }
}

static void
gram(const uint64_t *entry, const uint32_t *len, size_t rows, const double *x,
     double *y)
{
    size_t i;

    for (i = 0; i < rows; i++) {
        gram_row(entry, len[i], x, y);
        entry += len[i];
    }
}

/* Lines from..from+DR-1 of c += p^T w. */
INLINE void
panel_dot_lines(const double *p, const double *w, size_t n, double *c,
                size_t from)
{
    D x[DR][DV];
    size_t i, j, r;

#pragma GCC unroll 8
    for (i = 0; i < DR; i++)
#pragma GCC unroll 4
        for (j = 0; j < DV; j++)
            x[i][j] = LOAD_D(c + (from + i) * BS_PANEL + j * DW);
    for (r = 0; r < n; r++, p += BS_PANEL, w += BS_PANEL) {
        D line[DV];

#pragma GCC unroll 4
        for (j = 0; j < DV; j++)
            line[j] = LOAD_D(w + j * DW);
#pragma GCC unroll 8
        for (i = 0; i < DR; i++)
#pragma GCC unroll 4
            for (j = 0; j < DV; j++)
                x[i][j] += p[from + i] * line[j];
    }
#pragma GCC unroll 8
    for (i = 0; i < DR; i++)
#pragma GCC unroll 4
        for (j = 0; j < DV; j++)
            STORE_D(c + (from + i) * BS_PANEL + j * DW, x[i][j]);
}

static void
panel_dot(const double *p, const double *w, size_t n, double *c)
{
    size_t from;

    for (from = 0; from < BS_PANEL; from += DR)
        panel_dot_lines(p, w, n, c, from);
}

static void
panel_sub(const double *p, const double *c, size_t n, double *w)
{
    size_t i, j, r;

    for (r = 0; r < n; r++, p += BS_PANEL, w += BS_PANEL) {
        D x[DV];

#pragma GCC unroll 4
        for (j = 0; j < DV; j++)
            x[j] = LOAD_D(w + j * DW);
#pragma GCC unroll 8
        for (i = 0; i < BS_PANEL; i++)
#pragma GCC unroll 4
            for (j = 0; j < DV; j++)
                x[j] -= p[i] * LOAD_D(c + i * BS_PANEL + j * DW);
#pragma GCC unroll 4
        for (j = 0; j < DV; j++)
            STORE_D(w + j * DW, x[j]);
    }
}

#endif
