/*
 * sae_cpu.h - what the parts of the encoder on the CPU share.  Private to
 * kernels/ and its tests.
 *
 * All products of rows and atoms are screened: computed fast, in whole numbers
 * or in f32 of whatever order, with a bound of how far that is off.  A hit is
 * a product that may belong to a code; in the end those that are left are
 * computed as sae.h defines them.
 */
#ifndef BS_KERNELS_SAE_CPU_H
#define BS_KERNELS_SAE_CPU_H

#include "kernels/cpu.h"
#include "kernels/sae_hit.h"
#include "kernels/sae_train_ops.h"

/* ---- weights ---------------------------------------------------------------
 */

struct cpu_encoder {
    struct bs_encoder head;
    size_t room; /* rows that there is memory for */
    float *w;    /* [n, k] */
    float *bias; /* [n] */

    bool whole;   /* screened in whole numbers, not in f32 */
    size_t depth; /* k, even for whole numbers */
    size_t panels;
    void *packed; /* int16 [panel][depth / 2][nr][2], or f32 [panel][k][nr] */
    /* Bounds of isa.h, [panels * nr]. */
    float *scale, *norm, *rest, *bound;
    double most_norm, most_bias; /* of all atoms */
};

/* A vector x and the whole numbers q in its place.  No length is below the
 * true one. */
struct bs_whole {
    double scale; /* x is nearly scale q */
    double norm;  /* length of x */
    double held;  /* of scale q */
    double rest;  /* of x - scale q */
};

/*
 * Round x to whole numbers of 16 bits, short enough that no sum of products of
 * two such vectors passes 32 bits.  q: [k], or NULL for the norm alone.
 */
void bs_cpu_round(struct bs_whole *out, int16_t *q, const float *x, size_t k);

/* The nearest float that is not below, or not above. */
float bs_float_up(double value);
float bs_float_down(double value);

/* -BS_EX_DATA naming the first row of x that has a value that is not finite. */
int bs_cpu_check_finite(struct bs_err *err, const char *op, const float *x,
                        size_t ldx, size_t rows, size_t k) BS_CHECKED;

/* The product of x and w as sae_ops.h defines it. */
float bs_cpu_dot(const float *x, const float *w, size_t k);
/* The pre-activation: the same and the bias. */
float bs_cpu_pre(const struct cpu_encoder *e, const float *x, size_t j);

/* See sae_train_ops.h. */
int bs_cpu_encoder_reserve(struct bs_dev *d, struct bs_encoder **out, size_t n,
                           size_t k, enum bs_screen screen);
int bs_cpu_encoder_fill(struct bs_dev *d, struct bs_encoder *enc,
                        const struct bs_encoder_rows *from);

/* ---- hits ------------------------------------------------------------------
 */

/* A growing list of hits of many rows.  Zero-initialised means empty;
 * `failed` once there was no memory. */
struct bs_hits {
    struct bs_hit *at;
    size_t n, room;
    bool failed;
};

void bs_hits_add(struct bs_hits *h, const struct bs_hit *hit);
/* Make room for more; false where there is no memory. */
bool bs_hits_grow(struct bs_hits *h);
void bs_hits_release(struct bs_hits *h);
/* The `top`-th largest of the lower bounds, 0 where fewer are positive: what is
 * below it is not among the `top` largest. */
float bs_hits_cut(const struct bs_hits *h, size_t top);
/* Drop what lies below the cut. */
void bs_hits_drop(struct bs_hits *h, float cut);
/* Put known hits in order of value descending, then index ascending. */
void bs_hits_sort(struct bs_hit *at, size_t n);
/* Known hits of m rows, in any order, to codes. */
int bs_hits_ragged(const struct bs_hits *h, size_t m, struct bs_ragged *out,
                   struct bs_err *e) BS_CHECKED;

/* A bounded list: what may be among the `top` of one row. */
struct bs_picks {
    float *low; /* a heap of the `top` largest lower bounds, least first */
    size_t lows;
    struct bs_hit *at;
    size_t n;
    float cut;
    bool overflow; /* there was no room for what may be among the top */
};

/* Memory that one needs; *p is put on it, empty. */
size_t bs_picks_bytes(size_t top);
void bs_picks_init(struct bs_picks *p, size_t top, void *memory);
void bs_picks_add(struct bs_picks *p, size_t top, const struct bs_hit *hit);

/* ---- scan ------------------------------------------------------------------
 */

struct bs_scan;

struct bs_scan_job {
    struct bs_cpu *c;
    const struct bs_dev_encode *a;
    const struct cpu_encoder *e;
    const float *bound; /* as the encoder's, or lower for a threshold */
    /* Called for each row of a chunk before its first hit, or NULL. */
    void (*start)(struct bs_scan *s, size_t i);
    /* Called for each hit of row i; returns the row's cut: what is below is no
     * hit from then on. */
    float (*hit)(struct bs_scan *s, size_t i, const struct bs_hit *hit);
    /* Called after the last hit of a chunk of rows, or NULL. */
    void (*finish)(struct bs_scan *s);
    size_t room; /* memory for each row of a chunk */
    void *state; /* the operation's */

    size_t rows, chunks; /* bs_cpu_scan sets these */
};

struct bs_scan_row {
    const float *x;
    struct bs_whole size;
    double off; /* what is off, whatever the atom */
    float cut;
    bool known; /* hits are: the row cannot be screened */
};

/* A chunk of rows on its thread. */
struct bs_scan {
    const struct bs_scan_job *job;
    unsigned thread;
    size_t first, rows;
    size_t rescored;
    struct bs_scan_row *row;
    struct bs_isa_row *bounds;
    int16_t *q; /* [rows, depth] */
    void *tile;
    char *memory; /* `room` for each row */
};

/* Every row of the call; 0 or a negative result. */
int bs_cpu_scan(struct bs_scan_job *job) BS_CHECKED;
/* Every product of row i, known. */
void bs_scan_known(struct bs_scan *s, size_t i);
/* The pre-activation of a hit of row i. */
float bs_scan_pre(struct bs_scan *s, size_t i, const struct bs_hit *hit);

#endif
