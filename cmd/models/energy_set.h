/*
 * energy_set.h - the pooled energies of the records of a code stream.
 *
 * The energy of a concept in an image is its codes pooled over the image's
 * tokens (conceptual blindspots, section 3; its code sums over all tokens,
 * CLS and registers too).  Energies are whole numbers of `unit`, so that sums
 * of them are exact in any order.
 */
#ifndef BS_MODELS_ENERGY_SET_H
#define BS_MODELS_ENERGY_SET_H

#include "cmd/models/codes.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/doc.h"
#include "formats/keyset.h"

enum bs_pooling { BS_POOL_SUM, BS_POOL_MEAN, BS_POOL_MAX };
enum bs_scope { BS_SCOPE_ALL, BS_SCOPE_PATCH, BS_SCOPE_CLS };
extern const char *const bs_pooling_names[]; /* "sum", "mean", "max" */
extern const char *const bs_scope_names[];   /* "all", "patch", "cls" */

/* The tokens that count, from..to-1: one at least and 2^20 at most. */
int bs_scope_tokens(enum bs_scope scope, const struct bs_codes *c, size_t *from,
                    size_t *to, struct bs_err *e) BS_CHECKED;
/* The units of a code (bs_codes_units) of `token`. */
int bs_scope_units(int64_t *units, float val, size_t token,
                   struct bs_err *e) BS_CHECKED;

/* Value of 1 in a pooled energy: 2^-24 (the codes' own); of means 2^-40. */
double bs_energy_unit(enum bs_pooling pooling);

/* A record's energies: concepts ascending, those that fire only. */
struct bs_energies {
    size_t n;
    const uint32_t *concept;
    const int64_t *energy; /* in units; a mean may round to 0 */
    const uint32_t *fires; /* tokens */
};

/* Records of one stream; zero-initialised means empty. */
struct bs_energy_set {
    size_t records;
    size_t *order; /* [records] by key, once sorted */

    struct bs_keyset keys; /* private from here */
    struct bs_buf record;  /* struct energy_record */
    struct bs_buf text;    /* keys and metadata */
    struct bs_buf concept, energy, fires;
};

/* Pools records: what it needs from one to the next. */
struct bs_pooler {
    enum bs_pooling pooling;
    enum bs_scope scope;
    uint32_t concepts;

    struct bs_codes codes; /* private */
    int64_t *energy;       /* [concepts] */
    uint32_t *fires;
    uint64_t *marks;                     /* a bit a concept that fires */
    uint32_t *list_concept, *list_fires; /* of the record pooled last */
    int64_t *list_energy;
    size_t room;
};

int bs_pooler_open(struct bs_pooler *p, enum bs_pooling pooling,
                   enum bs_scope scope, uint32_t concepts,
                   struct bs_err *e) BS_CHECKED;
/* Pool a record of codes: its energies are lent until the next. */
int bs_pooler_pool(struct bs_pooler *p, const struct bs_doc *rec,
                   struct bs_energies *en, struct bs_err *e) BS_CHECKED;
/* Pool a record of codes and add it with the metadata that describes it.  A
 * key that the set has is -BS_EX_DATA. */
int bs_pooler_add(struct bs_pooler *p, struct bs_energy_set *set,
                  const struct bs_doc *rec, struct bs_err *e) BS_CHECKED;
void bs_pooler_close(struct bs_pooler *p);

/* Add a record that was pooled elsewhere, and checked. */
int bs_energy_set_add(struct bs_energy_set *s, const struct bs_doc *rec,
                      const struct bs_energies *energies,
                      struct bs_err *e) BS_CHECKED;
/* After the last: sort the records by key. */
int bs_energy_set_sort(struct bs_energy_set *s, struct bs_err *e) BS_CHECKED;

/* Of record i in order of addition; see `order`. */
const char *bs_energy_set_key(const struct bs_energy_set *s, size_t i);
struct bs_energies bs_energy_set_get(const struct bs_energy_set *s, size_t i);
/* Set the record's metadata, the key too, in an empty document. */
int bs_energy_set_describe(const struct bs_energy_set *s, size_t i,
                           struct bs_doc *rec, struct bs_err *e) BS_CHECKED;
void bs_energy_set_release(struct bs_energy_set *s);

#endif
