/*
 * sae_groups_cuda.c - codes by atom on the CUDA device: sae_groups.cu.
 *
 * The codes are in host memory when they come here, and few: of 4096 tokens of
 * 32 codes 1.5 MB, sorted, go to the device, where the same step moves a
 * hundred.  So the sort is the CPU's, which also tells the host what atoms
 * there are.
 */
#include "kernels/sae_groups.h"
#include "kernels/sae_train_cuda.h"

#include "common/mem.h"

struct cuda_groups {
    struct bs_group_sort sort;
    struct bs_mem words;                         /* all of these: */
    const uint32_t *start, *token, *place, *idx; /* see cuda_args.h */
};

/* n words to the end of what there is room for; *p is put on them. */
static int
add_words(struct bs_dev *d, uint32_t **end, const uint32_t **p,
          const uint32_t *from, size_t n)
{
    uint32_t *to = *end;

    *p = to;
    *end += n;
    return bs_cuda_put(d, to, from, n * sizeof *from);
}

static int
put_groups(struct bs_dev *d, struct cuda_groups *g, const uint32_t *idx)
{
    const struct bs_group_sort *s = &g->sort;
    size_t n = s->head.n, codes = s->start[n], places = s->head.places;
    size_t bytes = (n + 1 + 2 * codes + places) * sizeof(uint32_t);
    uint32_t *end;
    int r = 0;

    if (g->words.p == NULL || g->words.bytes < bytes) {
        bs_cuda_free(d, &g->words);
        r = bs_cuda_alloc(d, &g->words, bytes + bytes / 4);
    }
    end = g->words.p;
    if (r == 0)
        r = add_words(d, &end, &g->start, s->start, n + 1);
    if (r == 0)
        r = add_words(d, &end, &g->token, s->token, codes);
    if (r == 0)
        r = add_words(d, &end, &g->place, s->place, codes);
    return r < 0 ? r : add_words(d, &end, &g->idx, idx, places);
}

int
bs_cuda_group(struct bs_dev *d, struct bs_groups **out,
              const struct bs_code_rows *codes, size_t concepts)
{
    struct cuda_groups *g = (struct cuda_groups *)*out;
    int r;

    if (g == NULL) {
        g = bs_alloc_array(1, sizeof *g);
        if (g == NULL)
            return bs_err_memory(&d->err, "codes", sizeof *g);
        *out = &g->sort.head;
    }
    r = bs_group_codes(&g->sort, codes, concepts, &d->err);
    return r < 0 ? r : put_groups(d, g, codes->idx);
}

void
bs_cuda_groups_free(struct bs_dev *d, struct bs_groups *groups)
{
    struct cuda_groups *g = (struct cuda_groups *)groups;

    bs_cuda_free(d, &g->words);
    bs_group_release(&g->sort);
    bs_free(g);
}

/* ---- products and sums -----------------------------------------------------
 */

int
bs_cuda_group_dots(struct bs_dev *d, const struct bs_groups *groups,
                   const float *x, const float *table, size_t width,
                   float scale, float *out)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct cuda_groups *g = (const struct cuda_groups *)groups;
    const struct bs_group_dots_args args = {
        .token = g->token,
        .place = g->place,
        .idx = g->idx,
        .n = g->sort.start[groups->n],
        .x = x,
        .table = table,
        .width = width,
        .scale = scale,
        .out = out,
    };
    const struct bs_grid grid = {bs_blocks(args.n, BS_EACH_THREADS / 16), 1,
                                 BS_EACH_THREADS, 0};
    int r = 0;

    if (args.n < groups->places)
        r = bs_cuda_fill(c, out, 0, groups->places * sizeof *out);
    return r < 0 || args.n == 0 ? r : BS_LAUNCH(c, group_dots, grid, args);
}

int
bs_cuda_group_sum(struct bs_dev *d, const struct bs_groups *groups,
                  const float *coef, const float *x, size_t width, float scale,
                  float *out, float *total)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    const struct cuda_groups *g = (const struct cuda_groups *)groups;
    struct bs_group_sum_args args = {
        .start = g->start,
        .token = g->token,
        .place = g->place,
        .coef = coef,
        .x = x,
        .width = width,
        .scale = scale,
        .out = out,
        .total = total,
    };
    /* A width of 0 has totals nevertheless. */
    const struct bs_grid grid =
        bs_cuda_each(groups->n, width > 0 ? width : 1, &args.row_blocks);

    return BS_LAUNCH(c, group_sum, grid, args);
}
