/*
 * image.c - what an encoded image is, and which decoder reads it.  The
 * decoders are image_jpeg.c, image_png.c and image_webp.c.
 */
#include "formats/image_codec.h"

#include <stdarg.h>

const struct bs_image_limits bs_image_limits_default = {
    .bytes = (size_t)32 << 20,
    .side = 32768,
    .pixels = (size_t)64 << 20,
};

static const struct {
    const char *magic;
    size_t at, len;
    enum bs_image_format format;
} signatures[] = {
    {"\xff\xd8\xff", 0, 3, BS_IMAGE_JPEG},
    {"\x89PNG\r\n\x1a\n", 0, 8, BS_IMAGE_PNG},
    {"WEBPVP8", 8, 7, BS_IMAGE_WEBP}, /* behind RIFF and a size */
    {"GIF87a", 0, 6, BS_IMAGE_GIF},
    {"GIF89a", 0, 6, BS_IMAGE_GIF},
    {"II*\0", 0, 4, BS_IMAGE_TIFF},
    {"MM\0*", 0, 4, BS_IMAGE_TIFF},
    {"ftypavif", 4, 8, BS_IMAGE_AVIF},
    {"ftypavis", 4, 8, BS_IMAGE_AVIF},
    {"ftyphei", 4, 7, BS_IMAGE_HEIC},
    {"ftyphev", 4, 7, BS_IMAGE_HEIC},
    {"ftypmif1", 4, 8, BS_IMAGE_HEIC},
    {"BM", 0, 2, BS_IMAGE_BMP},
};

static const char *const format_names[] = {
    [BS_IMAGE_UNKNOWN] = "unknown", [BS_IMAGE_JPEG] = "jpg",
    [BS_IMAGE_PNG] = "png",         [BS_IMAGE_WEBP] = "webp",
    [BS_IMAGE_GIF] = "gif",         [BS_IMAGE_BMP] = "bmp",
    [BS_IMAGE_TIFF] = "tiff",       [BS_IMAGE_AVIF] = "avif",
    [BS_IMAGE_HEIC] = "heic",
};

static const char *const status_names[] = {
    [BS_IMAGE_OK] = "ok",
    [BS_IMAGE_EMPTY] = "empty",
    [BS_IMAGE_NOT_IMAGE] = "not_image",
    [BS_IMAGE_UNSUPPORTED] = "unsupported_format",
    [BS_IMAGE_ANIMATED] = "animated",
    [BS_IMAGE_TRUNCATED] = "truncated",
    [BS_IMAGE_BAD] = "decode_error",
    [BS_IMAGE_LIMIT] = "decode_limit",
};

enum bs_image_format
bs_image_sniff(const uint8_t *data, size_t len)
{
    size_t i;

    for (i = 0; i < BS_LEN(signatures); i++)
        if (len >= signatures[i].at + signatures[i].len &&
            memcmp(data + signatures[i].at, signatures[i].magic,
                   signatures[i].len) == 0)
            break;
    if (i == BS_LEN(signatures))
        return BS_IMAGE_UNKNOWN;
    if (signatures[i].format == BS_IMAGE_WEBP && memcmp(data, "RIFF", 4) != 0)
        return BS_IMAGE_UNKNOWN;
    return signatures[i].format;
}

const char *
bs_image_format_name(enum bs_image_format format)
{
    return format_names[format];
}

const char *
bs_image_status_name(enum bs_image_status status)
{
    return status_names[status];
}

enum bs_image_status
bs_image_fail(struct bs_err *e, enum bs_image_status status, const char *fmt,
              ...)
{
    char text[sizeof e->text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    bs_err_set(e, BS_EX_DATA, "%s", text);
    return status;
}

enum bs_image_status
bs_image_fits(struct bs_image *img, size_t width, size_t height,
              const struct bs_image_limits *limits, struct bs_err *e)
{
    if (width == 0 || height == 0)
        return bs_image_fail(e, BS_IMAGE_BAD, "image of %zu x %zu pixels",
                             width, height);
    if (width > limits->side || height > limits->side)
        return bs_image_fail(
            e, BS_IMAGE_LIMIT,
            "image of %zu x %zu pixels: a side is longer than %zu", width,
            height, limits->side);
    if (width > limits->pixels / height)
        return bs_image_fail(e, BS_IMAGE_LIMIT,
                             "image of %zu x %zu pixels: more than %zu in all",
                             width, height, limits->pixels);
    img->width = width;
    img->height = height;
    return BS_IMAGE_OK;
}

enum bs_image_status
bs_image_alloc(struct bs_image *img, struct bs_err *e)
{
    size_t pixels, bytes;

    if (!bs_mul(img->width, img->height, &pixels) || !bs_mul(pixels, 3, &bytes))
        bytes = SIZE_MAX;
    img->rgb = bs_alloc(bytes);
    if (img->rgb == NULL) {
        bs_err_memory(e, "image", bytes);
        return BS_IMAGE_LIMIT;
    }
    return BS_IMAGE_OK;
}

/*
 * Index behind the data sub-blocks at `at`; len where they do not end.
 */
static size_t
gif_skip_blocks(const uint8_t *data, size_t len, size_t at)
{
    while (at < len && data[at] != 0)
        at += (size_t)data[at] + 1;
    return at < len ? at + 1 : len;
}

/* Bytes of a colour table whose presence and size stand in `flags`. */
static size_t
gif_table(uint8_t flags)
{
    return (flags & 0x80) != 0 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* Whether a second frame begins; what cannot be walked has none. */
static bool
gif_animated(const uint8_t *data, size_t len)
{
    size_t at, frames = 0;

    if (len < 13)
        return false;
    at = 13 + gif_table(data[10]);
    while (at < len) {
        if (data[at] == 0x21) { /* extension: label, blocks */
            at = gif_skip_blocks(data, len, at + 2);
        } else if (data[at] == 0x2c && len - at > 10) {
            if (++frames == 2)
                return true;
            /* descriptor, colour table, code size, blocks */
            at = gif_skip_blocks(data, len, at + 11 + gif_table(data[at + 9]));
        } else {
            break;
        }
    }
    return false;
}

static enum bs_image_status
read_any(const uint8_t *data, size_t len, const struct bs_image_limits *limits,
         bool pixels, struct bs_image *img, struct bs_err *e)
{
    enum bs_image_format format = bs_image_sniff(data, len);

    if (len == 0)
        return bs_image_fail(e, BS_IMAGE_EMPTY, "image of 0 bytes");
    if (len > limits->bytes)
        return bs_image_fail(e, BS_IMAGE_LIMIT,
                             "image of %zu bytes: more than %zu", len,
                             limits->bytes);
    switch (format) {
    case BS_IMAGE_JPEG:
        return bs_jpeg_read(data, len, limits, pixels, img, e);
    case BS_IMAGE_PNG:
        return bs_png_read(data, len, limits, pixels, img, e);
    case BS_IMAGE_WEBP:
        return bs_webp_read(data, len, limits, pixels, img, e);
    case BS_IMAGE_UNKNOWN:
        return bs_image_fail(e, BS_IMAGE_NOT_IMAGE,
                             "no signature of a known image format");
    default:
        if (format == BS_IMAGE_GIF && gif_animated(data, len))
            return bs_image_fail(e, BS_IMAGE_ANIMATED, "animated gif");
        return bs_image_fail(e, BS_IMAGE_UNSUPPORTED,
                             "images in %s format are not read",
                             bs_image_format_name(format));
    }
}

enum bs_image_status
bs_image_size(const uint8_t *data, size_t len,
              const struct bs_image_limits *limits, size_t *width,
              size_t *height, struct bs_err *e)
{
    struct bs_image img = {0};
    enum bs_image_status status = read_any(data, len, limits, false, &img, e);

    *width = img.width;
    *height = img.height;
    bs_image_release(&img);
    return status;
}

enum bs_image_status
bs_image_decode(const uint8_t *data, size_t len,
                const struct bs_image_limits *limits, struct bs_image *out,
                struct bs_err *e)
{
    struct bs_image img = {0};
    enum bs_image_status status = read_any(data, len, limits, true, &img, e);

    if (status != BS_IMAGE_OK)
        bs_image_release(&img);
    *out = img;
    return status;
}

void
bs_image_release(struct bs_image *img)
{
    bs_free(img->rgb);
    *img = (struct bs_image){0};
}

void
bs_image_libraries(char *out, size_t room)
{
    char jpeg[40], png[40], webp[40];

    bs_jpeg_version(jpeg, sizeof jpeg);
    bs_png_version(png, sizeof png);
    bs_webp_version(webp, sizeof webp);
    snprintf(out, room, "%s, %s, %s", jpeg, png, webp);
}
