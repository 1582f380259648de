/*
 * bs-cooc - which concepts fire together, in real and generated images
 *
 * Memory: 8 bytes a code and 4 a token, up to half of --memory and then in a
 * temporary file; in the other half the counters of some ranges of concepts
 * and then the basis of the eigenvectors.
 */
#include <unistd.h>

#include "cmd/cooc-options.h"
#include "common/pool.h"

struct command {
    struct bs_cooc_command_line line;
    struct bs_cooc_result result;
    struct bs_out out;
    struct bs_writer *writer;
    struct bs_progress progress;
    uint64_t records;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

static bool
wanted(void *arg, const char *key)
{
    struct command *c = arg;

    bs_progress_step(&c->progress, ++c->records);
    return bs_std_mine(&c->line.std, key);
}

/* ---- reading -------------------------------------------------------------
 */

/* One input: set `number`, or a part. */
static void
read_input(struct command *c, const char *path, size_t number)
{
    const struct bs_std *std = &c->line.std;
    unsigned flags = BS_READER_STOP;
    struct bs_source *s;
    struct bs_err e = {0};
    int r;

    if (std->allow_partial)
        flags |= BS_READER_PARTIAL;
    check(bs_source_open(&s, path, flags, (size_t)std->memory, &e), &e);
    r = c->line.merge ? bs_cooc_read_partial(&c->line.in, s, &e)
                      : bs_cooc_read_codes(&c->line.in, number, s, &e);
    if (r < 0)
        bs_die_err(&e, "cannot read '%s'", bs_source_name(s));
    if (r == 0)
        bs_die(BS_EX_TEMPFAIL, "ended early, nothing is written: %s",
               bs_stop_reason());
    bs_source_close(s);
}

static void
read_all(struct command *c, int argc, char *argv[])
{
    struct bs_cooc_input *in = &c->line.in;
    const struct bs_cooc_set *set = in->set;
    bool paired = !c->line.options.unpaired && !c->line.partial;
    struct bs_err e = {0};
    size_t s;
    int i;

    in->wanted = wanted;
    in->command = c;
    bs_progress_start(&c->progress, "records", 0, c->line.std.progress);
    if (argc == 0)
        read_input(c, "-", 0);
    for (i = 0; i < argc; i++)
        read_input(c, argv[i], (size_t)i);
    bs_progress_end(&c->progress);
    check(bs_cooc_sets_order(in->set, in->streams, paired, &e), &e);
    if (c->line.partial)
        return;
    check(bs_cooc_sets_check(set, in->streams, &e), &e);
    for (s = 0; s < in->streams; s++)
        if (set[s].count < set[s].records)
            bs_warn("'%s': %zu records; left out: %zu without a partner",
                    in->label[s], set[s].count, set[s].records - set[s].count);
}

/* ---- writing -------------------------------------------------------------
 */

/* Dies where writing failed, naming the output, or for another reason. */
static void
written(struct command *c, int r, const struct bs_err *e)
{
    if (r < 0 && bs_writer_error(c->writer)->code != 0)
        bs_std_write_failed(&c->out, c->writer);
    check(r, e);
}

static void
write_head(struct command *c)
{
    const struct bs_cooc_command_line *line = &c->line;
    const char *parents = bs_doc_meta(&line->in.parents, "bs.parents");
    struct bs_doc head = {0};
    struct bs_err e = {0};
    int r;

    bs_std_head(&head, &line->std, BS_COOC_KIND,
                (const char *)line->params.data, NULL);
    r = bs_cooc_input_head(&line->in, &head, &e);
    if (r == 0)
        r = line->partial ? bs_doc_set(&head, "partial", "1", &e)
                          : bs_cooc_options_head(&line->options, &head, &e);
    if (r == 0 && line->std.provenance && parents != NULL)
        r = bs_doc_set(&head, "bs.parents", parents, &e);
    check(r, &e);
    written(c, bs_writer_head(c->writer, &head), &e);
    bs_doc_release(&head);
}

static void
write_results(struct command *c)
{
    const struct bs_cooc_input *in = &c->line.in;
    struct bs_cooc_options *o = &c->line.options;
    struct bs_pool *pool;
    struct bs_err e = {0};
    size_t s;
    int r;

    o->tables.concepts = in->origin.head.concepts;
    check(bs_pool_open(&pool, (unsigned)c->line.std.threads, &e), &e);
    r = bs_cooc_compute(&c->result, in, o, c->writer, pool,
                        (size_t)c->line.std.memory, &e);
    written(c, r, &e);
    bs_pool_close(pool);
    for (s = 0; s < in->streams; s++) {
        const struct bs_krylov *k = &c->result.spectrum[s];

        if (k->converged < k->found)
            bs_warn("'%s': %zu of %zu eigenvalues converged", in->label[s],
                    k->converged, k->found);
    }
    written(c, bs_cooc_write(c->writer, &c->result, in, o, &e), &e);
}

static int
list(struct command *c, const char *path)
{
    const struct bs_std *std = &c->line.std;
    struct bs_rank_input in = {std->allow_partial ? BS_READER_PARTIAL : 0,
                               (size_t)std->memory};
    struct bs_err e = {0};
    int r;

    check(bs_out_open(&c->out, std->output, &e), &e);
    if (c->line.automatic && isatty(c->out.fd) == 1)
        c->line.list.format = BS_REPORT_TABLE;
    r = bs_cooc_list(&c->line.list, path, &in, &c->out, &e);
    if (r == 0)
        r = bs_out_commit(&c->out, &e);
    if (r < 0)
        bs_out_abandon(&c->out);
    check(r, &e);
    return bs_finish(BS_EX_OK);
}

int
main(int argc, char *argv[])
{
    static struct command c = {
        .line = {.std = BS_STD_DEFAULT,
                 .options = {.min_count = 1, .tolerance = 1e-9},
                 .list = {.limit = UINT64_MAX}}};
    struct bs_err e = {0};
    int i;

    c.line.std.memory = (uint64_t)2 << 30;
    i = bs_cooc_parse(&c.line, argc, argv);
    if (c.line.listing)
        return list(&c, i < argc ? argv[i] : "-");
    bs_std_open(&c.out, &c.writer, &c.line.std);
    read_all(&c, argc - i, argv + i);
    write_head(&c);
    if (c.line.partial)
        written(&c, bs_cooc_write_partial(c.writer, &c.line.in, &e), &e);
    else
        write_results(&c);
    written(&c, bs_writer_end(c.writer, NULL, NULL), &e);
    bs_cooc_result_release(&c.result);
    bs_cooc_input_release(&c.line.in);
    bs_buf_release(&c.line.params);
    return bs_std_close(&c.out, c.writer, BS_EX_OK);
}
