/*
 * picture.c - see picture.h.  Each step either lets the picture pass, or gives
 * it the status that ends its way.  Memory: the file, and the decoded picture
 * while it is looked at.
 */
#include "cmd/models/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/models/captions.h"
#include "common/io.h"
#include "formats/digest.h"

struct bs_picture *
bs_picture_new(struct bs_candidate *c)
{
    struct bs_picture *p = bs_alloc_array(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->candidate = c;
    p->found.index = c->index;
    p->found.key = c->key;
    p->found.src = c->src;
    return p;
}

void
bs_picture_free(struct bs_picture *p)
{
    if (p == NULL)
        return;
    bs_doc_release(&p->found.doc);
    bs_buf_release(&p->encoded);
    bs_candidate_free(p->candidate);
    bs_free(p);
}

/* End the picture's way; always false. */
static bool refuse(struct bs_picture *p, enum bs_gather_status status,
                   const char *fmt, ...) BS_PRINTF(3, 4);

static bool
refuse(struct bs_picture *p, enum bs_gather_status status, const char *fmt, ...)
{
    char text[500];
    va_list ap;
    int r;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r = bs_candidate_refuse(p->candidate, status, text, &p->fatal);
    return r > 0; /* never: a failure stands in p->fatal */
}

static bool
refuse_large(struct bs_picture *p, size_t limit)
{
    return refuse(p, BS_GATHER_TOO_LARGE, "more than %zu bytes", limit);
}

/* Read an open file of at most `limit` bytes. */
static bool
read_open(struct bs_picture *p, int fd, size_t limit)
{
    struct bs_buf *b = &p->candidate->bytes;
    struct stat st;
    ptrdiff_t n;

    if (fstat(fd, &st) != 0)
        return refuse(p, BS_GATHER_IO_ERROR, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(p, BS_GATHER_IO_ERROR, "not a regular file");
    p->found.bytes = (size_t)st.st_size;
    if ((size_t)st.st_size > limit)
        return refuse_large(p, limit);
    if (bs_buf_reserve(b, (size_t)st.st_size + 1, &p->fatal) < 0)
        return false;
    n = bs_read(fd, b->data, (size_t)st.st_size + 1);
    if (n < 0)
        return refuse(p, BS_GATHER_IO_ERROR, "%s", strerror(errno));
    if (n > st.st_size)
        return refuse(p, BS_GATHER_IO_ERROR, "file grew while it was read");
    b->len = (size_t)n;
    return true;
}

static bool
load(struct bs_picture *p, size_t limit)
{
    struct bs_candidate *c = p->candidate;
    bool good;
    int fd;

    if (c->path == NULL)
        return true;
    fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return refuse(p, BS_GATHER_IO_ERROR, "%s", strerror(errno));
    good = read_open(p, fd, limit);
    close(fd);
    return good;
}

/* What the decoder says, as a status. */
static bool
judge(struct bs_picture *p, enum bs_image_status status, struct bs_err *e)
{
    if (status == BS_IMAGE_OK)
        return true;
    if (e->code == BS_EX_OSERR) {
        p->fatal = *e;
        return false;
    }
    return refuse(p, (enum bs_gather_status)status, "%s", e->text);
}

/* Size and limits, from the header only. */
static bool
measure(struct bs_picture *p, const struct bs_image_limits *limits,
        const struct bs_gather_options *o)
{
    const struct bs_buf *b = &p->candidate->bytes;
    struct bs_found *f = &p->found;
    struct bs_err e = {0};
    size_t side;

    if (!judge(
            p,
            bs_image_size(b->data, b->len, limits, &f->width, &f->height, &e),
            &e))
        return false;
    side = f->width < f->height ? f->width : f->height;
    if (side < o->min_side)
        return refuse(p, BS_GATHER_TOO_SMALL, "%zux%zu, shorter than %ju",
                      f->width, f->height, (uintmax_t)o->min_side);
    return true;
}

/* Decode all of it; write it again where a round trip is asked for. */
static bool
decode(struct bs_picture *p, const struct bs_image_limits *limits,
       const struct bs_gather_options *o)
{
    const struct bs_buf *b = &p->candidate->bytes;
    struct bs_image image = {0};
    struct bs_err e = {0};

    if (!judge(p, bs_image_decode(b->data, b->len, limits, &image, &e), &e))
        return false;
    if (o->jpeg_quality > 0 &&
        bs_image_encode_jpeg(&image, (int)o->jpeg_quality, &p->encoded, &e) <
            0) {
        if (e.code == BS_EX_OSERR)
            p->fatal = e;
        else
            refuse(p, (enum bs_gather_status)BS_IMAGE_LIMIT, "%s", e.text);
    }
    bs_image_release(&image);
    return p->candidate->status == BS_GATHER_OK && p->fatal.code == 0;
}

static bool
read_captions(struct bs_picture *p, const struct bs_gather_options *o)
{
    struct bs_candidate *c = p->candidate;

    if (!o->no_captions && bs_captions_read(c, &p->fatal) < 0)
        return false;
    return c->status == BS_GATHER_OK;
}

/* Metadata of the record. */
static int
describe(struct bs_picture *p, const char *format, bool captions,
         struct bs_err *e)
{
    const struct bs_candidate *c = p->candidate;
    struct bs_found *f = &p->found;
    struct bs_doc *d = &f->doc;
    size_t i;
    int r = 0;

    for (i = 0; captions && i < c->extras && r == 0; i++)
        if (bs_captions_may_name(c->extra[i].name))
            r = bs_doc_set(d, c->extra[i].name, c->extra[i].value, e);
    if (r == 0 && captions && c->caption != NULL && *c->caption != '\0')
        r = bs_doc_set(d, "caption", c->caption, e);
    if (r == 0 && c->orig_key != NULL)
        r = bs_doc_set(d, "orig_key", c->orig_key, e);
    if (r == 0)
        r = bs_doc_set(d, "key", c->key, e);
    if (r == 0)
        r = bs_doc_set(d, "src", c->src, e);
    if (r == 0)
        r = bs_doc_set(d, "status", "ok", e);
    if (r == 0)
        r = bs_doc_set(d, "format", format, e);
    if (r == 0)
        r = bs_doc_set(d, "sha256", f->sha256, e);
    if (r == 0)
        r = bs_doc_setf(d, "width", e, "%zu", f->width);
    return r == 0 ? bs_doc_setf(d, "height", e, "%zu", f->height) : r;
}

static int
build(struct bs_picture *p, const struct bs_gather_options *o, struct bs_err *e)
{
    const struct bs_buf *b = &p->candidate->bytes;
    const char *format = bs_image_format_name(bs_image_sniff(b->data, b->len));
    uint64_t shape;
    int r = describe(p, format, !o->no_captions, e);

    if (o->jpeg_quality > 0) {
        b = &p->encoded;
        format = bs_image_format_name(BS_IMAGE_JPEG);
    }
    shape = b->len;
    return r == 0 ? bs_doc_put(&p->found.doc, format, BS_DTYPE_U8, 1, &shape,
                               b->data, e)
                  : r;
}

/* True if it became a record. */
static bool
examine(struct bs_picture *p, const struct bs_gather_options *o)
{
    const struct bs_image_limits limits = {.bytes = o->max_bytes,
                                           .side = bs_image_limits_default.side,
                                           .pixels = o->max_pixels};
    const struct bs_buf *b = &p->candidate->bytes;
    struct bs_found *f = &p->found;

    if (p->candidate->status != BS_GATHER_OK || !load(p, limits.bytes))
        return false;
    f->bytes = b->len;
    bs_sha256(b->data, b->len, f->sha256);
    if (!measure(p, &limits, o))
        return false;
    if ((!o->no_decode || o->jpeg_quality > 0) && !decode(p, &limits, o))
        return false;
    return read_captions(p, o) && build(p, o, &p->fatal) == 0;
}

void
bs_picture_examine(struct bs_picture *p, const struct bs_gather_options *o)
{
    if (!examine(p, o))
        bs_doc_release(&p->found.doc);
    p->found.status = p->candidate->status;
    p->found.message = p->candidate->message;
}
