/*
 * sink_files.c - see sink.h: records as members of a tar, and as files of a
 * folder.
 *
 * A folder is filled under a temporary name beside its own and renamed when it
 * is complete.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/models/sink.h"
#include "formats/segment.h"
#include "formats/tarwrite.h"
#include "formats/wds.h"

/* ---- tar ----------------------------------------------------------------- */

struct tar {
    struct bs_sink base;
    struct bs_out out;
    struct bs_tar *tar;
    struct bs_segment segment; /* for the content id in __bs__/end */
};

static int
tar_put(void *arg, const char *name, const void *data, size_t len,
        struct bs_err *e)
{
    struct tar *t = arg;

    if (bs_tar_member(t->tar, name, data, len, e) == 0)
        return 0;
    return bs_err_prefix(e, "cannot write '%s'", t->out.name);
}

static int
tar_head(struct bs_sink *base, const struct bs_doc *head, struct bs_err *e)
{
    struct tar *t = (struct tar *)base;
    const struct bs_doc *doc;
    int r = bs_segment_head(&t->segment, head, &doc, e);

    if (r < 0)
        return r;
    return tar_put(t, "__bs__/head", t->segment.bytes.data,
                   t->segment.bytes.len, e);
}

static int
tar_record(struct bs_sink *base, const struct bs_sunk *rec, struct bs_err *e)
{
    struct tar *t = (struct tar *)base;
    const struct bs_doc *doc;
    int r = bs_segment_record(&t->segment, rec->doc, &doc, e);

    return r < 0 ? r : bs_wds_write(doc, tar_put, t, e);
}

static int
tar_end(struct bs_sink *base, const struct bs_doc *end, struct bs_err *e)
{
    static const char *const names[] = {"bs.status", "bs.stats", "bs.parents"};
    struct tar *t = (struct tar *)base;
    struct bs_doc copy = {0};
    const struct bs_doc *doc;
    int r = 0;
    size_t i;

    for (i = 0; i < BS_LEN(names) && r == 0; i++)
        r = bs_doc_set(&copy, names[i], bs_doc_meta(end, names[i]), e);
    if (r == 0)
        r = bs_segment_end(&t->segment, &copy, &doc, e);
    bs_doc_release(&copy);
    if (r < 0)
        return r;
    return tar_put(t, "__bs__/end", t->segment.bytes.data, t->segment.bytes.len,
                   e);
}

static int
tar_close(struct bs_sink *base, bool keep, struct bs_err *e)
{
    struct tar *t = (struct tar *)base;
    int r = 0;

    if (!keep)
        bs_tar_abandon(t->tar);
    else if (bs_tar_close(t->tar, e) < 0)
        r = bs_err_prefix(e, "cannot write '%s'", t->out.name);
    if (bs_sink_done(&t->out, keep && r == 0, e) < 0)
        r = -e->code;
    bs_segment_release(&t->segment);
    bs_free(t);
    return r;
}

int
bs_sink_tar(struct bs_sink **out, const char *path, struct bs_err *e)
{
    static const struct bs_sink_class class = {tar_head, tar_record, tar_end,
                                               tar_close};
    enum bs_tar_filter filter = BS_TAR_PLAIN;
    struct tar *t = bs_alloc_array(1, sizeof *t);
    int r;

    *out = NULL;
    if (t == NULL)
        return bs_err_memory(e, "output", sizeof *t);
    t->base.class = &class;
    r = bs_sink_out(&t->out, path, e);
    if (r == 0) {
        bs_tar_named(t->out.name, &filter);
        r = bs_tar_open(&t->tar, t->out.fd, filter, e);
        if (r < 0)
            bs_out_abandon(&t->out);
    }
    if (r < 0) {
        bs_free(t);
        return r;
    }
    *out = &t->base;
    return 0;
}

/* ---- folder -------------------------------------------------------------- */

struct folder {
    struct bs_sink base;
    enum bs_folder_kind kind;
    char *path, *temp;
    int fd;             /* of temp */
    struct bs_buf made; /* a document without bytes of its own */
};

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Make the folders that the path `name` below f->fd goes through. */
static int
make_folders(struct folder *f, const char *name, struct bs_err *e)
{
    char *part = bs_strdup(name), *slash;
    int r = 0;

    if (part == NULL)
        return bs_err_memory(e, "file name", strlen(name));
    for (slash = strchr(part, '/'); slash != NULL && r == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(f->fd, part, 0777) < 0 && errno != EEXIST)
            r = bs_err_errno(e, BS_EX_IO, "cannot create '%s/%s'", f->path,
                             part);
        *slash = '/';
    }
    bs_free(part);
    return r;
}

static int
folder_put(void *arg, const char *name, const void *data, size_t len,
           struct bs_err *e)
{
    struct folder *f = arg;
    int r = make_folders(f, name, e), fd;

    if (r < 0)
        return r;
    fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return bs_err_set(e, BS_EX_DATA, "a second record for the file '%s'",
                          name);
    if (fd < 0)
        return bs_err_errno(e, BS_EX_IO, "cannot create '%s/%s'", f->path,
                            name);
    if (bs_write(fd, data, len) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write '%s/%s'", f->path, name);
    if (close(fd) < 0 && r == 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write '%s/%s'", f->path, name);
    return r;
}

/* Files carry no heads. */
static int
folder_edge(struct bs_sink *base, const struct bs_doc *doc, struct bs_err *e)
{
    (void)base;
    (void)doc;
    (void)e;
    return 0;
}

static int
folder_record(struct bs_sink *base, const struct bs_sunk *rec, struct bs_err *e)
{
    struct folder *f = (struct folder *)base;
    const uint8_t *bytes = rec->bytes;
    size_t len = rec->len;
    char name[BS_WDS_KEY_SIZE + sizeof ".safetensors"];
    int r;

    if (f->kind == BS_FOLDER_NPY)
        return bs_wds_write(rec->doc, folder_put, f, e);
    if (bytes == NULL) {
        f->made.len = 0;
        r = bs_doc_write(rec->doc, &f->made, e);
        if (r < 0)
            return r;
        bytes = f->made.data;
        len = f->made.len;
    }
    snprintf(name, sizeof name, "%s.safetensors", bs_doc_meta(rec->doc, "key"));
    return folder_put(f, name, bytes, len, e);
}

static int
folder_close(struct bs_sink *base, bool keep, struct bs_err *e)
{
    struct folder *f = (struct folder *)base;
    int r = 0;

    /* one call for all the files, which may be many and small */
    if (keep && syncfs(f->fd) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write '%s'", f->path);
    close(f->fd);
    if (keep && r == 0 && rename(f->temp, f->path) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot create '%s'", f->path);
    if (!keep || r < 0)
        nftw(f->temp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    bs_buf_release(&f->made);
    bs_free(f->path);
    bs_free(f->temp);
    bs_free(f);
    return r;
}

/* There is nothing at `path`, or an empty folder. */
static int
check_free(const char *path, struct bs_err *e)
{
    DIR *dir = opendir(path);
    const struct dirent *d;
    size_t entries = 0;

    if (dir == NULL && errno == ENOENT)
        return 0;
    if (dir == NULL)
        return bs_err_errno(e, BS_EX_IO, "cannot create '%s'", path);
    while ((d = readdir(dir)) != NULL)
        entries += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
    closedir(dir);
    if (entries > 0)
        return bs_err_set(e, BS_EX_IO, "cannot create '%s': folder not empty",
                          path);
    return 0;
}

/* The path without slashes at its end, and the temporary one beside it. */
static int
name_folder(struct folder *f, const char *path, struct bs_err *e)
{
    size_t len = strlen(path), room = len + 40;

    while (len > 1 && path[len - 1] == '/')
        len--;
    f->path = bs_alloc(len + 1);
    f->temp = bs_alloc(room);
    if (f->path == NULL || f->temp == NULL)
        return bs_err_memory(e, "file name", room);
    memcpy(f->path, path, len);
    f->path[len] = '\0';
    snprintf(f->temp, room, "%s.tmp.%ld", f->path, (long)getpid());
    return 0;
}

int
bs_sink_folder(struct bs_sink **out, const char *path, enum bs_folder_kind kind,
               struct bs_err *e)
{
    static const struct bs_sink_class class = {folder_edge, folder_record,
                                               folder_edge, folder_close};
    struct folder *f = bs_alloc_array(1, sizeof *f);
    int r;

    *out = NULL;
    if (f == NULL)
        return bs_err_memory(e, "output", sizeof *f);
    f->base.class = &class;
    f->kind = kind;
    f->fd = -1;
    r = name_folder(f, path, e);
    if (r == 0)
        r = check_free(f->path, e);
    if (r == 0 && mkdir(f->temp, 0777) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot create '%s'", f->path);
    if (r == 0) {
        f->fd = open(f->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (f->fd < 0) {
            r = bs_err_errno(e, BS_EX_IO, "cannot create '%s'", f->path);
            rmdir(f->temp);
        }
    }
    if (r < 0) {
        bs_free(f->path);
        bs_free(f->temp);
        bs_free(f);
        return r;
    }
    *out = &f->base;
    return 0;
}
