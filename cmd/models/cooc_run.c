/*
 * cooc_run.c - see cooc_run.h.
 *
 * A job is a range of concepts: one worker counts the rows of all sets in it,
 * looks at them, and chooses partners, whose places in the tables are the
 * range's own.  Counts and changes it keeps; they are added up, and the rows
 * written, by the thread that takes the jobs back in their order.
 */
#include "cmd/models/cooc_run.h"

#include <stdatomic.h>

#include "common/mem.h"
#include "common/order.h"
#include "common/stop.h"

/* Words of a set's buckets; elements of a job's rows of a set. */
enum { LEAST = 1 << 15, WORDS_MOST = 1 << 23, ELEMENTS_MOST = 1 << 22 };

struct job {
    uint32_t from, to;
    struct bs_buf *pair;          /* [sets]: rows from their diagonal on, */
    struct bs_buf *start;         /* [sets]: and where each begins; if wanted */
    struct bs_cooc_hists *hists;  /* [sets] */
    struct bs_cooc_changes *lost; /* [sets] */
    struct bs_cooc_changes *gained;
    struct bs_err err;
};

/* What a worker counts and looks at rows with. */
struct desk {
    struct bs_cooc_counter counter;
    struct bs_cooc_row *row; /* [sets] */
    uint16_t **bin;          /* [sets][concepts] */
    atomic_flag busy;
};

struct run {
    struct bs_cooc_table *table;
    const struct bs_cooc_set *sets;
    const struct bs_cooc_margin *margin;
    size_t n;
    const struct bs_cooc_config *config;
    bs_cooc_row_fn *fn;
    void *arg;
    size_t jobs, desks, words, elements;
    struct job *job;   /* [jobs] */
    struct desk *desk; /* [desks]: as many as workers */
};

/* ---- one range -----------------------------------------------------------
 */

static struct bs_cooc_side
side_of(const struct run *run, size_t s)
{
    return (struct bs_cooc_side){(double)run->sets[s].rows, &run->margin[s]};
}

/* Rows that are wanted stay with the job, from the diagonal on. */
static int
keep_row(struct job *j, size_t s, const struct bs_cooc_row *row)
{
    size_t at = bs_cooc_row_find(row, row->concept), start = j->pair[s].len;
    int r = bs_buf_add(&j->start[s], &start, sizeof start, &j->err);

    return r < 0 ? r
                 : bs_buf_add(&j->pair[s], row->pair + at,
                              (row->n - at) * sizeof *row->pair, &j->err);
}

/* One row of one set; that of the baseline is there. */
static int
look_at(const struct run *run, struct desk *d, struct job *j, size_t s,
        uint32_t concept)
{
    const struct bs_cooc_config *config = run->config;
    struct bs_cooc_side side = side_of(run, s), base = side_of(run, 0);
    struct bs_cooc_row *row = &d->row[s];
    int r = bs_cooc_count(&d->counter, s, concept, row, &j->err);

    if (r < 0)
        return r;
    bs_cooc_bins(d->bin[s], &j->hists[s].own, row, &side, config);
    if (config->partners > 0)
        bs_cooc_choose(run->table[s].partners, row, &side,
                       s > 0 ? &d->row[0] : NULL, s > 0 ? &base : NULL, config);
    if (s > 0) {
        struct bs_cooc_compared x = {&d->row[0], d->bin[0], base};
        struct bs_cooc_compared y = {row, d->bin[s], side};

        bs_cooc_compare(&j->hists[s].shared, &j->lost[s], &j->gained[s], &x, &y,
                        config);
    }
    return run->fn != NULL ? keep_row(j, s, row) : 0;
}

/* There is a desk for each worker, so one is free. */
static struct desk *
take_desk(const struct run *run)
{
    size_t i = 0;

    while (atomic_flag_test_and_set(&run->desk[i].busy))
        i = (i + 1) % run->desks;
    return &run->desk[i];
}

static void
work(void *arg, void *p)
{
    struct run *run = arg;
    struct job *j = p;
    struct desk *d = take_desk(run);
    uint32_t i;
    size_t s;
    int r;

    for (s = 0; s < run->n; s++) {
        bs_cooc_hists_clear(&j->hists[s], run->config->taus);
        j->lost[s].n = j->gained[s].n = 0;
        j->pair[s].len = j->start[s].len = 0;
    }
    r = bs_cooc_gather(&d->counter, j->from, j->to, &j->err);
    for (i = j->from; i < j->to && r == 0; i++)
        for (s = 0; s < run->n && r == 0; s++)
            r = look_at(run, d, j, s, i);
    atomic_flag_clear(&d->busy);
}

/* ---- taking back ---------------------------------------------------------
 */

/* Bytes of the set's rows before row i of the job. */
static size_t
start_of(const struct job *j, size_t s, size_t i)
{
    const size_t *start = (const size_t *)(const void *)j->start[s].data;

    return i < j->to - j->from ? start[i] : j->pair[s].len;
}

static int
give_rows(struct run *run, const struct job *j, struct bs_err *e)
{
    size_t i, s;
    int r = 0;

    for (i = 0; i < j->to - j->from; i++)
        for (s = 0; s < run->n && r == 0; s++) {
            size_t at = start_of(j, s, i), end = start_of(j, s, i + 1);
            const struct bs_cooc_pair *pair =
                (const struct bs_cooc_pair *)(const void *)j->pair[s].data;

            if (at < end)
                r = run->fn(run->arg, s, j->from + (uint32_t)i,
                            pair + at / sizeof *pair, (end - at) / sizeof *pair,
                            e);
        }
    return r;
}

static int
take_back(struct run *run, struct job *j, struct bs_err *e)
{
    size_t s, i;

    if (j->err.code != 0) {
        *e = j->err;
        return -e->code;
    }
    for (s = 0; s < run->n; s++) {
        struct bs_cooc_table *t = &run->table[s];

        bs_cooc_hists_add(&t->hists, &j->hists[s], run->config->taus);
        for (i = 0; i < j->lost[s].n; i++)
            bs_cooc_changes_offer(&t->lost, &j->lost[s].list[i]);
        for (i = 0; i < j->gained[s].n; i++)
            bs_cooc_changes_offer(&t->gained, &j->gained[s].list[i]);
    }
    return run->fn != NULL ? give_rows(run, j, e) : 0;
}

static int
run_jobs(struct run *run, struct bs_order *order, struct bs_err *e)
{
    const uint32_t concepts = run->config->concepts;
    size_t given = 0, taken = 0;
    uint32_t from = 0;
    int r = 0;

    while (r == 0 && (from < concepts || taken < given)) {
        if (from < concepts && given - taken < run->jobs) {
            struct job *j = &run->job[given++ % run->jobs];

            j->from = from;
            j->to = from = bs_cooc_range(run->margin, run->n, concepts, from,
                                         run->words, run->elements);
            bs_order_put(order, j);
        } else {
            r = take_back(run, bs_order_take(order), e);
            taken++;
        }
        if (r == 0 && bs_stop_wanted())
            r = bs_err_set(e, BS_EX_TEMPFAIL, "ended early: %s",
                           bs_stop_reason());
    }
    return r;
}

/* ---- jobs ----------------------------------------------------------------
 */

static int
open_job(const struct run *run, struct job *j, struct bs_err *e)
{
    const struct bs_cooc_config *c = run->config;
    size_t s;
    int r = 0;

    j->pair = bs_alloc_array(run->n, sizeof *j->pair);
    j->start = bs_alloc_array(run->n, sizeof *j->start);
    j->hists = bs_alloc_array(run->n, sizeof *j->hists);
    j->lost = bs_alloc_array(run->n, sizeof *j->lost);
    j->gained = bs_alloc_array(run->n, sizeof *j->gained);
    if (j->pair == NULL || j->start == NULL || j->hists == NULL ||
        j->lost == NULL || j->gained == NULL)
        return bs_err_memory(e, "counts", run->n);
    for (s = 0; s < run->n && r == 0; s++) {
        r = bs_cooc_hists_init(&j->hists[s], c->taus, e);
        if (r == 0)
            r = bs_cooc_changes_init(&j->lost[s], c->changes, e);
        if (r == 0)
            r = bs_cooc_changes_init(&j->gained[s], c->changes, e);
    }
    return r;
}

static void
close_job(const struct run *run, struct job *j)
{
    size_t s;

    for (s = 0; s < run->n; s++) {
        if (j->pair != NULL)
            bs_buf_release(&j->pair[s]);
        if (j->start != NULL)
            bs_buf_release(&j->start[s]);
        if (j->hists != NULL)
            bs_cooc_hists_release(&j->hists[s]);
        if (j->lost != NULL)
            bs_cooc_changes_release(&j->lost[s]);
        if (j->gained != NULL)
            bs_cooc_changes_release(&j->gained[s]);
    }
    bs_free(j->pair);
    bs_free(j->start);
    bs_free(j->hists);
    bs_free(j->lost);
    bs_free(j->gained);
}

static int
open_table(struct bs_cooc_table *t, const struct bs_cooc_config *c, bool base,
           struct bs_err *e)
{
    size_t m;
    int r = bs_cooc_hists_init(&t->hists, c->taus, e);

    for (m = 0; m < BS_COOC_MEASURES && r == 0 && c->partners > 0; m++)
        r = bs_cooc_partners_init(&t->partners[m], c->concepts, c->partners,
                                  !base, e);
    if (r == 0)
        r = bs_cooc_changes_init(&t->lost, base ? 0 : c->changes, e);
    return r < 0 ? r
                 : bs_cooc_changes_init(&t->gained, base ? 0 : c->changes, e);
}

void
bs_cooc_table_release(struct bs_cooc_table *t)
{
    size_t m;

    bs_cooc_hists_release(&t->hists);
    for (m = 0; m < BS_COOC_MEASURES; m++)
        bs_cooc_partners_release(&t->partners[m]);
    bs_cooc_changes_release(&t->lost);
    bs_cooc_changes_release(&t->gained);
}

/* ---- desks and memory ----------------------------------------------------
 */

static int
open_desk(const struct run *run, struct desk *d, struct bs_err *e)
{
    size_t concepts = run->config->concepts, s;
    int r = bs_cooc_counter_open(&d->counter, run->sets, run->margin, run->n,
                                 run->config->concepts, run->words, e);

    atomic_flag_clear(&d->busy);
    d->row = bs_alloc_array(run->n, sizeof *d->row);
    d->bin = bs_alloc_array(run->n, sizeof *d->bin);
    if (d->row == NULL || d->bin == NULL)
        return bs_err_memory(e, "counts", run->n);
    for (s = 0; s < run->n && r == 0; s++) {
        d->row[s].pair = bs_alloc(concepts * sizeof *d->row[s].pair);
        d->bin[s] = bs_alloc(concepts * sizeof **d->bin);
        if (d->row[s].pair == NULL || d->bin[s] == NULL)
            r = bs_err_memory(e, "counts", concepts);
    }
    return r;
}

static void
close_desk(const struct run *run, struct desk *d)
{
    size_t s;

    bs_cooc_counter_close(&d->counter);
    for (s = 0; s < run->n; s++) {
        if (d->row != NULL)
            bs_free(d->row[s].pair);
        if (d->bin != NULL)
            bs_free(d->bin[s]);
    }
    bs_free(d->row);
    bs_free(d->bin);
}

static size_t
within(size_t n, size_t least, size_t most)
{
    return n < least ? least : n > most ? most : n;
}

/* How much of the memory goes to the desks, half of it, and how much to the
 * jobs' rows, which grow by half. */
static void
share_memory(struct run *run, unsigned threads, size_t memory)
{
    const size_t pair = sizeof(struct bs_cooc_pair);
    size_t concepts = run->config->concepts, rows;

    rows = run->n * concepts * (pair + sizeof(uint16_t));
    for (run->desks = threads; run->desks > 1; run->desks--)
        if (run->desks *
                (bs_cooc_counter_bytes(run->n, run->config->concepts, LEAST) +
                 rows) <=
            memory / 2)
            break;
    run->jobs = run->desks + 2;
    run->words = within(memory / 2 / sizeof(uint64_t) / run->n / run->desks,
                        LEAST, WORDS_MOST);
    run->elements = within(memory / 2 / pair * 2 / 3 / run->n / run->jobs,
                           LEAST, ELEMENTS_MOST);
    if (run->fn == NULL)
        run->elements = SIZE_MAX;
}

static int
open_run(struct run *run, struct bs_err *e)
{
    size_t i;
    int r = 0;

    run->job = bs_alloc_array(run->jobs, sizeof *run->job);
    run->desk = bs_alloc_array(run->desks, sizeof *run->desk);
    if (run->job == NULL || run->desk == NULL)
        return bs_err_memory(e, "counts", run->jobs);
    for (i = 0; i < run->n && r == 0; i++)
        r = open_table(&run->table[i], run->config, i == 0, e);
    for (i = 0; i < run->jobs && r == 0; i++)
        r = open_job(run, &run->job[i], e);
    for (i = 0; i < run->desks && r == 0; i++)
        r = open_desk(run, &run->desk[i], e);
    return r;
}

static void
close_run(struct run *run)
{
    size_t i;

    for (i = 0; run->desk != NULL && i < run->desks; i++)
        close_desk(run, &run->desk[i]);
    for (i = 0; run->job != NULL && i < run->jobs; i++)
        close_job(run, &run->job[i]);
    bs_free(run->desk);
    bs_free(run->job);
}

int
bs_cooc_run(struct bs_cooc_table *table, const struct bs_cooc_set *sets,
            const struct bs_cooc_margin *margin, size_t n,
            const struct bs_cooc_config *config, unsigned threads,
            size_t memory, bs_cooc_row_fn *fn, void *arg, struct bs_err *e)
{
    struct run run = {.table = table,
                      .sets = sets,
                      .margin = margin,
                      .n = n,
                      .config = config,
                      .fn = fn,
                      .arg = arg};
    struct bs_order *order = NULL;
    int r;

    share_memory(&run, threads, memory);
    r = open_run(&run, e);
    if (r == 0)
        r = bs_order_open(&order, (unsigned)run.desks, run.jobs, work, &run, e);
    if (r == 0)
        r = run_jobs(&run, order, e);
    if (order != NULL)
        bs_order_close(order, NULL);
    close_run(&run);
    return r;
}
