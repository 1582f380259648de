/*
 * config.h - members of a model's configuration: typed, bounded, and with a
 * default where they are absent or null.
 *
 * Errors are -BS_EX_DATA and name the member.
 */
#ifndef BS_MODELS_CONFIG_H
#define BS_MODELS_CONFIG_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/json.h"
#include "formats/safetensors.h"

/* Parse the file `name` that lies beside the weights: 1, or 0 without it. */
int bs_config_read(struct bs_json_doc **json, struct bs_safetensors *files,
                   const char *name, struct bs_err *e) BS_CHECKED;

/* The member, or NULL where it is absent or null. */
const struct bs_json *bs_config_get(const struct bs_json *v, const char *key);

/* A whole number in 1..max. */
int bs_config_size(const struct bs_json *v, const char *key, size_t otherwise,
                   size_t max, size_t *out, struct bs_err *e) BS_CHECKED;
/* The same for what may be written as a pair of equal numbers. */
int bs_config_side(const struct bs_json *v, const char *key, size_t otherwise,
                   size_t max, size_t *out, struct bs_err *e) BS_CHECKED;
/* `count` of them, written as a list or, all alike, as one number. */
int bs_config_sizes(const struct bs_json *v, const char *key, size_t otherwise,
                    size_t max, size_t *out, size_t count,
                    struct bs_err *e) BS_CHECKED;
/* A number in 0 (excluded)..max. */
int bs_config_real(const struct bs_json *v, const char *key, double otherwise,
                   double max, double *out, struct bs_err *e) BS_CHECKED;
int bs_config_bool(const struct bs_json *v, const char *key, bool otherwise,
                   bool *out, struct bs_err *e) BS_CHECKED;

/* An error unless the member is absent, null, or this word (number, truth). */
int bs_config_only_word(const struct bs_json *v, const char *key,
                        const char *word, struct bs_err *e) BS_CHECKED;
int bs_config_only_number(const struct bs_json *v, const char *key,
                          double number, struct bs_err *e) BS_CHECKED;
int bs_config_only_bool(const struct bs_json *v, const char *key, bool truth,
                        struct bs_err *e) BS_CHECKED;
int bs_config_only_null(const struct bs_json *v, const char *key,
                        struct bs_err *e) BS_CHECKED;

#endif
