/*
 * sae-eval.c - bs-sae eval: metrics of an autoencoder on features, of its
 * dictionary, and of that beside others.
 *
 * Memory: the models and the device's copies of their parts, a batch of tokens,
 * and the pairs of concepts that fire together.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cmd/eval-options.h"
#include "cmd/models/eval_dictionary.h"
#include "cmd/models/match.h"
#include "cmd/sae-commands.h"

struct command {
    struct bs_eval_options o;
    struct bs_out out, concepts;
    struct bs_dev *dev;
    struct bs_pool *pool;
    struct bs_progress progress;
    uint64_t taken; /* records */
    uint64_t rows;  /* atoms looked up */
    bool stopped;
    struct bs_atoms atoms;
    struct bs_sae_eval *eval;
    struct bs_eval_findings found;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

/* What takes long may end early: the rest is then not known. */
static void
check_long(struct command *c, int r, const struct bs_err *e)
{
    if (r == -BS_EX_TEMPFAIL)
        c->stopped = true;
    else
        check(r, e);
}

/* ---- outputs --------------------------------------------------------------
 */

static struct command *running; /* whose outputs go if the process dies */

static void
abandon_outputs(void)
{
    if (running != NULL) {
        bs_out_abandon(&running->out);
        bs_out_abandon(&running->concepts);
    }
}

static void
open_outputs(struct command *c)
{
    struct bs_err e = {0};

    check(bs_out_open(&c->out, c->o.std.output, &e), &e);
    if (atexit(abandon_outputs) == 0)
        running = c;
    if (c->o.concepts != NULL)
        check(bs_out_open(&c->concepts, c->o.concepts, &e), &e);
}

static enum bs_report_format
format_of(const struct command *c, const struct bs_out *out)
{
    return c->o.automatic && isatty(out->fd) == 1 ? BS_REPORT_TABLE
                                                  : c->o.format;
}

static void
write_reports(struct command *c)
{
    struct bs_err e = {0};

    check(bs_eval_print_metrics(&c->found, &c->o.metrics, format_of(c, &c->out),
                                &c->out, &e),
          &e);
    if (c->o.concepts != NULL) {
        check(bs_eval_print_concepts(&c->found, &c->o.columns,
                                     format_of(c, &c->concepts), &c->concepts,
                                     &e),
              &e);
        check(bs_out_commit(&c->concepts, &e), &e);
    }
    check(bs_out_commit(&c->out, &e), &e);
    running = NULL;
}

/* ---- features -------------------------------------------------------------
 */

/* False when the run is over. */
static bool
take_record(struct command *c, const struct bs_doc *rec)
{
    struct bs_err e = {0};

    if (bs_stop_wanted()) {
        c->stopped = true;
        return false;
    }
    if (c->taken < c->o.std.limit &&
        bs_std_mine(&c->o.std, bs_doc_meta(rec, "key"))) {
        check(bs_sae_eval_put(c->eval, rec, &e), &e);
        bs_progress_step(&c->progress, ++c->taken);
    }
    return c->taken < c->o.std.limit;
}

static void
check_head(const struct bs_source *in, const struct bs_doc *head)
{
    const char *kind = bs_doc_meta(head, "bs.kind");

    if (kind != NULL && strcmp(kind, "feature") != 0)
        bs_die(BS_EX_DATA, "'%s' holds records of kind '%s', not 'feature'",
               bs_source_name(in), kind);
}

/* False when the run is over. */
static bool
read_input(struct command *c, const char *path)
{
    unsigned flags = BS_READER_STOP;
    const struct bs_doc *doc;
    struct bs_source *in;
    struct bs_err e = {0};
    bool more = true;
    int item;

    if (c->o.std.allow_partial)
        flags |= BS_READER_PARTIAL;
    check(bs_source_open(&in, path, flags, (size_t)c->o.std.memory, &e), &e);
    while (more && (item = bs_source_next(in, &doc)) != BS_ITEM_EOF) {
        if (item < 0)
            bs_die_err(bs_source_error(in), "cannot read '%s'",
                       bs_source_name(in));
        if (item == BS_ITEM_HEAD)
            check_head(in, doc);
        if (item == BS_ITEM_RECORD)
            more = take_record(c, doc);
        if (item == BS_ITEM_STOP) {
            c->stopped = true;
            more = false;
        }
    }
    bs_source_close(in);
    return more;
}

static void
read_features(struct command *c, int argc, char *argv[])
{
    struct bs_err e = {0};
    bool more = true;
    int i;

    check(bs_sae_eval_open(&c->eval, &c->o.sae, &c->atoms, &c->o.metrics,
                           c->o.std.memory, c->dev, c->pool, &e),
          &e);
    bs_progress_start(&c->progress, "records", 0, c->o.std.progress);
    if (argc == 0)
        more = read_input(c, "-");
    for (i = 0; more && i < argc; i++)
        more = read_input(c, argv[i]);
    bs_progress_end(&c->progress);
    check_long(c, bs_sae_eval_finish(c->eval, c->stopped, c->found.cell, &e),
               &e);
    if (bs_sae_eval_full(c->eval))
        bs_warn("the pairs of concepts that fire together take more than "
                "'--memory': their metrics are left empty");
    c->found.sums = bs_sae_eval_sums(c->eval);
    c->found.ood = bs_sae_eval_ood(c->eval);
    bs_info("%ju records, %ju tokens", (uintmax_t)c->found.sums->records,
            (uintmax_t)c->found.sums->tokens);
}

/* ---- dictionaries ---------------------------------------------------------
 */

static void
step(void *arg, uint64_t rows)
{
    struct command *c = arg;

    c->rows += rows;
    bs_progress_step(&c->progress, c->rows);
}

static void
match_other(struct command *c, size_t i)
{
    struct bs_eval_other *other = &c->found.other[i];
    const struct bs_sae *sae = &c->o.other[i];
    const bool *wanted = c->o.metrics.metric;
    struct bs_watch watch = {step, c};
    struct bs_match_options options = {
        .kinds = {wanted[BS_M_STABILITY] || wanted[BS_M_STABILITY_GAP],
                  wanted[BS_M_STABILITY_SIGNED] ||
                      wanted[BS_M_STABILITY_SIGNED_GAP]},
        .watch = &watch};
    struct bs_atoms atoms;
    struct bs_err e = {0};
    int r;

    check(bs_atoms_open(&atoms, sae->dec_w, sae->concepts, sae->width, &e), &e);
    r = bs_match(&other->match, &c->atoms, &atoms, &options, c->dev, c->pool,
                 &e);
    check_long(c, r, &e);
    if (r == 0)
        bs_match_metrics(&other->match, &options, other->cell);
    bs_info("'%s': %u rounds of matching", other->label, other->match.rounds);
    bs_atoms_release(&atoms);
}

static void
look_at_dictionaries(struct command *c)
{
    struct bs_watch watch = {step, c};
    struct bs_err e = {0};
    size_t i;

    bs_progress_start(&c->progress, "atoms", 0, c->o.std.progress);
    if (bs_metric_wanted(&c->o.metrics, BS_GROUP_DICTIONARY))
        check_long(c,
                   bs_eval_dictionary(&c->atoms, &c->o.metrics, c->dev, c->pool,
                                      &watch, c->found.cell, &c->found.nearest,
                                      &e),
                   &e);
    for (i = 0; i < c->found.others && !c->stopped; i++)
        if (bs_metric_wanted(&c->o.metrics, BS_GROUP_MATCH))
            match_other(c, i);
    bs_progress_end(&c->progress);
}

/* ---- all of it ------------------------------------------------------------
 */

static void
open_all(struct command *c)
{
    const struct bs_sae *s = &c->o.sae;
    struct bs_eval_findings *f = &c->found;
    struct bs_err e = {0};
    size_t i;

    check(bs_dev_open_alone(&c->dev, c->o.std.device,
                            (unsigned)c->o.std.threads, c->o.std.wait_gpu, &e),
          &e);
    check(bs_pool_open(&c->pool, (unsigned)c->o.std.threads, &e), &e);
    check(bs_atoms_open(&c->atoms, s->dec_w, s->concepts, s->width, &e), &e);
    f->atoms = &c->atoms;
    f->concepts = s->concepts;
    f->others = c->o.against.count;
    f->other = bs_alloc_array(f->others, sizeof *f->other);
    if (f->other == NULL)
        bs_die(BS_EX_OSERR, "out of memory");
    for (i = 0; i < f->others; i++)
        f->other[i].label = c->o.against.item[i];
}

static void
close_all(struct command *c)
{
    size_t i;

    bs_sae_eval_close(c->eval);
    bs_eval_nearest_release(&c->found.nearest);
    for (i = 0; i < c->found.others; i++) {
        bs_match_release(&c->found.other[i].match);
        bs_sae_release(&c->o.other[i]);
    }
    bs_free(c->found.other);
    bs_free(c->o.other);
    bs_columns_release(&c->o.columns);
    bs_atoms_release(&c->atoms);
    bs_sae_release(&c->o.sae);
    bs_pool_close(c->pool);
    bs_dev_close(c->dev);
}

int
bs_sae_eval_main(int argc, char *argv[])
{
    static struct command c = {.o = {.std = BS_STD_DEFAULT}};
    int i = bs_eval_command_line(&c.o, argc, argv);

    open_outputs(&c);
    open_all(&c);
    if (c.o.features)
        read_features(&c, argc - i, argv + i);
    bs_sae_release_encoder(&c.o.sae);
    if (!c.stopped)
        look_at_dictionaries(&c);
    if (c.stopped)
        bs_warn("ended early: %s", bs_stop_reason());
    write_reports(&c);
    close_all(&c);
    return bs_finish(c.stopped ? BS_EX_TEMPFAIL : BS_EX_OK);
}
