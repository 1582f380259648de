/*
 * u-stream.c - the stream's reader and writer against each other: round trips,
 * damage, segments, pipes, threads.
 */
#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- round trips --------------------------------------------------------- */

static void
test_kinds(void)
{
    static const char *const kinds[] = {"image", "feature", "code", "energy"};
    static const int levels[] = {BS_LEVEL_AUTO, 0, -5, 1, 19, 22};
    struct bs_buf bytes = {0}, again = {0};
    struct summary s;
    uint64_t content = 0;
    size_t i, k;

    for (i = 0; i < BS_LEN(kinds); i++) {
        bool good = true;

        for (k = 0; k < BS_LEN(levels); k++) {
            make_stream(&bytes, kinds[i], levels[k], 70, 40, "ok");
            make_stream(&again, kinds[i], levels[k], 70, 40, "ok");
            s = read_bytes(bytes.data, bytes.len, 0, 0);
            good = good && s.code == 0 && s.heads == 1 && s.records == 70 &&
                   s.ends == 1 && (k == 0 || s.content == content) &&
                   bytes.len == again.len &&
                   memcmp(bytes.data, again.data, bytes.len) == 0;
            content = s.content;
        }
        ok(good, "%s: same content at every level, same bytes twice", kinds[i]);
    }
    bs_buf_release(&bytes);
    bs_buf_release(&again);
}

/* Every field comes back, and is aligned. */
static void
test_content(void)
{
    struct bs_buf bytes = {0};
    const struct bs_doc *doc;
    struct bs_reader *r;
    struct bs_err e = {0};
    bool good = true;
    unsigned i;
    int fd;

    make_stream(&bytes, "code", BS_LEVEL_AUTO, 100, 5, "ok");
    fd = memory_file(bytes.data, bytes.len);
    need(bs_reader_open(&r, fd, "test", 0, 0, &e) == 0);
    ok(bs_reader_next(r, &doc) == BS_ITEM_HEAD &&
           strcmp(bs_doc_meta(doc, "bs.kind"), "code") == 0 &&
           strcmp(bs_doc_meta(doc, "bs.stream"), "1") == 0,
       "the head comes first");
    for (i = 0; i < 100; i++) {
        const struct bs_tensor *t;
        const uint16_t *x;
        char key[20];

        snprintf(key, sizeof key, "k%u", i);
        if (bs_reader_next(r, &doc) != BS_ITEM_RECORD)
            break;
        t = bs_doc_tensor(doc, "x");
        x = t->data;
        good = good && strcmp(bs_doc_meta(doc, "key"), key) == 0 &&
               t->dtype == BS_DTYPE_F16 && t->rank == 2 && t->shape[0] == 3 &&
               t->shape[1] == 5 && t->bytes == 30 &&
               (uintptr_t)x % BS_ALIGN == 0 && x[i % 15] == i * 7 + 1 &&
               strcmp(bs_doc_meta(doc, "caption"),
                      "a \"quoted\" caf\303\251") == 0;
    }
    ok(good && i == 100, "records come back whole and aligned");
    ok(bs_reader_next(r, &doc) == BS_ITEM_END && bs_reader_records(r) == 100 &&
           bs_reader_hash(r) != 0 && bs_reader_next(r, &doc) == BS_ITEM_EOF &&
           bs_reader_next(r, &doc) == BS_ITEM_EOF && doc == NULL,
       "the end, and then nothing more");
    bs_reader_close(r);
    close(fd);
    bs_buf_release(&bytes);
}

/* Copying by raw bytes gives the very same stream. */
static void
test_raw(void)
{
    struct bs_buf bytes = {0}, copy = {0};
    int in, out = memfd_create("copy", MFD_CLOEXEC), got;
    const struct bs_doc *doc;
    struct bs_reader *r;
    struct bs_writer *w;
    struct bs_err e = {0};

    /* small records, and large ones that have a frame of their own */
    need(bs_writer_open(&w, out, "test", BS_LEVEL_AUTO, &e) == 0);
    write_segment(w, "feature", 40, 7, "ok");
    write_segment(w, "feature", 3, 300000, "ok");
    need(bs_writer_close(w, &e) == 0);
    slurp(out, &bytes);
    need(ftruncate(out, 0) == 0 && lseek(out, 0, SEEK_SET) == 0);
    in = memory_file(bytes.data, bytes.len);
    need(bs_reader_open(&r, in, "test", 0, 0, &e) == 0);
    need(bs_writer_open(&w, out, "test", BS_LEVEL_AUTO, &e) == 0);
    while ((got = bs_reader_next(r, &doc)) > 0) {
        struct bs_doc mine = {0};
        const uint8_t *data;
        size_t len;

        data = bs_reader_bytes(r, &len);
        need(bs_doc_parse(&mine, data, len, &bs_doc_limits_head, &e) == 0);
        if (got == BS_ITEM_HEAD)
            need(bs_writer_head(w, &mine) == 0);
        else if (got == BS_ITEM_RECORD)
            need(bs_writer_raw(w, data, len) == 0);
        else
            need(bs_writer_end(w, &mine, NULL) == 0);
        bs_doc_release(&mine);
    }
    need(bs_writer_close(w, &e) == 0);
    slurp(out, &copy);
    ok(got == 0 && copy.len == bytes.len &&
           memcmp(copy.data, bytes.data, copy.len) == 0,
       "a copy by raw bytes is the same stream");
    bs_reader_close(r);
    close(in);
    close(out);
    bs_buf_release(&bytes);
    bs_buf_release(&copy);
}

/* ---- damage -------------------------------------------------------------- */

static void
test_cuts(const char *kind, unsigned records)
{
    struct bs_buf bytes = {0};
    unsigned wrong = 0;
    size_t n;

    make_stream(&bytes, kind, BS_LEVEL_AUTO, records, 2, "ok");
    for (n = 0; n < bytes.len; n++) {
        struct summary s = read_bytes(bytes.data, n, 0, 0);

        if (s.code != -BS_EX_DATA || s.ends != 0 ||
            strstr(s.text, n == 0 ? "empty input: no head" : "truncated") ==
                NULL) {
            printf("# cut at %zu: %d '%s'\n", n, s.code, s.text);
            wrong++;
        }
    }
    ok(wrong == 0, "%s: cut at each of %zu bytes: 65", kind, bytes.len);
    bs_buf_release(&bytes);
}

/*
 * 10,000 flipped bits, 5,000 in each of a stored and a compressed stream.  In a
 * stored one every bit counts.  A compressed block has bits that libzstd does
 * not look at: there a flip may also leave the very same content.
 */
static void
test_flips(const char *kind, bool all)
{
    struct bs_buf bytes = {0};
    struct summary whole, s;
    unsigned i, caught = 0, same = 0;
    uint64_t seed = 1;

    make_stream(&bytes, kind, BS_LEVEL_AUTO, 40, 20, "ok");
    whole = read_bytes(bytes.data, bytes.len, 0, 0);
    for (i = 0; i < 5000; i++) {
        size_t bit;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bit = (size_t)(seed >> 33) % (bytes.len * 8);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        s = read_bytes(bytes.data, bytes.len, 0, 0);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        caught += s.code == -BS_EX_DATA && s.text[0] != '\0';
        same += s.code == 0 && s.content == whole.content;
    }
    printf("# %s: %u caught, %u without effect\n", kind, caught, same);
    ok(all ? caught == 5000 : caught + same == 5000 && caught > 4900,
       "%s: 5000 flipped bits: %s", kind,
       all ? "all caught" : "caught, or the content is the same");
    bs_buf_release(&bytes);
}

/* ---- segments ------------------------------------------------------------ */

static void
test_segments(void)
{
    struct bs_buf bytes = {0}, more = {0};
    struct bs_err e = {0};
    struct summary s;
    size_t first;

    make_stream(&bytes, "feature", BS_LEVEL_AUTO, 3, 2, "ok");
    first = bytes.len;
    make_stream(&more, "code", BS_LEVEL_AUTO, 4, 2, "ok");
    need(bs_buf_add(&bytes, more.data, more.len, &e) == 0);
    s = read_bytes(bytes.data, bytes.len, 0, 0);
    ok(s.code == 0 && s.heads == 2 && s.records == 7 && s.ends == 2,
       "two streams, one after the other, are a stream");
    s = read_bytes(bytes.data, bytes.len - 1, 0, 0);
    ok(says(&s, BS_EX_DATA, "segment 2: truncated after 4 records") &&
           s.records == 7,
       "the second is cut");
    s = read_bytes(bytes.data, first + 3, 0, 0);
    ok(says(&s, BS_EX_DATA, "segment 2: head: truncated"),
       "the second is cut in its first bytes");
    need(bs_buf_str(&bytes, "x", &e) == 0);
    s = read_bytes(bytes.data, bytes.len, 0, 0);
    ok(says(&s, BS_EX_DATA, "trailing garbage") && s.ends == 2,
       "garbage after the end");
    make_stream(&bytes, "code", BS_LEVEL_AUTO, 3, 2, "partial");
    s = read_bytes(bytes.data, bytes.len, 0, 0);
    ok(says(&s, BS_EX_TEMPFAIL, "partial: ended early after 3 records") &&
           s.records == 3 && s.ends == 0,
       "partial: 75 after the records");
    s = read_bytes(bytes.data, bytes.len, BS_READER_PARTIAL, 0);
    ok(s.code == 0 && s.ends == 1, "partial, allowed");
    bs_buf_release(&bytes);
    bs_buf_release(&more);
}

/* ---- pipes --------------------------------------------------------------- */

struct feeder {
    int fd;
    const struct bs_buf *bytes;
    size_t piece;
};

static void *
feed(void *arg)
{
    struct feeder *f = arg;
    size_t at = 0, n;

    while (at < f->bytes->len) {
        n = f->bytes->len - at < f->piece ? f->bytes->len - at : f->piece;
        if (bs_write(f->fd, f->bytes->data + at, n) < 0)
            break;
        at += n;
        if (at % (f->piece * 64) == 0)
            usleep(500);
    }
    close(f->fd);
    return NULL;
}

static void
test_slow_pipe(void)
{
    struct bs_buf bytes = {0};
    struct feeder f = {.bytes = &bytes, .piece = 13};
    struct summary s;
    pthread_t thread;
    int p[2];

    make_stream(&bytes, "feature", BS_LEVEL_AUTO, 60, 50, "ok");
    need(pipe2(p, O_CLOEXEC) == 0);
    f.fd = p[1];
    need(pthread_create(&thread, NULL, feed, &f) == 0);
    s = read_fd(p[0], 0, 0);
    pthread_join(thread, NULL);
    ok(s.code == 0 && s.records == 60, "bytes that drip through a pipe");
    close(p[0]);
    bs_buf_release(&bytes);
}

/* The reader goes while its thread waits for input that does not come, or for
 * room in the ring. */
static void
test_close_early(void)
{
    struct bs_buf bytes = {0};
    struct feeder f = {.bytes = &bytes, .piece = 1 << 16};
    const struct bs_doc *doc;
    struct bs_reader *r;
    struct bs_err e = {0};
    pthread_t thread;
    int p[2];

    need(pipe2(p, O_CLOEXEC) == 0);
    need(bs_reader_open(&r, p[0], "test", 0, 0, &e) == 0);
    usleep(2000);
    bs_reader_close(r);
    ok(true, "close while the reader waits for input");
    make_stream(&bytes, "feature", BS_LEVEL_AUTO, 40, 100000, "ok");
    f.fd = p[1];
    need(pthread_create(&thread, NULL, feed, &f) == 0);
    need(bs_reader_open(&r, p[0], "test", 0, 0, &e) == 0);
    ok(bs_reader_next(r, &doc) == BS_ITEM_HEAD, "the head is there");
    bs_reader_close(r);
    ok(true, "close while there is more");
    close(p[0]);
    pthread_join(thread, NULL);
    bs_buf_release(&bytes);
}

static void
test_seen(void)
{
    struct bs_buf bytes = {0};
    const struct bs_doc *doc;
    struct bs_reader *r;
    struct bs_err e = {0};
    uint8_t seen[300];
    int fd, got, n = 0;

    make_stream(&bytes, "code", BS_LEVEL_AUTO, 40, 2, "ok");
    fd = memory_file(bytes.data, bytes.len);
    need(bs_read(fd, seen, sizeof seen) == sizeof seen);
    need(bs_reader_open_after(&r, fd, "test", 0, 0, seen, sizeof seen, &e) ==
         0);
    while ((got = bs_reader_next(r, &doc)) > 0)
        n++;
    ok(got == 0 && n == 42, "bytes that were read before the reader came");
    bs_reader_close(r);
    close(fd);
    bs_buf_release(&bytes);
}

/* ---- writing that fails -------------------------------------------------- */

static void
test_full(void)
{
    struct bs_err e = {0};
    struct bs_writer *w;
    struct bs_doc head = {0};
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC), r;

    need(fd >= 0 && bs_writer_open(&w, fd, "full", 1, &e) == 0);
    set(&head, "bs.kind", "code");
    r = bs_writer_head(w, &head);
    ok(r == 0, "the head is taken");
    r = bs_writer_close(w, &e);
    ok(r == -BS_EX_IO && e.code == BS_EX_IO &&
           strcmp(e.text, "No space left on device") == 0,
       "a full disk shows at close: %s", e.text);
    bs_doc_release(&head);
    close(fd);
}

/* Writes until it fails; the return is the status of the child process. */
static int
write_to_nobody(bool ignore)
{
    int p[2], status;
    pid_t child;

    need(pipe2(p, O_CLOEXEC) == 0);
    fflush(stdout);
    child = fork();
    need(child >= 0);
    if (child == 0) {
        struct bs_doc head = {0};
        struct bs_writer *w;
        struct bs_err e = {0};

        close(p[0]);
        signal(SIGPIPE, ignore ? SIG_IGN : SIG_DFL);
        need(bs_writer_open(&w, p[1], "pipe", 1, &e) == 0);
        set(&head, "bs.kind", "code");
        need(bs_writer_head(w, &head) == 0);
        bs_doc_release(&head);
        if (bs_writer_close(w, &e) == -BS_EX_IO)
            _exit(strcmp(e.text, "Broken pipe") == 0 ? 42 : 43);
        _exit(44);
    }
    close(p[0]);
    close(p[1]);
    need(waitpid(child, &status, 0) == child);
    return status;
}

static void
test_no_reader(void)
{
    int status = write_to_nobody(false);

    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE,
       "nobody reads: SIGPIPE ends the process");
    status = write_to_nobody(true);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 42,
       "nobody reads, SIGPIPE ignored: an error");
}

static void
test_misuse(void)
{
    struct bs_doc head = {0}, rec = {0};
    struct bs_err e = {0};
    struct bs_writer *w;
    int fd = memfd_create("test", MFD_CLOEXEC);

    ok(bs_writer_open(&w, fd, "t", 23, &e) == -BS_EX_USAGE && w == NULL,
       "a level that zstd does not have");
    e = (struct bs_err){0};
    need(bs_writer_open(&w, fd, "t", 1, &e) == 0);
    set(&rec, "key", "a");
    ok(bs_writer_record(w, &rec) == -BS_EX_SOFTWARE, "a record without a head");
    ok(bs_writer_close(w, &e) == -BS_EX_SOFTWARE, "the error stays");
    e = (struct bs_err){0};
    need(bs_writer_open(&w, fd, "t", 1, &e) == 0);
    set(&head, "bs.kind", "code");
    need(bs_writer_head(w, &head) == 0);
    set(&rec, "key", "/a");
    ok(bs_writer_record(w, &rec) == -BS_EX_DATA &&
           strcmp(bs_writer_error(w)->text, "record 1: invalid key '/a'") == 0,
       "a key that no reader takes");
    ok(bs_writer_close(w, &e) == -BS_EX_DATA, "the error stays");
    bs_doc_release(&head);
    bs_doc_release(&rec);
    close(fd);
}

/* Nothing is written that the reader would refuse. */
static void
test_writer_limits(void)
{
    struct bs_err e = {0};
    const uint64_t none = 0;
    char name[140];
    int over, i;

    for (over = 0; over < 4; over++) {
        int fd = memfd_create("test", MFD_CLOEXEC), r;
        int tensors = over < 2 ? 256 + over : 1;
        int width = over < 2 ? 3 : 126 + over;
        struct bs_doc head = {0}, rec = {0};
        struct bs_writer *w;

        need(bs_writer_open(&w, fd, "t", 1, &e) == 0);
        set(&head, "bs.kind", "code");
        need(bs_writer_head(w, &head) == 0);
        set(&rec, "key", "a");
        for (i = 0; i < tensors; i++) {
            snprintf(name, sizeof name, "%0*d", width, i);
            need(bs_doc_put(&rec, name, BS_DTYPE_U8, 1, &none, NULL, &e) == 0);
        }
        r = bs_writer_record(w, &rec);
        ok(r == (over & 1 ? -BS_EX_DATA : 0),
           "%d tensors with names of %d bytes", tensors, width);
        need(bs_writer_close(w, &e) == r);
        e = (struct bs_err){0};
        bs_doc_release(&head);
        bs_doc_release(&rec);
        close(fd);
    }
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_kinds();
    test_content();
    test_raw();
    test_cuts("feature", 3);
    test_cuts("code", 40);
    test_flips("feature", true);
    test_flips("code", false);
    test_segments();
    test_slow_pipe();
    test_close_early();
    test_seen();
    test_full();
    test_no_reader();
    test_misuse();
    test_writer_limits();
    return tap_done();
}
