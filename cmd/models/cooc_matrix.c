/*
 * cooc_matrix.c - see cooc_matrix.h.
 */
#include "cmd/models/cooc_matrix.h"

enum { ELEMENTS = 1 << 22 };

static size_t
elements(const struct bs_cooc_matrix_part *p)
{
    return p->idx.len / sizeof(uint32_t);
}

int
bs_cooc_matrix_open(struct bs_cooc_matrix *m, struct bs_writer *w,
                    const struct bs_cooc_input *in, uint64_t min_count,
                    struct bs_err *e)
{
    *m = (struct bs_cooc_matrix){.writer = w, .in = in, .min_count = min_count};
    m->part = bs_alloc_array(in->streams, sizeof *m->part);
    return m->part != NULL ? 0 : bs_err_memory(e, "matrix", in->streams);
}

/* Rows up to `to` begin where the elements end. */
static int
begin_rows(struct bs_cooc_matrix_part *p, uint32_t to, struct bs_err *e)
{
    uint64_t at = elements(p);
    int r = 0;

    for (; p->next < to && r == 0; p->next++)
        r = bs_buf_add(&p->ptr, &at, sizeof at, e);
    return r;
}

/* Write the rows first..next-1. */
static int
put_record(struct bs_cooc_matrix *m, size_t s, struct bs_err *e)
{
    struct bs_cooc_matrix_part *p = &m->part[s];
    uint64_t n = elements(p), rows = (uint64_t)p->next - p->first + 1;
    struct bs_doc rec = {0};
    int r = bs_buf_add(&p->ptr, &n, sizeof n, e);

    if (r == 0)
        r = bs_doc_setf(&rec, "key", e, "%s/matrix/%08ju", m->in->label[s],
                        (uintmax_t)p->first);
    if (r == 0)
        r = bs_doc_set(&rec, "stream", m->in->label[s], e);
    if (r == 0)
        r = bs_doc_set(&rec, "table", "matrix", e);
    if (r == 0)
        r = bs_doc_setf(&rec, "first", e, "%ju", (uintmax_t)p->first);
    if (r == 0)
        r = bs_doc_setf(&rec, "last", e, "%ju", (uintmax_t)p->next - 1);
    if (r == 0)
        r = bs_doc_setf(&rec, "rows", e, "%ju", (uintmax_t)m->in->set[s].rows);
    if (r == 0)
        r = bs_doc_put(&rec, "ptr", BS_DTYPE_U64, 1, &rows, p->ptr.data, e);
    if (r == 0)
        r = bs_doc_put(&rec, "idx", BS_DTYPE_U32, 1, &n, p->idx.data, e);
    if (r == 0)
        r = bs_doc_put(&rec, "count", BS_DTYPE_U32, 1, &n, p->count.data, e);
    if (r == 0)
        r = bs_doc_put(&rec, "sum", BS_DTYPE_F64, 1, &n, p->sum.data, e);
    if (r == 0) {
        r = bs_writer_record(m->writer, &rec);
        if (r < 0)
            *e = *bs_writer_error(m->writer);
    }
    bs_doc_release(&rec);
    p->first = p->next;
    p->ptr.len = p->idx.len = p->count.len = p->sum.len = 0;
    return r;
}

/* Room for n elements more. */
static int
make_room(struct bs_cooc_matrix_part *p, size_t n, struct bs_err *e)
{
    int r = bs_buf_reserve(&p->idx, p->idx.len + n * sizeof(uint32_t), e);

    if (r == 0)
        r = bs_buf_reserve(&p->count, p->count.len + n * sizeof(uint32_t), e);
    return r < 0 ? r
                 : bs_buf_reserve(&p->sum, p->sum.len + n * sizeof(double), e);
}

int
bs_cooc_matrix_row(void *arg, size_t s, uint32_t concept,
                   const struct bs_cooc_pair *pair, size_t n, struct bs_err *e)
{
    struct bs_cooc_matrix *m = arg;
    struct bs_cooc_matrix_part *p = &m->part[s];
    uint32_t *idx, *count;
    double *sum;
    size_t i, at;
    int r = begin_rows(p, concept + 1, e);

    if (r == 0)
        r = make_room(p, n, e);
    if (r < 0)
        return r;
    idx = (uint32_t *)(void *)p->idx.data;
    count = (uint32_t *)(void *)p->count.data;
    sum = (double *)(void *)p->sum.data;
    for (i = 0, at = elements(p); i < n; i++) {
        if (pair[i].count < m->min_count)
            continue;
        idx[at] = pair[i].concept;
        count[at] = pair[i].count;
        sum[at++] = pair[i].sum;
    }
    p->idx.len = p->count.len = at * sizeof *idx;
    p->sum.len = at * sizeof *sum;
    return at >= ELEMENTS ? put_record(m, s, e) : 0;
}

int
bs_cooc_matrix_end(struct bs_cooc_matrix *m, struct bs_err *e)
{
    uint32_t concepts = m->in->origin.head.concepts;
    size_t s;
    int r = 0;

    for (s = 0; s < m->in->streams && r == 0; s++) {
        r = begin_rows(&m->part[s], concepts, e);
        if (r == 0 && m->part[s].first < concepts)
            r = put_record(m, s, e);
    }
    return r;
}

void
bs_cooc_matrix_release(struct bs_cooc_matrix *m)
{
    size_t s;

    for (s = 0; m->part != NULL && s < m->in->streams; s++) {
        bs_buf_release(&m->part[s].ptr);
        bs_buf_release(&m->part[s].idx);
        bs_buf_release(&m->part[s].count);
        bs_buf_release(&m->part[s].sum);
    }
    bs_free(m->part);
    m->part = NULL;
}
