/*
 * image_png.c - PNG by libpng, to the RGB that Pillow's convert("RGB") gives:
 * alpha dropped, gamma and colour profiles ignored, 16-bit colours cut to their
 * high byte, 16-bit grey clipped to 255 (not scaled).
 *
 * Stricter than Pillow on damage: a checksum that is wrong or pixel data that
 * end early are errors here wherever they are.
 */
#include "formats/image_codec.h"

#if BS_HAVE_PNG

#include <png.h>
#include <setjmp.h>

struct png_reader {
    png_structp lib;
    png_infop info;
    const uint8_t *next;
    size_t left;
    enum bs_image_status status; /* of the error that libpng gives up with */
    struct bs_err *e;
};

static uint32_t
be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void
give_up(png_structp lib, const char *text)
{
    struct png_reader *r = png_get_error_ptr(lib);

    if (r->status == BS_IMAGE_OK) {
        r->status = BS_IMAGE_BAD;
        if (strcmp(text, "Out of memory") == 0 ||
            strcmp(text, "Insufficient memory") == 0) {
            bs_err_memory(r->e, "png decoder", 0);
            r->status = BS_IMAGE_LIMIT;
        } else if (strcmp(text, "Not enough image data") == 0) {
            r->status = BS_IMAGE_TRUNCATED;
        }
        bs_image_fail(r->e, r->status, "png: %s", text);
    }
    png_longjmp(lib, 1);
}

static void
say_nothing(png_structp lib, const char *text)
{
    (void)lib;
    (void)text;
}

static void
read_bytes(png_structp lib, png_bytep out, size_t n)
{
    struct png_reader *r = png_get_io_ptr(lib);

    if (n > r->left) {
        r->status = bs_image_fail(r->e, BS_IMAGE_TRUNCATED,
                                  "png ends before its last pixel");
        png_longjmp(lib, 1);
    }
    memcpy(out, r->next, n);
    r->next += n;
    r->left -= n;
}

/*
 * Walk the chunks by their lengths: the number of frames (APNG keeps it in
 * acTL; the plain image is a frame of its own where no fcTL precedes it), and
 * whether one of them is cut.
 */
static enum bs_image_status
walk_chunks(const uint8_t *data, size_t len, struct bs_err *e)
{
    size_t at = 8;
    uint32_t frames = 0;
    bool own = true, pixels = false;

    while (len - at >= 8) {
        const uint8_t *type = data + at + 4;
        size_t size = be32(data + at);

        if (memcmp(type, "IEND", 4) == 0)
            break;
        if (size > len - at - 8 || len - at - 8 - size < 4)
            return bs_image_fail(e, BS_IMAGE_TRUNCATED,
                                 "png ends inside the chunk at byte %zu", at);
        if (memcmp(type, "IDAT", 4) == 0)
            pixels = true;
        else if (!pixels && memcmp(type, "acTL", 4) == 0 && size >= 8)
            frames = be32(type + 4);
        else if (!pixels && memcmp(type, "fcTL", 4) == 0)
            own = false;
        at += size + 12;
    }
    if (!pixels)
        return bs_image_fail(e, BS_IMAGE_TRUNCATED, "png without pixels");
    if (frames > 1 || (frames == 1 && own))
        return bs_image_fail(e, BS_IMAGE_ANIMATED, "animated png");
    return BS_IMAGE_OK;
}

/* Everything becomes 8-bit RGB but 16-bit grey, which stays. */
static void
set_transforms(struct png_reader *r)
{
    int depth = png_get_bit_depth(r->lib, r->info);
    int type = png_get_color_type(r->lib, r->info);

    png_set_strip_alpha(r->lib);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(r->lib);
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(r->lib);
    if (depth == 16 && type == PNG_COLOR_TYPE_GRAY)
        return;
    if (depth == 16)
        png_set_strip_16(r->lib);
    if ((type & PNG_COLOR_MASK_COLOR) == 0)
        png_set_gray_to_rgb(r->lib);
}

/* A row of 16-bit grey at the start of `row` to RGB, in place: from the right,
 * so that nothing is overwritten before it is read. */
static void
rgb_from_grey16(uint8_t *row, size_t width)
{
    size_t x;

    for (x = width; x-- > 0;) {
        uint8_t v = row[x * 2] != 0 ? 255 : row[x * 2 + 1];

        memset(row + x * 3, v, 3);
    }
}

static void
read_pixels(struct png_reader *r, struct bs_image *img)
{
    size_t stride = img->width * 3, y;
    int passes, pass;
    bool grey16;

    set_transforms(r);
    passes = png_set_interlace_handling(r->lib);
    png_read_update_info(r->lib, r->info);
    grey16 = png_get_bit_depth(r->lib, r->info) == 16;
    if (png_get_rowbytes(r->lib, r->info) != img->width * (grey16 ? 2 : 3))
        png_error(r->lib, "unexpected layout of rows");
    for (pass = 0; pass < passes; pass++)
        for (y = 0; y < img->height; y++)
            png_read_row(r->lib, img->rgb + y * stride, NULL);
    for (y = 0; grey16 && y < img->height; y++)
        rgb_from_grey16(img->rgb + y * stride, img->width);
}

/* The only frame that longjmp returns to: what changes after setjmp is in *r
 * and *img. */
static enum bs_image_status
read_guarded(struct png_reader *r, const struct bs_image_limits *limits,
             bool pixels, struct bs_image *img)
{
    enum bs_image_status status;

    if (setjmp(png_jmpbuf(r->lib)) != 0)
        return r->status;
    png_set_read_fn(r->lib, r, read_bytes);
    /* All chunks but those that make the pixels are skipped, unparsed; a chunk
     * longer than the file is cut anyway. */
    png_set_keep_unknown_chunks(r->lib, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(r->lib, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_chunk_cache_max(r->lib, 128);
    png_set_chunk_malloc_max(r->lib, r->left);
    png_set_user_limits(r->lib, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(r->lib, r->info);
    status = bs_image_fits(img, png_get_image_width(r->lib, r->info),
                           png_get_image_height(r->lib, r->info), limits, r->e);
    if (status == BS_IMAGE_OK && pixels)
        status = bs_image_alloc(img, r->e);
    if (status == BS_IMAGE_OK && pixels)
        read_pixels(r, img);
    return status;
}

enum bs_image_status
bs_png_read(const uint8_t *data, size_t len,
            const struct bs_image_limits *limits, bool pixels,
            struct bs_image *img, struct bs_err *e)
{
    struct png_reader r = {.next = data, .left = len, .e = e};
    enum bs_image_status status = walk_chunks(data, len, e);

    if (status != BS_IMAGE_OK)
        return status;
    r.lib =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, give_up, say_nothing);
    if (r.lib != NULL)
        r.info = png_create_info_struct(r.lib);
    if (r.info == NULL) {
        png_destroy_read_struct(&r.lib, NULL, NULL);
        bs_err_memory(e, "png decoder", 0);
        return BS_IMAGE_LIMIT;
    }
    status = read_guarded(&r, limits, pixels, img);
    png_destroy_read_struct(&r.lib, &r.info, NULL);
    return status;
}

void
bs_png_version(char *out, size_t room)
{
    snprintf(out, room, "libpng %s", png_get_libpng_ver(NULL));
}

#else

enum bs_image_status
bs_png_read(const uint8_t *data, size_t len,
            const struct bs_image_limits *limits, bool pixels,
            struct bs_image *img, struct bs_err *e)
{
    (void)data;
    (void)len;
    (void)limits;
    (void)pixels;
    (void)img;
    return bs_image_fail(e, BS_IMAGE_UNSUPPORTED, "built without png");
}

void
bs_png_version(char *out, size_t room)
{
    snprintf(out, room, "no png");
}

#endif
