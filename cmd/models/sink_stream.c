/*
 * sink_stream.c - see sink.h: streams, and one safetensors file.
 */
#include "cmd/models/sink.h"

#include <unistd.h>

#include "formats/segment.h"
#include "formats/stream.h"

int
bs_sink_out(struct bs_out *out, const char *path, struct bs_err *e)
{
    int r = bs_out_open(out, path, e);

    if (r < 0 || isatty(out->fd) != 1)
        return r;
    bs_out_abandon(out);
    return bs_err_set(e, BS_EX_USAGE,
                      "records are not written to a terminal; use '-o file', "
                      "or '-l' to look");
}

int
bs_sink_done(struct bs_out *out, bool keep, struct bs_err *e)
{
    if (keep)
        return bs_out_commit(out, e);
    bs_out_abandon(out);
    return 0;
}

/* ---- stream -------------------------------------------------------------- */

struct stream {
    struct bs_sink base;
    struct bs_out out;
    struct bs_writer *writer;
};

/* The writer's error becomes *e. */
static int
written(const struct stream *s, int r, struct bs_err *e)
{
    if (r < 0) {
        *e = *bs_writer_error(s->writer);
        bs_err_prefix(e, "cannot write '%s'", s->out.name);
    }
    return r;
}

static int
stream_head(struct bs_sink *base, const struct bs_doc *head, struct bs_err *e)
{
    struct stream *s = (struct stream *)base;
    struct bs_doc copy = {0};
    int r = bs_doc_copy(&copy, head, e);

    if (r == 0)
        r = written(s, bs_writer_head(s->writer, &copy), e);
    bs_doc_release(&copy);
    return r;
}

static int
stream_record(struct bs_sink *base, const struct bs_sunk *rec, struct bs_err *e)
{
    struct stream *s = (struct stream *)base;
    int r = rec->bytes != NULL ? bs_writer_raw(s->writer, rec->bytes, rec->len)
                               : bs_writer_record(s->writer, rec->doc);

    return written(s, r, e);
}

static int
stream_end(struct bs_sink *base, const struct bs_doc *end, struct bs_err *e)
{
    static const char *const names[] = {"bs.status", "bs.stats", "bs.parents"};
    struct stream *s = (struct stream *)base;
    struct bs_doc copy = {0};
    int r = 0;
    size_t i;

    for (i = 0; i < BS_LEN(names) && r == 0; i++)
        r = bs_doc_set(&copy, names[i], bs_doc_meta(end, names[i]), e);
    if (r == 0)
        r = written(s, bs_writer_end(s->writer, &copy, NULL), e);
    bs_doc_release(&copy);
    return r;
}

static int
stream_close(struct bs_sink *base, bool keep, struct bs_err *e)
{
    struct stream *s = (struct stream *)base;
    struct bs_err late = {0};
    int r = bs_writer_close(s->writer, &late);

    if (r < 0 && keep) {
        *e = late;
        bs_err_prefix(e, "cannot write '%s'", s->out.name);
        keep = false;
    } else {
        r = 0;
    }
    if (bs_sink_done(&s->out, keep, e) < 0)
        r = -e->code;
    bs_free(s);
    return r;
}

int
bs_sink_stream(struct bs_sink **out, const char *path, int level,
               struct bs_err *e)
{
    static const struct bs_sink_class class = {stream_head, stream_record,
                                               stream_end, stream_close};
    struct stream *s = bs_alloc_array(1, sizeof *s);
    int r;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "output", sizeof *s);
    s->base.class = &class;
    r = bs_sink_out(&s->out, path, e);
    if (r == 0) {
        r = bs_writer_open(&s->writer, s->out.fd, s->out.name, level, e);
        if (r < 0)
            bs_out_abandon(&s->out);
    }
    if (r < 0) {
        bs_free(s);
        return r;
    }
    *out = &s->base;
    return 0;
}

/* ---- one safetensors file ------------------------------------------------ */

struct file {
    struct bs_sink base;
    struct bs_out out;
    uint64_t records;
};

static int
file_edge(struct bs_sink *base, const struct bs_doc *doc, struct bs_err *e)
{
    (void)base;
    (void)doc;
    (void)e;
    return 0;
}

static int
file_record(struct bs_sink *base, const struct bs_sunk *rec, struct bs_err *e)
{
    struct file *f = (struct file *)base;
    struct bs_buf made = {0};
    struct bs_sunk bytes = *rec;
    int r = 0;

    if (f->records++ > 0)
        return bs_err_set(e, BS_EX_DATA,
                          "more than one record for the file '%s'; a folder "
                          "takes them",
                          f->out.name);
    if (rec->bytes == NULL) {
        r = bs_doc_write(rec->doc, &made, e);
        bytes.bytes = made.data;
        bytes.len = made.len;
    }
    if (r == 0 && bs_write(f->out.fd, bytes.bytes, bytes.len) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write '%s'", f->out.name);
    bs_buf_release(&made);
    return r;
}

static int
file_close(struct bs_sink *base, bool keep, struct bs_err *e)
{
    struct file *f = (struct file *)base;
    int r = 0;

    if (keep && f->records == 0)
        r = bs_err_set(e, BS_EX_DATA, "no record for the file '%s'",
                       f->out.name);
    if (bs_sink_done(&f->out, keep && r == 0, e) < 0)
        r = -e->code;
    bs_free(f);
    return r;
}

int
bs_sink_file(struct bs_sink **out, const char *path, struct bs_err *e)
{
    static const struct bs_sink_class class = {file_edge, file_record,
                                               file_edge, file_close};
    struct file *f = bs_alloc_array(1, sizeof *f);
    int r;

    *out = NULL;
    if (f == NULL)
        return bs_err_memory(e, "output", sizeof *f);
    f->base.class = &class;
    r = bs_sink_out(&f->out, path, e);
    if (r < 0) {
        bs_free(f);
        return r;
    }
    *out = &f->base;
    return 0;
}
