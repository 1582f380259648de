/*
 * sae_train_groups_cpu.c - codes by atom.  An atom's codes are summed by one
 * thread in the order of the tokens: no atomics, one order.
 */
#include "kernels/sae_cpu.h"
#include "kernels/sae_train_own.h"

#include "common/mem.h"

#define CHUNK_ATOMS 4

struct cpu_groups {
    struct bs_groups head;
    size_t room_places, room_concepts;
    uint32_t *start;  /* [n + 1] */
    uint32_t *token;  /* of each code, [places] */
    uint32_t *place;  /* where it came from, [places] */
    uint32_t *counts; /* [concepts] */
};

/* ---- grouping --------------------------------------------------------------
 */

static int
need_room(struct bs_dev *d, struct cpu_groups *g, size_t places,
          size_t concepts)
{
    if (g->token == NULL || places > g->room_places) {
        bs_free(g->token);
        bs_free(g->place);
        g->token = bs_alloc_array(places, sizeof *g->token);
        g->place = bs_alloc_array(places, sizeof *g->place);
        g->room_places = places;
    }
    if (g->counts == NULL || concepts > g->room_concepts) {
        bs_free(g->counts);
        bs_free(g->start);
        bs_free(g->head.atom);
        bs_free(g->head.size);
        g->counts = bs_alloc_array(concepts, sizeof *g->counts);
        g->start = bs_alloc_array(concepts + 1, sizeof *g->start);
        g->head.atom = bs_alloc_array(concepts, sizeof *g->head.atom);
        g->head.size = bs_alloc_array(concepts, sizeof *g->head.size);
        g->room_concepts = concepts;
    }
    if (g->token == NULL || g->place == NULL || g->counts == NULL ||
        g->start == NULL || g->head.atom == NULL || g->head.size == NULL)
        return bs_err_memory(&d->err, "codes", places * sizeof *g->token);
    return 0;
}

/* Counting sort: counts become where the next code of a concept goes. */
static void
sort_codes(struct cpu_groups *g, const struct bs_code_rows *codes,
           size_t concepts)
{
    size_t i, j, n = 0, sum = 0;

    memset(g->counts, 0, concepts * sizeof *g->counts);
    for (i = 0; i < g->head.places; i++)
        if (codes->idx[i] != BS_CODE_NONE)
            g->counts[codes->idx[i]]++;
    for (j = 0; j < concepts; j++) {
        uint32_t count = g->counts[j];

        g->counts[j] = (uint32_t)sum;
        if (count == 0)
            continue;
        g->head.atom[n] = (uint32_t)j;
        g->head.size[n] = count;
        g->start[n++] = (uint32_t)sum;
        sum += count;
    }
    g->start[n] = (uint32_t)sum;
    g->head.n = n;
    for (i = 0; i < codes->m; i++) {
        size_t first = codes->ptr != NULL ? codes->ptr[i] : i * codes->top;
        size_t end =
            codes->ptr != NULL ? codes->ptr[i + 1] : first + codes->top;

        for (; first < end; first++) {
            uint32_t at;

            if (codes->idx[first] == BS_CODE_NONE)
                continue;
            at = g->counts[codes->idx[first]]++;
            g->token[at] = (uint32_t)i;
            g->place[at] = (uint32_t)first;
        }
    }
}

int
bs_cpu_group(struct bs_dev *d, struct bs_groups **out,
             const struct bs_code_rows *codes, size_t concepts)
{
    size_t places =
        codes->ptr != NULL ? codes->ptr[codes->m] : codes->m * codes->top;
    struct cpu_groups *g = (struct cpu_groups *)*out;
    int r;

    if (places >= UINT32_MAX || codes->m >= UINT32_MAX)
        return bs_err_set(&d->err, BS_EX_SOFTWARE, "group: %zu codes", places);
    if (g == NULL) {
        g = bs_alloc_array(1, sizeof *g);
        if (g == NULL)
            return bs_err_memory(&d->err, "codes", sizeof *g);
        *out = &g->head;
    }
    r = need_room(d, g, places, concepts);
    if (r < 0)
        return r;
    g->head.places = places;
    g->head.tokens = codes->m;
    sort_codes(g, codes, concepts);
    return 0;
}

void
bs_cpu_groups_free(struct bs_dev *d, struct bs_groups *groups)
{
    struct cpu_groups *g = (struct cpu_groups *)groups;

    (void)d;
    bs_free(g->head.atom);
    bs_free(g->head.size);
    bs_free(g->start);
    bs_free(g->token);
    bs_free(g->place);
    bs_free(g->counts);
    bs_free(g);
}

/* ---- products and sums -----------------------------------------------------
 */

struct groups_job {
    const struct cpu_groups *g;
    const float *x, *table, *coef;
    size_t width;
    float scale;
    float *out, *total;
};

static void
dots_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct groups_job *job = arg;
    const struct cpu_groups *g = job->g;
    size_t i = chunk * CHUNK_ATOMS, j;
    size_t end = g->head.n - i < CHUNK_ATOMS ? g->head.n : i + CHUNK_ATOMS;

    (void)thread;
    for (; i < end; i++) {
        const float *row = job->table + g->head.atom[i] * job->width;

        for (j = g->start[i]; j < g->start[i + 1]; j++)
            job->out[g->place[j]] =
                job->scale *
                bs_cpu_dot(job->x + g->token[j] * job->width, row, job->width);
    }
}

int
bs_cpu_group_dots(struct bs_dev *d, const struct bs_groups *groups,
                  const float *x, const float *table, size_t width, float scale,
                  float *out)
{
    const struct cpu_groups *g = (const struct cpu_groups *)groups;
    struct groups_job job = {.g = g,
                             .x = x,
                             .table = table,
                             .width = width,
                             .scale = scale,
                             .out = out};

    if (g->start[g->head.n] < g->head.places)
        memset(out, 0, g->head.places * sizeof *out);
    bs_pool_run(((struct bs_cpu *)d)->pool,
                g->head.n / CHUNK_ATOMS + (g->head.n % CHUNK_ATOMS != 0),
                dots_chunk, &job);
    return 0;
}

#define COLS 32      /* columns whose sums stay in registers */
#define RUN_CODES 64 /* that are summed before they are added to the rest */

/* Columns col..col+cols-1 of an atom's sum over codes j..end-1. */
static inline void
sum_part(const struct groups_job *job, size_t j, size_t end, size_t col,
         const size_t cols, float *out)
{
    const struct cpu_groups *g = job->g;
    float total[COLS] = {0};
    size_t c;

    while (j < end) {
        size_t stop = end - j < RUN_CODES ? end : j + RUN_CODES;
        float sum[COLS] = {0};

        for (; j < stop; j++) {
            const float *x = job->x + g->token[j] * job->width + col;
            float coef = job->coef[g->place[j]];

            for (c = 0; c < cols; c++)
                sum[c] += coef * x[c];
        }
        for (c = 0; c < cols; c++)
            total[c] += sum[c];
    }
    for (c = 0; c < cols; c++)
        out[col + c] = job->scale * total[c];
}

static float
sum_coefs(const struct groups_job *job, size_t j, size_t end)
{
    const struct cpu_groups *g = job->g;
    float total = 0;

    while (j < end) {
        size_t stop = end - j < RUN_CODES ? end : j + RUN_CODES;
        float sum = 0;

        for (; j < stop; j++)
            sum += job->coef[g->place[j]];
        total += sum;
    }
    return job->scale * total;
}

static void
sum_chunk(void *arg, size_t chunk, unsigned thread)
{
    const struct groups_job *job = arg;
    const struct cpu_groups *g = job->g;
    size_t i = chunk * CHUNK_ATOMS, col;
    size_t end = g->head.n - i < CHUNK_ATOMS ? g->head.n : i + CHUNK_ATOMS;

    (void)thread;
    for (; i < end; i++) {
        float *out = job->out + i * job->width;
        size_t j = g->start[i], stop = g->start[i + 1];

        for (col = 0; col + COLS <= job->width; col += COLS)
            sum_part(job, j, stop, col, COLS, out);
        if (col < job->width)
            sum_part(job, j, stop, col, job->width - col, out);
        if (job->total != NULL)
            job->total[i] = sum_coefs(job, j, stop);
    }
}

int
bs_cpu_group_sum(struct bs_dev *d, const struct bs_groups *groups,
                 const float *coef, const float *x, size_t width, float scale,
                 float *out, float *total)
{
    const struct cpu_groups *g = (const struct cpu_groups *)groups;
    struct groups_job job = {.g = g,
                             .x = x,
                             .coef = coef,
                             .width = width,
                             .scale = scale,
                             .out = out,
                             .total = total};

    bs_pool_run(((struct bs_cpu *)d)->pool,
                g->head.n / CHUNK_ATOMS + (g->head.n % CHUNK_ATOMS != 0),
                sum_chunk, &job);
    return 0;
}
