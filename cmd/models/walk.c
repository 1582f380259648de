/*
 * walk.c - see walk.h.  Folders are visited from a list, one open at a time;
 * order comes from the sort at the end.  Memory: the paths, twice at most.
 */
#include "cmd/models/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/models/keys.h"

struct visit {
    struct bs_walk *walk;
    struct bs_buf folders; /* still to visit, each NUL-terminated */
    struct bs_buf path;    /* of the folder being read, from the root's name */
    const char *within;    /* its path within the root, "" for the root */
};

/* Append "within/name" to b. */
static int
add_path(struct bs_buf *b, const char *within, const char *name,
         struct bs_err *e)
{
    int r = bs_buf_str(b, within, e);

    if (r == 0 && *within != '\0')
        r = bs_buf_str(b, "/", e);
    return r == 0 ? bs_buf_add(b, name, strlen(name) + 1, e) : r;
}

enum kind { OTHER, FILE_, FOLDER };

/* A link counts as the file it leads to; one that leads nowhere is a file that
 * cannot be read. */
static enum kind
kind_of(int folder, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type == DT_REG)
        return FILE_;
    if (entry->d_type == DT_DIR)
        return FOLDER;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return OTHER;
    if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return FILE_;
    if (S_ISDIR(st.st_mode))
        return FOLDER;
    if (S_ISLNK(st.st_mode) && fstatat(folder, entry->d_name, &st, 0) != 0)
        return FILE_;
    return S_ISREG(st.st_mode) ? FILE_ : OTHER;
}

static int
add_entry(struct visit *v, int folder, const struct dirent *entry,
          struct bs_err *e)
{
    struct bs_walk *w = v->walk;
    uint64_t start = w->text.len;
    enum kind kind;
    int r;

    if (entry->d_name[0] == '.')
        return 0;
    kind = kind_of(folder, entry);
    if (kind == FOLDER)
        return add_path(&v->folders, v->within, entry->d_name, e);
    if (kind != FILE_ || !bs_is_picture_name(entry->d_name))
        return 0;
    r = add_path(&w->text, v->within, entry->d_name, e);
    if (r == 0)
        r = bs_buf_add(&w->order, &start, sizeof start, e);
    w->count += r == 0;
    return r;
}

static int
read_folder(struct visit *v, struct bs_err *e)
{
    const char *path = (const char *)v->path.data;
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, r = 0, fd;
    struct dirent *entry;
    DIR *dir;

    /* Only the root itself may be a link. */
    fd = open(path, flags | (*v->within != '\0' ? O_NOFOLLOW : 0));
    dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        r = bs_err_errno(e, BS_EX_NOINPUT, "cannot open folder '%s'", path);
        if (fd >= 0)
            close(fd);
        return r;
    }
    while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL)
        r = add_entry(v, fd, entry, e);
    if (r == 0 && errno != 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot read folder '%s'", path);
    closedir(dir);
    return r;
}

static int
compare(const void *a, const void *b, void *text)
{
    const char *base = text;

    return strcmp(base + *(const uint64_t *)a, base + *(const uint64_t *)b);
}

/* Take the folder that was added last and read it. */
static int
visit_last(struct visit *v, const char *root, struct bs_buf *within,
           struct bs_err *e)
{
    const char *base = (const char *)v->folders.data;
    size_t start = v->folders.len - 1;
    int r;

    while (start > 0 && base[start - 1] != '\0')
        start--;
    within->len = v->path.len = 0;
    r = bs_buf_add(within, base + start, v->folders.len - start, e);
    v->folders.len = start;
    if (r < 0)
        return r;
    v->within = (const char *)within->data;
    r = *v->within != '\0' ? add_path(&v->path, root, v->within, e)
                           : bs_buf_add(&v->path, root, strlen(root) + 1, e);
    return r == 0 ? read_folder(v, e) : r;
}

int
bs_walk_init(struct bs_walk *w, const char *root, struct bs_err *e)
{
    struct visit v = {.walk = w};
    struct bs_buf within = {0};
    int r = bs_buf_add(&v.folders, "", 1, e);

    while (r == 0 && v.folders.len > 0)
        r = visit_last(&v, root, &within, e);
    bs_buf_release(&v.folders);
    bs_buf_release(&v.path);
    bs_buf_release(&within);
    if (r < 0)
        bs_walk_release(w);
    else if (w->count > 1)
        qsort_r(w->order.data, w->count, sizeof(uint64_t), compare,
                w->text.data);
    return r;
}

const char *
bs_walk_path(const struct bs_walk *w, size_t i)
{
    const uint64_t *start = (const uint64_t *)(const void *)w->order.data;

    return (const char *)w->text.data + start[i];
}

void
bs_walk_release(struct bs_walk *w)
{
    bs_buf_release(&w->text);
    bs_buf_release(&w->order);
    *w = (struct bs_walk){0};
}
