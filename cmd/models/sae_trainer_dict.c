/*
 * sae_trainer_dict.c - the dictionary of a training.
 *
 * Only atoms with a code in a step have a gradient, so only these are brought
 * up to date, used and moved.  An archetypal dictionary's atoms are made when
 * they are needed, D = exp(m) (W C + Relax), by blocks of rows of W; and the
 * gradient of W, G C^T, is made block by block on its way to the optimiser.
 * Its length is that of R G, R^T R = C^T C, so that it is known beforehand.
 */
#include "cmd/models/sae_trainer_own.h"

#include "cmd/models/sae_norm.h"
#include "common/mem.h"

#include <math.h>

#define BLOCK_BYTES ((size_t)64 << 20)

struct bs_trainer_archetypes {
    size_t points;
    float m; /* where it is not trained */
    struct bs_mem c, dict;
    struct bs_weight *columns; /* C^T as [width, points]: W C */
    struct bs_weight *rows;    /* C: G C^T */
    struct bs_weight *root;    /* R */
    size_t block;              /* rows of W at a time */
    struct bs_mem w, base;     /* [block, points], [block, width] */
};

/* ---- opening ---------------------------------------------------------------
 */

static int
pack(struct bs_trainer *t, struct bs_weight **out, const float *w, size_t n,
     size_t k, struct bs_err *e)
{
    return bs_dev_weight(t->dev, out, w, BS_DTYPE_F32, n, k, BS_MATH_F32) < 0
               ? bs_trainer_failed(t, e)
               : 0;
}

static int
pack_columns(struct bs_trainer *t, const float *c, struct bs_err *e)
{
    struct bs_trainer_archetypes *a = t->archetypes;
    size_t width = t->o.width, i, j;
    float *turned = bs_alloc_array(a->points, width * sizeof *turned);
    int r;

    if (turned == NULL)
        return bs_err_memory(e, "points", a->points * width * sizeof *turned);
    for (i = 0; i < a->points; i++)
        for (j = 0; j < width; j++)
            turned[j * a->points + i] = c[i * width + j];
    r = pack(t, &a->columns, turned, width, a->points, e);
    bs_free(turned);
    return r;
}

static int
pack_root(struct bs_trainer *t, struct bs_err *e)
{
    struct bs_trainer_archetypes *a = t->archetypes;
    size_t width = t->o.width, n, i;
    double *gram = bs_alloc_array(width, width * sizeof *gram);
    float *root = bs_alloc_array(width, width * sizeof *root);
    int r = 0;

    n = width * width;
    if (gram == NULL || root == NULL)
        r = bs_err_memory(e, "points", n * sizeof *gram);
    if (r == 0 &&
        bs_dev_gram(t->dev, &a->c, a->points, width, NULL, NULL, gram) < 0)
        r = bs_trainer_failed(t, e);
    if (r == 0) {
        bs_norm_root(gram, width, 1e-9);
        for (i = 0; i < n; i++)
            root[i] = (float)gram[i];
        r = pack(t, &a->root, root, width, width, e);
    }
    bs_free(gram);
    bs_free(root);
    return r;
}

static int
open_archetypes(struct bs_trainer *t, const struct bs_sae *s, struct bs_err *e)
{
    struct bs_trainer_archetypes *a = bs_alloc_array(1, sizeof *a);
    size_t row;
    int r;

    t->archetypes = a;
    if (a == NULL)
        return bs_err_memory(e, "dictionary", sizeof *a);
    a->points = s->points;
    a->m = s->ra_m;
    row = a->points * sizeof(float);
    a->block = row < BLOCK_BYTES ? BLOCK_BYTES / row : 1;
    if (a->block > t->o.concepts)
        a->block = t->o.concepts;
    r = bs_trainer_put(t, &a->c, s->ra_c, a->points * s->width, e);
    if (r == 0)
        r = bs_trainer_put(t, &a->dict, s->dec_w, s->concepts * s->width, e);
    if (r == 0)
        r = bs_trainer_room(t, &a->w, a->block, a->points, e);
    if (r == 0)
        r = bs_trainer_room(t, &a->base, a->block, s->width, e);
    if (r == 0)
        r = pack(t, &a->rows, s->ra_c, a->points, s->width, e);
    if (r == 0)
        r = pack_columns(t, s->ra_c, e);
    t->dict = &a->dict;
    return r == 0 ? pack_root(t, e) : r;
}

int
bs_trainer_dict_open(struct bs_trainer *t, const struct bs_sae *s,
                     struct bs_err *e)
{
    t->dict = &t->param[BS_PARAM_DEC_W].at.p;
    return t->o.dictionary == BS_DICT_ARCHETYPAL ? open_archetypes(t, s, e) : 0;
}

void
bs_trainer_dict_close(struct bs_trainer *t)
{
    struct bs_trainer_archetypes *a = t->archetypes;

    if (a == NULL)
        return;
    bs_dev_free(t->dev, &a->c);
    bs_dev_free(t->dev, &a->dict);
    bs_dev_free(t->dev, &a->w);
    bs_dev_free(t->dev, &a->base);
    bs_dev_weight_free(t->dev, a->columns);
    bs_dev_weight_free(t->dev, a->rows);
    bs_dev_weight_free(t->dev, a->root);
    bs_free(a);
}

/* ---- atoms -----------------------------------------------------------------
 */

/* Part of a matrix: rows first..first+rows-1 of `cols` floats. */
static struct bs_mem
rows_of(const struct bs_mem *m, size_t first, size_t rows, size_t cols)
{
    return (struct bs_mem){(char *)m->p + first * cols * sizeof(float),
                           rows * cols * sizeof(float)};
}

static int
multiplier(struct bs_trainer *t, float *m, struct bs_err *e)
{
    const struct bs_trainer_tensor *p = &t->param[BS_PARAM_RA_M];

    *m = t->archetypes->m;
    if (p->at.cols > 0 && bs_dev_get(t->dev, m, &p->at.p, 0, sizeof *m) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

/* Rows of D from those of W and Relax. */
static int
make_atoms(struct bs_trainer *t, const uint32_t *row, size_t n,
           struct bs_err *e)
{
    struct bs_trainer_archetypes *a = t->archetypes;
    const struct bs_mem *w = &t->param[BS_PARAM_RA_W].at.p;
    const struct bs_mem *relax = &t->param[BS_PARAM_RA_RELAX].at.p;
    size_t width = t->o.width, i, block;
    float m;
    int r = multiplier(t, &m, e);

    for (i = 0; r == 0 && i < n; i += block) {
        block = n - i < a->block ? n - i : a->block;
        if (bs_dev_gather(t->dev, w, a->points, row + i, block, &a->w) < 0 ||
            bs_dev_gather(t->dev, relax, width, row + i, block, &a->base) < 0 ||
            bs_dev_gemm(t->dev, a->columns, &a->w, a->points, &a->base, width,
                        block, NULL, BS_EPI_RESIDUAL, NULL) < 0 ||
            bs_dev_scatter(t->dev, &a->base, expf(m), width, row + i, block,
                           &a->dict) < 0)
            r = bs_trainer_failed(t, e);
    }
    return r;
}

int
bs_trainer_dict_ready(struct bs_trainer *t, const uint32_t *row, size_t n,
                      struct bs_err *e)
{
    const struct bs_adam_grad none = {.row = row, .n = n};
    int r = bs_trainer_adam(t, BS_PARAM_DEC_W, t->step, &none, e);

    if (r == 0)
        r = bs_trainer_adam(t, BS_PARAM_RA_W, t->step, &none, e);
    if (r == 0)
        r = bs_trainer_adam(t, BS_PARAM_RA_RELAX, t->step, &none, e);
    return r == 0 && t->archetypes != NULL ? make_atoms(t, row, n, e) : r;
}

/* ---- gradients -------------------------------------------------------------
 */

/* d loss / d m = the sum of D's entries by their gradients, which is that of
 * values by theirs. */
static int
multiplier_gradient(struct bs_trainer *t, const struct bs_trainer_codes *c,
                    double *sum, struct bs_err *e)
{
    size_t n = c->rows.ptr[t->m], i;
    float *dz = bs_alloc_array(n, sizeof *dz);
    int r = 0;

    if (dz == NULL)
        return bs_err_memory(e, "gradients", n * sizeof *dz);
    if (bs_dev_get(t->dev, dz, &c->dz, 0, n * sizeof *dz) < 0)
        r = bs_trainer_failed(t, e);
    for (i = 0; r == 0 && i < n; i++)
        *sum += (double)dz[i] * (double)c->rows.val[i];
    bs_free(dz);
    return r;
}

static int
archetype_gradients(struct bs_trainer *t, double *sum, struct bs_err *e)
{
    struct bs_trainer_archetypes *a = t->archetypes;
    size_t width = t->o.width, i, block;
    double along = 0;
    float m, grad;
    int r = multiplier(t, &m, e);

    if (r == 0)
        r = multiplier_gradient(t, &t->codes, &along, e);
    if (r == 0 && t->has_other)
        r = multiplier_gradient(t, &t->other, &along, e);
    grad = (float)along;
    if (r == 0 && t->o.multiplier) {
        r = bs_trainer_put(t, &t->grad_m, &grad, 1, e);
        *sum += (double)grad * (double)grad;
    }
    if (r == 0 && bs_dev_scatter(t->dev, &t->grad_dec, expf(m), width, NULL,
                                 t->active, &t->grad_dec) < 0)
        r = bs_trainer_failed(t, e);
    if (r == 0)
        r = bs_trainer_squares(t, &t->grad_dec, t->active * width, sum, e);
    for (i = 0; r == 0 && i < t->active; i += block) {
        struct bs_mem part;

        block = t->active - i < a->block ? t->active - i : a->block;
        part = rows_of(&t->grad_dec, i, block, width);
        if (bs_dev_gemm(t->dev, a->root, &part, width, &a->base, width, block,
                        NULL, BS_EPI_NONE, NULL) < 0)
            r = bs_trainer_failed(t, e);
        if (r == 0)
            r = bs_trainer_squares(t, &a->base, block * width, sum, e);
    }
    return r;
}

int
bs_trainer_dict_backward(struct bs_trainer *t, double *sum, struct bs_err *e)
{
    size_t width = t->o.width;

    if (t->archetypes != NULL)
        return archetype_gradients(t, sum, e);
    if (t->o.dictionary == BS_DICT_UNIT &&
        bs_dev_tangent(t->dev, &t->grad_dec, t->dict, t->atoms, t->active,
                       width) < 0)
        return bs_trainer_failed(t, e);
    return bs_trainer_squares(t, &t->grad_dec, t->active * width, sum, e);
}

/* ---- update ----------------------------------------------------------------
 */

static int
update_w(struct bs_trainer *t, float scale, struct bs_err *e)
{
    struct bs_trainer_archetypes *a = t->archetypes;
    size_t i, block;
    int r = 0;

    for (i = 0; r == 0 && i < t->active; i += block) {
        struct bs_adam_grad g = {
            .row = t->atoms + i, .grad = &a->w, .scale = scale};
        struct bs_mem part;

        block = t->active - i < a->block ? t->active - i : a->block;
        g.n = block;
        part = rows_of(&t->grad_dec, i, block, t->o.width);
        if (bs_dev_gemm(t->dev, a->rows, &part, t->o.width, &a->w, a->points,
                        block, NULL, BS_EPI_NONE, NULL) < 0)
            r = bs_trainer_failed(t, e);
        if (r == 0)
            r = bs_trainer_adam(t, BS_PARAM_RA_W, t->step + 1, &g, e);
    }
    return r;
}

int
bs_trainer_dict_update(struct bs_trainer *t, float scale, struct bs_err *e)
{
    const struct bs_adam_grad atoms = {
        .row = t->atoms, .n = t->active, .grad = &t->grad_dec, .scale = scale};
    const struct bs_adam_grad one = {
        .n = 1, .grad = &t->grad_m, .scale = scale};
    int r;

    if (t->archetypes == NULL)
        return bs_trainer_adam(t, BS_PARAM_DEC_W, t->step + 1, &atoms, e);
    r = update_w(t, scale, e);
    if (r == 0)
        r = bs_trainer_adam(t, BS_PARAM_RA_RELAX, t->step + 1, &atoms, e);
    return r == 0 ? bs_trainer_adam(t, BS_PARAM_RA_M, t->step + 1, &one, e) : r;
}

/* ---- model -----------------------------------------------------------------
 */

int
bs_trainer_get(struct bs_trainer *t, const struct bs_mem *m, size_t n,
               float **out, struct bs_err *e)
{
    if (n == 0)
        return 0;
    *out = bs_alloc_array(n, sizeof **out);
    if (*out == NULL)
        return bs_err_memory(e, "model", n * sizeof **out);
    return bs_dev_get(t->dev, *out, m, 0, n * sizeof **out) < 0
               ? bs_trainer_failed(t, e)
               : 0;
}

int
bs_trainer_dict_model(struct bs_trainer *t, struct bs_sae *out,
                      struct bs_err *e)
{
    struct bs_trainer_archetypes *a = t->archetypes;
    const struct bs_trainer_tensor *w = &t->param[BS_PARAM_RA_W];
    const struct bs_trainer_tensor *relax = &t->param[BS_PARAM_RA_RELAX];
    int r =
        bs_trainer_get(t, t->dict, t->o.concepts * t->o.width, &out->dec_w, e);

    if (a == NULL || r < 0)
        return r;
    out->points = a->points;
    out->ra_delta = t->o.delta;
    r = multiplier(t, &out->ra_m, e);
    if (r == 0)
        r = bs_trainer_get(t, &a->c, a->points * t->o.width, &out->ra_c, e);
    if (r == 0)
        r = bs_trainer_get(t, &w->at.p, w->at.rows * w->at.cols, &out->ra_w, e);
    if (r == 0)
        r = bs_trainer_get(t, &relax->at.p, relax->at.rows * relax->at.cols,
                           &out->ra_relax, e);
    return r;
}
