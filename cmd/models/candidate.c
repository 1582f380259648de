/*
 * candidate.c - see candidate.h: the sources one after the other, each told by
 * what it is: a folder, an archive, a list, a picture.
 */
#include "cmd/models/candidate.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

struct bs_candidates {
    const char *const *path;
    size_t paths, at; /* at: the source in hand, or the next one */
    const struct bs_gather_options *options;
    bool again;
    int *spool; /* copy of a source that can be read once, or -1 */
    bs_want_fn *want;
    void *want_arg;
    struct bs_tally keys;
    uint64_t count, strays, cuts;
    /* the source in hand: one of walk, list, members and single */
    bool open;
    const char *name; /* for messages */
    uint64_t first;   /* its first candidate */
    int fd;
    struct bs_buf base; /* its folder, with a '/' at the end, or "" */
    struct bs_walk walk;
    size_t walked;
    struct bs_list *list;
    struct bs_members *members;
    bool single;
};

/* ---- a candidate --------------------------------------------------------- */

void
bs_candidate_free(struct bs_candidate *c)
{
    if (c == NULL)
        return;
    bs_buf_release(&c->bytes);
    bs_buf_release(&c->text);
    bs_buf_release(&c->json);
    bs_arena_release(&c->arena);
    bs_free(c);
}

int
bs_candidate_refuse(struct bs_candidate *c, enum bs_gather_status status,
                    const char *message, struct bs_err *e)
{
    c->status = status;
    c->message = bs_text_repair(&c->arena, message, strlen(message));
    return c->message != NULL ? 0
                              : bs_err_memory(e, "message", strlen(message));
}

static size_t
at_most(size_t len, size_t limit)
{
    return len < limit ? len : limit;
}

int
bs_candidates_admit(struct bs_candidates *all, const char *name, size_t len,
                    const char *src, struct bs_candidate **out,
                    struct bs_err *e)
{
    const char *prefix = all->options->key_prefix;
    struct bs_candidate *c = bs_alloc_array(1, sizeof *c);
    int r;

    *out = NULL;
    if (c == NULL)
        return bs_err_memory(e, "candidate", sizeof *c);
    c->index = all->count++;
    r = bs_key_make(&c->key, &c->arena, prefix != NULL ? prefix : "", name, len,
                    &all->keys, e);
    if (r < 0 ||
        (all->want != NULL && !all->want(all->want_arg, c->index, c->key))) {
        bs_candidate_free(c);
        return r;
    }
    c->src = bs_text_repair(&c->arena, src, at_most(strlen(src), BS_PATH_MAX));
    c->orig_key = bs_text_repair(&c->arena, name, at_most(len, BS_PATH_MAX));
    if (c->src == NULL || c->orig_key == NULL) {
        bs_candidate_free(c);
        return bs_err_memory(e, "name", len);
    }
    if (strcmp(c->orig_key, c->key) == 0)
        c->orig_key = NULL;
    *out = c;
    return 1;
}

/* ---- opening a source ---------------------------------------------------- */

/* Copy what descriptor `from` still gives to a file that has no name. */
static int
copy_aside(int from, int *to, struct bs_err *e)
{
    const char *folder = getenv("TMPDIR");
    static const size_t block = 1 << 18;
    char *buf = bs_alloc(block);
    ptrdiff_t n = 1;

    if (buf == NULL)
        return bs_err_memory(e, "copy", block);
    if (folder == NULL || *folder == '\0')
        folder = "/tmp";
    *to = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*to < 0)
        bs_err_errno(e, BS_EX_IO, "cannot make a temporary file in '%s'",
                     folder);
    while (e->code == 0 && n > 0) {
        n = bs_read(from, buf, block);
        if (n < 0)
            bs_err_errno(e, BS_EX_IO, "read failed");
        else if (bs_write(*to, buf, (size_t)n) < 0)
            bs_err_errno(e, BS_EX_IO, "cannot write to '%s'", folder);
    }
    bs_free(buf);
    return -e->code;
}

/* A descriptor of the source in hand, at its start; stdin is one too. */
static int
open_file(struct bs_candidates *c, const char *path, struct stat *st,
          struct bs_err *e)
{
    int *spool = &c->spool[c->at];

    if (*spool >= 0) {
        c->fd = fcntl(*spool, F_DUPFD_CLOEXEC, 3);
        if (c->fd < 0 || lseek(c->fd, 0, SEEK_SET) != 0)
            return bs_err_errno(e, BS_EX_IO, "cannot read again");
    } else if (strcmp(path, "-") == 0) {
        c->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    } else {
        c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    }
    if (c->fd < 0 || fstat(c->fd, st) != 0)
        return bs_err_errno(e, BS_EX_NOINPUT, "cannot open");
    if (*spool >= 0 || !c->again ||
        (S_ISREG(st->st_mode) && strcmp(path, "-") != 0))
        return 0;
    if (copy_aside(c->fd, spool, e) < 0)
        return -e->code;
    close(c->fd);
    c->fd = -1;
    return open_file(c, path, st, e);
}

/* Whether the name ends in the extension, whatever compression is behind. */
static bool
is_named(const char *path, const char *extension)
{
    const char *slash = strrchr(path, '/');
    const char *at = strcasestr(slash != NULL ? slash : path, extension);
    size_t n = strlen(extension);

    return at != NULL && (at[n] == '\0' || at[n] == '.');
}

/* The format that a list's name promises. */
static enum bs_table_format
format_by_name(const char *path)
{
    static const struct {
        const char *extension;
        enum bs_table_format format;
    } known[] = {{".tsv", BS_TABLE_TSV},
                 {".csv", BS_TABLE_CSV},
                 {".jsonl", BS_TABLE_JSONL},
                 {".ndjson", BS_TABLE_JSONL}};
    size_t i;

    for (i = 0; i < BS_LEN(known); i++)
        if (is_named(path, known[i].extension))
            return known[i].format;
    return BS_TABLE_AUTO;
}

static bool
is_picture(const uint8_t *head, size_t len)
{
    enum bs_image_format f = bs_image_sniff(head, len);

    /* The others' signatures are short enough for a text to start with one. */
    return f == BS_IMAGE_JPEG || f == BS_IMAGE_PNG || f == BS_IMAGE_WEBP ||
           f == BS_IMAGE_GIF;
}

/* u64 length, then JSON: a stream's head or a file of tensors. */
static bool
is_safetensors(const uint8_t *head, size_t len)
{
    return len > 8 && head[8] == '{' && head[5] == 0 && head[6] == 0 &&
           head[7] == 0;
}

/* Tell what the plain bytes are, and open it; takes `plain` over. */
static int
open_plain(struct bs_candidates *c, struct bs_plain *plain, const char *path,
           bool regular, struct bs_err *e)
{
    enum bs_table_format format = c->options->list;
    const uint8_t *head;
    size_t len;
    int r = bs_plain_peek(plain, 512, &head, &len, e);

    if (r == 0 && (bs_archive_sniff(head, len) != BS_ARCHIVE_NONE ||
                   is_named(path, ".tar") || is_named(path, ".tgz") ||
                   is_named(path, ".zip")))
        return bs_members_open(&c->members, c, plain, c->options, e);
    if (r == 0 && is_safetensors(head, len))
        r = bs_err_set(e, BS_EX_DATA,
                       "is a bs stream or a file of tensors, not pictures");
    c->single = r == 0 && is_picture(head, len);
    if (c->single && !regular)
        r = bs_err_set(e, BS_EX_DATA,
                       "is one picture, not an archive or a list");
    if (format == BS_TABLE_AUTO)
        format = format_by_name(path);
    if (r == 0 && !c->single)
        return bs_list_open(&c->list, c, plain, format,
                            (const char *)c->base.data, c->options, e);
    bs_plain_close(plain);
    return r;
}

/* The folder of a list, or of a folder's files: `path` up to `len`. */
static int
set_base(struct bs_candidates *c, const char *path, size_t len,
         struct bs_err *e)
{
    int r;

    c->base.len = 0;
    r = bs_buf_add(&c->base, path, len, e);
    if (r == 0 && len > 0 && path[len - 1] != '/')
        r = bs_buf_str(&c->base, "/", e);
    return r == 0 ? bs_buf_add(&c->base, "", 1, e) : r;
}

static int
open_source(struct bs_candidates *c, struct bs_err *e)
{
    const char *path = c->path[c->at], *slash = strrchr(path, '/');
    bool from_stdin = strcmp(path, "-") == 0;
    struct bs_plain *plain;
    struct stat st;
    int r;

    c->open = true;
    c->name = from_stdin ? "stdin" : path;
    c->first = c->count;
    if (!from_stdin && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        r = set_base(c, path, strlen(path), e);
        return r == 0 ? bs_walk_init(&c->walk, path, e) : r;
    }
    r = set_base(c, path, slash != NULL ? (size_t)(slash - path) + 1 : 0, e);
    if (r == 0)
        r = open_file(c, path, &st, e);
    if (r < 0)
        return r;
    c->single = S_ISREG(st.st_mode) && bs_is_picture_name(path);
    if (c->single)
        return 0;
    r = bs_plain_open(&plain, c->fd, NULL, 0, e);
    if (r < 0)
        return r;
    return open_plain(c, plain, path, S_ISREG(st.st_mode) && !from_stdin, e);
}

/* ---- going through a source ---------------------------------------------- */

/* A picture that lies in a file: `name` within the base. */
static int
admit_file(struct bs_candidates *c, const char *name, struct bs_candidate **out,
           struct bs_err *e)
{
    size_t base = c->base.len - 1, len = strlen(name);
    char *path;
    int r = bs_candidates_admit(c, name, bs_stem_length(name), name, out, e);

    if (r <= 0)
        return r < 0 ? r : 1;
    path = bs_arena_alloc(&(*out)->arena, base + len + 1);
    if (path == NULL)
        return bs_err_memory(e, "path", base + len + 1);
    memcpy(path, c->base.data, base);
    memcpy(path + base, name, len + 1);
    (*out)->path = path;
    (*out)->beside = true;
    return 1;
}

static int
next_single(struct bs_candidates *c, struct bs_candidate **out,
            struct bs_err *e)
{
    const char *path = c->path[c->at], *slash = strrchr(path, '/');

    c->single = false;
    return admit_file(c, slash != NULL ? slash + 1 : path, out, e);
}

/* 1 with *out, NULL for one that is not wanted; 0 at the end of the source. */
static int
next_of_source(struct bs_candidates *c, struct bs_candidate **out,
               struct bs_err *e)
{
    *out = NULL;
    if (c->list != NULL)
        return bs_list_next(c->list, out, e);
    if (c->members != NULL)
        return bs_members_next(c->members, out, e);
    if (c->single)
        return next_single(c, out, e);
    if (c->walked < c->walk.count)
        return admit_file(c, bs_walk_path(&c->walk, c->walked++), out, e);
    return 0;
}

static void
close_source(struct bs_candidates *c)
{
    if (!c->open)
        return;
    bs_list_close(c->list);
    bs_members_close(c->members);
    bs_walk_release(&c->walk);
    c->list = NULL;
    c->members = NULL;
    c->walked = 0;
    c->single = false;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->open = false;
}

/* Everything was there? */
static int
end_source(struct bs_candidates *c, struct bs_err *e)
{
    if (c->members != NULL) {
        c->strays += bs_members_strays(c->members);
        if (!bs_members_ended(c->members) && !c->options->allow_cut)
            return bs_err_set(e, BS_EX_DATA,
                              "archive '%.200s' does not say that it ends: it "
                              "may be cut",
                              c->name);
        c->cuts += !bs_members_ended(c->members);
    }
    if (c->count == c->first)
        return bs_err_set(e, BS_EX_DATA, "no images in '%.200s'", c->name);
    return 0;
}

int
bs_candidates_next(struct bs_candidates *c, struct bs_candidate **out,
                   struct bs_err *e)
{
    int r;

    *out = NULL;
    while (c->at < c->paths) {
        r = c->open ? 0 : open_source(c, e);
        if (r == 0)
            r = next_of_source(c, out, e);
        if (r < 0) {
            bs_candidate_free(*out);
            *out = NULL;
            return bs_err_prefix(e, "cannot read '%.200s'", c->name);
        }
        if (*out != NULL)
            return 1;
        if (r > 0)
            continue;
        r = end_source(c, e);
        if (r < 0)
            return r;
        close_source(c);
        c->at++;
    }
    return 0;
}

/* ---- life ---------------------------------------------------------------- */

int
bs_candidates_open(struct bs_candidates **out, const char *const *path,
                   size_t paths, const struct bs_gather_options *options,
                   bool again, struct bs_err *e)
{
    struct bs_candidates *c = bs_alloc_array(1, sizeof *c);
    size_t i;

    *out = NULL;
    if (c == NULL)
        return bs_err_memory(e, "sources", sizeof *c);
    c->path = path;
    c->paths = paths;
    c->options = options;
    c->again = again;
    c->fd = -1;
    c->spool = bs_alloc_array(paths, sizeof *c->spool);
    if (c->spool == NULL) {
        bs_candidates_close(c);
        return bs_err_memory(e, "sources", paths * sizeof *c->spool);
    }
    for (i = 0; i < paths; i++)
        c->spool[i] = -1;
    for (i = 0; i < paths; i++)
        if (strcmp(path[i], "-") != 0 && access(path[i], R_OK) != 0) {
            bs_err_errno(e, BS_EX_NOINPUT, "cannot open '%s'", path[i]);
            bs_candidates_close(c);
            return -e->code;
        }
    *out = c;
    return 0;
}

void
bs_candidates_rewind(struct bs_candidates *c, bs_want_fn *want, void *arg)
{
    close_source(c);
    bs_tally_release(&c->keys);
    c->at = 0;
    c->count = c->strays = c->cuts = 0;
    c->want = want;
    c->want_arg = arg;
}

uint64_t
bs_candidates_strays(const struct bs_candidates *c)
{
    return c->strays;
}

uint64_t
bs_candidates_cuts(const struct bs_candidates *c)
{
    return c->cuts;
}

void
bs_candidates_close(struct bs_candidates *c)
{
    size_t i;

    if (c == NULL)
        return;
    close_source(c);
    for (i = 0; c->spool != NULL && i < c->paths; i++)
        if (c->spool[i] >= 0)
            close(c->spool[i]);
    bs_free(c->spool);
    bs_buf_release(&c->base);
    bs_tally_release(&c->keys);
    bs_free(c);
}
