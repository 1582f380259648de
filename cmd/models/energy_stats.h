/*
 * energy_stats.h - from paired energies to what is suppressed and exaggerated:
 * the statistics of every concept (conceptual blindspots, definition 2 and
 * appendix I), of pairs of generators, and of the real images among themselves.
 *
 * Every sum is of whole numbers or runs over the pairs in the order of their
 * keys, so a result depends on neither the order of the input nor the threads.
 */
#ifndef BS_MODELS_ENERGY_STATS_H
#define BS_MODELS_ENERGY_STATS_H

#include "cmd/models/energy_set.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/pool.h"

enum bs_energy_form { BS_FORM_RELATIVE, BS_FORM_RAW };
enum bs_energy_interval {
    BS_INTERVAL_DELTA, /* normal, with the delta method's standard error */
    BS_INTERVAL_BOOTSTRAP,
    BS_INTERVAL_BERNSTEIN,
    BS_INTERVAL_MCDIARMID
};
extern const char *const bs_energy_form_names[];     /* "relative", "raw" */
extern const char *const bs_energy_interval_names[]; /* "delta", ... */

struct bs_energy_config {
    uint32_t concepts;
    enum bs_pooling pooling;
    enum bs_energy_form form;
    double temperature; /* > 0 */
    enum bs_energy_interval interval;
    double level;        /* of intervals: 0 < level < 1 */
    size_t bootstrap;    /* resamples; 0: none */
    size_t permutations; /* at least 1 */
    uint64_t seed;
    size_t min_images; /* pairs in which a concept fires, to be tested */
};

/* Columns of a concept table, in the order in which they are written;
 * cmd/models/energy.h says what they are. */
enum bs_energy_column {
    BS_E_REAL,
    BS_E_GEN,
    BS_E_RAW,
    BS_E_REL,
    BS_E_RAW_SE,
    BS_E_REL_SE,
    BS_E_DELTA,
    BS_E_LO,
    BS_E_HI,
    BS_E_MCDIARMID,
    BS_E_BERNSTEIN,
    BS_E_BOOT_LO,
    BS_E_BOOT_HI,
    BS_E_P,
    BS_E_Q,
    BS_E_Q_BY,
    BS_E_P_MAX,
    BS_E_COLUMNS
};
enum bs_energy_count {
    BS_E_REAL_TOKENS,
    BS_E_GEN_TOKENS,
    BS_E_REAL_IMAGES,
    BS_E_GEN_IMAGES,
    BS_E_COUNTS
};
enum bs_contrast_column {
    BS_C_DIFFERENCE,
    BS_C_SE,
    BS_C_LO,
    BS_C_HI,
    BS_C_P,
    BS_C_Q,
    BS_C_COLUMNS
};
extern const char *const bs_energy_column_names[];
extern const char *const bs_energy_count_names[];
extern const char *const bs_contrast_column_names[];

/* Of one generated stream. */
struct bs_energy_table {
    size_t pairs, only_real, only_gen;
    size_t tested;   /* concepts */
    size_t *partner; /* [real records, by key]: its record, or SIZE_MAX */
    double *column[BS_E_COLUMNS]; /* [concepts] */
    uint64_t *count[BS_E_COUNTS]; /* [concepts] */
};

/* Of two generated streams, over the pairs that both have. */
struct bs_contrast_table {
    size_t a, b, pairs, tested;
    double *column[BS_C_COLUMNS];
};

struct bs_energy_result {
    size_t models, contrasts;
    struct bs_energy_table *table;      /* [models] */
    struct bs_contrast_table *contrast; /* [contrasts]: 0/1, 0/2, ..., 1/2 */
    size_t half[2]; /* real images in each half of the null */
    double *null;   /* [concepts]: delta of one half against the other */
};

/*
 * The statistics of sets[1..models] against sets[0], all of them sorted.
 * -BS_EX_DATA where a generated stream has no key of the real one, or where
 * energies are too large to be summed.  Release *r also when this fails.
 */
int bs_energy_compute(struct bs_energy_result *r,
                      const struct bs_energy_config *config,
                      const struct bs_energy_set *sets, size_t models,
                      struct bs_pool *pool, struct bs_err *e) BS_CHECKED;
void bs_energy_result_release(struct bs_energy_result *r);

/* sigma(form(real, gen) / temperature); NaN for the relative form where both
 * are 0. */
double bs_energy_delta(const struct bs_energy_config *config, double real,
                       double gen);

#endif
