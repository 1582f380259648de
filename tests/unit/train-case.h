/*
 * train-case.h - a golden case of training: options in a file's metadata,
 * tokens, and what comes out; see tests/golden/make-sae-train.py.
 */
#ifndef BS_TESTS_TRAIN_CASE_H
#define BS_TESTS_TRAIN_CASE_H

#include "cmd/models/sae_trainer.h"
#include "common/mem.h"
#include "common/num.h"
#include "formats/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

struct train_case {
    struct bs_safetensors *file;
    struct bs_trainer_options o;
    size_t batch;
    float *x; /* [steps * batch, width] */
};

static inline double
case_number(const struct train_case *c, const char *name)
{
    const char *text = bs_safetensors_meta(c->file, name);
    double value = 0;

    if (text == NULL || bs_num_f64(text, -1e30, 1e30, &value) != NULL) {
        fprintf(stderr, "case: metadata '%s'\n", name);
        exit(1);
    }
    return value;
}

static inline int
case_name(const struct train_case *c, const char *name,
          const char *const *names)
{
    const char *text = bs_safetensors_meta(c->file, name);
    int i;

    for (i = 0; text != NULL && names[i] != NULL; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    fprintf(stderr, "case: metadata '%s'\n", name);
    exit(1);
}

/* A tensor's bytes, aligned; the caller frees them.  NULL where there is none.
 */
static inline void *
case_array(const struct train_case *c, const char *name, size_t *n)
{
    const struct bs_tensor *t = bs_safetensors_find(c->file, name);
    void *copy = t != NULL ? bs_alloc(t->bytes) : NULL;

    if (copy == NULL)
        return NULL;
    memcpy(copy, t->data, t->bytes);
    *n = t->bytes / bs_dtype_size(t->dtype);
    return copy;
}

/* The tokens of all steps; ends the program where there are none. */
static inline void
case_tokens(struct train_case *c, const char *path)
{
    struct bs_safetensors *own = c->file;
    struct bs_err e = {0};
    size_t n = 0;

    if (bs_safetensors_open(&c->file, path, &e) == 0)
        c->x = case_array(c, "x", &n);
    if (c->x == NULL || n != c->o.steps * c->batch * c->o.width) {
        fprintf(stderr, "%s: no tokens %s\n", path, e.text);
        exit(1);
    }
    bs_safetensors_close(c->file);
    c->file = own;
}

/* Ends the program where the file is not a case. */
static inline void
case_open(struct train_case *c, const char *path)
{
    struct bs_trainer_options *o = &c->o;
    struct bs_err e = {0};

    *c = (struct train_case){0};
    if (bs_safetensors_open(&c->file, path, &e) < 0) {
        fprintf(stderr, "%s: %s\n", path, e.text);
        exit(1);
    }
    o->concepts = (size_t)case_number(c, "concepts");
    o->width = (size_t)case_number(c, "width");
    o->select = (enum bs_sae_select)case_name(c, "select", bs_sae_select_names);
    o->k = (uint32_t)case_number(c, "k");
    o->enc_bias = case_number(c, "enc_bias") > 0;
    o->layer_norm = case_number(c, "layer_norm") > 0;
    o->pre_bias = case_number(c, "pre_bias") > 0;
    o->dictionary = (enum bs_trainer_dictionary)case_name(
        c, "dictionary", bs_trainer_dictionary_names);
    o->delta = (float)case_number(c, "delta");
    o->multiplier = case_number(c, "multiplier") > 0;
    o->loss = (enum bs_trainer_loss)case_name(c, "loss", bs_trainer_loss_names);
    o->aux_kind =
        (enum bs_trainer_aux)case_name(c, "aux_kind", bs_trainer_aux_names);
    o->aux = (float)case_number(c, "aux");
    o->aux_k = (uint32_t)case_number(c, "aux_k");
    o->dead_tokens = (uint64_t)case_number(c, "dead_tokens");
    o->ema = (float)case_number(c, "ema");
    o->steps = (uint64_t)case_number(c, "steps");
    o->warmup = (uint64_t)case_number(c, "warmup");
    o->rate = case_number(c, "rate");
    o->rate_end = case_number(c, "rate_end");
    o->beta1 = case_number(c, "beta1");
    o->beta2 = case_number(c, "beta2");
    o->eps = case_number(c, "eps");
    o->decay = case_number(c, "decay");
    o->clip = (float)case_number(c, "clip");
    c->batch = (size_t)case_number(c, "batch");
}

static inline void
case_close(struct train_case *c)
{
    bs_safetensors_close(c->file);
    bs_free(c->x);
}

#endif
