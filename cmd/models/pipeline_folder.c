/*
 * pipeline_folder.c - see pipeline_folder.h.
 */
#include "cmd/models/pipeline_folder.h"

#include <unistd.h>

#include "common/io.h"

enum {
    TEXT_MAX = 16 << 20,
    TEXTS_MAX = 32,
    PATH_ROOM = 4096,
    COMPONENT_ROOM = 64 /* of a component's or a text's name */
};

struct text {
    char name[2 * COMPONENT_ROOM];
    char digest[BS_SHA256_HEX_SIZE];
};

struct bs_pipeline_folder {
    char *path;
    char *unet; /* the folder that replaces it, or NULL */
    char *variant;
    struct bs_json_doc *json;
    struct text text[TEXTS_MAX];
    size_t texts;
};

static bool
exists(const char *folder, const char *name)
{
    char path[PATH_ROOM];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);

    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* ---- open -----------------------------------------------------------------
 */

static int
copy(char **out, const char *s, struct bs_err *e)
{
    *out = s != NULL ? bs_strdup(s) : NULL;
    return s != NULL && *out == NULL ? bs_err_memory(e, "path", strlen(s)) : 0;
}

/* The folder of another UNet: itself, or its component. */
static int
find_unet(struct bs_pipeline_folder *p, const char *path, struct bs_err *e)
{
    char inner[PATH_ROOM];
    int n = snprintf(inner, sizeof inner, "%s/unet", path);

    if (n < 0 || (size_t)n >= sizeof inner)
        return bs_err_set(e, BS_EX_NOINPUT, "the path '%.60s...' is too long",
                          path);
    if (exists(path, "config.json"))
        return copy(&p->unet, path, e);
    if (exists(inner, "config.json"))
        return copy(&p->unet, inner, e);
    return bs_err_set(e, BS_EX_NOINPUT,
                      "neither 'config.json' nor 'unet/config.json' in '%s'",
                      path);
}

int
bs_pipeline_folder_open(struct bs_pipeline_folder **out, const char *path,
                        const char *unet, const char *variant, struct bs_err *e)
{
    struct bs_pipeline_folder *p = bs_alloc_array(1, sizeof *p);
    int r;

    *out = NULL;
    if (p == NULL)
        return bs_err_memory(e, "model", sizeof *p);
    if ((r = copy(&p->path, path, e)) == 0 &&
        (r = copy(&p->variant, variant, e)) == 0)
        r = bs_pipeline_folder_json(p, "", "model_index.json", &p->json, e);
    if (r == 0 && bs_json_root(p->json)->type != BS_JSON_OBJECT)
        r = bs_err_set(e, BS_EX_DATA, "'%s/model_index.json': no object", path);
    if (r == 0 && unet != NULL)
        r = find_unet(p, unet, e);
    if (r < 0) {
        bs_pipeline_folder_close(p);
        return r;
    }
    *out = p;
    return 0;
}

void
bs_pipeline_folder_close(struct bs_pipeline_folder *p)
{
    if (p == NULL)
        return;
    bs_json_free(p->json);
    bs_free(p->path);
    bs_free(p->unet);
    bs_free(p->variant);
    bs_free(p);
}

/* ---- model_index.json ------------------------------------------------------
 */

const char *
bs_pipeline_folder_class(const struct bs_pipeline_folder *p)
{
    return bs_json_get_string(bs_json_root(p->json), "_class_name");
}

/* The library (place 0) or class (1) of a component, or NULL. */
static const char *
listed(const struct bs_pipeline_folder *p, const char *name, size_t place)
{
    const struct bs_json *pair = bs_json_get(bs_json_root(p->json), name);
    const struct bs_json *v;

    if (pair == NULL || pair->type != BS_JSON_ARRAY || pair->count != 2)
        return NULL;
    v = place == 0 ? pair->child : pair->child->next;
    return v->type == BS_JSON_STRING ? v->text : NULL;
}

const char *
bs_pipeline_folder_component(const struct bs_pipeline_folder *p,
                             const char *name)
{
    return listed(p, name, 1);
}

int
bs_pipeline_folder_expect(const struct bs_pipeline_folder *p, const char *name,
                          const char *const *classes, struct bs_err *e)
{
    const char *class = listed(p, name, 1);
    size_t i;

    if (class == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s/model_index.json' has no component '%s'",
                          p->path, name);
    for (i = 0; classes[i] != NULL; i++)
        if (strcmp(class, classes[i]) == 0)
            return 0;
    return bs_err_set(e, BS_EX_DATA,
                      "'%s/model_index.json': component '%s' is a '%.60s', not "
                      "a '%s'",
                      p->path, name, class, classes[0]);
}

/* ---- components ------------------------------------------------------------
 */

/* The folder of a component, "" being the whole. */
static int
folder_of(const struct bs_pipeline_folder *p, const char *name,
          char path[PATH_ROOM], struct bs_err *e)
{
    int n;

    if (p->unet != NULL && strcmp(name, "unet") == 0)
        n = snprintf(path, PATH_ROOM, "%s", p->unet);
    else
        n = snprintf(path, PATH_ROOM, "%s%s%s", p->path,
                     name[0] != '\0' ? "/" : "", name);
    if (n < 0 || n >= PATH_ROOM)
        return bs_err_set(e, BS_EX_NOINPUT, "the path '%.60s...' is too long",
                          p->path);
    return 0;
}

int
bs_pipeline_folder_weights(struct bs_pipeline_folder *p, const char *name,
                           struct bs_safetensors **out, struct bs_err *e)
{
    const char *library = listed(p, name, 0);
    char path[PATH_ROOM];
    int r = folder_of(p, name, path, e);

    *out = NULL;
    if (r < 0)
        return r;
    return bs_safetensors_open_as(out, path,
                                  library != NULL &&
                                          strcmp(library, "diffusers") == 0
                                      ? "diffusion_pytorch_model"
                                      : "model",
                                  p->variant, e);
}

int
bs_pipeline_folder_text(struct bs_pipeline_folder *p, const char *component,
                        const char *name, struct bs_buf *text, struct bs_err *e)
{
    char folder[PATH_ROOM], path[PATH_ROOM];
    struct text *t = &p->text[p->texts];
    size_t start = text->len;
    int r = folder_of(p, component, folder, e), n;

    if (r < 0)
        return r;
    if (!exists(folder, name))
        return 0;
    n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path || p->texts == TEXTS_MAX)
        return bs_err_set(e, BS_EX_DATA, "'%.60s' has too many texts", folder);
    r = bs_read_file(path, TEXT_MAX, text, e);
    if (r < 0)
        return r;
    snprintf(t->name, sizeof t->name, "%.*s%s%.*s", COMPONENT_ROOM - 2,
             component, component[0] != '\0' ? "/" : "", COMPONENT_ROOM - 2,
             name);
    bs_sha256(text->data + start, text->len - start, t->digest);
    p->texts++;
    return 1;
}

int
bs_pipeline_folder_json(struct bs_pipeline_folder *p, const char *component,
                        const char *name, struct bs_json_doc **json,
                        struct bs_err *e)
{
    char folder[PATH_ROOM];
    struct bs_buf text = {0};
    int r = folder_of(p, component, folder, e);

    *json = NULL;
    if (r == 0)
        r = bs_pipeline_folder_text(p, component, name, &text, e);
    if (r == 0)
        r = bs_err_set(e, BS_EX_NOINPUT, "no '%s' in '%s'", name, folder);
    if (r > 0) {
        r = bs_json_parse(json, (const char *)text.data, text.len,
                          BS_JSON_NONFINITE, e);
        if (r < 0)
            r = bs_err_prefix(e, "'%s/%s'", folder, name);
    }
    bs_buf_release(&text);
    return r;
}

/* ---- digest ----------------------------------------------------------------
 */

static int
by_name(const void *a, const void *b)
{
    const struct text *x = a, *y = b;

    return strcmp(x->name, y->name);
}

int
bs_pipeline_folder_digest(const struct bs_pipeline_folder *p,
                          struct bs_safetensors *const *opened,
                          const char *const *names, size_t count,
                          char hex[BS_SHA256_HEX_SIZE], struct bs_err *e)
{
    size_t n = p->texts + count, i;
    struct text *all = bs_alloc_array(n, sizeof *all);
    struct bs_buf lines = {0};
    int r = 0;

    if (all == NULL)
        return bs_err_memory(e, "digest", n * sizeof *all);
    memcpy(all, p->text, p->texts * sizeof *all);
    for (i = 0; i < count && r == 0; i++) {
        struct text *t = &all[p->texts + i];

        snprintf(t->name, sizeof t->name, "%s", names[i]);
        r = bs_safetensors_digest(opened[i], t->digest, e);
    }
    if (r == 0)
        qsort(all, n, sizeof *all, by_name);
    for (i = 0; i < n && r == 0; i++)
        r = bs_buf_printf(&lines, e, "%s  %s\n", all[i].digest, all[i].name);
    if (r == 0)
        bs_sha256(lines.data, lines.len, hex);
    bs_buf_release(&lines);
    bs_free(all);
    return r;
}
