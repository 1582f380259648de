/*
 * gen_steer.c - see gen_steer.h.  Memory: the autoencoder, and one image's
 * update.
 */
#include "cmd/models/gen_steer.h"

#include <math.h>

#include "cmd/models/config.h"
#include "cmd/models/gen_steps.h"
#include "cmd/models/sae_encoder.h"
#include "common/io.h"
#include "formats/json.h"

enum {
    FILE_MAX = 16 << 20,
    CONCEPTS_MAX = 4096,
    MASK_MAX = 1024, /* rows, and columns */
    PATH_ROOM = 4096
};

enum norm { NORM_SHARE, NORM_LENGTH, NORM_NONE };
enum side { SIDE_COND, SIDE_UNCOND, SIDE_BOTH };

struct bs_gen_steer {
    struct bs_diffusion *model;
    struct bs_dev *dev;
    struct bs_sae sae;
    struct bs_sae_encoder *encoder;
    struct bs_unet_block block;
    bool *chosen; /* [evaluations] */
    uint32_t *concept;
    size_t concepts;
    float beta;
    enum norm norm;
    enum side side;
    bool set, keep;
    bool *inside; /* [height, width] */

    float *x;      /* an image's update: [height * width, channels] */
    double *share; /* b of each place */
    struct bs_ragged codes;
    char json[200];
};

/* ---- what the file says ---------------------------------------------------
 */

static int
unknown_members(const struct bs_json *v, struct bs_err *e)
{
    static const char *const known[] = {
        "block", "steps",  "sae",    "concepts", "beta",
        "norm",  "region", "inside", "outside",  "side"};
    const struct bs_json *c;
    size_t i;

    for (c = v->child; c != NULL; c = c->next) {
        for (i = 0; i < BS_LEN(known); i++)
            if (strcmp(c->key, known[i]) == 0)
                break;
        if (i == BS_LEN(known))
            return bs_err_set(e, BS_EX_DATA, "unknown member '%.60s'", c->key);
    }
    return 0;
}

static int
read_block(struct bs_gen_steer *s, const struct bs_json *v, struct bs_err *e)
{
    const char *name = bs_json_get_string(v, "block");
    const struct bs_unet_block *b;
    size_t i;

    if (name == NULL)
        return bs_err_set(e, BS_EX_DATA, "no 'block'");
    for (i = 0; (b = bs_diffusion_block(s->model, i)) != NULL; i++)
        if (strcmp(b->name, name) == 0) {
            s->block = *b;
            return 0;
        }
    return bs_err_set(e, BS_EX_DATA, "the model has no block '%.60s'", name);
}

static int
read_steps(struct bs_gen_steer *s, const struct bs_json *v, struct bs_err *e)
{
    const struct bs_json *c = bs_json_get(v, "steps");
    size_t count = bs_diffusion_evaluations(s->model);
    const char *text = c == NULL ? "all"
                       : c->type == BS_JSON_STRING || c->type == BS_JSON_NUMBER
                           ? c->text
                           : "";
    ptrdiff_t n;

    s->chosen = bs_alloc_array(count, sizeof *s->chosen);
    if (s->chosen == NULL)
        return bs_err_memory(e, "steps", count);
    n = bs_gen_steps(s->chosen, count, text, e);
    if (n < 0)
        e->code = BS_EX_DATA;
    return n < 0 ? -e->code : 0;
}

static int
read_concepts(struct bs_gen_steer *s, const struct bs_json *v, struct bs_err *e)
{
    const struct bs_json *list = bs_json_get(v, "concepts"), *c;
    uint64_t n;

    if (list == NULL || list->type != BS_JSON_ARRAY || list->count == 0 ||
        list->count > CONCEPTS_MAX)
        return bs_err_set(e, BS_EX_DATA,
                          "'concepts' is no list of 1 to %d numbers",
                          CONCEPTS_MAX);
    s->concept = bs_alloc_array(list->count, sizeof *s->concept);
    if (s->concept == NULL)
        return bs_err_memory(e, "concepts", list->count);
    for (c = list->child; c != NULL; c = c->next) {
        if (!bs_json_u64(c, s->sae.concepts - 1, &n))
            return bs_err_set(e, BS_EX_DATA,
                              "'concepts': not a number from 0 to %zu",
                              s->sae.concepts - 1);
        s->concept[s->concepts++] = (uint32_t)n;
    }
    return 0;
}

/* The places of a quadrant, or of all. */
static int
read_name(struct bs_gen_steer *s, const char *name, struct bs_err *e)
{
    static const char *const names[] = {"all", "top-left", "top-right",
                                        "bottom-left", "bottom-right"};
    size_t h = s->block.height, w = s->block.width, i, which = 0;

    while (which < BS_LEN(names) && strcmp(name, names[which]) != 0)
        which++;
    if (which == BS_LEN(names))
        return bs_err_set(e, BS_EX_DATA,
                          "'region' is '%.40s', not all, top-left, top-right, "
                          "bottom-left, bottom-right or a mask",
                          name);
    for (i = 0; i < h * w; i++) {
        bool bottom = i / w >= (h + 1) / 2, right = i % w >= (w + 1) / 2;

        s->inside[i] =
            which == 0 || (bottom == (which >= 3) && right == (which % 2 == 0));
    }
    return 0;
}

/* Whether a mask, rows of equal length, is set at row i, column j. */
static int
mask_at(const struct bs_json *mask, size_t i, size_t j, bool *set)
{
    const struct bs_json *row = mask->child, *c;
    uint64_t n;

    while (i-- > 0)
        row = row->next;
    for (c = row->child; j-- > 0;)
        c = c->next;
    if (!bs_json_u64(c, 1, &n))
        return -1;
    *set = n == 1;
    return 0;
}

static int
read_mask(struct bs_gen_steer *s, const struct bs_json *mask, struct bs_err *e)
{
    size_t h = s->block.height, w = s->block.width, i;
    const struct bs_json *row;

    for (row = mask->child; row != NULL; row = row->next)
        if (row->type != BS_JSON_ARRAY || row->count == 0 ||
            row->count != mask->child->count || row->count > MASK_MAX ||
            mask->count > MASK_MAX)
            return bs_err_set(e, BS_EX_DATA,
                              "'region': a mask is up to %d rows of one length "
                              "up to %d",
                              MASK_MAX, MASK_MAX);
    for (i = 0; i < h * w && mask->count > 0; i++)
        if (mask_at(mask, i / w * mask->count / h,
                    i % w * mask->child->count / w, &s->inside[i]) < 0)
            break;
    return i == h * w
               ? 0
               : bs_err_set(e, BS_EX_DATA, "'region': a mask is of 0 and 1");
}

static int
read_region(struct bs_gen_steer *s, const struct bs_json *v, struct bs_err *e)
{
    const struct bs_json *region = bs_json_get(v, "region");

    s->inside = bs_alloc_array(s->block.height * s->block.width, sizeof(bool));
    if (s->inside == NULL)
        return bs_err_memory(e, "region", s->block.height * s->block.width);
    if (region == NULL)
        return read_name(s, "all", e);
    if (region->type == BS_JSON_ARRAY)
        return read_mask(s, region, e);
    return read_name(
        s, region->type == BS_JSON_STRING ? region->text : "no text", e);
}

static bool
everywhere(const struct bs_gen_steer *s)
{
    size_t i, n = s->block.height * s->block.width;

    for (i = 0; i < n; i++)
        if (!s->inside[i])
            return false;
    return true;
}

static int
read_how(struct bs_gen_steer *s, const struct bs_json *v, struct bs_err *e)
{
    static const char *const norms[] = {"share", "norm", "none"};
    static const char *const sides[] = {"cond", "uncond", "both"};
    static const char *const insides[] = {"add", "set"};
    static const char *const outsides[] = {"remove", "keep"};
    size_t norm, side, inside, outside;
    double beta;
    int r;

    if (!bs_config_has(v, "beta"))
        return bs_err_set(e, BS_EX_DATA, "no 'beta'");
    if ((r = bs_config_real(v, "beta", 0, -1e6, 1e6, &beta, e)) < 0 ||
        (r = bs_config_word(v, "norm", norms, 3,
                            everywhere(s) ? NORM_LENGTH : NORM_SHARE, &norm,
                            e)) < 0 ||
        (r = bs_config_word(v, "side", sides, 3, SIDE_COND, &side, e)) < 0 ||
        (r = bs_config_word(v, "inside", insides, 2, 0, &inside, e)) < 0 ||
        (r = bs_config_word(v, "outside", outsides, 2, 0, &outside, e)) < 0)
        return r;
    s->beta = (float)beta;
    s->norm = (enum norm)norm;
    s->side = (enum side)side;
    s->set = inside == 1;
    s->keep = outside == 1;
    if (s->side != SIDE_COND && !bs_diffusion_guided(s->model))
        return bs_err_set(e, BS_EX_DATA,
                          "'side': without guidance there is no "
                          "'uncond'");
    return 0;
}

/* The autoencoder, by its path from the file. */
static int
read_sae(struct bs_gen_steer *s, const struct bs_json *v, const char *path,
         struct bs_err *e)
{
    const char *name = bs_json_get_string(v, "sae");
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash - path) + 1 : 0, n, r;
    char full[PATH_ROOM];

    if (name == NULL)
        return bs_err_set(e, BS_EX_DATA, "no 'sae'");
    n = snprintf(full, sizeof full, "%.*s%s", name[0] == '/' ? 0 : folder, path,
                 name);
    if (n < 0 || (size_t)n >= sizeof full)
        return bs_err_set(e, BS_EX_DATA, "'sae': the path is too long");
    r = bs_sae_load(&s->sae, full, e);
    if (r < 0)
        return r;
    if (s->sae.width != s->block.channels)
        return bs_err_set(e, BS_EX_DATA,
                          "'%s' is of tokens of a width of %zu, the block's "
                          "have %zu",
                          full, s->sae.width, s->block.channels);
    return bs_sae_encoder_open(&s->encoder, &s->sae, s->dev, e);
}

static int
read_all(struct bs_gen_steer *s, const struct bs_json *v, const char *path,
         struct bs_err *e)
{
    size_t places, n;
    int r;

    if (v->type != BS_JSON_OBJECT)
        return bs_err_set(e, BS_EX_DATA, "not an object");
    if ((r = unknown_members(v, e)) < 0 || (r = read_block(s, v, e)) < 0 ||
        (r = read_steps(s, v, e)) < 0 || (r = read_sae(s, v, path, e)) < 0 ||
        (r = read_concepts(s, v, e)) < 0 || (r = read_region(s, v, e)) < 0 ||
        (r = read_how(s, v, e)) < 0)
        return r;
    places = s->block.height * s->block.width;
    n = places * s->block.channels;
    s->x = bs_alloc_array(n, sizeof *s->x);
    s->share = bs_alloc_array(places, sizeof *s->share);
    return s->x != NULL && s->share != NULL ? 0 : bs_err_memory(e, "update", n);
}

int
bs_gen_steer_open(struct bs_gen_steer **out, const char *path,
                  struct bs_diffusion *d, struct bs_dev *dev, struct bs_err *e)
{
    struct bs_gen_steer *s = bs_alloc_array(1, sizeof *s);
    struct bs_json_doc *json = NULL;
    struct bs_buf text = {0};
    char sha256[BS_SHA256_HEX_SIZE];
    int r;

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "intervention", sizeof *s);
    s->model = d;
    s->dev = dev;
    r = bs_read_file(path, FILE_MAX, &text, e);
    if (r == 0) {
        r = bs_json_parse(&json, (const char *)text.data, text.len, 0, e);
        if (r == 0)
            r = read_all(s, bs_json_root(json), path, e);
        if (r < 0)
            r = bs_err_prefix(e, "'%s'", path);
    }
    if (r == 0) {
        bs_sha256(text.data, text.len, sha256);
        snprintf(s->json, sizeof s->json, "{\"sae\":\"%s\",\"sha256\":\"%s\"}",
                 s->sae.sha256, sha256);
    }
    bs_json_free(json);
    bs_buf_release(&text);
    if (r < 0) {
        bs_gen_steer_close(s);
        return r;
    }
    *out = s;
    return 0;
}

void
bs_gen_steer_close(struct bs_gen_steer *s)
{
    if (s == NULL)
        return;
    bs_sae_encoder_close(s->encoder);
    bs_sae_release(&s->sae);
    bs_ragged_release(&s->codes);
    bs_free(s->chosen);
    bs_free(s->concept);
    bs_free(s->inside);
    bs_free(s->x);
    bs_free(s->share);
    bs_free(s);
}

const char *
bs_gen_steer_block(const struct bs_gen_steer *s)
{
    return s->block.name;
}

const char *
bs_gen_steer_json(const struct bs_gen_steer *s)
{
    return s->json;
}

/* ---- an update ------------------------------------------------------------
 */

/* The value of a concept in the code of place i; 0 where it has none. */
static float
code_of(const struct bs_gen_steer *s, size_t i, uint32_t concept)
{
    uint32_t k;

    for (k = s->codes.ptr[i]; k < s->codes.ptr[i + 1]; k++)
        if (s->codes.idx[k] == concept)
            return s->codes.val[k];
    return 0;
}

/* b of each place, to s->share. */
static void
weigh(struct bs_gen_steer *s, size_t places)
{
    double total = 0, beta = (double)s->beta;
    uint32_t k;
    size_t i;

    for (i = 0; i < places; i++) {
        double sum = 0;

        for (k = s->codes.ptr[i]; k < s->codes.ptr[i + 1]; k++)
            sum += (double)s->codes.val[k] * (double)s->codes.val[k];
        s->share[i] = sqrt(sum);
        total += s->share[i];
    }
    for (i = 0; i < places; i++)
        if (s->norm == NORM_NONE)
            s->share[i] = beta;
        else if (s->norm == NORM_LENGTH)
            s->share[i] *= beta;
        else
            s->share[i] *= total > 0 ? beta / total : 0;
}

/* s->x of one image. */
static int
change(struct bs_gen_steer *s, struct bs_err *e)
{
    size_t places = s->block.height * s->block.width, k = s->block.channels;
    size_t i, j, c;
    int r = bs_sae_encoder_run(s->encoder, s->x, places, &s->codes, e);

    if (r < 0)
        return r;
    weigh(s, places);
    for (i = 0; i < places; i++)
        for (c = 0; c < s->concepts; c++) {
            const float *f = s->sae.dec_w + s->concept[c] * k;
            float z = code_of(s, i, s->concept[c]), by = 0;

            if (s->inside[i])
                by = (float)s->share[i] - (s->set ? z : 0);
            else if (!s->keep)
                by = -z;
            for (j = 0; j < k; j++)
                s->x[i * k + j] += by * f[j];
        }
    return 0;
}

int
bs_gen_steer_apply(struct bs_gen_steer *s, size_t step, size_t batch,
                   struct bs_mem *update, struct bs_err *e)
{
    size_t n = s->block.height * s->block.width * s->block.channels;
    size_t bytes = n * sizeof *s->x, i;
    bool guided = bs_diffusion_guided(s->model);
    int r = 0;

    if (!s->chosen[step])
        return 0;
    for (i = 0; i < batch && r == 0; i++) {
        enum side side = guided && i < batch / 2 ? SIDE_UNCOND : SIDE_COND;

        if (s->side != SIDE_BOTH && s->side != side)
            continue;
        r = bs_dev_get(s->dev, s->x, update, i * bytes, bytes);
        if (r == 0 && !bs_finite(s->x, n))
            return bs_err_set(e, BS_EX_DATA,
                              "block '%s': an update is not finite",
                              s->block.name);
        if (r == 0 && change(s, e) < 0)
            return -e->code;
        if (r == 0)
            r = bs_dev_put(s->dev, update, i * bytes, s->x, bytes);
        if (r < 0)
            *e = *bs_dev_error(s->dev);
    }
    return r;
}
