/*
 * bs-rank - rank concepts by how wrong a generator gets them
 *
 * Lists suppressed and exaggerated concepts out of a stream of energies, the
 * images that show them, pairs that diverge, models that agree.  Memory: the
 * energies (8 bytes for each concept, model and column), and what rank_top.h
 * and sheet.h say of images.
 */
#include <math.h>
#include <unistd.h>

#include "cmd/rank-options.h"

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

/* ---- a part --------------------------------------------------------------
 */

static int
on_record(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_rank_command *c = arg;

    (void)e;
    if (bs_writer_record(c->writer, rec) < 0)
        bs_std_write_failed(&c->out, c->writer);
    return 0;
}

/* The head of a part: what it is of, and of which codes it was made. */
static void
write_head(struct bs_rank_command *c, const struct bs_tops *tops)
{
    const char *parents = bs_doc_meta(&tops->parents, "bs.parents");
    struct bs_doc head = {0};
    struct bs_err e = {0};
    char params[40];

    snprintf(params, sizeof params, "{\"top\":%zu}", tops->places);
    bs_std_head(&head, &c->std, BS_TOPS_KIND, params, NULL);
    check(bs_tops_describe(tops, &head, &e), &e);
    if (c->std.provenance && parents != NULL)
        check(bs_doc_set(&head, "bs.parents", parents, &e), &e);
    if (bs_writer_head(c->writer, &head) < 0)
        bs_std_write_failed(&c->out, c->writer);
    bs_doc_release(&head);
}

static int
write_part(struct bs_rank_command *c)
{
    struct bs_tops tops = {0};
    struct bs_err e = {0};

    bs_std_open(&c->out, &c->writer, &c->std);
    check(bs_rank_part(&tops, &c->run, &e), &e);
    write_head(c, &tops);
    check(bs_tops_write(&tops, on_record, c, &e), &e);
    if (bs_writer_end(c->writer, NULL, NULL) < 0)
        bs_std_write_failed(&c->out, c->writer);
    bs_tops_release(&tops);
    return bs_std_close(&c->out, c->writer, BS_EX_OK);
}

/* ---- a report ------------------------------------------------------------
 */

static void
tell(const struct bs_sheet_counts *n)
{
    if (n->bad + n->absent > 0)
        bs_warn("of the images for the sheets %ju cannot be read, %ju are not "
                "there",
                (uintmax_t)n->bad, (uintmax_t)n->absent);
    bs_info("%ju contact sheets", (uintmax_t)n->sheets);
}

static int
write_report(struct bs_rank_command *c)
{
    struct bs_err e = {0};
    int r;

    check(bs_out_open(&c->out, c->std.output, &e), &e);
    c->run.output.out = &c->out;
    if (c->automatic && isatty(c->out.fd) == 1)
        c->run.output.format = BS_REPORT_TABLE;
    r = bs_rank_run(&c->run, &e);
    if (r == 0)
        r = bs_out_commit(&c->out, &e);
    if (r < 0)
        bs_out_abandon(&c->out);
    check(r, &e);
    tell(&c->run.counts);
    return BS_EX_OK;
}

int
main(int argc, char *argv[])
{
    struct bs_rank_command c = {.std = BS_STD_DEFAULT,
                                .run = {.options = {.below = 0.1,
                                                    .above = 0.9,
                                                    .max_q = NAN,
                                                    .margin = 0.1,
                                                    .limit = UINT64_MAX}}};

    bs_rank_command_line(&c, argc, argv);
    return bs_finish(c.partial ? write_part(&c) : write_report(&c));
}
