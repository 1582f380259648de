/*
 * sae_cpu.h - what the parts of the encoder on the CPU share.  Private to
 * kernels/ and its tests.
 *
 * A hit is a concept that may belong to a row's code: a lower and an upper
 * bound of its pre-activation, which are equal once that is known.
 */
#ifndef BS_KERNELS_SAE_CPU_H
#define BS_KERNELS_SAE_CPU_H

#include "kernels/cpu.h"
#include "kernels/sae.h"

struct bs_hit {
    float low, high;
    uint32_t row, idx;
};

/* ---- a growing list: hits of many rows -------------------------------------
 */

/* Zero-initialised means empty; `failed` once there was no memory. */
struct bs_hits {
    struct bs_hit *at;
    size_t n, room;
    bool failed;
};

void bs_hits_add(struct bs_hits *h, const struct bs_hit *hit);
void bs_hits_release(struct bs_hits *h);
/* The `top`-th largest of the lower bounds, 0 where there are fewer that are
 * positive: what is below it is not among the `top` largest. */
float bs_hits_cut(const struct bs_hits *h, size_t top);
/* Drop what lies below the cut. */
void bs_hits_drop(struct bs_hits *h, float cut);
/* Put known hits in order of value descending, then index ascending. */
void bs_hits_sort(struct bs_hit *at, size_t n);

/* ---- a bounded list: the top hits of one row -------------------------------
 */

struct bs_picks {
    float *low; /* a heap of the `top` largest lower bounds, least first */
    size_t lows;
    struct bs_hit *at;
    size_t n;
    bool overflow; /* more may be among the top than there is room for */
};

#define BS_PICKS_ROOM(top) (2 * (top) + 64)

/* Memory that one needs; *p is put on it, empty. */
size_t bs_picks_bytes(size_t top);
void bs_picks_init(struct bs_picks *p, size_t top, void *memory);
/* Returns the row's cut after it. */
float bs_picks_add(struct bs_picks *p, size_t top, uint32_t idx, float low,
                   float high);

#endif
