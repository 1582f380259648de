/*
 * sae_adam_cuda.c - AdamW on the CUDA device: sae_adam.cu.  Which steps rows
 * missed is known there: of the numbers of all steps those are sent that one of
 * the rows needs.
 */
#include "kernels/sae_train_cuda.h"

_Static_assert(sizeof(struct bs_adam_step) == sizeof(float[3]),
               "the numbers of a step are three floats");

static struct bs_grid
grid_of(size_t threads)
{
    return (struct bs_grid){bs_blocks(threads, BS_EACH_THREADS), 1,
                            BS_EACH_THREADS, 0};
}

/* ---- steps -----------------------------------------------------------------
 */

/* The least step that a row is at. */
static int
find_oldest(struct bs_cuda *c, const struct bs_adam_args *a,
            const struct bs_adam_rows *p, uint32_t *oldest)
{
    struct bs_adam_mark_args mark = {
        .last = p->last.p, .row = a->row, .n = a->n};
    int r = 0;

    *oldest = a->now - 1;
    if (p->last.p == NULL)
        return 0;
    r = bs_cuda_scratch(c, BS_SCRATCH_FLAGS, &mark.oldest,
                        2 * sizeof *mark.oldest);
    if (r == 0)
        r = bs_cuda_fill(c, mark.oldest, 0xff, sizeof *mark.oldest);
    if (r == 0)
        r = BS_LAUNCH(c, adam_oldest, grid_of(a->n), mark);
    return r < 0 ? r
                 : bs_cuda_get(&c->dev, oldest, mark.oldest, sizeof *oldest);
}

/* The numbers of the steps behind `oldest`, and what they have in common. */
static int
put_steps(struct bs_cuda *c, struct bs_adam_args *to, const struct bs_adam *a,
          uint32_t oldest)
{
    uint32_t t;

    to->from = oldest + 1;
    to->kept = 1;
    to->small = a->eps > 0;
    for (t = oldest + 1; t <= a->now; t++) {
        to->kept &= a->steps[t].keep == 1;
        to->small &= a->steps[t].keep > 0.5f && a->steps[t].keep <= 1;
    }
    return bs_cuda_words(c, BS_SCRATCH_STEPS, &to->steps, a->steps + oldest + 1,
                         3 * (size_t)(a->now - oldest));
}

/* ---- rows ------------------------------------------------------------------
 */

static int
start(struct bs_cuda *c, struct bs_adam_args *to, const struct bs_adam *a,
      const struct bs_adam_rows *p, const struct bs_adam_grad *g)
{
    int r;

    *to = (struct bs_adam_args){
        .p = p->p.p,
        .m = p->m.p,
        .v = p->v.p,
        .last = p->last.p,
        .n = g->n,
        .cols = p->cols,
        .now = a->now,
        .toward1 = a->toward1,
        .keep2 = a->keep2,
        .toward2 = a->toward2,
        .eps = a->eps,
        .grad = g->grad != NULL ? g->grad->p : NULL,
        .common = g->common != NULL ? g->common->p : NULL,
        .first = g->first,
        .scale = g->scale,
        .project = (int)a->project,
        .radius = a->radius,
    };
    r = bs_cuda_words(c, BS_SCRATCH_LIST, &to->row, g->row, g->n);
    return r < 0
               ? r
               : bs_cuda_words(c, BS_SCRATCH_SLOT, &to->slot, g->slot, p->rows);
}

static int
mark(struct bs_cuda *c, const struct bs_adam_args *a, struct bs_mem last)
{
    const struct bs_adam_mark_args args = {
        .last = last.p, .row = a->row, .n = a->n, .now = a->now};

    return last.p == NULL ? 0 : BS_LAUNCH(c, adam_mark, grid_of(a->n), args);
}

int
bs_cuda_adam(struct bs_dev *d, const struct bs_adam *a,
             const struct bs_adam_rows *p, const struct bs_adam_grad *g)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct bs_grid row = {g->n, 1, BS_EACH_THREADS, 0};
    struct bs_adam_args args;
    uint32_t oldest;
    int r = start(c, &args, a, p, g);

    if (r == 0)
        r = find_oldest(c, &args, p, &oldest);
    if (r < 0)
        return r;
    if (oldest >= a->now)
        return mark(c, &args, p->last);
    r = put_steps(c, &args, a, oldest);
    if (p->cols <= BS_ADAM_NEAR) {
        args.near = 1;
        row.shared = 3 * p->cols * sizeof(float);
    }
    if (r == 0)
        r = a->project == BS_PROJECT_NONE
                ? BS_LAUNCH(c, adam_each, grid_of(g->n * p->cols), args)
                : BS_LAUNCH(c, adam_row, row, args);
    return r < 0 ? r : mark(c, &args, p->last);
}

int
bs_cuda_project(struct bs_dev *d, enum bs_project project, float radius,
                float *p, size_t rows, size_t cols)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct bs_project_args args = {p, cols, (int)project, radius};
    const struct bs_grid grid = {rows, 1, BS_EACH_THREADS, 0};

    return BS_LAUNCH(c, project_row, grid, args);
}
