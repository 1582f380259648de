/*
 * gen_record.c - see gen_record.h.
 */
#include "cmd/models/gen_record.h"

#include "formats/digest.h"
#include "formats/image.h"

const char *const bs_gen_format_names[] = {"png", "jpg75", "webp", "rgb", NULL};
const char *const bs_gen_safety_names[] = {"drop", "black", "keep", NULL};

/* Of the tensor. */
static const char *const tensors[] = {"png", "jpg", "webp", "rgb"};

uint32_t
bs_gen_seed(uint64_t seed, const char *key)
{
    return (uint32_t)bs_xxh64(key, strlen(key), seed);
}

static int
encode(enum bs_gen_format format, const struct bs_image *image,
       struct bs_buf *bytes, struct bs_err *e)
{
    switch (format) {
    case BS_GEN_JPG75:
        return bs_image_encode_jpeg(image, 75, bytes, e);
    case BS_GEN_WEBP:
        return bs_image_encode_webp(image, bytes, e);
    default:
        return bs_image_encode_png(image, bytes, e);
    }
}

int
bs_gen_format_check(enum bs_gen_format format, struct bs_err *e)
{
    uint8_t pixel[3] = {0};
    const struct bs_image image = {1, 1, pixel};
    struct bs_buf bytes = {0};
    int r = format == BS_GEN_RGB ? 0 : encode(format, &image, &bytes, e);

    bs_buf_release(&bytes);
    return r;
}

static int
put_image(struct bs_doc *rec, const struct bs_gen_style *style,
          const struct bs_diffusion_job *job, struct bs_buf *bytes,
          struct bs_err *e)
{
    const struct bs_diffusion_options *o = style->options;
    const struct bs_image image = {o->width, o->height, job->rgb};
    uint64_t pixels[3] = {o->height, o->width, 3}, length[1];
    int r;

    if (style->format == BS_GEN_RGB)
        return bs_doc_put(rec, "rgb", BS_DTYPE_U8, 3, pixels, job->rgb, e);
    bytes->len = 0;
    r = encode(style->format, &image, bytes, e);
    length[0] = bytes->len;
    return r < 0 ? r
                 : bs_doc_put(rec, tensors[style->format], BS_DTYPE_U8, 1,
                              length, bytes->data, e);
}

static int
put_latents(struct bs_doc *rec, const struct bs_gen_style *style,
            const struct bs_diffusion_job *job, struct bs_err *e)
{
    uint64_t shape[3] = {style->shape[0], style->shape[1], style->shape[2]};

    return style->latents ? bs_doc_put(rec, "latents", BS_DTYPE_F32, 3, shape,
                                       job->latents, e)
                          : 0;
}

static int
put_settings(struct bs_doc *rec, const struct bs_gen_style *style,
             const struct bs_diffusion_job *job, struct bs_err *e)
{
    const struct bs_diffusion_options *o = style->options;
    int r = bs_doc_setf(rec, "width", e, "%zu", o->width);

    if (r == 0)
        r = bs_doc_setf(rec, "height", e, "%zu", o->height);
    if (r == 0)
        r = bs_doc_setf(rec, "steps", e, "%zu", o->steps);
    if (r == 0)
        r = bs_doc_setf(rec, "scale", e, "%.9g", o->guidance);
    if (r == 0 && style->seeded)
        r = bs_doc_setf(rec, "seed", e, "%ju", (uintmax_t)job->seed);
    if (r == 0 && style->model != NULL)
        r = bs_doc_set(rec, "model", style->model, e);
    if (r == 0 && job->flagged)
        r = bs_doc_set(rec, "flagged", "true", e);
    return r;
}

int
bs_gen_record(struct bs_doc *rec, const struct bs_gen_style *style,
              const char *key, struct bs_diffusion_job *job,
              struct bs_buf *bytes, struct bs_err *e)
{
    const struct bs_diffusion_options *o = style->options;
    int r;

    if (job->flagged && style->safety == BS_SAFETY_BLACK)
        memset(job->rgb, 0, o->width * o->height * 3);
    r = bs_doc_set(rec, "key", key, e);
    if (r == 0)
        r = bs_doc_set(rec, "caption", job->caption, e);
    if (r == 0)
        r = bs_doc_set(rec, "format", tensors[style->format], e);
    if (r == 0)
        r = put_settings(rec, style, job, e);
    if (r == 0)
        r = put_image(rec, style, job, bytes, e);
    return r < 0 ? r : put_latents(rec, style, job, e);
}
