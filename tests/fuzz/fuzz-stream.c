/*
 * fuzz-stream.c - the stream reader.  The first byte of the input says what the
 * rest is: the bytes of a stream as they are, or its documents, which are put
 * into right frames, with the counts and hashes of its ends made right, so that
 * the fuzzer gets past the checksums.
 */
#include "formats/digest.h"
#include "formats/frame.h"
#include "formats/stream.h"
#include "tests/fuzz/target.h"

#include <sys/mman.h>
#include <unistd.h>

enum { AS_IT_IS = 1, ONE_FRAME = 2, COMPRESSED = 4, PARTIAL = 8 };

struct wrap {
    int fd, level;
    struct bs_packer *packer;
    struct bs_xxh64 sum;
    uint64_t records;
    struct bs_buf body; /* documents that are not yet in a frame */
};

static void
flush(struct wrap *w)
{
    struct bs_err e = {0};

    must(bs_frame_write(w->packer, w->fd, w->level, w->body.data, w->body.len,
                        &e) == 0);
    w->body.len = 0;
}

/* Append one document; an end gets the numbers that it should have. */
static void
wrap_doc(struct wrap *w, struct bs_doc *doc, const uint8_t *data, size_t len)
{
    struct bs_err e = {0};
    char hex[BS_HEX64_SIZE];

    if (bs_doc_meta(doc, "bs.end") != NULL) {
        bs_hex64(bs_xxh64_value(&w->sum), hex);
        must(bs_doc_set(doc, "bs.hash", hex, &e) == 0);
        must(bs_doc_setf(doc, "bs.records", &e, "%llu",
                         (unsigned long long)w->records) == 0);
        must(bs_doc_write(doc, &w->body, &e) == 0);
        return;
    }
    if (bs_doc_meta(doc, "bs.stream") != NULL) {
        bs_xxh64_init(&w->sum, 0);
        w->records = 0;
    } else {
        w->records++;
    }
    bs_xxh64_add(&w->sum, data, len);
    must(bs_buf_add(&w->body, data, len, &e) == 0);
}

static void
wrap(int fd, unsigned mode, const uint8_t *data, size_t len)
{
    struct wrap w = {.fd = fd, .level = mode & COMPRESSED ? 1 : 0};
    struct bs_err e = {0};
    size_t used;

    must(bs_packer_open(&w.packer, &e) == 0);
    bs_xxh64_init(&w.sum, 0);
    for (; len > 0; data += used, len -= used) {
        struct bs_doc doc = {0};
        struct bs_err bad = {0};

        if (bs_doc_parse_prefix(&doc, data, len, &used, &bs_doc_limits_file,
                                &bad) < 0) {
            used = len;
            must(bs_buf_add(&w.body, data, len, &e) == 0);
        } else {
            wrap_doc(&w, &doc, data, used);
        }
        bs_doc_release(&doc);
        if (!(mode & ONE_FRAME))
            flush(&w);
    }
    flush(&w);
    bs_packer_close(w.packer);
    bs_buf_release(&w.body);
}

/* All bytes of all tensors, so that a sanitizer sees a wrong address. */
static unsigned
touch(const struct bs_doc *doc)
{
    unsigned sum = 0;
    size_t i, k;

    for (i = 0; i < doc->tensors; i++) {
        const struct bs_tensor *t = &doc->tensor[i];

        must(t->bytes == 0 ||
             (uintptr_t)t->data % bs_dtype_size(t->dtype) == 0);
        for (k = 0; k < t->bytes; k++)
            sum += ((const uint8_t *)t->data)[k];
    }
    return sum;
}

static void
read_all(int fd, unsigned flags)
{
    const struct bs_doc *doc;
    struct bs_reader *r;
    struct bs_err e = {0};
    unsigned sum = 0;
    int got;

    must(bs_reader_open(&r, fd, "input", flags, 1 << 24, &e) == 0);
    while ((got = bs_reader_next(r, &doc)) > 0)
        sum += touch(doc);
    must(got == 0 || bs_reader_error(r)->code == -got);
    must(bs_reader_next(r, &doc) == got && doc == NULL);
    bs_reader_close(r);
    must(sum <= (unsigned)-1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int fd;

    if (len == 0)
        return 0;
    fd = memfd_create("stream", MFD_CLOEXEC);
    must(fd >= 0);
    if (data[0] & AS_IT_IS)
        must(write(fd, data + 1, len - 1) == (ssize_t)(len - 1));
    else
        wrap(fd, data[0], data + 1, len - 1);
    must(lseek(fd, 0, SEEK_SET) == 0);
    read_all(fd, data[0] & PARTIAL ? BS_READER_PARTIAL : 0);
    close(fd);
    return 0;
}
