/*
 * sae_import.c - which format it is; see sae_import.h.
 */
#include "cmd/models/sae_import.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/models/sae_import_own.h"
#include "common/mem.h"

const char *const bs_sae_format_names[] = {"auto",   "sparsify",     "saelens",
                                           "openai", "overcomplete", NULL};
const char *const bs_sae_atoms_names[] = {"l2",     "max_l2",   "l1",
                                          "max_l1", "identity", NULL};

typedef int read_fn(struct bs_sae *s, const struct bs_import *in,
                    struct bs_err *e);

/* Two tensors that a format has and no format before it in the list. */
static const struct layout {
    enum bs_sae_format format;
    const char *prefix, *first, *second;
    read_fn *read;
} layouts[] = {
    {BS_SAE_FORMAT_SAELENS, "", "W_enc", "W_dec", bs_import_saelens},
    {BS_SAE_FORMAT_SPARSIFY, "", "encoder.weight", "W_dec", bs_import_sparsify},
    {BS_SAE_FORMAT_OPENAI, "", "encoder.weight", "latent_bias",
     bs_import_openai},
    {BS_SAE_FORMAT_OVERCOMPLETE, "", "dictionary._weights",
     "dictionary.multiplier", bs_import_overcomplete},
    {BS_SAE_FORMAT_OVERCOMPLETE, "module.", "dictionary._weights",
     "dictionary.multiplier", bs_import_overcomplete},
    {BS_SAE_FORMAT_OVERCOMPLETE, "", "dictionary.C", "dictionary.W",
     bs_import_overcomplete},
    {BS_SAE_FORMAT_OVERCOMPLETE, "module.", "dictionary.C", "dictionary.W",
     bs_import_overcomplete},
};

static bool
has(const struct bs_safetensors *f, const char *prefix, const char *name)
{
    struct bs_import in = {.files = f, .prefix = prefix};

    return bs_import_find(&in, name) != NULL;
}

/* The layout that the tensors' names tell. */
static const struct layout *
detect(const struct bs_safetensors *f)
{
    size_t i;

    for (i = 0; i < BS_LEN(layouts); i++)
        if (has(f, layouts[i].prefix, layouts[i].first) &&
            has(f, layouts[i].prefix, layouts[i].second))
            return &layouts[i];
    return NULL;
}

/* The layout of the format that was asked for: what it lacks, its reader says.
 */
static const struct layout *
asked(const struct bs_safetensors *f, enum bs_sae_format format)
{
    const struct layout *found = detect(f);
    size_t i;

    if (found != NULL && found->format == format)
        return found;
    for (i = 0; layouts[i].format != format; i++)
        ;
    return &layouts[i];
}

static int
choose(const struct layout **out, const struct bs_safetensors *f,
       enum bs_sae_format from, struct bs_err *e)
{
    if (bs_safetensors_meta(f, "bs.sae") != NULL)
        return bs_err_set(e, BS_EX_DATA, "is a model of bs-model(5) already");
    *out = from != BS_SAE_FORMAT_AUTO ? asked(f, from) : detect(f);
    if (*out == NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "its tensors are those of no known format: sparsify, "
                          "saelens, openai, overcomplete");
    return 0;
}

/* ---- the file --------------------------------------------------------------
 */

/* What a pickle begins with: torch.save's zip archive, or the pickle itself. */
static bool
is_pickle(const char *path)
{
    unsigned char head[4] = {0};
    FILE *f = fopen(path, "rb");
    size_t n;

    if (f == NULL)
        return false;
    n = fread(head, 1, sizeof head, f);
    fclose(f);
    return n == sizeof head &&
           (memcmp(head, "PK\3\4", sizeof head) == 0 ||
            (head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && head[2] != 0));
}

/* The weights of a folder lie under a name that differs by format. */
static int
open_files(struct bs_safetensors **out, const char *path, struct bs_err *e)
{
    static const char *const names[] = {"sae.safetensors",
                                        "sae_weights.safetensors"};
    struct bs_buf file = {0};
    size_t i;
    int r = 0;

    for (i = 0; i < BS_LEN(names) && r == 0; i++) {
        file.len = 0;
        r = bs_buf_printf(&file, e, "%s/%s", path, names[i]);
        if (r == 0)
            r = bs_buf_add(&file, "", 1, e);
        if (r == 0 && access((const char *)file.data, F_OK) == 0) {
            r = bs_safetensors_open(out, (const char *)file.data, e);
            bs_buf_release(&file);
            return r;
        }
    }
    bs_buf_release(&file);
    if (r == 0)
        r = bs_safetensors_open(out, path, e);
    if (r == -BS_EX_DATA && is_pickle(path)) {
        *e = (struct bs_err){0};
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is a pickle, which is never read: "
                          "pth2safetensors.py, which comes with bs-sae-import"
                          "(1), converts it",
                          path);
    }
    return r;
}

/* cfg.json, where it is there: parsed into *doc. */
static int
open_cfg(struct bs_json_doc **doc, struct bs_safetensors *f, struct bs_err *e)
{
    struct bs_buf text = {0};
    int r = bs_safetensors_text(f, "cfg.json", &text, e);

    if (r > 0) {
        r = bs_json_parse(doc, (const char *)text.data, text.len,
                          BS_JSON_NONFINITE, e);
        if (r == 0 && bs_json_root(*doc)->type != BS_JSON_OBJECT)
            r = bs_err_set(e, BS_EX_DATA, "is no object");
        if (r < 0)
            r = bs_err_prefix(e, "cfg.json");
    }
    bs_buf_release(&text);
    return r;
}

/* ---- all together ----------------------------------------------------------
 */

/* What was folded may have left the range of a float. */
static int
check_finite(const struct bs_sae *s, struct bs_err *e)
{
    size_t n = s->concepts * s->width, i;

    for (i = 0; i < n; i++)
        if (!(fabsf(s->enc_w[i]) < INFINITY && fabsf(s->dec_w[i]) < INFINITY))
            return bs_err_set(e, BS_EX_DATA,
                              "a weight of concept %zu overflows",
                              i / s->width);
    for (i = 0; s->enc_b != NULL && i < s->concepts; i++)
        if (!(fabsf(s->enc_b[i]) < INFINITY))
            return bs_err_set(e, BS_EX_DATA,
                              "the bias of concept %zu overflows", i);
    return 0;
}

static int
read_model(struct bs_sae *s, struct bs_safetensors *f,
           const struct bs_sae_import_options *options,
           struct bs_sae_origin *origin, struct bs_err *e)
{
    struct bs_import in = {.files = f, .options = options};
    const struct layout *layout;
    struct bs_json_doc *cfg = NULL;
    int r = choose(&layout, f, options->from, e);

    if (r == 0 && (layout->format == BS_SAE_FORMAT_SPARSIFY ||
                   layout->format == BS_SAE_FORMAT_SAELENS))
        r = open_cfg(&cfg, f, e);
    if (r == 0) {
        in.prefix = layout->prefix;
        in.cfg = cfg != NULL ? bs_json_root(cfg) : NULL;
        snprintf(s->name, sizeof s->name, "%s",
                 bs_sae_format_names[layout->format]);
        r = layout->read(s, &in, e);
    }
    if (r == 0)
        r = check_finite(s, e);
    if (r == 0) {
        origin->format = layout->format;
        r = bs_safetensors_digest(f, origin->sha256, e);
    }
    bs_json_free(cfg);
    return r;
}

int
bs_sae_import(struct bs_sae *s, const char *path,
              const struct bs_sae_import_options *options,
              struct bs_sae_origin *origin, struct bs_err *e)
{
    struct bs_safetensors *f = NULL;
    int r = open_files(&f, path, e);

    *s = (struct bs_sae){.ln_eps = 1e-5f};
    if (r < 0)
        return r;
    r = read_model(s, f, options, origin, e);
    bs_safetensors_close(f);
    if (r < 0) {
        bs_sae_release(s);
        return bs_err_prefix(e, "cannot import '%s'", path);
    }
    return 0;
}
