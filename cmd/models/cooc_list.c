/*
 * cooc_list.c - see cooc_list.h.
 *
 * Lines are written as their records come, in the stream's order; of a stream
 * of codes its concepts, which come first, are kept while its partners are
 * listed.
 */
#include "cmd/models/cooc_list.h"

#include <math.h>
#include <string.h>

#include "common/num.h"

const char *const bs_cooc_what_names[] = {
    "partners", "changes", "curve", "spectrum", "alignment", "concepts", NULL};

enum { COLUMNS_MAX = 10 };

static const char *const columns[][COLUMNS_MAX + 1] = {
    {"stream", "concept", "rank", "partner", "cosine", "count", "lift",
     "jaccard", "base", NULL},
    {"stream", "side", "rank", "i", "j", "cosine", "base_cosine", "count",
     "base_count", NULL},
    {"stream", "tau", "l0", "pairs", "shared", "nonshared", "jaccard",
     "pairs_shared", "pairs_nonshared", "pairs_jaccard", NULL},
    {"stream", "rank", "value", "share", "residual", NULL},
    {"stream", "rank", "angle", "overlap", "same", "best", "best_cosine", NULL},
    {"stream", "concept", "fires", "mean", "square", NULL}};

/* The tables whose records have the lines. */
static const char *const tables[][3] = {
    {"partners", NULL}, {"lost", "gained", NULL}, {"curve", NULL},
    {"spectrum", NULL}, {"alignment", NULL},      {"concept", NULL}};

struct listing {
    const struct bs_cooc_list *list;
    struct bs_report report;
    struct bs_cell cell[COLUMNS_MAX];
    uint64_t concepts;    /* of the segment */
    struct bs_buf wanted; /* bool [concepts]; empty: all */
    uint64_t rows;        /* of the stream of codes whose concepts these are */
    struct bs_buf fires;  /* uint64_t [concepts] */
    struct bs_buf square; /* double [concepts] */
    char stream[BS_LABEL_SIZE];
    struct bs_err *e;
};

/* ---- cells ---------------------------------------------------------------
 */

static struct bs_cell
count(uint64_t n)
{
    return (struct bs_cell){.kind = BS_CELL_COUNT, .count = n};
}

static struct bs_cell
real(double x)
{
    return (struct bs_cell){.kind = BS_CELL_REAL, .real = x};
}

static struct bs_cell
text(const char *s)
{
    return (struct bs_cell){.kind = BS_CELL_TEXT, .text = s};
}

static int
print_row(struct listing *l)
{
    return bs_report_row(&l->report, l->cell, l->e);
}

/* ---- tensors -------------------------------------------------------------
 */

/* A tensor of `rank` dimensions, the first `n` long where n is not 0; NULL with
 * l->e set. */
static const struct bs_tensor *
tensor(struct listing *l, const struct bs_doc *rec, const char *name,
       enum bs_dtype dtype, unsigned rank, size_t n)
{
    const struct bs_tensor *t = bs_doc_tensor(rec, name);

    if (t != NULL && t->dtype == dtype && t->rank == rank &&
        (n == 0 || t->shape[0] == n))
        return t;
    (void)bs_err_set(l->e, BS_EX_DATA, "'%s' is not %s [%s]", name,
                     bs_dtype_name(dtype), rank == 1 ? "n" : "n, m");
    return NULL;
}

/* Its values [n], or [n, m] as the tensor `like` has them. */
static const void *
values(struct listing *l, const struct bs_doc *rec, const char *name,
       enum bs_dtype dtype, const struct bs_tensor *like)
{
    const struct bs_tensor *t;

    if (l->e->code != 0)
        return NULL;
    t = tensor(l, rec, name, dtype, like->rank, (size_t)like->shape[0]);
    if (t == NULL)
        return NULL;
    if (like->rank == 2 && t->shape[1] != like->shape[1]) {
        (void)bs_err_set(l->e, BS_EX_DATA, "'%s' and '%s' differ in shape",
                         name, like->name);
        return NULL;
    }
    return t->data;
}

static int
record_number(struct listing *l, const struct bs_doc *rec, const char *name,
              uint64_t *to)
{
    const char *s = bs_doc_meta(rec, name);

    if (s != NULL && bs_num_u64(s, 1, UINT64_MAX, to) == NULL)
        return 0;
    return bs_err_set(l->e, BS_EX_DATA, "it does not say '%s'", name);
}

/* ---- concepts ------------------------------------------------------------
 */

static bool
is_wanted(const struct listing *l, uint64_t concept)
{
    return l->wanted.len == 0 || l->wanted.data[concept] != 0;
}

static int
keep(struct bs_buf *b, const void *data, size_t bytes, struct bs_err *e)
{
    b->len = 0;
    return bs_buf_add(b, data, bytes, e);
}

/* The table "concept": kept for partners, or listed. */
static int
concept_record(struct listing *l, const struct bs_doc *rec)
{
    const struct bs_tensor *fires =
        tensor(l, rec, "fires", BS_DTYPE_U64, 1, (size_t)l->concepts);
    const double *square, *mean;
    uint64_t i, lines = 0;
    int r = 0;

    if (fires == NULL || record_number(l, rec, "rows", &l->rows) < 0)
        return -l->e->code;
    square = values(l, rec, "square", BS_DTYPE_F64, fires);
    mean = values(l, rec, "mean", BS_DTYPE_F64, fires);
    if (l->e->code != 0)
        return -l->e->code;
    r = keep(&l->fires, fires->data, fires->bytes, l->e);
    if (r == 0)
        r = keep(&l->square, square, fires->bytes, l->e);
    snprintf(l->stream, sizeof l->stream, "%s", bs_doc_meta(rec, "stream"));
    for (i = 0; i < l->concepts && r == 0 && lines < l->list->limit &&
                l->list->what == BS_COOC_LIST_CONCEPTS;
         i++) {
        if (!is_wanted(l, i))
            continue;
        lines++;
        l->cell[1] = count(i);
        l->cell[2] = count(((const uint64_t *)fires->data)[i]);
        l->cell[3] = real(mean[i]);
        l->cell[4] = real(square[i]);
        r = print_row(l);
    }
    return r;
}

/* ---- partners ------------------------------------------------------------
 */

struct partners {
    const uint32_t *idx, *count;
    const double *sum, *base; /* base: NULL in the first stream */
    size_t places;
};

static int
partner_row(struct listing *l, const struct partners *p, uint64_t concept,
            size_t rank)
{
    const uint64_t *fires = (const uint64_t *)(const void *)l->fires.data;
    const double *square = (const double *)(const void *)l->square.data;
    size_t at = concept * p->places + rank;
    double n = (double)p->count[at], rows = (double)l->rows, ni, nj, roots;
    uint32_t j = p->idx[at];

    if (j >= l->concepts)
        return bs_err_set(l->e, BS_EX_DATA, "concept %ju: partner %ju of %ju",
                          (uintmax_t) concept, (uintmax_t)j,
                          (uintmax_t)l->concepts);
    ni = (double)fires[concept];
    nj = (double)fires[j];
    l->cell[1] = count(concept);
    l->cell[2] = count(rank + 1);
    l->cell[3] = count(j);
    roots = sqrt(square[concept] * rows * (square[j] * rows));
    l->cell[4] = real(roots > 0 ? fmin(p->sum[at] / roots, 1) : 0);
    l->cell[5] = count(p->count[at]);
    l->cell[6] = real(n * rows / (ni * nj));
    l->cell[7] = real(n / (ni + nj - n));
    l->cell[8] = p->base != NULL ? real(p->base[at]) : (struct bs_cell){0};
    return print_row(l);
}

static int
partners_record(struct listing *l, const struct bs_doc *rec)
{
    const char *measure = bs_doc_meta(rec, "measure");
    const struct bs_tensor *idx;
    struct partners p;
    uint64_t i;
    size_t k;
    int r = 0;

    if (measure == NULL ||
        strcmp(measure, bs_cooc_measure_names[l->list->by]) != 0)
        return 0;
    idx = tensor(l, rec, "idx", BS_DTYPE_U32, 2, (size_t)l->concepts);
    if (idx == NULL)
        return -l->e->code;
    p = (struct partners){.idx = idx->data,
                          .count = values(l, rec, "count", BS_DTYPE_U32, idx),
                          .sum = values(l, rec, "sum", BS_DTYPE_F64, idx),
                          .places = (size_t)idx->shape[1]};
    if (bs_doc_tensor(rec, "base") != NULL)
        p.base = values(l, rec, "base", BS_DTYPE_F64, idx);
    if (l->e->code == 0 && strcmp(l->stream, bs_doc_meta(rec, "stream")) != 0)
        (void)bs_err_set(l->e, BS_EX_DATA, "the concepts of '%s' are not there",
                         bs_doc_meta(rec, "stream"));
    if (l->e->code != 0)
        return -l->e->code;
    for (i = 0; i < l->concepts && r == 0; i++)
        for (k = 0; k < p.places && k < l->list->limit && r == 0 &&
                    is_wanted(l, i) && p.idx[i * p.places + k] != UINT32_MAX;
             k++)
            r = partner_row(l, &p, i, k);
    return r;
}

/* ---- the other tables ----------------------------------------------------
 */

static int
changes_record(struct listing *l, const struct bs_doc *rec)
{
    const struct bs_tensor *first = tensor(l, rec, "i", BS_DTYPE_U32, 1, 0);
    const uint32_t *i, *j, *n, *base_n;
    const double *cosine, *base_cosine;
    uint64_t k, lines = 0;
    int r = 0;

    if (first == NULL)
        return -l->e->code;
    i = first->data;
    j = values(l, rec, "j", BS_DTYPE_U32, first);
    n = values(l, rec, "count", BS_DTYPE_U32, first);
    base_n = values(l, rec, "base_count", BS_DTYPE_U32, first);
    cosine = values(l, rec, "cosine", BS_DTYPE_F64, first);
    base_cosine = values(l, rec, "base_cosine", BS_DTYPE_F64, first);
    if (l->e->code != 0)
        return -l->e->code;
    l->cell[1] = text(bs_doc_meta(rec, "table"));
    for (k = 0; k < first->shape[0] && lines < l->list->limit && r == 0; k++) {
        if (i[k] >= l->concepts || j[k] >= l->concepts)
            return bs_err_set(l->e, BS_EX_DATA, "concepts %ju and %ju of %ju",
                              (uintmax_t)i[k], (uintmax_t)j[k],
                              (uintmax_t)l->concepts);
        if (!is_wanted(l, i[k]) && !is_wanted(l, j[k]))
            continue;
        lines++;
        l->cell[2] = count(k + 1);
        l->cell[3] = count(i[k]);
        l->cell[4] = count(j[k]);
        l->cell[5] = real(cosine[k]);
        l->cell[6] = real(base_cosine[k]);
        l->cell[7] = count(n[k]);
        l->cell[8] = count(base_n[k]);
        r = print_row(l);
    }
    return r;
}

/* A table whose columns are tensors of their names, F64 or U64 [n]; what the
 * record lacks is empty.  rank: the cell that has the line's number, or 0. */
static int
plain_record(struct listing *l, const struct bs_doc *rec, const char *first,
             size_t rank, size_t from, size_t to)
{
    const struct bs_tensor *like = tensor(l, rec, first, BS_DTYPE_F64, 1, 0);
    const char *const *name = columns[l->list->what];
    const struct bs_tensor *column[COLUMNS_MAX] = {0};
    uint64_t i;
    size_t c;
    int r = 0;

    if (like == NULL)
        return -l->e->code;
    for (c = from; c < to; c++) {
        column[c] = bs_doc_tensor(rec, name[c]);
        if (column[c] != NULL && column[c]->dtype != BS_DTYPE_U64)
            (void)values(l, rec, name[c], BS_DTYPE_F64, like);
        else if (column[c] != NULL)
            (void)values(l, rec, name[c], BS_DTYPE_U64, like);
    }
    if (l->e->code != 0)
        return -l->e->code;
    for (i = 0; i < like->shape[0] && i < l->list->limit && r == 0; i++) {
        if (rank > 0)
            l->cell[rank] = count(i + 1);
        for (c = from; c < to; c++)
            l->cell[c] = column[c] == NULL ? (struct bs_cell){0}
                         : column[c]->dtype == BS_DTYPE_U64
                             ? count(((const uint64_t *)column[c]->data)[i])
                             : real(((const double *)column[c]->data)[i]);
        r = print_row(l);
    }
    return r;
}

static int
alignment_record(struct listing *l, const struct bs_doc *rec)
{
    const struct bs_tensor *angle = tensor(l, rec, "angle", BS_DTYPE_F64, 1, 0);
    const struct bs_tensor *cosine =
        tensor(l, rec, "cosine", BS_DTYPE_F64, 2, 0);
    const double *overlap, *row;
    uint64_t i, j, best;
    int r = 0;

    if (angle == NULL || cosine == NULL)
        return -l->e->code;
    overlap = values(l, rec, "overlap", BS_DTYPE_F64, angle);
    if (l->e->code == 0 && (angle->shape[0] > cosine->shape[0] ||
                            angle->shape[0] > cosine->shape[1]))
        (void)bs_err_set(l->e, BS_EX_DATA, "more angles than cosines");
    if (l->e->code != 0)
        return -l->e->code;
    for (i = 0; i < angle->shape[0] && i < l->list->limit && r == 0; i++) {
        row = (const double *)cosine->data + i * cosine->shape[1];
        for (best = 0, j = 1; j < cosine->shape[1]; j++)
            best = row[j] > row[best] ? j : best;
        l->cell[1] = count(i + 1);
        l->cell[2] = real(((const double *)angle->data)[i]);
        l->cell[3] = real(overlap[i]);
        l->cell[4] = real(row[i]);
        l->cell[5] = count(best + 1);
        l->cell[6] = real(row[best]);
        r = print_row(l);
    }
    return r;
}

/* ---- the stream ----------------------------------------------------------
 */

/* Is the name in "a,b,c"? */
static bool
among(const char *list, const char *name)
{
    size_t n = strlen(name), len;

    for (; list != NULL; list += len + 1) {
        len = strcspn(list, ",");
        if (len == n && memcmp(list, name, n) == 0)
            return true;
        if (list[len] == '\0')
            return false;
    }
    return true;
}

/* Every label that is asked for must be a stream. */
static int
check_streams(struct listing *l, const struct bs_doc *head)
{
    char label[BS_COOC_STREAMS_MAX][BS_LABEL_SIZE];
    const char *asked = l->list->streams;
    size_t n = 0, i, len;
    int r = bs_head_labels(head, "streams", label, &n, l->e);

    for (; asked != NULL && r == 0; asked += len + 1) {
        len = strcspn(asked, ",");
        for (i = 0; i < n; i++)
            if (strlen(label[i]) == len && memcmp(label[i], asked, len) == 0)
                break;
        if (i == n)
            r = bs_err_set(l->e, BS_EX_DATA, "has no stream '%.*s'",
                           (int)(len < 80 ? len : 80), asked);
        if (asked[len] == '\0')
            break;
    }
    return r;
}

/* "3,17" as marks. */
static int
want_concepts(struct listing *l)
{
    const char *at = l->list->concepts;
    char number[24];
    size_t len;
    uint64_t k;
    int r = 0;

    l->wanted.len = 0;
    if (at != NULL)
        r = bs_buf_fill(&l->wanted, 0, (size_t)l->concepts, l->e);
    for (; at != NULL && r == 0; at += len + 1) {
        len = strcspn(at, ",");
        snprintf(number, sizeof number, "%.*s", (int)(len < 23 ? len : 23), at);
        if (bs_num_u64(number, 0, l->concepts - 1, &k) != NULL)
            return bs_err_set(l->e, BS_EX_USAGE,
                              "'%s' is no concept of 0 to %ju", number,
                              (uintmax_t)l->concepts - 1);
        l->wanted.data[k] = 1;
        if (at[len] == '\0')
            break;
    }
    return r;
}

static int
take_head(struct listing *l, const struct bs_doc *head)
{
    const char *kind = bs_doc_meta(head, "bs.kind");
    struct bs_codes_head h;
    int r;

    if (kind == NULL || strcmp(kind, BS_COOC_KIND) != 0 ||
        bs_doc_meta(head, "partial") != NULL)
        return bs_err_set(
            l->e, BS_EX_DATA, "is no result of bs-cooc but of kind '%.40s'%s",
            kind != NULL ? kind : "unknown",
            bs_doc_meta(head, "partial") != NULL ? ", a part" : "");
    r = bs_origin_read(&h, head, l->e);
    l->concepts = h.concepts;
    l->stream[0] = '\0';
    if (r == 0)
        r = check_streams(l, head);
    return r < 0 ? r : want_concepts(l);
}

static int
take_record(struct listing *l, const struct bs_doc *rec)
{
    const char *table = bs_doc_meta(rec, "table");
    const char *stream = bs_doc_meta(rec, "stream");
    enum bs_cooc_what what = l->list->what;
    const char *const *name = tables[what];

    if (table == NULL || stream == NULL || strlen(stream) >= BS_LABEL_SIZE)
        return bs_err_set(l->e, BS_EX_DATA,
                          "it does not say its table and stream");
    if (!among(l->list->streams, stream))
        return 0;
    l->cell[0] = text(stream);
    if (strcmp(table, "concept") == 0 &&
        (what == BS_COOC_LIST_PARTNERS || what == BS_COOC_LIST_CONCEPTS))
        return concept_record(l, rec);
    if (strcmp(table, name[0]) != 0 &&
        (name[1] == NULL || strcmp(table, name[1]) != 0))
        return 0;
    switch (what) {
    case BS_COOC_LIST_PARTNERS:
        return partners_record(l, rec);
    case BS_COOC_LIST_CHANGES:
        return changes_record(l, rec);
    case BS_COOC_LIST_CURVE:
        return plain_record(l, rec, "tau", 0, 1, 10);
    case BS_COOC_LIST_SPECTRUM:
        return plain_record(l, rec, "value", 1, 2, 5);
    default:
        return alignment_record(l, rec);
    }
}

static int
take_item(void *arg, int item, const struct bs_doc *doc, struct bs_err *e)
{
    struct listing *l = arg;

    l->e = e;
    if (item == BS_ITEM_HEAD)
        return take_head(l, doc);
    return item == BS_ITEM_RECORD ? take_record(l, doc) : 0;
}

int
bs_cooc_list(const struct bs_cooc_list *list, const char *path,
             const struct bs_rank_input *in, const struct bs_out *out,
             struct bs_err *e)
{
    struct listing l = {.list = list, .e = e};
    const char *const *name = columns[list->what];
    size_t n = 0;
    int r;

    while (name[n] != NULL)
        n++;
    r = bs_report_begin(&l.report, list->format, out, name, n, e);
    if (r == 0)
        r = bs_rank_scan(path, in, take_item, &l, e);
    if (r == 0)
        r = bs_report_end(&l.report, e);
    bs_report_release(&l.report);
    bs_buf_release(&l.wanted);
    bs_buf_release(&l.fires);
    bs_buf_release(&l.square);
    return r;
}
