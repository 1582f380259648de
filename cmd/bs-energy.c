/*
 * bs-energy - energies of concepts in real and generated images, compared
 *
 * Memory: 16 bytes a concept that fires in an image, for all images.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/energy-options.h"
#include "cmd/models/energy.h"
#include "cmd/models/energy_output.h"
#include "common/pool.h"

struct command {
    struct bs_energy_options options;
    struct bs_energy_input in;
    struct bs_energy_result result;
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
    return bs_std_mine(&c->options.std, key);
}

/* ---- reading --------------------------------------------------------------
 */

/* One input: set `number` of the energies, or a partial. */
static void
read_input(struct command *c, const char *path, size_t number)
{
    const struct bs_energy_options *o = &c->options;
    unsigned flags = BS_READER_STOP;
    struct bs_source *s;
    struct bs_err e = {0};
    int r;

    if (o->std.allow_partial)
        flags |= BS_READER_PARTIAL;
    check(bs_source_open(&s, path, flags, (size_t)o->std.memory, &e), &e);
    r = o->merge ? bs_energy_read_partial(&c->in, s, &e)
                 : bs_energy_read_codes(&c->in, number, s, &e);
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
    struct bs_err e = {0};
    int i;

    c->in.pooling = c->options.pooling;
    c->in.scope = c->options.scope;
    c->in.models = c->options.models;
    memcpy(c->in.label, c->options.label, sizeof c->in.label);
    c->in.wanted = wanted;
    c->in.command = c;
    bs_progress_start(&c->progress, "records", 0, c->options.std.progress);
    if (argc == 0)
        read_input(c, "-", 0);
    for (i = 0; i < argc; i++)
        read_input(c, argv[i], (size_t)i);
    bs_progress_end(&c->progress);
    check(bs_energy_input_sort(&c->in, &e), &e);
}

/* ---- writing --------------------------------------------------------------
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
    const struct bs_energy_options *o = &c->options;
    const char *parents = bs_doc_meta(&c->in.parents, "bs.parents");
    struct bs_doc head = {0};
    struct bs_err e = {0};
    int r;

    bs_std_head(&head, &o->std, BS_ENERGY_KIND, o->params, NULL);
    r = bs_energy_input_head(&c->in, &head, &e);
    if (r == 0)
        r = o->partial ? bs_doc_set(&head, "partial", "1", &e)
                       : bs_energy_config_head(&o->config, &head, &e);
    if (r == 0 && o->std.provenance && parents != NULL)
        r = bs_doc_set(&head, "bs.parents", parents, &e);
    check(r, &e);
    written(c, bs_writer_head(c->writer, &head), &e);
    bs_doc_release(&head);
}

/* Counters: how many pairs, and how many records had no partner. */
static void
write_end(struct command *c)
{
    const struct bs_energy_result *result = &c->result;
    struct bs_doc end = {0};
    struct bs_buf stats = {0};
    struct bs_err e = {0};
    size_t m;
    int r = bs_buf_printf(&stats, &e, "{\"models\":[");

    for (m = 0; m < result->models && r == 0; m++)
        r = bs_buf_printf(
            &stats, &e, "%s{\"only_gen\":%zu,\"only_real\":%zu,\"pairs\":%zu}",
            m > 0 ? "," : "", result->table[m].only_gen,
            result->table[m].only_real, result->table[m].pairs);
    if (r == 0)
        r = bs_buf_add(&stats, "]}", 3, &e);
    if (r == 0)
        r = bs_doc_set(&end, "bs.stats", (const char *)stats.data, &e);
    check(r, &e);
    written(c, bs_writer_end(c->writer, &end, NULL), &e);
    bs_buf_release(&stats);
    bs_doc_release(&end);
}

static void
compute(struct command *c)
{
    struct bs_energy_options *o = &c->options;
    struct bs_pool *pool;
    struct bs_err e = {0};
    size_t m;

    o->config.concepts = c->in.origin.head.concepts;
    o->config.pooling = c->in.pooling;
    check(bs_pool_open(&pool, (unsigned)o->std.threads, &e), &e);
    check(bs_energy_compute(&c->result, &o->config, c->in.set, c->in.models,
                            pool, &e),
          &e);
    bs_pool_close(pool);
    for (m = 0; m < c->result.models; m++) {
        const struct bs_energy_table *t = &c->result.table[m];

        if (t->only_real + t->only_gen > 0)
            bs_warn("'%s': %zu pairs; left out: %zu real and %zu generated "
                    "records without a partner",
                    c->in.label[m], t->pairs, t->only_real, t->only_gen);
    }
}

int
main(int argc, char *argv[])
{
    static struct command c = {.options = {.std = BS_STD_DEFAULT, .top = 8}};
    struct bs_err e = {0};
    int i = bs_energy_parse(&c.options, argc, argv), r;

    bs_std_open(&c.out, &c.writer, &c.options.std);
    read_all(&c, argc - i, argv + i);
    if (!c.options.partial)
        compute(&c);
    write_head(&c);
    r = c.options.partial
            ? bs_energy_write_partial(c.writer, &c.in, &e)
            : bs_energy_write(c.writer, &c.in, &c.options.config, &c.result,
                              (size_t)c.options.top, &e);
    written(&c, r, &e);
    write_end(&c);
    bs_energy_result_release(&c.result);
    bs_energy_input_release(&c.in);
    return bs_std_close(&c.out, c.writer, BS_EX_OK);
}
