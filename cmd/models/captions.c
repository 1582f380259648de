/*
 * captions.c - see captions.h.
 */
#include "cmd/models/captions.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "formats/json.h"

bool
bs_captions_may_name(const char *name)
{
    static const char *const ours[] = {"key",   "orig_key", "caption",
                                       "src",   "status",   "format",
                                       "width", "height",   "sha256"};
    size_t len = strlen(name), i;

    for (i = 0; i < BS_LEN(ours); i++)
        if (strcmp(name, ours[i]) == 0)
            return false;
    return len > 0 && len <= BS_DOC_NAME_MAX && strncmp(name, "bs.", 3) != 0;
}

/* What is wrong with a caption file, as the candidate's status. */
static int
refuse(struct bs_candidate *c, const char *extension, const char *what,
       struct bs_err *e)
{
    char message[600];

    snprintf(message, sizeof message, "caption file (%s): %s", extension, what);
    return bs_candidate_refuse(c, BS_GATHER_BAD_METADATA, message, e);
}

/* Read the file of that extension beside the picture, if there is one. */
static int
read_beside(struct bs_candidate *c, const char *extension, struct bs_buf *b,
            bool *has, struct bs_err *e)
{
    const char *dot = strrchr(c->path, '.'), *slash = strrchr(c->path, '/');
    size_t stem = dot != NULL && (slash == NULL || dot > slash)
                      ? (size_t)(dot - c->path)
                      : strlen(c->path);
    char *path = bs_arena_alloc(&c->arena, stem + strlen(extension) + 1);
    struct stat st;
    ptrdiff_t n;
    int fd, r;

    if (path == NULL)
        return bs_err_memory(e, "path", stem);
    memcpy(path, c->path, stem);
    memcpy(path + stem, extension, strlen(extension) + 1);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : refuse(c, extension, strerror(errno), e);
    r = bs_buf_reserve(b, BS_CAPTION_MAX + 1, e);
    if (r == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        n = bs_read(fd, b->data, BS_CAPTION_MAX + 1);
        *has = n >= 0;
        b->len = n > 0 ? (size_t)n : 0;
        if (n < 0)
            r = refuse(c, extension, strerror(errno), e);
        else if (n > BS_CAPTION_MAX)
            r = refuse(c, extension, "longer than 64 KiB", e);
    }
    close(fd);
    return r;
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The text without white space around it. */
static int
caption_of_text(struct bs_candidate *c, struct bs_err *e)
{
    const char *s = (const char *)c->text.data;
    size_t len = c->text.len;

    if (len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
        s += 3;
        len -= 3;
    }
    for (; len > 0 && is_space(*s); len--)
        s++;
    while (len > 0 && is_space(s[len - 1]))
        len--;
    if (len == 0)
        return 0;
    c->caption = bs_text_repair(&c->arena, s, len);
    return c->caption != NULL ? 0 : bs_err_memory(e, "caption", len);
}

/* The member of an object that holds the caption, or NULL. */
static const struct bs_json *
caption_member(const struct bs_json *root)
{
    static const char *const names[] = {"caption", "text", "prompt"};
    const struct bs_json *v;
    size_t i;

    for (i = 0; i < BS_LEN(names); i++)
        for (v = root->child; v != NULL; v = v->next)
            if (v->type == BS_JSON_STRING && strcasecmp(v->key, names[i]) == 0)
                return v;
    return NULL;
}

/* The caption, and every other string as metadata. */
static int
take_members(struct bs_candidate *c, const struct bs_json *root,
             struct bs_err *e)
{
    const struct bs_json *caption = caption_member(root), *v;
    size_t room = (c->extras + root->count) * sizeof *c->extra;
    struct bs_pair *extra = bs_arena_alloc(&c->arena, room), *p;

    if (extra == NULL)
        return bs_err_memory(e, "metadata", room);
    if (c->extras > 0)
        memcpy(extra, c->extra, c->extras * sizeof *extra);
    c->extra = extra;
    for (v = root->child; v != NULL; v = v->next) {
        if (v->type != BS_JSON_STRING || v == caption || v->text[0] == '\0')
            continue;
        p = &extra[c->extras++];
        p->name = bs_arena_text(&c->arena, v->key, strlen(v->key));
        p->value = bs_arena_text(&c->arena, v->text, strlen(v->text));
        if (p->name == NULL || p->value == NULL)
            return bs_err_memory(e, "metadata", strlen(v->text));
    }
    if (caption == NULL || c->caption != NULL || caption->text[0] == '\0')
        return 0;
    c->caption = bs_arena_text(&c->arena, caption->text, strlen(caption->text));
    return c->caption != NULL ? 0 : bs_err_memory(e, "caption", room);
}

static int
caption_of_json(struct bs_candidate *c, struct bs_err *e)
{
    struct bs_json_doc *doc = NULL;
    struct bs_err inner = {0};
    const struct bs_json *root;
    const char *text = c->json.len > 0 ? (const char *)c->json.data : "";
    int r = bs_json_parse(&doc, text, c->json.len, BS_JSON_NONFINITE, &inner);

    if (r == -BS_EX_OSERR) {
        *e = inner;
        return r;
    }
    if (r < 0)
        return refuse(c, ".json", inner.text, e);
    root = bs_json_root(doc);
    r = root->type == BS_JSON_OBJECT ? take_members(c, root, e)
                                     : refuse(c, ".json", "not an object", e);
    bs_json_free(doc);
    return r;
}

int
bs_captions_read(struct bs_candidate *c, struct bs_err *e)
{
    int r = 0;

    if (c->beside && c->path != NULL) {
        r = read_beside(c, ".txt", &c->text, &c->has_text, e);
        if (r == 0 && c->status == BS_GATHER_OK)
            r = read_beside(c, ".json", &c->json, &c->has_json, e);
    }
    if (r == 0 && c->status == BS_GATHER_OK && c->has_text)
        r = caption_of_text(c, e);
    if (r == 0 && c->status == BS_GATHER_OK && c->has_json)
        r = caption_of_json(c, e);
    return r;
}
