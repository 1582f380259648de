/*
 * streams.h - streams in memory for the tests: made by the writer or document
 * by document, read back with a summary of what came.
 */
#ifndef BS_TESTS_STREAMS_H
#define BS_TESTS_STREAMS_H

#include "common/io.h"
#include "formats/digest.h"
#include "formats/frame.h"
#include "formats/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a test itself depends on. */
static inline void
need(int good)
{
    if (!good) {
        printf("Bail out! the test's own set-up failed\n");
        exit(1);
    }
}

/* ---- reading ------------------------------------------------------------- */

struct summary {
    int code; /* what the last bs_reader_next returned */
    unsigned heads, records, ends;
    uint64_t content; /* XXH64 of the bytes of all documents */
    char text[500];   /* the error */
};

static inline struct summary
read_fd(int fd, unsigned flags, size_t max_frame)
{
    struct summary s = {0};
    struct bs_reader *r;
    struct bs_err e = {0};
    struct bs_xxh64 sum;
    const struct bs_doc *doc;
    const uint8_t *bytes;
    size_t len;

    bs_xxh64_init(&sum, 0);
    need(bs_reader_open(&r, fd, "test", flags, max_frame, &e) == 0);
    while ((s.code = bs_reader_next(r, &doc)) > 0) {
        bytes = bs_reader_bytes(r, &len);
        bs_xxh64_add(&sum, bytes, len);
        s.heads += s.code == BS_ITEM_HEAD;
        s.records += s.code == BS_ITEM_RECORD;
        s.ends += s.code == BS_ITEM_END;
    }
    s.content = bs_xxh64_value(&sum);
    memcpy(s.text, bs_reader_error(r)->text, sizeof s.text);
    bs_reader_close(r);
    return s;
}

static inline int
memory_file(const uint8_t *data, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    need(fd >= 0 && bs_write(fd, data, len) == 0);
    need(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static inline struct summary
read_bytes(const uint8_t *data, size_t len, unsigned flags, size_t max_frame)
{
    int fd = memory_file(data, len);
    struct summary s = read_fd(fd, flags, max_frame);

    close(fd);
    return s;
}

static inline bool
says(const struct summary *s, int code, const char *text)
{
    bool good = s->code == -code && strstr(s->text, text) != NULL;

    if (!good)
        printf("# got %d '%s', wanted %d '%s'\n", s->code, s->text, -code,
               text);
    return good;
}

/* ---- writing ------------------------------------------------------------- */

/* The whole of a file, from its start. */
static inline void
slurp(int fd, struct bs_buf *out)
{
    struct bs_err e = {0};
    off_t len = lseek(fd, 0, SEEK_END);

    need(len >= 0 && lseek(fd, 0, SEEK_SET) == 0);
    out->len = 0;
    need(bs_buf_reserve(out, (size_t)len + 1, &e) == 0);
    need(bs_read(fd, out->data, (size_t)len) == len);
    out->len = (size_t)len;
}

static inline void
set(struct bs_doc *doc, const char *name, const char *value)
{
    struct bs_err e = {0};

    need(bs_doc_set(doc, name, value, &e) == 0);
}

/* One segment of n records "k0", "k1", ... with an F16 tensor x of the shape
 * [3, width]. */
static inline void
write_segment(struct bs_writer *w, const char *kind, unsigned n, uint64_t width,
              const char *status)
{
    struct bs_doc head = {0}, end = {0};
    uint64_t shape[2] = {3, width};
    uint16_t *x = calloc(3 * width + 1, sizeof *x);
    struct bs_err e = {0};
    unsigned i;

    need(x != NULL);
    set(&head, "bs.kind", kind);
    need(bs_writer_head(w, &head) == 0);
    for (i = 0; i < n; i++) {
        struct bs_doc rec = {0};

        x[i % (3 * width)] = (uint16_t)(i * 7 + 1);
        need(bs_doc_setf(&rec, "key", &e, "k%u", i) == 0);
        set(&rec, "caption", "a \"quoted\" caf\303\251");
        need(bs_doc_put(&rec, "x", BS_DTYPE_F16, 2, shape, x, &e) == 0);
        need(bs_writer_record(w, &rec) == 0);
        bs_doc_release(&rec);
    }
    set(&end, "bs.status", status);
    need(bs_writer_end(w, &end, NULL) == 0);
    bs_doc_release(&head);
    bs_doc_release(&end);
    free(x);
}

/* A stream of one segment. */
static inline void
make_stream(struct bs_buf *out, const char *kind, int level, unsigned n,
            uint64_t width, const char *status)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    struct bs_writer *w;
    struct bs_err e = {0};

    need(fd >= 0 && bs_writer_open(&w, fd, "test", level, &e) == 0);
    write_segment(w, kind, n, width, status);
    need(bs_writer_close(w, &e) == 0);
    slurp(fd, out);
    close(fd);
}

/* Append len bytes as one stored frame. */
static inline void
add_frame(struct bs_buf *out, const uint8_t *data, size_t len)
{
    int fd = memfd_create("frame", MFD_CLOEXEC);
    struct bs_buf frame = {0};
    struct bs_packer *p;
    struct bs_err e = {0};

    need(fd >= 0 && bs_packer_open(&p, &e) == 0);
    need(bs_frame_write(p, fd, BS_LEVEL_STORED, data, len, &e) == 0);
    slurp(fd, &frame);
    need(bs_buf_add(out, frame.data, frame.len, &e) == 0);
    bs_packer_close(p);
    bs_buf_release(&frame);
    close(fd);
}

#endif
