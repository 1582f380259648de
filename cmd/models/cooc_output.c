/*
 * cooc_output.c - see cooc_output.h.
 */
#include "cmd/models/cooc_output.h"

#include <math.h>
#include <string.h>

#include "cmd/models/cooc_matrix.h"

int
bs_cooc_options_head(const struct bs_cooc_options *o, struct bs_doc *head,
                     struct bs_err *e)
{
    int r = bs_doc_set(head, "paired", o->unpaired ? "0" : "1", e);

    if (r == 0)
        r = bs_doc_set(head, "curve", bs_cooc_curve_names[o->tables.curve], e);
    if (r == 0)
        r = bs_doc_setf(head, "support", e, "%ju",
                        (uintmax_t)o->tables.support);
    if (r == 0)
        r = bs_doc_setf(head, "min_count", e, "%ju", (uintmax_t)o->min_count);
    return r;
}

/* ---- computing -----------------------------------------------------------
 */

static int
open_result(struct bs_cooc_result *r, size_t streams, struct bs_err *e)
{
    r->streams = streams;
    r->margin = bs_alloc_array(streams, sizeof *r->margin);
    r->table = bs_alloc_array(streams, sizeof *r->table);
    r->spectrum = bs_alloc_array(streams, sizeof *r->spectrum);
    r->alignment = bs_alloc_array(streams, sizeof *r->alignment);
    return r->margin != NULL && r->table != NULL && r->spectrum != NULL &&
                   r->alignment != NULL
               ? 0
               : bs_err_memory(e, "results", streams);
}

static int
count_all(struct bs_cooc_result *r, const struct bs_cooc_input *in,
          const struct bs_cooc_options *o, struct bs_writer *w,
          unsigned threads, size_t memory, struct bs_err *e)
{
    struct bs_cooc_matrix matrix = {0};
    int res =
        o->matrix ? bs_cooc_matrix_open(&matrix, w, in, o->min_count, e) : 0;

    if (res == 0)
        res = bs_cooc_run(r->table, in->set, r->margin, in->streams, &o->tables,
                          threads, memory,
                          o->matrix ? bs_cooc_matrix_row : NULL, &matrix, e);
    if (res == 0 && o->matrix)
        res = bs_cooc_matrix_end(&matrix, e);
    bs_cooc_matrix_release(&matrix);
    return res;
}

static int
decompose_all(struct bs_cooc_result *r, const struct bs_cooc_input *in,
              const struct bs_cooc_options *o, struct bs_pool *pool,
              size_t memory, struct bs_err *e)
{
    uint32_t concepts = in->origin.head.concepts;
    size_t needed = bs_cooc_spectrum_bytes(concepts, o->vectors), s;
    int res = 0;

    if (needed > memory)
        return bs_err_set(e, BS_EX_OSERR,
                          "%zu eigenvectors of %ju concepts need %zu MiB more "
                          "than '--memory' leaves them",
                          o->vectors, (uintmax_t)concepts,
                          ((needed - memory) >> 20) + 1);
    for (s = 0; s < in->streams && res == 0; s++) {
        res = bs_cooc_spectrum(&r->spectrum[s], &in->set[s], concepts,
                               o->vectors, o->tolerance, pool, e);
        if (res == 0 && s > 0)
            res = bs_cooc_align(&r->alignment[s], &r->spectrum[0],
                                &r->spectrum[s], e);
    }
    return res;
}

/* What would not fit in a record shall not be computed first. */
static int
check_sizes(const struct bs_cooc_options *o, uint64_t concepts,
            struct bs_err *e)
{
    const uint64_t most = ((uint64_t)1 << 30) - ((uint64_t)1 << 20);

    if (concepts * o->vectors > most / sizeof(double))
        return bs_err_set(e, BS_EX_USAGE,
                          "%zu eigenvectors of %ju concepts are more than a "
                          "record holds: '--vectors' can be %ju",
                          o->vectors, (uintmax_t)concepts,
                          (uintmax_t)(most / sizeof(double) / concepts));
    if (concepts * o->tables.partners > most / 32)
        return bs_err_set(e, BS_EX_USAGE,
                          "%zu partners of %ju concepts are more than a record "
                          "holds: '--partners' can be %ju",
                          o->tables.partners, (uintmax_t)concepts,
                          (uintmax_t)(most / 32 / concepts));
    return 0;
}

int
bs_cooc_compute(struct bs_cooc_result *r, const struct bs_cooc_input *in,
                const struct bs_cooc_options *o, struct bs_writer *w,
                struct bs_pool *pool, size_t memory, struct bs_err *e)
{
    size_t left = memory - in->store.used;
    int res = check_sizes(o, in->origin.head.concepts, e);

    if (res == 0)
        res = open_result(r, in->streams, e);
    if (res == 0)
        res = bs_cooc_margins(r->margin, in->set, in->streams,
                              in->origin.head.concepts, pool, e);
    if (res == 0)
        res = count_all(r, in, o, w, bs_pool_threads(pool), left / 2, e);
    if (res == 0 && o->vectors > 0)
        res = decompose_all(r, in, o, pool, left, e);
    return res;
}

void
bs_cooc_result_release(struct bs_cooc_result *r)
{
    size_t s;

    for (s = 0; s < r->streams; s++) {
        if (r->margin != NULL)
            bs_cooc_margin_release(&r->margin[s]);
        if (r->table != NULL)
            bs_cooc_table_release(&r->table[s]);
        if (r->spectrum != NULL)
            bs_krylov_release(&r->spectrum[s]);
        if (r->alignment != NULL)
            bs_cooc_alignment_release(&r->alignment[s]);
    }
    bs_free(r->margin);
    bs_free(r->table);
    bs_free(r->spectrum);
    bs_free(r->alignment);
    *r = (struct bs_cooc_result){0};
}

/* ---- records -------------------------------------------------------------
 */

struct output {
    struct bs_writer *writer;
    const struct bs_cooc_result *result;
    const struct bs_cooc_input *in;
    const struct bs_cooc_options *options;
};

/* A record LABEL/TABLE, LABEL/TABLE/WHICH where that is not NULL. */
static int
begin(const struct output *out, struct bs_doc *rec, size_t s, const char *table,
      const char *which, struct bs_err *e)
{
    const char *label = out->in->label[s];
    int r = bs_doc_setf(rec, "key", e, "%s/%s%s%s", label, table,
                        which != NULL ? "/" : "", which != NULL ? which : "");

    if (r == 0)
        r = bs_doc_set(rec, "stream", label, e);
    return r < 0 ? r : bs_doc_set(rec, "table", table, e);
}

/* Write the record that was made where r is 0, and empty it. */
static int
put(const struct output *out, struct bs_doc *rec, int r, struct bs_err *e)
{
    if (r == 0) {
        r = bs_writer_record(out->writer, rec);
        if (r < 0)
            *e = *bs_writer_error(out->writer);
    }
    bs_doc_release(rec);
    return r;
}

static int
write_concepts(const struct output *out, size_t s, struct bs_err *e)
{
    const struct bs_cooc_set *set = &out->in->set[s];
    const struct bs_cooc_margin *m = &out->result->margin[s];
    uint64_t n = out->in->origin.head.concepts;
    double *mean = bs_alloc_array(n, sizeof *mean);
    double *square = bs_alloc_array(n, sizeof *square);
    struct bs_doc rec = {0};
    size_t i;
    int r = mean != NULL && square != NULL
                ? begin(out, &rec, s, "concept", NULL, e)
                : bs_err_memory(e, "concepts", n);

    for (i = 0; i < n && r == 0; i++) {
        mean[i] = m->sum[i] / (double)set->rows;
        square[i] = m->square[i] / (double)set->rows;
    }
    if (r == 0)
        r = bs_doc_setf(&rec, "records", e, "%zu", set->count);
    if (r == 0)
        r = bs_doc_setf(&rec, "left_out", e, "%zu", set->records - set->count);
    if (r == 0)
        r = bs_doc_setf(&rec, "rows", e, "%ju", (uintmax_t)set->rows);
    if (r == 0)
        r = bs_doc_put(&rec, "fires", BS_DTYPE_U64, 1, &n, m->fires, e);
    if (r == 0)
        r = bs_doc_put(&rec, "mean", BS_DTYPE_F64, 1, &n, mean, e);
    if (r == 0)
        r = bs_doc_put(&rec, "square", BS_DTYPE_F64, 1, &n, square, e);
    r = put(out, &rec, r, e);
    bs_free(mean);
    bs_free(square);
    return r;
}

/* ---- curves --------------------------------------------------------------
 */

/* A column of counts that are above each threshold. */
static void
above(uint64_t *l0, uint64_t *pairs, const struct bs_cooc_hist *h, size_t taus)
{
    uint64_t off = 0, on = 0;
    size_t t;

    for (t = taus; t-- > 0;) {
        off += h->pairs[t + 1];
        on += h->diagonal[t + 1];
        pairs[t] = off;
        l0[t] = 2 * off + on;
    }
}

enum { L0, PAIRS, SHARED, SHARED_PAIRS, BASE, BASE_PAIRS, COUNTS };
enum { NONSHARED, JACCARD, PAIRS_NONSHARED, PAIRS_JACCARD, SHARES };

struct curve {
    uint64_t *count[COUNTS];
    double *share[SHARES];
};

static int
curve_init(struct curve *c, size_t taus, struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < COUNTS; i++) {
        c->count[i] = bs_alloc_array(taus, sizeof **c->count);
        r |= c->count[i] == NULL;
    }
    for (i = 0; i < SHARES; i++) {
        c->share[i] = bs_alloc_array(taus, sizeof **c->share);
        r |= c->share[i] == NULL;
    }
    return r == 0 ? 0 : bs_err_memory(e, "curve", taus);
}

static void
curve_release(struct curve *c)
{
    size_t i;

    for (i = 0; i < COUNTS; i++)
        bs_free(c->count[i]);
    for (i = 0; i < SHARES; i++)
        bs_free(c->share[i]);
}

/* What of `own` entries is not among the `base` ones, `shared` of them are. */
static void
shares(double *nonshared, double *jaccard, const uint64_t *own,
       const uint64_t *base, const uint64_t *shared, size_t taus)
{
    size_t t;

    for (t = 0; t < taus; t++) {
        double all = (double)(own[t] + base[t] - shared[t]);

        nonshared[t] =
            own[t] > 0 ? (double)(own[t] - shared[t]) / (double)own[t] : NAN;
        jaccard[t] = all > 0 ? (double)shared[t] / all : NAN;
    }
}

static int
put_shares(struct bs_doc *rec, struct curve *c, uint64_t taus, struct bs_err *e)
{
    static const struct {
        const char *name;
        bool share;
        size_t which;
    } column[] = {{"shared", false, SHARED},
                  {"pairs_shared", false, SHARED_PAIRS},
                  {"nonshared", true, NONSHARED},
                  {"jaccard", true, JACCARD},
                  {"pairs_nonshared", true, PAIRS_NONSHARED},
                  {"pairs_jaccard", true, PAIRS_JACCARD}};
    size_t i;
    int r = 0;

    shares(c->share[NONSHARED], c->share[JACCARD], c->count[L0], c->count[BASE],
           c->count[SHARED], taus);
    shares(c->share[PAIRS_NONSHARED], c->share[PAIRS_JACCARD], c->count[PAIRS],
           c->count[BASE_PAIRS], c->count[SHARED_PAIRS], taus);
    for (i = 0; i < BS_LEN(column) && r == 0; i++)
        r = column[i].share ? bs_doc_put(rec, column[i].name, BS_DTYPE_F64, 1,
                                         &taus, c->share[column[i].which], e)
                            : bs_doc_put(rec, column[i].name, BS_DTYPE_U64, 1,
                                         &taus, c->count[column[i].which], e);
    return r;
}

static int
write_curve(const struct output *out, size_t s, struct bs_err *e)
{
    const struct bs_cooc_table *t = &out->result->table[s];
    const struct bs_cooc_config *config = &out->options->tables;
    uint64_t taus = config->taus;
    struct curve c = {{0}, {0}};
    struct bs_doc rec = {0};
    int r = curve_init(&c, taus, e);

    if (r == 0)
        r = begin(out, &rec, s, "curve", NULL, e);
    if (r == 0) {
        above(c.count[L0], c.count[PAIRS], &t->hists.own, taus);
        above(c.count[SHARED], c.count[SHARED_PAIRS], &t->hists.shared, taus);
        above(c.count[BASE], c.count[BASE_PAIRS],
              &out->result->table[0].hists.own, taus);
        r = bs_doc_put(&rec, "tau", BS_DTYPE_F64, 1, &taus, config->tau, e);
    }
    if (r == 0)
        r = bs_doc_put(&rec, "l0", BS_DTYPE_U64, 1, &taus, c.count[L0], e);
    if (r == 0)
        r = bs_doc_put(&rec, "pairs", BS_DTYPE_U64, 1, &taus, c.count[PAIRS],
                       e);
    if (r == 0 && s > 0)
        r = put_shares(&rec, &c, taus, e);
    r = put(out, &rec, r, e);
    curve_release(&c);
    return r;
}

/* ---- partners and changes ------------------------------------------------
 */

static int
write_partners(const struct output *out, size_t s, size_t measure,
               struct bs_err *e)
{
    const struct bs_cooc_partners *p = &out->result->table[s].partners[measure];
    uint64_t shape[2] = {out->in->origin.head.concepts,
                         out->options->tables.partners};
    struct bs_doc rec = {0};
    int r = begin(out, &rec, s, "partners", bs_cooc_measure_names[measure], e);

    if (r == 0)
        r = bs_doc_set(&rec, "measure", bs_cooc_measure_names[measure], e);
    if (r == 0)
        r = bs_doc_put(&rec, "idx", BS_DTYPE_U32, 2, shape, p->idx, e);
    if (r == 0)
        r = bs_doc_put(&rec, "count", BS_DTYPE_U32, 2, shape, p->count, e);
    if (r == 0)
        r = bs_doc_put(&rec, "value", BS_DTYPE_F64, 2, shape, p->value, e);
    if (r == 0)
        r = bs_doc_put(&rec, "sum", BS_DTYPE_F64, 2, shape, p->sum, e);
    if (r == 0 && p->base != NULL)
        r = bs_doc_put(&rec, "base", BS_DTYPE_F64, 2, shape, p->base, e);
    return put(out, &rec, r, e);
}

/* Column `at` (a u32 or double within a change) of all changes. */
static int
put_column(struct bs_doc *rec, const char *name,
           const struct bs_cooc_changes *c, size_t at, enum bs_dtype dtype,
           struct bs_buf *room, struct bs_err *e)
{
    uint64_t n = c->n;
    size_t i;
    int r = 0;

    for (i = 0; i < c->n && r == 0; i++)
        r = bs_buf_add(room, (const char *)&c->list[i] + at,
                       bs_dtype_size(dtype), e);
    return r < 0 ? r : bs_doc_put(rec, name, dtype, 1, &n, room->data, e);
}

static int
write_changes(const struct output *out, size_t s, const char *table,
              const struct bs_cooc_changes *c, struct bs_err *e)
{
    static const struct {
        const char *name;
        size_t at;
        enum bs_dtype dtype;
    } column[] = {
        {"i", offsetof(struct bs_cooc_change, i), BS_DTYPE_U32},
        {"j", offsetof(struct bs_cooc_change, j), BS_DTYPE_U32},
        {"cosine", offsetof(struct bs_cooc_change, cosine), BS_DTYPE_F64},
        {"base_cosine", offsetof(struct bs_cooc_change, base_cosine),
         BS_DTYPE_F64},
        {"count", offsetof(struct bs_cooc_change, count), BS_DTYPE_U32},
        {"base_count", offsetof(struct bs_cooc_change, base_count),
         BS_DTYPE_U32}};
    struct bs_buf room[BS_LEN(column)] = {{0}};
    struct bs_doc rec = {0};
    size_t i;
    int r = begin(out, &rec, s, table, NULL, e);

    for (i = 0; i < BS_LEN(column) && r == 0; i++)
        r = put_column(&rec, column[i].name, c, column[i].at, column[i].dtype,
                       &room[i], e);
    r = put(out, &rec, r, e);
    for (i = 0; i < BS_LEN(column); i++)
        bs_buf_release(&room[i]);
    return r;
}

/* ---- spectra -------------------------------------------------------------
 */

static int
write_spectrum(const struct output *out, size_t s, struct bs_err *e)
{
    const struct bs_krylov *k = &out->result->spectrum[s];
    const struct bs_cooc_margin *m = &out->result->margin[s];
    uint64_t shape[2] = {k->found, k->n};
    double *share = bs_alloc_array(k->found, sizeof *share), trace = 0;
    struct bs_doc rec = {0};
    size_t i;
    int r = share != NULL ? begin(out, &rec, s, "spectrum", NULL, e)
                          : bs_err_memory(e, "spectrum", k->found);

    for (i = 0; i < k->n; i++)
        trace += m->square[i];
    trace /= (double)out->in->set[s].rows;
    for (i = 0; i < k->found && r == 0; i++)
        share[i] = k->value[i] / trace;
    if (r == 0)
        r = bs_doc_setf(&rec, "trace", e, "%.17g", trace);
    if (r == 0)
        r = bs_doc_setf(&rec, "found", e, "%zu", k->found);
    if (r == 0)
        r = bs_doc_setf(&rec, "converged", e, "%zu", k->converged);
    if (r == 0)
        r = bs_doc_setf(&rec, "products", e, "%zu", k->products);
    if (r == 0)
        r = bs_doc_put(&rec, "value", BS_DTYPE_F64, 1, shape, k->value, e);
    if (r == 0)
        r = bs_doc_put(&rec, "share", BS_DTYPE_F64, 1, shape, share, e);
    if (r == 0)
        r = bs_doc_put(&rec, "residual", BS_DTYPE_F64, 1, shape, k->residual,
                       e);
    if (r == 0)
        r = bs_doc_put(&rec, "vector", BS_DTYPE_F64, 2, shape, k->vector, e);
    r = put(out, &rec, r, e);
    bs_free(share);
    return r;
}

static int
write_alignment(const struct output *out, size_t s, struct bs_err *e)
{
    const struct bs_cooc_alignment *x = &out->result->alignment[s];
    uint64_t shape[2] = {x->a, x->b}, least = x->a < x->b ? x->a : x->b;
    struct bs_doc rec = {0};
    int r = begin(out, &rec, s, "alignment", NULL, e);

    if (r == 0)
        r = bs_doc_set(&rec, "base", out->in->label[0], e);
    if (r == 0)
        r = bs_doc_put(&rec, "cosine", BS_DTYPE_F64, 2, shape, x->cosine, e);
    if (r == 0)
        r = bs_doc_put(&rec, "angle", BS_DTYPE_F64, 1, &least, x->angle, e);
    if (r == 0)
        r = bs_doc_put(&rec, "overlap", BS_DTYPE_F64, 1, &least, x->overlap, e);
    return put(out, &rec, r, e);
}

int
bs_cooc_write(struct bs_writer *w, const struct bs_cooc_result *result,
              const struct bs_cooc_input *in, const struct bs_cooc_options *o,
              struct bs_err *e)
{
    struct output out = {w, result, in, o};
    size_t s, m;
    int r = 0;

    for (s = 0; s < in->streams && r == 0; s++) {
        const struct bs_cooc_table *t = &result->table[s];

        r = write_concepts(&out, s, e);
        if (r == 0)
            r = write_curve(&out, s, e);
        for (m = 0; m < BS_COOC_MEASURES && r == 0 && o->tables.partners > 0;
             m++)
            r = write_partners(&out, s, m, e);
        if (r == 0 && s > 0 && o->tables.changes > 0)
            r = write_changes(&out, s, "lost", &t->lost, e);
        if (r == 0 && s > 0 && o->tables.changes > 0)
            r = write_changes(&out, s, "gained", &t->gained, e);
        if (r == 0 && o->vectors > 0)
            r = write_spectrum(&out, s, e);
        if (r == 0 && s > 0 && o->vectors > 0)
            r = write_alignment(&out, s, e);
    }
    return r;
}
