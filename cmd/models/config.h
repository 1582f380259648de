/*
 * config.h - members of a config.json, with the defaults of their classes.
 *
 * A member that is absent or null has the default.  One that is there and of
 * another type, or out of bounds, is -BS_EX_DATA with its name and what it may
 * be; nothing is allocated from a number that was not bounded here.
 */
#ifndef BS_MODELS_CONFIG_H
#define BS_MODELS_CONFIG_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/json.h"
#include "formats/safetensors.h"

/* Parse the text `name` that lies beside the weights: 1, or 0 without it. */
int bs_config_read(struct bs_json_doc **json, struct bs_safetensors *files,
                   const char *name, struct bs_err *e) BS_CHECKED;

/*
 * The same for the 'config.json' of a network, given to `fn`, which returns 0
 * or negative.  -BS_EX_NOINPUT without it; messages name it and the weights.
 */
typedef int bs_config_fn(void *arg, const struct bs_json *root,
                         struct bs_err *e);
int bs_config_network(struct bs_safetensors *files, bs_config_fn *fn, void *arg,
                      struct bs_err *e) BS_CHECKED;

/* Whether a member is there and not null. */
bool bs_config_has(const struct bs_json *v, const char *key);

/* A whole number in min..max. */
int bs_config_size(const struct bs_json *v, const char *key, size_t otherwise,
                   size_t min, size_t max, size_t *out,
                   struct bs_err *e) BS_CHECKED;

/* The same for what may be written as a pair of equal numbers. */
int bs_config_side(const struct bs_json *v, const char *key, size_t otherwise,
                   size_t min, size_t max, size_t *out,
                   struct bs_err *e) BS_CHECKED;

/* `count` whole numbers in min..max, written as a list or, all alike, as one.
 */
int bs_config_sizes(const struct bs_json *v, const char *key, size_t otherwise,
                    size_t min, size_t max, size_t *out, size_t count,
                    struct bs_err *e) BS_CHECKED;

/* A finite number in min..max (infinite bounds let infinities through). */
int bs_config_real(const struct bs_json *v, const char *key, double otherwise,
                   double min, double max, double *out,
                   struct bs_err *e) BS_CHECKED;

int bs_config_bool(const struct bs_json *v, const char *key, bool otherwise,
                   bool *out, struct bs_err *e) BS_CHECKED;

/* One of `count` words; *out is its place. */
int bs_config_word(const struct bs_json *v, const char *key,
                   const char *const *words, size_t count, size_t otherwise,
                   size_t *out, struct bs_err *e) BS_CHECKED;

/* -BS_EX_DATA unless the member is absent, null, false or an empty list: an
 * option that is not implemented. */
int bs_config_unset(const struct bs_json *v, const char *key,
                    struct bs_err *e) BS_CHECKED;

#endif
