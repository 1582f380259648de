/*
 * rank_energy.h - a stream of kind "energy" (energy.h) in memory.
 *
 * Memory: 8 bytes for each concept, model and column that is there; with the
 * pairs their keys, captions and values.
 */
#ifndef BS_MODELS_RANK_ENERGY_H
#define BS_MODELS_RANK_ENERGY_H

#include "cmd/models/preprocess.h"
#include "cmd/models/rank_scan.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

/* Columns of the table "concept"; names in bs_rank_f64_names. */
enum bs_rank_f64 {
    BS_RANK_REAL,
    BS_RANK_GEN,
    BS_RANK_RAW,
    BS_RANK_REL,
    BS_RANK_RAW_SE,
    BS_RANK_REL_SE,
    BS_RANK_DELTA,
    BS_RANK_LO,
    BS_RANK_HI,
    BS_RANK_MCDIARMID,
    BS_RANK_BERNSTEIN,
    BS_RANK_BOOT_LO,
    BS_RANK_BOOT_HI,
    BS_RANK_P,
    BS_RANK_Q,
    BS_RANK_Q_BY,
    BS_RANK_P_MAX,
    BS_RANK_F64S
};

enum bs_rank_u64 {
    BS_RANK_REAL_TOKENS,
    BS_RANK_GEN_TOKENS,
    BS_RANK_REAL_IMAGES,
    BS_RANK_GEN_IMAGES,
    BS_RANK_U64S
};

extern const char *const bs_rank_f64_names[BS_RANK_F64S];
extern const char *const bs_rank_u64_names[BS_RANK_U64S];

/* A generated stream: a column is [concepts], or NULL where it is not there. */
struct bs_rank_model {
    char *label;
    uint64_t pairs;
    double *f64[BS_RANK_F64S];
    uint64_t *u64[BS_RANK_U64S];
};

struct bs_rank_pairs {
    size_t count, top;      /* top: concepts named of each pair and model */
    struct bs_buf text;     /* keys and captions, with a NUL behind each */
    struct bs_buf at;       /* size_t [count][2]: key, caption in text */
    struct bs_buf l2, mean; /* double [count][models] */
    struct bs_buf top_idx;  /* uint32_t [count][models][top] */
    struct bs_buf top_diff; /* double, the same */
};

/* Zero-initialised means empty. */
struct bs_rank_energy {
    uint32_t concepts;
    bool relative;                   /* the form of delta; else raw */
    double temperature;              /* delta = sigma(form / temperature) */
    double level;                    /* of the intervals */
    char dictionary[BS_RANK_SHA256]; /* hex sha256 of the dictionary, "" where
                                        not said */
    struct bs_preprocess sight; /* what bs-embed saw of an image, 0 where the
                                   parents do not say */
    size_t models;
    struct bs_rank_model *model;
    struct bs_rank_pairs pairs;
};

/*
 * Read an energy stream; its pairs only if they are wanted.  Every model that
 * the head names must have its table; the columns real, gen, raw, rel and
 * delta must be there, finite (rel and delta may be NaN), delta in 0..1.
 * Release *en also when this fails.
 */
int bs_rank_energy_read(struct bs_rank_energy *en, const char *path,
                        const struct bs_rank_input *in, bool pairs,
                        struct bs_err *e) BS_CHECKED;
void bs_rank_energy_release(struct bs_rank_energy *en);

/* The model with this label, or -1. */
int bs_rank_model_find(const struct bs_rank_energy *en, const char *label);
/* A value, NaN where the column is not there. */
double bs_rank_f64(const struct bs_rank_energy *en, size_t model,
                   uint32_t concept, enum bs_rank_f64 column);
/* The bound on the form (raw or relative) at which delta is 0.5 + margin. */
double bs_rank_bound(const struct bs_rank_energy *en, double margin);

const char *bs_rank_pair_key(const struct bs_rank_energy *en, size_t pair);
/* "" where it has none */
const char *bs_rank_pair_caption(const struct bs_rank_energy *en, size_t pair);

#endif
