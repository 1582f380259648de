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

/* Atoms as one kind of tile takes them; bounds of isa.h, [panels * nr]. */
struct cpu_packed {
    size_t depth;      /* columns */
    size_t panel_size; /* bytes */
    char *panels;      /* NULL: not screened so */
    float *scale, *rest;
};

struct cpu_encoder {
    struct bs_encoder head;
    size_t room; /* rows that there is memory for */
    float *w;    /* [n, k] */
    float *bias; /* [n] */

    size_t panels;
    bool whole; /* fine: in whole numbers, not in f32 */
    /* int16 [depth / 2][nr][2], depth even, or f32 [k][nr]. */
    struct cpu_packed fine;
    /* 8 bits: see gemm_bytes in isa.h. */
    struct cpu_packed coarse;
    float *sign;                 /* [coarse.depth], of bs_cpu_turn_signs */
    float *norm, *bound;         /* of isa.h, too */
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

/*
 * Turn x to where no column stands out, as all vectors are turned, and round it
 * to whole numbers: of a token to +-BS_SMALL_MOST, of an atom to such numbers
 * of 8 bits that gemm_bytes holds, a token's plus BS_SMALL_ZERO.  q, turned
 * (scratch), sign (of bs_cpu_turn_signs): [k rounded up to BS_SMALL_COLUMNS].
 */
#define BS_SMALL_COLUMNS 16
#define BS_SMALL_MOST 63
#define BS_SMALL_ZERO 64
void bs_cpu_round_small(struct bs_whole *out, int16_t *q, float *turned,
                        const float *x, const float *sign, size_t k, bool atom);
void bs_cpu_turn_signs(float *sign, size_t depth);

/* The nearest float that is not below, or not above. */
static inline float
bs_float_up(double value)
{
    float f = (float)value;
    uint32_t bits;

    if (!((double)f < value))
        return f;
    memcpy(&bits, &f, sizeof bits);
    bits += f < 0 ? UINT32_MAX : 1; /* a zero is positive here */
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline float
bs_float_down(double value)
{
    return -bs_float_up(-value);
}

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
    bool overflow; /* the caller's: there was no room for what may be among */
};

/* Memory that one needs; *p is put on it, empty. */
size_t bs_picks_bytes(size_t top);
void bs_picks_init(struct bs_picks *p, size_t top, void *memory);
/* Drop what is not among the top, where the list is full; false if most of it
 * is left. */
bool bs_picks_room(struct bs_picks *p, size_t top);
/* There must be room. */
void bs_picks_add(struct bs_picks *p, size_t top, const struct bs_hit *hit);
/* Cut again, after bounds have come closer. */
void bs_picks_again(struct bs_picks *p, size_t top);

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
    struct bs_whole fine, coarse;
    double off;  /* what is off, whatever the atom */
    double unit; /* the power of two that bounds are measured in */
    float cut;
    bool known; /* hits are: the row cannot be screened */
};

/* A chunk of rows on its thread. */
struct bs_scan {
    const struct bs_scan_job *job;
    unsigned thread;
    size_t first, rows;
    size_t rescored;
    bool refined; /* the rows are there for the fine screen, too */
    void *tile;   /* of products */
    struct bs_scan_row *row;
    struct bs_isa_row *fine, *coarse; /* bounds of each row */
    int16_t *q;                       /* [rows, depth], fine */
    uint8_t *bytes;                   /* [rows, depth], coarse */
    float *turned;                    /* scratch for a coarse row */
    int16_t *small;
    struct bs_hit *due; /* hits that shall be known after the next panel */
    size_t n_due;
    char *memory; /* `room` for each row */
};

/* Every row of the call; 0 or a negative result. */
int bs_cpu_scan(struct bs_scan_job *job) BS_CHECKED;
/* Every product of row i, known. */
void bs_scan_known(struct bs_scan *s, size_t i);
/* The pre-activation of a hit of row i. */
float bs_scan_pre(struct bs_scan *s, size_t i, const struct bs_hit *hit);
/* Start to bring what that takes of n hits' atoms to the cache. */
void bs_scan_fetch(const struct bs_scan *s, const struct bs_hit *hit, size_t n);
/* Make n hits known. */
void bs_scan_pres(struct bs_scan *s, struct bs_hit *hits, size_t n);

#endif
