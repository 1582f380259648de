/*
 * bs-gen - captions to images
 *
 * Reads records with captions, or a list of captions, and writes a record of an
 * image for each, under the same key.  Each segment of the input becomes one of
 * the output.  Memory: the model and one batch of images.
 */
#include "cmd/gen-count.h"
#include "cmd/gen-taps.h"

enum { WARNINGS_MAX = 20 };

struct command {
    struct bs_gen_command_options o;
    struct bs_out out;
    struct bs_progress progress;
    struct bs_gen_run *run;
    struct bs_relay relay;
    struct bs_gen_tap_output taps;
    uint64_t skipped;
};

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

/* ---- what a run tells -----------------------------------------------------
 */

static int
on_record(void *arg, const struct bs_doc *rec)
{
    struct command *c = arg;

    if (bs_writer_record(c->relay.writer, rec) < 0)
        bs_std_write_failed(&c->out, c->relay.writer);
    bs_progress_step(&c->progress, c->progress.done + 1);
    return 0;
}

static int
on_raw(void *arg, const uint8_t *bytes, size_t len)
{
    struct command *c = arg;

    if (bs_writer_raw(c->relay.writer, bytes, len) < 0)
        bs_std_write_failed(&c->out, c->relay.writer);
    c->progress.before++;
    bs_progress_step(&c->progress, c->progress.done + 1);
    return 0;
}

static int
on_skipped(void *arg, const char *key, const char *why)
{
    struct command *c = arg;

    if (c->o.fail)
        bs_die(BS_EX_DATA, "record '%s': %s", key, why);
    if (c->skipped++ < WARNINGS_MAX)
        bs_warn("record '%s' skipped: %s", key, why);
    return 0;
}

static void
on_step(void *arg, size_t step, size_t steps)
{
    struct command *c = arg;

    bs_progress_note(&c->progress, "step %zu of %zu", step + 1, steps);
    bs_progress_step(&c->progress, c->progress.done);
}

static int
on_taps_begin(void *arg)
{
    struct command *c = arg;

    bs_gen_tap_begin(&c->taps, c->run, &c->relay);
    return 0;
}

static int
on_tap(void *arg, const struct bs_doc *rec)
{
    struct command *c = arg;

    bs_gen_tap_record(&c->taps, rec);
    return 0;
}

static int
on_taps_end(void *arg)
{
    struct command *c = arg;

    bs_gen_tap_end(&c->taps, &c->relay);
    return 0;
}

/* ---- what a relay asks ----------------------------------------------------
 */

static void
fill_head(void *arg, struct bs_doc *head, const struct bs_doc *parent)
{
    const struct command *c = arg;

    bs_std_head(head, &c->o.std, "image", bs_gen_params(c->run), parent);
}

static bool
wanted(void *arg, const char *key)
{
    const struct command *c = arg;

    return bs_std_mine(&c->o.std, key);
}

static int
finish(struct command *c)
{
    const struct bs_gen_counts *n = bs_gen_counts(c->run);
    bool stopped = c->relay.stopped;

    bs_progress_end(&c->progress);
    if (c->skipped > WARNINGS_MAX)
        bs_warn("%ju records skipped in all", (uintmax_t)c->skipped);
    if (n->flagged > 0)
        bs_warn("%ju images were flagged by the safety checker%s",
                (uintmax_t)n->flagged,
                c->o.gen.safety == BS_SAFETY_DROP    ? " and dropped"
                : c->o.gen.safety == BS_SAFETY_BLACK ? " and made black"
                                                     : "");
    if (n->cut > 0)
        bs_info("%ju captions were longer than the text encoder sees",
                (uintmax_t)n->cut);
    if (n->resumed > 0)
        bs_info("%ju images were taken over", (uintmax_t)n->resumed);
    if (c->o.tap_file != NULL)
        bs_gen_tap_close(&c->taps);
    if (stopped)
        bs_warn("ended early: %s", bs_stop_reason());
    return bs_std_close(&c->out, c->relay.writer,
                        stopped ? BS_EX_TEMPFAIL : BS_EX_OK);
}

int
main(int argc, char *argv[])
{
    struct command c = {.o.std = BS_STD_DEFAULT,
                        .relay = {.head = fill_head, .wanted = wanted}};
    const struct bs_gen_sink sink = {
        on_record,     on_raw, on_skipped,  on_step,
        on_taps_begin, on_tap, on_taps_end, &c};
    struct bs_stage stage;
    struct bs_dev *dev;
    struct bs_err e = {0};
    int i = bs_gen_parse(&c.o, argc, argv), status;

    bs_std_open(&c.out, &c.relay.writer, &c.o.std);
    if (c.o.tap_file != NULL)
        bs_gen_tap_open(&c.taps, &c.o);
    check(bs_dev_open_alone(&dev, c.o.std.device, (unsigned)c.o.std.threads,
                            c.o.std.wait_gpu, &e),
          &e);
    if (bs_prog_verbose() > 1) /* it looks for libraries */
        bs_info("%s", bs_dev_describe(dev));
    check(bs_gen_open(&c.run, &c.o.gen, &sink, dev, &e), &e);
    bs_info("%s", bs_gen_describe(c.run));
    stage = bs_gen_stage(c.run);
    c.relay.stage = &stage;
    c.relay.command = &c;
    c.relay.provenance = c.o.std.provenance;
    c.relay.limit = c.o.std.limit;
    c.relay.columns = &c.o.columns;
    bs_progress_start(&c.progress, "images", 0, c.o.std.progress);
    if (c.progress.on)
        c.progress.total = bs_gen_count(&c.o, argc - i, argv + i);
    bs_std_relay(&c.relay, &c.out, &c.o.std, argc - i, argv + i);
    status = finish(&c);
    bs_gen_close(c.run);
    bs_dev_close(dev);
    return status;
}
