/*
 * gen-taps.c - see gen-taps.h.
 */
#include "cmd/gen-taps.h"

static void
check(int r, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, NULL);
}

void
bs_gen_tap_open(struct bs_gen_tap_output *t,
                const struct bs_gen_command_options *o)
{
    t->std = o->std;
    t->std.output = o->tap_file;
    bs_std_open(&t->out, &t->writer, &t->std);
}

void
bs_gen_tap_begin(struct bs_gen_tap_output *t, const struct bs_gen_run *run,
                 const struct bs_relay *relay)
{
    struct bs_doc head = {0};
    struct bs_err e = {0};

    t->records = 0;
    bs_std_head(&head, &t->std, "feature", bs_gen_tap_params(run),
                &relay->parent);
    check(bs_gen_head(run, &head, &e), &e);
    if (bs_writer_head(t->writer, &head) < 0)
        bs_std_write_failed(&t->out, t->writer);
    bs_doc_release(&head);
}

void
bs_gen_tap_record(struct bs_gen_tap_output *t, const struct bs_doc *rec)
{
    if (bs_writer_record(t->writer, rec) < 0)
        bs_std_write_failed(&t->out, t->writer);
    t->records++;
}

void
bs_gen_tap_end(struct bs_gen_tap_output *t, const struct bs_relay *relay)
{
    struct bs_doc end = {0};
    struct bs_err e = {0};

    check(bs_doc_setf(&end, "bs.stats", &e, "{\"records\":%ju}",
                      (uintmax_t)t->records),
          &e);
    if (relay->status != NULL)
        check(bs_doc_set(&end, "bs.status", relay->status, &e), &e);
    if (bs_writer_end(t->writer, &end, NULL) < 0)
        bs_std_write_failed(&t->out, t->writer);
    bs_doc_release(&end);
}

void
bs_gen_tap_close(struct bs_gen_tap_output *t)
{
    (void)bs_std_close(&t->out, t->writer, 0);
}
