/*
 * stream_write.c - see stream.h.  The caller's thread fills frames, another
 * compresses and writes them.  Where a frame ends depends on the records only,
 * never on time, so the same records give the same bytes.
 *
 * Memory: the frames in the ring, and one compressed frame.
 */
#include "formats/stream.h"

#include "common/io.h"
#include "formats/digest.h"
#include "formats/frame.h"
#include "formats/ring.h"

#include <pthread.h>
#include <signal.h>

struct bs_writer {
    int fd;
    int asked, level; /* as given; of this segment */
    const char *name;
    struct bs_ring *ring;
    struct bs_buf *frame; /* being filled, or NULL */
    size_t in_frame;      /* records in it */
    bool open;            /* between head and end */
    uint64_t records;
    struct bs_xxh64 sum;
    struct bs_err err;
    bool running;
    pthread_t thread;
    struct bs_packer *packer; /* of the thread */
    pthread_mutex_t lock;     /* guards failed */
    struct bs_err failed;     /* what the thread could not do */
};

/* ---- the thread ---------------------------------------------------------- */

static void *
run(void *arg)
{
    struct bs_writer *w = arg;
    struct bs_err e = {0};
    struct bs_buf *b;
    int level;

    while ((b = bs_ring_drain(w->ring, &level)) != NULL) {
        if (bs_frame_write(w->packer, w->fd, level, b->data, b->len, &e) < 0) {
            pthread_mutex_lock(&w->lock);
            w->failed = e;
            pthread_mutex_unlock(&w->lock);
            bs_ring_stop(w->ring);
            return NULL;
        }
        bs_ring_drained(w->ring);
    }
    return NULL;
}

/* Signals are the business of the command's thread, but for SIGPIPE: it comes
 * to the thread that writes, and must end the process there. */
static int
start_thread(struct bs_writer *w, struct bs_err *e)
{
    sigset_t most, before;
    int r;

    sigfillset(&most);
    sigdelset(&most, SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &most, &before);
    r = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return bs_err_set(e, BS_EX_OSERR, "cannot start a thread: %s",
                          strerror(r));
    w->running = true;
    return 0;
}

/* ---- open, close --------------------------------------------------------- */

static void
writer_free(struct bs_writer *w)
{
    bs_ring_close(w->ring);
    bs_packer_close(w->packer);
    pthread_mutex_destroy(&w->lock);
    bs_free(w);
}

int
bs_writer_open(struct bs_writer **out, int fd, const char *name, int level,
               struct bs_err *e)
{
    struct bs_writer *w;
    int r;

    *out = NULL;
    if (level != BS_LEVEL_AUTO && !bs_frame_level_valid(level))
        return bs_err_set(e, BS_EX_USAGE, "zstd has no level %d", level);
    w = bs_alloc_array(1, sizeof *w);
    if (w == NULL)
        return bs_err_memory(e, "writer", sizeof *w);
    w->fd = fd;
    w->name = name;
    w->asked = level;
    pthread_mutex_init(&w->lock, NULL);
    bs_pipe_widen(fd);
    r = bs_ring_open(&w->ring, e);
    if (r == 0)
        r = bs_packer_open(&w->packer, e);
    if (r == 0)
        r = start_thread(w, e);
    if (r < 0)
        writer_free(w);
    else
        *out = w;
    return r;
}

/* Hand over what has been collected. */
static void
flush(struct bs_writer *w)
{
    if (w->frame != NULL && w->frame->len > 0)
        bs_ring_filled(w->ring, w->level);
    w->frame = NULL;
    w->in_frame = 0;
}

int
bs_writer_close(struct bs_writer *w, struct bs_err *e)
{
    int r;

    if (w == NULL)
        return 0;
    flush(w);
    bs_ring_finish(w->ring);
    pthread_join(w->thread, NULL);
    if (w->err.code == 0)
        w->err = w->failed;
    r = -w->err.code;
    if (r < 0)
        *e = w->err;
    writer_free(w);
    return r;
}

/* ---- documents ----------------------------------------------------------- */

/* Make w->frame ready to be added to. */
static int
begin(struct bs_writer *w)
{
    if (w->err.code == 0 && w->frame == NULL) {
        w->frame = bs_ring_fill(w->ring);
        if (w->frame == NULL) {
            pthread_mutex_lock(&w->lock);
            w->err = w->failed;
            pthread_mutex_unlock(&w->lock);
        }
    }
    return -w->err.code;
}

static int
misused(struct bs_writer *w, const char *what)
{
    return bs_err_set(&w->err, BS_EX_SOFTWARE, "stream writer: %s", what);
}

/* Nothing is written that a reader would refuse. */
static int
check_limits(struct bs_writer *w, const struct bs_doc *doc,
             const struct bs_doc_limits *limits, size_t from)
{
    size_t len = w->frame->len - from, i;
    uint64_t json;

    memcpy(&json, w->frame->data + from, sizeof json);
    if (json > limits->json_bytes)
        return bs_err_set(&w->err, BS_EX_DATA,
                          "metadata of %llu bytes is over the limit of %zu",
                          (unsigned long long)json, limits->json_bytes);
    if (len > limits->bytes)
        return bs_err_set(&w->err, BS_EX_DATA,
                          "%zu bytes are over the limit of %zu", len,
                          limits->bytes);
    if (doc->tensors > limits->tensors || doc->metas > limits->metas)
        return bs_err_set(&w->err, BS_EX_DATA,
                          "too many tensors or metadata entries");
    for (i = 0; i < doc->tensors; i++)
        if (strlen(doc->tensor[i].name) > limits->name_bytes)
            return bs_err_set(&w->err, BS_EX_DATA,
                              "tensor '%.128s': name too long",
                              doc->tensor[i].name);
    return 0;
}

/* Append a document to the frame, and to the hash where `hashed`. */
static int
add(struct bs_writer *w, const struct bs_doc *doc,
    const struct bs_doc_limits *limits, bool hashed)
{
    size_t from;

    if (begin(w) < 0)
        return -w->err.code;
    from = w->frame->len;
    if (bs_doc_write(doc, w->frame, &w->err) < 0 ||
        check_limits(w, doc, limits, from) < 0) {
        w->frame->len = from;
        return -w->err.code;
    }
    if (hashed)
        bs_xxh64_add(&w->sum, w->frame->data + from, w->frame->len - from);
    return 0;
}

int
bs_writer_head(struct bs_writer *w, struct bs_doc *head)
{
    const char *kind = bs_doc_meta(head, "bs.kind");

    if (w->err.code != 0)
        return -w->err.code;
    if (w->open)
        return misused(w, "a head inside a segment");
    if (kind == NULL)
        return misused(w, "no bs.kind");
    w->level = w->asked != BS_LEVEL_AUTO ? w->asked
               : strcmp(kind, "image") == 0 || strcmp(kind, "feature") == 0
                   ? BS_LEVEL_STORED
                   : 1;
    w->open = true;
    w->records = 0;
    bs_xxh64_init(&w->sum, 0);
    if (bs_doc_set(head, "bs.stream", BS_STREAM_VERSION, &w->err) < 0 ||
        add(w, head, &bs_doc_limits_head, true) < 0)
        return bs_err_prefix(&w->err, "head");
    flush(w);
    return 0;
}

/* A large record starts a frame of its own, so that no frame is larger than
 * the largest record and what BS_FRAME_BYTES allows. */
static void
before_record(struct bs_writer *w, size_t tensor_bytes)
{
    if (tensor_bytes >= BS_FRAME_BYTES)
        flush(w);
}

static void
after_record(struct bs_writer *w)
{
    w->records++;
    w->in_frame++;
    if (w->frame->len >= BS_FRAME_BYTES || w->in_frame == BS_FRAME_RECORDS)
        flush(w);
}

static int
record_failed(struct bs_writer *w)
{
    return w->err.code != BS_EX_DATA
               ? -w->err.code
               : bs_err_prefix(&w->err, "record %llu",
                               (unsigned long long)w->records + 1);
}

int
bs_writer_record(struct bs_writer *w, const struct bs_doc *rec)
{
    const char *key = bs_doc_meta(rec, "key");
    size_t bytes = 0, i;

    if (w->err.code != 0)
        return -w->err.code;
    if (!w->open)
        return misused(w, "a record outside a segment");
    if (key == NULL || !bs_key_valid(key)) {
        bs_err_set(&w->err, BS_EX_DATA, "invalid key '%.200s'",
                   key != NULL ? key : "");
        return record_failed(w);
    }
    for (i = 0; i < rec->tensors; i++)
        bytes += rec->tensor[i].bytes;
    before_record(w, bytes);
    if (add(w, rec, &bs_doc_limits_record, true) < 0)
        return record_failed(w);
    after_record(w);
    return 0;
}

int
bs_writer_raw(struct bs_writer *w, const uint8_t *bytes, size_t len)
{
    uint64_t json = 0;

    if (w->err.code != 0)
        return -w->err.code;
    if (!w->open || len < sizeof json)
        return misused(w, "a record outside a segment");
    memcpy(&json, bytes, sizeof json);
    before_record(w, len - sizeof json - json);
    if (begin(w) < 0 || bs_buf_add(w->frame, bytes, len, &w->err) < 0)
        return -w->err.code;
    bs_xxh64_add(&w->sum, bytes, len);
    after_record(w);
    return 0;
}

/* The fields of an end that prove the segment. */
static int
fill_end(struct bs_writer *w, struct bs_doc *end, uint64_t hash)
{
    char hex[BS_HEX64_SIZE];
    int r = 0;

    bs_hex64(hash, hex);
    if (bs_doc_meta(end, "bs.status") == NULL)
        r = bs_doc_set(end, "bs.status", "ok", &w->err);
    if (r == 0)
        r = bs_doc_set(end, "bs.end", "1", &w->err);
    if (r == 0)
        r = bs_doc_set(end, "bs.hash", hex, &w->err);
    if (r == 0)
        r = bs_doc_setf(end, "bs.records", &w->err, "%llu",
                        (unsigned long long)w->records);
    return r;
}

int
bs_writer_end(struct bs_writer *w, struct bs_doc *end, uint64_t *hash)
{
    struct bs_doc plain = {0};
    uint64_t sum;

    if (w->err.code != 0)
        return -w->err.code;
    if (!w->open)
        return misused(w, "an end without a head");
    sum = bs_xxh64_value(&w->sum);
    flush(w);
    if (fill_end(w, end != NULL ? end : &plain, sum) == 0 &&
        add(w, end != NULL ? end : &plain, &bs_doc_limits_record, false) == 0)
        flush(w);
    bs_doc_release(&plain);
    w->open = false;
    if (w->err.code == 0 && hash != NULL)
        *hash = sum;
    return -w->err.code;
}

const struct bs_err *
bs_writer_error(const struct bs_writer *w)
{
    return &w->err;
}

const char *
bs_writer_name(const struct bs_writer *w)
{
    return w->name;
}
