/*
 * sae_trainer_start.c - a model to start from, drawn from a seed and points.
 *
 * As the references begin: the encoder uniform in +-1 / sqrt(width) (torch's
 * Linear).  Plain and unit dictionaries (OpenAI, sparsify): the encoder's rows
 * at length 1, no encoder bias to start with.  l2 and archetypal
 * (overcomplete): a bias drawn like the encoder; atoms drawn uniformly, at
 * length 1, or the points themselves (W the unit matrix, Relax and m 0).
 */
#include "cmd/models/sae_trainer.h"

#include "common/mem.h"
#include "common/rng.h"

#include <math.h>

static float *
uniform(uint64_t seed, const char *name, size_t n, double bound)
{
    float *x = bs_alloc_array(n, sizeof *x);
    struct bs_rng rng;
    size_t i;

    bs_rng_init(&rng, seed, bs_rng_name(name), 0);
    for (i = 0; x != NULL && i < n; i++)
        x[i] = (float)((2 * bs_rng_f64(&rng) - 1) * bound);
    return x;
}

/* Row by row at length 1; from == to is fine. */
static void
normalise(float *to, const float *from, size_t rows, size_t cols)
{
    size_t r, c;

    for (r = 0; r < rows; r++, to += cols, from += cols) {
        double sum = 0, length;

        for (c = 0; c < cols; c++)
            sum += (double)from[c] * (double)from[c];
        length = sqrt(sum) + 1e-8;
        for (c = 0; c < cols; c++)
            to[c] = (float)((double)from[c] / length);
    }
}

static int
start_encoder(struct bs_sae *s, const struct bs_trainer_options *o,
              struct bs_err *e)
{
    bool drawn =
        o->dictionary == BS_DICT_L2 || o->dictionary == BS_DICT_ARCHETYPAL;
    double bound = 1 / sqrt((double)o->width);
    size_t n, i;

    if (!bs_mul(o->concepts, o->width, &n))
        return bs_err_memory(e, "model", SIZE_MAX);
    s->enc_w = uniform(o->seed, "encoder", n, bound);
    if (o->enc_bias)
        s->enc_b =
            uniform(o->seed, "encoder bias", o->concepts, drawn ? bound : 0);
    if (o->layer_norm) {
        s->ln_g = bs_alloc_array(o->concepts, sizeof *s->ln_g);
        s->ln_b = bs_alloc_array(o->concepts, sizeof *s->ln_b);
    }
    if (s->enc_w == NULL || (o->enc_bias && s->enc_b == NULL) ||
        (o->layer_norm && (s->ln_g == NULL || s->ln_b == NULL)))
        return bs_err_memory(e, "model", n * sizeof *s->enc_w);
    for (i = 0; o->layer_norm && i < o->concepts; i++)
        s->ln_g[i] = 1;
    return 0;
}

static int
start_bias(struct bs_sae *s, const struct bs_trainer_options *o,
           const float *centre, struct bs_err *e)
{
    if (!o->pre_bias)
        return 0;
    s->pre_b = bs_alloc_array(o->width, sizeof *s->pre_b);
    s->dec_b = bs_alloc_array(o->width, sizeof *s->dec_b);
    if (s->pre_b == NULL || s->dec_b == NULL)
        return bs_err_memory(e, "model", o->width * sizeof *s->pre_b);
    if (centre != NULL) {
        memcpy(s->pre_b, centre, o->width * sizeof *centre);
        memcpy(s->dec_b, centre, o->width * sizeof *centre);
    }
    return 0;
}

/* What a point does not reach stays 0. */
static int
start_archetypal(struct bs_sae *s, const struct bs_trainer_options *o,
                 const float *points, size_t n, struct bs_err *e)
{
    size_t both = n < o->concepts ? n : o->concepts, i;

    s->points = n;
    s->ra_delta = o->delta;
    s->ra_c = bs_alloc_array(n, o->width * sizeof *points);
    s->ra_w = bs_alloc_array(o->concepts, n * sizeof *points);
    s->ra_relax = bs_alloc_array(o->concepts, o->width * sizeof *points);
    if (s->ra_c == NULL || s->ra_w == NULL || s->ra_relax == NULL)
        return bs_err_memory(e, "archetypal dictionary",
                             o->concepts * n * sizeof *points);
    memcpy(s->ra_c, points, n * o->width * sizeof *points);
    for (i = 0; i < both; i++)
        s->ra_w[i * n + i] = 1;
    memcpy(s->dec_w, points, both * o->width * sizeof *points);
    return 0;
}

static int
start_dictionary(struct bs_sae *s, const struct bs_trainer_options *o,
                 const float *points, size_t n, struct bs_err *e)
{
    double bound = sqrt(6 / (double)(o->concepts + o->width));
    size_t size = o->concepts * o->width;

    if (o->dictionary == BS_DICT_L2)
        s->dec_w = uniform(o->seed, "dictionary", size, bound);
    else
        s->dec_w = bs_alloc_array(size, sizeof *s->dec_w);
    if (s->dec_w == NULL)
        return bs_err_memory(e, "model", size * sizeof *s->dec_w);
    if (o->dictionary == BS_DICT_ARCHETYPAL)
        return start_archetypal(s, o, points, n, e);
    normalise(s->dec_w, o->dictionary == BS_DICT_L2 ? s->dec_w : s->enc_w,
              o->concepts, o->width);
    return 0;
}

int
bs_trainer_start(struct bs_sae *out, const struct bs_trainer_options *o,
                 const float *points, size_t n, const float *centre,
                 struct bs_err *e)
{
    int r = 0;

    *out = (struct bs_sae){
        .concepts = o->concepts,
        .width = o->width,
        .select = o->select,
        .k = o->k,
        .ln_eps = 1e-5f,
    };
    snprintf(out->name, sizeof out->name, "%s",
             o->dictionary == BS_DICT_ARCHETYPAL ? "ra-sae" : "sae");
    if ((n > 0) != (o->dictionary == BS_DICT_ARCHETYPAL))
        r = bs_err_set(e, BS_EX_SOFTWARE, "%zu points for a dictionary '%s'", n,
                       bs_trainer_dictionary_names[o->dictionary]);
    if (r == 0)
        r = start_encoder(out, o, e);
    if (r == 0)
        r = start_bias(out, o, centre, e);
    if (r == 0)
        r = start_dictionary(out, o, points, n, e);
    if (r < 0)
        bs_sae_release(out);
    return r;
}
