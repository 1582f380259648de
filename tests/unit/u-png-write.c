/*
 * u-png-write.c - what is encoded as PNG or WebP decodes to the same pixels,
 * has no chunk of its own, and comes out the same twice.
 */
#include "formats/image.h"

#include "common/rng.h"
#include "tests/unit/tap.h"

/* Pixels that compress and pixels that do not, side by side. */
static bool
make(struct bs_image *img, size_t width, size_t height)
{
    struct bs_rng rng;
    size_t i, n = width * height * 3;

    *img = (struct bs_image){width, height, bs_alloc(n)};
    if (img->rgb == NULL)
        return false;
    bs_rng_init(&rng, 1, width * 1000 + height, 0);
    for (i = 0; i < n; i++)
        img->rgb[i] = i < n / 2 ? (uint8_t)(i / 3) : (uint8_t)bs_rng_u64(&rng);
    return true;
}

typedef int encode_fn(const struct bs_image *img, struct bs_buf *out,
                      struct bs_err *e);

static void
round_trip(encode_fn *encode, size_t width, size_t height)
{
    struct bs_image img, back = {0};
    struct bs_buf once = {0}, twice = {0};
    struct bs_err e = {0};
    bool good = make(&img, width, height) && encode(&img, &once, &e) == 0 &&
                encode(&img, &twice, &e) == 0;

    good =
        good && bs_image_decode(once.data, once.len, &bs_image_limits_default,
                                &back, &e) == BS_IMAGE_OK;
    ok(good && back.width == width && back.height == height &&
           memcmp(back.rgb, img.rgb, width * height * 3) == 0,
       "%zu x %zu there and back%s%s", width, height, good ? "" : ": ", e.text);
    ok(good && once.len == twice.len &&
           memcmp(once.data, twice.data, once.len) == 0,
       "the same bytes twice");
    bs_buf_release(&once);
    bs_buf_release(&twice);
    bs_image_release(&back);
    bs_image_release(&img);
}

static void
chunks(void)
{
    struct bs_image img;
    struct bs_buf out = {0};
    struct bs_err e = {0};
    size_t at, other = 0;

    if (!ok(make(&img, 7, 5) && bs_buf_str(&out, "before", &e) == 0 &&
                bs_image_encode_png(&img, &out, &e) == 0 &&
                memcmp(out.data, "before\x89PNG", 10) == 0,
            "appended to what is there"))
        return;
    for (at = 6 + 8; at + 12 <= out.len;) {
        const uint8_t *p = out.data + at;
        size_t len =
            (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

        other += memcmp(p + 4, "IHDR", 4) != 0 &&
                 memcmp(p + 4, "IDAT", 4) != 0 && memcmp(p + 4, "IEND", 4) != 0;
        at += len + 12;
    }
    ok(at == out.len && other == 0, "header, pixels and end, nothing else");
    bs_buf_release(&out);
    bs_image_release(&img);
}

int
main(void)
{
    struct bs_image none = {0};
    struct bs_buf out = {0};
    static const struct bs_err none_yet;
    struct bs_err e = none_yet;
    int r = bs_image_encode_png(&none, &out, &e);

#if BS_HAVE_PNG
    ok(r == -BS_EX_DATA && out.len == 0, "no pixels: %s", e.text);
    round_trip(bs_image_encode_png, 1, 1);
    round_trip(bs_image_encode_png, 33, 7);
    round_trip(bs_image_encode_png, 640, 480);
    chunks();
#else
    ok(r == -BS_EX_UNAVAIL, "without libpng: %s", e.text);
    (void)round_trip;
    (void)chunks;
#endif
#if BS_HAVE_WEBP
    round_trip(bs_image_encode_webp, 1, 1);
    round_trip(bs_image_encode_webp, 33, 7);
    round_trip(bs_image_encode_webp, 640, 480);
#else
    e = none_yet;
    ok(bs_image_encode_webp(&none, &out, &e) == -BS_EX_UNAVAIL,
       "without libwebp: %s", e.text);
#endif
    bs_buf_release(&out);
    return tap_done();
}
