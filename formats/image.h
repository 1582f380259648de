/*
 * image.h - encoded images to 8-bit RGB and back.
 *
 * JPEG by libjpeg-turbo; PNG by libpng and WebP by libwebp where the build
 * found them.  The result is, byte for byte, what Pillow's
 * Image.open(f).convert("RGB") gives: grey is replicated, alpha dropped,
 * palettes looked up (black beyond their end), CMYK and YCCK converted as
 * Pillow does, 16-bit colours cut to their high byte, 16-bit grey clipped to
 * 255, gamma, profiles and EXIF orientation ignored.
 *
 * Damage: a JPEG or WebP is refused where Pillow refuses it and gives Pillow's
 * pixels where Pillow gives any; a PNG is refused, beyond that, for any wrong
 * checksum and for missing rows.  An animation of one frame is that frame.
 *
 * Hostile input: the header is read first and held against the limits before
 * any memory is taken; JPEG scans, PNG chunks and decoder memory are bounded.
 */
#ifndef BS_FORMATS_IMAGE_H
#define BS_FORMATS_IMAGE_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

enum bs_image_format {
    BS_IMAGE_UNKNOWN,
    BS_IMAGE_JPEG,
    BS_IMAGE_PNG,
    BS_IMAGE_WEBP,
    BS_IMAGE_GIF, /* recognised, so that the message can name it; not read */
    BS_IMAGE_BMP,
    BS_IMAGE_TIFF,
    BS_IMAGE_AVIF,
    BS_IMAGE_HEIC
};

/* What became of an image: the identifiers of bs-fetch's log. */
enum bs_image_status {
    BS_IMAGE_OK,
    BS_IMAGE_EMPTY,       /* no bytes */
    BS_IMAGE_NOT_IMAGE,   /* no known signature */
    BS_IMAGE_UNSUPPORTED, /* a format or feature that this build cannot read */
    BS_IMAGE_ANIMATED,    /* more than one frame */
    BS_IMAGE_TRUNCATED,   /* the data ends early */
    BS_IMAGE_BAD,         /* damaged */
    BS_IMAGE_LIMIT        /* over a limit: pixels, side, bytes, scans */
};

struct bs_image_limits {
    size_t bytes;  /* of the file; default 32 MiB */
    size_t side;   /* pixels; default 32768 */
    size_t pixels; /* width * height; default 64 Mi */
};
extern const struct bs_image_limits bs_image_limits_default;

struct bs_image {
    size_t width, height;
    uint8_t *rgb; /* U8 [height, width, 3], owned */
};

/* By signature; never reads past len. */
enum bs_image_format bs_image_sniff(const uint8_t *data, size_t len);
/* "jpg", "png", "webp", "gif", ...; the tensor's name for the first three. */
const char *bs_image_format_name(enum bs_image_format format);
/* "ok", "empty", "not_image", "unsupported_format", "animated", "truncated",
 * "decode_error", "decode_limit". */
const char *bs_image_status_name(enum bs_image_status status);

/* Width and height from the header only.  e receives what is wrong. */
enum bs_image_status bs_image_size(const uint8_t *data, size_t len,
                                   const struct bs_image_limits *limits,
                                   size_t *width, size_t *height,
                                   struct bs_err *e);

/* Decode; on BS_IMAGE_OK the caller releases *out.  Out of memory is
 * BS_IMAGE_LIMIT with e->code BS_EX_OSERR. */
enum bs_image_status bs_image_decode(const uint8_t *data, size_t len,
                                     const struct bs_image_limits *limits,
                                     struct bs_image *out, struct bs_err *e);
void bs_image_release(struct bs_image *img);

/*
 * Append a baseline JPEG to `out`: the bytes that Pillow's save(quality=q)
 * writes with the same libjpeg (4:2:0, standard Huffman tables, JFIF, integer
 * DCT).  quality 1..100.
 */
int bs_image_encode_jpeg(const struct bs_image *img, int quality,
                         struct bs_buf *out, struct bs_err *e) BS_CHECKED;

/*
 * Append a PNG to `out`: 8-bit RGB, not interlaced, no chunk but those of the
 * pixels, so that the same pixels give the same bytes.  -BS_EX_UNAVAIL in a
 * build without libpng.
 */
int bs_image_encode_png(const struct bs_image *img, struct bs_buf *out,
                        struct bs_err *e) BS_CHECKED;

/* Append a lossless WebP to `out`; the same library gives the same bytes.
 * -BS_EX_UNAVAIL in a build without libwebp. */
int bs_image_encode_webp(const struct bs_image *img, struct bs_buf *out,
                         struct bs_err *e) BS_CHECKED;

/* Versions of the libraries, for --version: "libjpeg-turbo 2.1.5, ...", cut to
 * `room` bytes as snprintf cuts; 128 are enough. */
void bs_image_libraries(char *out, size_t room);

#endif
