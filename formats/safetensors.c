/*
 * safetensors.c - see safetensors.h.  Opening reads the headers only: memory is
 * O(tensors), the weights stay in the page cache.  A lookup is a binary search.
 */
#include "formats/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "formats/json.h"

enum { INDEX_BYTES_MAX = 16 << 20, TEXT_BYTES_MAX = 1 << 20, FILES_MAX = 4096 };

/* A file of the model: weights, which have a mapping, or a text, which has its
 * digest already. */
struct part {
    char *name;
    void *map;
    size_t bytes;
    struct bs_doc doc;
    char digest[BS_SHA256_HEX_SIZE];
};

struct entry {
    const struct bs_tensor *tensor;
    size_t part; /* the file that holds it */
};

struct bs_safetensors {
    char *path;
    char *folder; /* what names are relative to, with a slash, or "" */
    struct part *part;
    size_t parts, part_room;
    struct entry *entry; /* sorted by name */
    size_t entries;
};

/* folder + name, to be freed. */
static char *
join(const char *folder, const char *name, struct bs_err *e)
{
    size_t head = strlen(folder), tail = strlen(name) + 1;
    char *path = bs_alloc(head + tail);

    if (path == NULL) {
        (void)bs_err_memory(e, "path", head + tail);
        return NULL;
    }
    memcpy(path, folder, head);
    memcpy(path + head, name, tail);
    return path;
}

/* An empty part called `name` at the end of the list, or NULL. */
static struct part *
part_add(struct bs_safetensors *s, const char *name, struct bs_err *e)
{
    struct part *grown, *p;
    size_t room = s->part_room > 0 ? s->part_room * 2 : 4;

    if (s->parts == s->part_room) {
        grown = bs_alloc_array(room, sizeof *grown);
        if (grown == NULL) {
            (void)bs_err_memory(e, "files of the model", room * sizeof *grown);
            return NULL;
        }
        if (s->parts > 0)
            memcpy(grown, s->part, s->parts * sizeof *grown);
        bs_free(s->part);
        s->part = grown;
        s->part_room = room;
    }
    p = &s->part[s->parts];
    p->name = bs_strdup(name);
    if (p->name == NULL) {
        (void)bs_err_memory(e, "file name", strlen(name) + 1);
        return NULL;
    }
    s->parts++;
    return p;
}

/* Map a regular file whole. */
static int
map_file(struct part *p, const char *path, struct bs_err *e)
{
    struct stat st;
    /* Nothing waits for the writer of a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;

    if (fd < 0)
        return bs_err_errno(e, BS_EX_NOINPUT, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot read '%s'", path);
    else if (!S_ISREG(st.st_mode))
        r = bs_err_set(e, BS_EX_NOINPUT, "'%s' is no regular file", path);
    else if (st.st_size == 0)
        r = bs_err_set(e, BS_EX_DATA, "'%s' is empty", path);
    else {
        p->bytes = (size_t)st.st_size;
        p->map = mmap(NULL, p->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p->map == MAP_FAILED) {
            p->map = NULL;
            r = bs_err_errno(e, BS_EX_IO, "cannot map '%s'", path);
        }
    }
    close(fd);
    return r;
}

/* Map and check the weight file `name` of the folder. */
static int
load_weights(struct bs_safetensors *s, const char *name, struct bs_err *e)
{
    struct part *p = part_add(s, name, e);
    char *path;
    int r;

    if (p == NULL)
        return -e->code;
    path = join(s->folder, name, e);
    if (path == NULL)
        return -e->code;
    r = map_file(p, path, e);
    if (r == 0) {
        r = bs_doc_parse(&p->doc, p->map, p->bytes, &bs_doc_limits_file, e);
        if (r < 0)
            r = bs_err_prefix(e, "'%s'", path);
    }
    bs_free(path);
    return r;
}

static int
entry_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return strcmp(x->tensor->name, y->tensor->name);
}

/* Sort the tensors of all files by name; no name may come twice. */
static int
index_tensors(struct bs_safetensors *s, struct bs_err *e)
{
    size_t count = 0, i, k;

    for (i = 0; i < s->parts; i++)
        count += s->part[i].doc.tensors;
    s->entry = bs_alloc_array(count, sizeof *s->entry);
    if (s->entry == NULL)
        return bs_err_memory(e, "index of tensors", count * sizeof *s->entry);
    for (i = 0; i < s->parts; i++)
        for (k = 0; k < s->part[i].doc.tensors; k++) {
            s->entry[s->entries].tensor = &s->part[i].doc.tensor[k];
            s->entry[s->entries++].part = i;
        }
    if (count > 0)
        qsort(s->entry, count, sizeof *s->entry, entry_order);
    for (i = 1; i < count; i++)
        if (entry_order(&s->entry[i - 1], &s->entry[i]) == 0)
            return bs_err_set(
                e, BS_EX_DATA, "tensor '%s' is in '%s' and in '%s'",
                s->entry[i].tensor->name, s->part[s->entry[i - 1].part].name,
                s->part[s->entry[i].part].name);
    return 0;
}

static const struct entry *
find(const struct bs_safetensors *s, const char *name)
{
    struct bs_tensor want = {.name = name};
    struct entry key = {.tensor = &want};

    return s->entries == 0 ? NULL
                           : bsearch(&key, s->entry, s->entries,
                                     sizeof *s->entry, entry_order);
}

/* A plain name within the folder: an index must not lead out of it. */
static bool
plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static bool
have_part(const struct bs_safetensors *s, const char *name)
{
    size_t i;

    for (i = 0; i < s->parts; i++)
        if (strcmp(s->part[i].name, name) == 0)
            return true;
    return false;
}

/* Map every shard that the index names. */
static int
load_shards(struct bs_safetensors *s, const struct bs_json *map,
            struct bs_err *e)
{
    const struct bs_json *v;
    int r = 0;

    for (v = map->child; v != NULL && r == 0; v = v->next) {
        if (v->type != BS_JSON_STRING || !plain_name(v->text))
            return bs_err_set(e, BS_EX_DATA,
                              "tensor '%s' is said to be in no plain file name",
                              v->key);
        if (have_part(s, v->text))
            continue;
        if (s->parts == FILES_MAX)
            return bs_err_set(e, BS_EX_DATA, "more than %d shards", FILES_MAX);
        r = load_weights(s, v->text, e);
        if (r == -BS_EX_NOINPUT) {
            /* The folder is there: a shard that is not is bad data. */
            e->code = BS_EX_DATA;
            r = -BS_EX_DATA;
        }
    }
    return r;
}

/* Every tensor must be where the index says. */
static int
check_map(const struct bs_safetensors *s, const struct bs_json *map,
          struct bs_err *e)
{
    const struct bs_json *v;

    for (v = map->child; v != NULL; v = v->next) {
        const struct entry *found = find(s, v->key);

        if (found == NULL || strcmp(s->part[found->part].name, v->text) != 0)
            return bs_err_set(e, BS_EX_DATA, "tensor '%s' is not in '%s'",
                              v->key, v->text);
    }
    return 0;
}

static int
load_index(struct bs_safetensors *s, const char *path, struct bs_err *e)
{
    struct bs_json_doc *json = NULL;
    struct bs_buf text = {0};
    const struct bs_json *map;
    int r = bs_read_file(path, INDEX_BYTES_MAX, &text, e);

    if (r < 0)
        goto done;
    r = bs_json_parse(&json, (const char *)text.data, text.len, 0, e);
    if (r < 0) {
        r = bs_err_prefix(e, "'%s'", path);
        goto done;
    }
    map = bs_json_get(bs_json_root(json), "weight_map");
    if (map == NULL || map->type != BS_JSON_OBJECT || map->count == 0)
        r = bs_err_set(e, BS_EX_DATA, "no 'weight_map'");
    if (r == 0)
        r = load_shards(s, map, e);
    if (r == 0)
        r = index_tensors(s, e);
    if (r == 0)
        r = check_map(s, map, e);
    if (r < 0)
        r = bs_err_prefix(e, "'%s'", path);
done:
    bs_json_free(json);
    bs_buf_release(&text);
    return r;
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The file `name` of the folder, if it is there: 1, or 0 without it. */
static int
load_named(struct bs_safetensors *s, const char *name, bool index,
           struct bs_err *e)
{
    char *path = join(s->folder, name, e);
    int r;

    if (path == NULL)
        return -e->code;
    if (!exists(path)) {
        bs_free(path);
        return 0;
    }
    r = index ? load_index(s, path, e) : load_weights(s, name, e);
    if (r == 0 && !index)
        r = index_tensors(s, e);
    bs_free(path);
    return r < 0 ? r : 1;
}

static int
no_weights(struct bs_safetensors *s, const char *stem, struct bs_err *e)
{
    const char *start = strncmp(stem, "diffusion", 9) == 0 ? "diffusion_" : "";
    char name[100], *pickle;
    bool there;

    snprintf(name, sizeof name, "%spytorch_model.bin", start);
    pickle = join(s->folder, name, e);
    if (pickle == NULL)
        return -e->code;
    there = exists(pickle);
    bs_free(pickle);
    return bs_err_set(e, BS_EX_NOINPUT, "no '%s.safetensors' in '%s'%s%s%s",
                      stem, s->path, there ? "; '" : "", there ? name : "",
                      there ? "' is a pickle, which is never read" : "");
}

/* The weights of a folder: one file, or an index and its shards; the variant's
 * if it is there, else the plain ones. */
static int
load_folder(struct bs_safetensors *s, const char *stem, const char *variant,
            struct bs_err *e)
{
    static const struct {
        const char *head, *tail; /* around the variant */
        bool index;
    } forms[] = {{".", ".safetensors", false},
                 {".safetensors.index.", ".json", true},
                 {".", ".safetensors.index.json", true}};
    char name[200];
    size_t i;
    int r = 0;

    for (i = 0; variant != NULL && i < BS_LEN(forms) && r == 0; i++) {
        snprintf(name, sizeof name, "%s%s%s%s", stem, forms[i].head, variant,
                 forms[i].tail);
        r = load_named(s, name, forms[i].index, e);
    }
    for (i = 0; i < 2 && r == 0; i++) {
        snprintf(name, sizeof name, "%s.safetensors%s", stem,
                 i == 0 ? "" : ".index.json");
        r = load_named(s, name, i > 0, e);
    }
    return r == 0 ? no_weights(s, stem, e) : r < 0 ? r : 0;
}

/* A single file: its folder is where the texts are. */
static int
load_single(struct bs_safetensors *s, struct bs_err *e)
{
    char *slash = strrchr(s->folder, '/');
    const char *name = strrchr(s->path, '/');
    int r;

    name = name != NULL ? name + 1 : s->path;
    if (slash != NULL)
        slash[1] = '\0';
    else
        s->folder[0] = '\0';
    r = load_weights(s, name, e);
    return r < 0 ? r : index_tensors(s, e);
}

int
bs_safetensors_open(struct bs_safetensors **out, const char *path,
                    struct bs_err *e)
{
    return bs_safetensors_open_as(out, path, "model", NULL, e);
}

int
bs_safetensors_open_as(struct bs_safetensors **out, const char *path,
                       const char *stem, const char *variant, struct bs_err *e)
{
    struct bs_safetensors *s = bs_alloc_array(1, sizeof *s);
    struct stat st;
    int r;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "model", sizeof *s);
    s->path = bs_strdup(path);
    s->folder = join(
        path, path[0] != '\0' && path[strlen(path) - 1] == '/' ? "" : "/", e);
    if (s->path == NULL || s->folder == NULL)
        r = bs_err_memory(e, "path", strlen(path) + 2);
    else if (stat(path, &st) < 0)
        r = bs_err_errno(e, BS_EX_NOINPUT, "cannot open '%s'", path);
    else if (S_ISDIR(st.st_mode))
        r = load_folder(s, stem, variant, e);
    else {
        s->folder[strlen(path)] = '\0';
        r = load_single(s, e);
    }
    if (r < 0) {
        bs_safetensors_close(s);
        return r;
    }
    *out = s;
    return 0;
}

void
bs_safetensors_close(struct bs_safetensors *s)
{
    size_t i;

    if (s == NULL)
        return;
    for (i = 0; i < s->parts; i++) {
        bs_doc_release(&s->part[i].doc);
        if (s->part[i].map != NULL)
            munmap(s->part[i].map, s->part[i].bytes);
        bs_free(s->part[i].name);
    }
    bs_free(s->part);
    bs_free(s->entry);
    bs_free(s->folder);
    bs_free(s->path);
    bs_free(s);
}

const char *
bs_safetensors_path(const struct bs_safetensors *s)
{
    return s->path;
}

const struct bs_tensor *
bs_safetensors_find(const struct bs_safetensors *s, const char *name)
{
    const struct entry *found = find(s, name);

    return found != NULL ? found->tensor : NULL;
}

const char *
bs_safetensors_meta(const struct bs_safetensors *s, const char *name)
{
    return s->parts > 0 ? bs_doc_meta(&s->part[0].doc, name) : NULL;
}

void
bs_safetensors_forget(const struct bs_tensor *t)
{
    bs_map_forget(t->data, t->bytes);
}

size_t
bs_safetensors_count(const struct bs_safetensors *s)
{
    return s->entries;
}

const struct bs_tensor *
bs_safetensors_at(const struct bs_safetensors *s, size_t i)
{
    return s->entry[i].tensor;
}

int
bs_safetensors_text(struct bs_safetensors *s, const char *name,
                    struct bs_buf *text, struct bs_err *e)
{
    char *path = join(s->folder, name, e);
    size_t start = text->len;
    struct part *p;
    int r;

    if (path == NULL)
        return -e->code;
    if (!exists(path)) {
        bs_free(path);
        return 0;
    }
    r = bs_read_file(path, TEXT_BYTES_MAX, text, e);
    bs_free(path);
    if (r < 0)
        return r;
    p = part_add(s, name, e);
    if (p == NULL)
        return -e->code;
    bs_sha256(text->data + start, text->len - start, p->digest);
    return 1;
}

static int
part_order(const void *a, const void *b)
{
    const struct part *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

int
bs_safetensors_digest(const struct bs_safetensors *s,
                      char hex[BS_SHA256_HEX_SIZE], struct bs_err *e)
{
    const struct part **sorted = bs_alloc_array(s->parts, sizeof(void *));
    struct bs_buf lines = {0};
    size_t i;
    int r = 0;

    if (sorted == NULL)
        return bs_err_memory(e, "files of the model", s->parts);
    for (i = 0; i < s->parts; i++)
        sorted[i] = &s->part[i];
    qsort(sorted, s->parts, sizeof *sorted, part_order);
    for (i = 0; i < s->parts && r == 0; i++) {
        char digest[BS_SHA256_HEX_SIZE];

        memcpy(digest, sorted[i]->digest, sizeof digest);
        if (sorted[i]->map != NULL)
            bs_sha256_map(sorted[i]->map, sorted[i]->bytes, digest);
        r = bs_buf_printf(&lines, e, "%s  %s\n", digest, sorted[i]->name);
    }
    if (r == 0)
        bs_sha256(lines.data, lines.len, hex);
    bs_buf_release(&lines);
    bs_free(sorted);
    return r;
}
