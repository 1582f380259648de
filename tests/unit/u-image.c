/*
 * u-image.c - the decoders against Pillow's pixels, and against damage: files
 * cut anywhere, files with flipped bits, files of tests/bad.
 */
#include <pthread.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "formats/image.h"
#include "tests/unit/tap.h"

/* Picture and its pixels; other formats than JPEG may not be built in. */
static const char *const pictures[][2] = {
    {"grey.jpg", "grey"},
    {"rgb-444.jpg", "rgb-444"},
    {"rgb-422.jpg", "rgb-422"},
    {"rgb-420.jpg", "rgb-420"},
    {"progressive.jpg", "progressive"},
    {"cmyk.jpg", "cmyk"},
    {"ycck.jpg", "ycck"},
    {"exif.jpg", "exif"},
    {"named-rgb.jpg", "named-rgb"},
    {"adobe-rgb.jpg", "adobe-rgb"},
#if BS_HAVE_PNG
    {"grey1.png", "grey1"},
    {"grey1-interlaced.png", "grey1-interlaced"},
    {"grey2.png", "grey2"},
    {"grey4.png", "grey4"},
    {"grey8.png", "grey8"},
    {"grey16.png", "grey16"},
    {"grey16-interlaced.png", "grey16-interlaced"},
    {"rgb8.png", "rgb8"},
    {"rgb8-interlaced.png", "rgb8-interlaced"},
    {"rgb16.png", "rgb16"},
    {"palette1.png", "palette1"},
    {"palette2.png", "palette2"},
    {"palette4.png", "palette4"},
    {"palette4-interlaced.png", "palette4-interlaced"},
    {"palette8.png", "palette8"},
    {"greya8.png", "greya8"},
    {"greya16.png", "greya16"},
    {"rgba8.png", "rgba8"},
    {"rgba16.png", "rgba16"},
    {"rgba16-interlaced.png", "rgba16-interlaced"},
    {"gamma.png", "gamma"},
#endif
#if BS_HAVE_WEBP
    {"lossy.webp", "lossy"},
    {"lossy-alpha.webp", "lossy-alpha"},
    {"lossless.webp", "lossless"},
    {"alpha.webp", "alpha"},
    {"exif-webp.webp", "exif-webp"},
    {"one-frame.webp", "one-frame"},
#endif
};

static const struct bs_image_limits *const usual = &bs_image_limits_default;

/* A file of tests/; empty where it cannot be read. */
static struct bs_buf
slurp(const char *folder, const char *name)
{
    const char *root = getenv("BS_SRC");
    struct bs_buf b = {0};
    struct bs_err e = {0};
    char path[4096];
    uint8_t piece[4096];
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "%s/tests/%s/%s", root != NULL ? root : ".",
             folder, name);
    f = fopen(path, "rb");
    while (f != NULL && (n = fread(piece, 1, sizeof piece, f)) > 0)
        if (bs_buf_add(&b, piece, n, &e) < 0)
            exit(1);
    if (f != NULL)
        fclose(f);
    return b;
}

/* The pixels of golden/images/NAME.ppm; rgb NULL where there are none. */
static struct bs_image
pixels_of(const char *name)
{
    struct bs_image img = {0};
    struct bs_buf b;
    char file[80];
    int skip_bytes = 0;

    snprintf(file, sizeof file, "%s.ppm", name);
    b = slurp("golden/images", file);
    if (b.len == 0 || bs_buf_add(&b, "", 1, &(struct bs_err){0}) < 0 ||
        sscanf((char *)b.data, "P6 %zu %zu 255%*c%n", &img.width, &img.height,
               &skip_bytes) != 2 ||
        b.len - 1 - (size_t)skip_bytes != img.width * img.height * 3) {
        bs_buf_release(&b);
        return (struct bs_image){0};
    }
    memmove(b.data, b.data + skip_bytes, b.len - 1 - (size_t)skip_bytes);
    img.rgb = b.data;
    return img;
}

static bool
same(const struct bs_image *a, const struct bs_image *b)
{
    return a->rgb != NULL && b->rgb != NULL && a->width == b->width &&
           a->height == b->height &&
           memcmp(a->rgb, b->rgb, a->width * a->height * 3) == 0;
}

static void
against_pillow(void)
{
    size_t i;

    for (i = 0; i < BS_LEN(pictures); i++) {
        struct bs_buf file = slurp("golden/images", pictures[i][0]);
        struct bs_image want = pixels_of(pictures[i][1]), got;
        struct bs_err e = {0};
        size_t width, height;
        bool good;

        good = bs_image_decode(file.data, file.len, usual, &got, &e) ==
                   BS_IMAGE_OK &&
               same(&got, &want);
        good = good &&
               bs_image_size(file.data, file.len, usual, &width, &height, &e) ==
                   BS_IMAGE_OK &&
               width == want.width && height == want.height;
        ok(good, "%s is what Pillow sees%s%s", pictures[i][0],
           e.code != 0 ? ": " : "", e.text);
        bs_image_release(&got);
        bs_image_release(&want);
        bs_buf_release(&file);
    }
}

static void
refused(void)
{
    static const struct {
        const char *file;
        enum bs_image_status status;
    } cases[] = {
        {"image-12bit.jpg", BS_IMAGE_UNSUPPORTED},
        {"image-cut.jpg", BS_IMAGE_TRUNCATED},
        {"image-header-cut.jpg", BS_IMAGE_TRUNCATED},
        {"image-huge.jpg", BS_IMAGE_LIMIT},
        {"image-scans.jpg", BS_IMAGE_LIMIT},
        {"image-no-height.jpg", BS_IMAGE_BAD},
        {"image-no-tables.jpg", BS_IMAGE_BAD},
        {"image-text.jpg", BS_IMAGE_NOT_IMAGE},
        {"image-still.gif", BS_IMAGE_UNSUPPORTED},
        {"image-still.bmp", BS_IMAGE_UNSUPPORTED},
        {"image-still.tiff", BS_IMAGE_UNSUPPORTED},
        {"image-animated.gif", BS_IMAGE_ANIMATED},
#if BS_HAVE_PNG
        {"image-animated.png", BS_IMAGE_ANIMATED},
        {"image-bits.png", BS_IMAGE_BAD},
        {"image-crc.png", BS_IMAGE_BAD},
        {"image-cut.png", BS_IMAGE_TRUNCATED},
        {"image-huge.png", BS_IMAGE_LIMIT},
        {"image-no-palette.png", BS_IMAGE_BAD},
        {"image-row-missing.png", BS_IMAGE_TRUNCATED},
        {"image-zero.png", BS_IMAGE_BAD},
#else
        {"image-animated.png", BS_IMAGE_UNSUPPORTED},
#endif
#if BS_HAVE_WEBP
        {"image-animated.webp", BS_IMAGE_ANIMATED},
        {"image-bits.webp", BS_IMAGE_BAD},
        {"image-cut.webp", BS_IMAGE_TRUNCATED},
#else
        {"image-animated.webp", BS_IMAGE_UNSUPPORTED},
#endif
    };
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        struct bs_buf file = slurp("bad", cases[i].file);
        struct bs_image img = {0};
        struct bs_err e = {0};
        enum bs_image_status status =
            bs_image_decode(file.data, file.len, usual, &img, &e);

        ok(file.len > 0 && status == cases[i].status && img.rgb == NULL &&
               e.code == BS_EX_DATA && strlen(e.text) > 0,
           "%s is %s: %s", cases[i].file, bs_image_status_name(status), e.text);
        bs_image_release(&img);
        bs_buf_release(&file);
    }
}

static void
limits(void)
{
    static const struct {
        struct bs_image_limits limits;
        enum bs_image_status status;
    } cases[] = {
        {{1 << 20, 31, 17 * 31}, BS_IMAGE_OK},
        {{1 << 20, 30, 17 * 31}, BS_IMAGE_LIMIT},
        {{1 << 20, 31, 17 * 31 - 1}, BS_IMAGE_LIMIT},
        {{100, 31, 17 * 31}, BS_IMAGE_LIMIT},
        {{SIZE_MAX, SIZE_MAX, SIZE_MAX}, BS_IMAGE_OK},
    };
    struct bs_buf file = slurp("golden/images", "rgb-420.jpg");
    size_t i, bad = 0, width, height;
    struct bs_image img;

    for (i = 0; i < BS_LEN(cases); i++) {
        struct bs_err e = {0}, e2 = {0};

        bad += bs_image_decode(file.data, file.len, &cases[i].limits, &img,
                               &e) != cases[i].status;
        bad += bs_image_size(file.data, file.len, &cases[i].limits, &width,
                             &height, &e2) != cases[i].status;
        bs_image_release(&img);
    }
    ok(bad == 0, "each limit holds to the byte and the pixel");
    ok(bs_image_decode(NULL, 0, usual, &img, &(struct bs_err){0}) ==
           BS_IMAGE_EMPTY,
       "no bytes are an empty image");
    bs_buf_release(&file);
}

static void
sniffs(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *name;
    } cases[] = {
        {"\xff\xd8\xff", 3, "jpg"},
        {"\xff\xd8", 2, "unknown"},
        {"\x89PNG\r\n\x1a\n", 8, "png"},
        {"\x89PNG\r\n\x1a", 7, "unknown"},
        {"RIFFabcdWEBPVP8X", 16, "webp"},
        {"RIFXabcdWEBPVP8X", 16, "unknown"},
        {"RIFFabcdWAVEfmt ", 16, "unknown"},
        {"GIF89a", 6, "gif"},
        {"GIF87a", 6, "gif"},
        {"BM\0\0", 4, "bmp"},
        {"II*\0", 4, "tiff"},
        {"MM\0*", 4, "tiff"},
        {"\0\0\0\x1c"
         "ftypavif",
         12, "avif"},
        {"\0\0\0\x18"
         "ftypheic",
         12, "heic"},
        {"\0\0\0\x18"
         "ftypmp42",
         12, "unknown"},
        {"", 0, "unknown"},
    };
    size_t i, bad = 0;

    for (i = 0; i < BS_LEN(cases); i++)
        bad += strcmp(bs_image_format_name(bs_image_sniff(
                          (const uint8_t *)cases[i].bytes, cases[i].len)),
                      cases[i].name) != 0;
    ok(bad == 0, "formats are told by their signatures");
}

/* Every length of every picture: an error, or the whole picture (only what
 * comes behind the pixels is missing). */
static void
cuts(void)
{
    size_t i, n, bad = 0, tried = 0, whole = 0;

    for (i = 0; i < BS_LEN(pictures); i++) {
        struct bs_buf file = slurp("golden/images", pictures[i][0]);
        struct bs_image want = pixels_of(pictures[i][1]);

        for (n = 0; n < file.len; n++) {
            /* of its own size, so that a read behind it is seen */
            uint8_t *part = malloc(n > 0 ? n : 1);
            struct bs_image got = {0};
            struct bs_err e = {0};
            enum bs_image_status status;

            if (part == NULL)
                exit(1);
            memcpy(part, file.data, n);
            status = bs_image_decode(part, n, usual, &got, &e);
            if (status == BS_IMAGE_OK ? !same(&got, &want) : got.rgb != NULL)
                bad++;
            whole += status == BS_IMAGE_OK;
            tried++;
            bs_image_release(&got);
            free(part);
        }
        bs_image_release(&want);
        bs_buf_release(&file);
    }
    ok(bad == 0 && whole < tried / 50,
       "cut at every byte (%zu): an error, or all the pixels (%zu)", tried,
       whole);
}

/* Decode with fresh memory full of `fill` (glibc only). */
static enum bs_image_status
decode_over(int fill, const struct bs_buf *file, struct bs_image *img)
{
    struct bs_err e = {0};

#ifdef __GLIBC__
    mallopt(M_PERTURB, fill);
#else
    (void)fill;
#endif
    return bs_image_decode(file->data, file->len, usual, img, &e);
}

/* Flipped bits: no crash, and nothing that depends on what memory held. */
static void
flips(void)
{
    size_t i, n, bad = 0, tried = 0, decoded = 0;
    uint32_t state = 1;

    for (i = 0; i < BS_LEN(pictures); i++) {
        struct bs_buf file = slurp("golden/images", pictures[i][0]);

        for (n = 0; n < 300 && file.len > 0; n++) {
            struct bs_image a, b;
            enum bs_image_status first, second;
            size_t at;
            uint8_t bit;

            state = state * 1664525 + 1013904223;
            at = (state >> 8) % file.len;
            bit = (uint8_t)(1 << (state >> 29));
            file.data[at] ^= bit;
            first = decode_over(0x55, &file, &a);
            second = decode_over(0xaa, &file, &b);
            bad += first != second || (first == BS_IMAGE_OK && !same(&a, &b));
            decoded += first == BS_IMAGE_OK;
            tried++;
            file.data[at] ^= bit;
            bs_image_release(&a);
            bs_image_release(&b);
        }
        bs_buf_release(&file);
    }
    ok(bad == 0,
       "flipped bits (%zu, %zu of them still images) give the same "
       "result whatever memory held",
       tried, decoded);
}

static void *
decode_all(void *unused)
{
    size_t i, bad = 0;

    (void)unused;
    for (i = 0; i < BS_LEN(pictures); i++) {
        struct bs_buf file = slurp("golden/images", pictures[i][0]);
        struct bs_image want = pixels_of(pictures[i][1]), got;

        bad += bs_image_decode(file.data, file.len, usual, &got,
                               &(struct bs_err){0}) != BS_IMAGE_OK ||
               !same(&got, &want);
        bs_image_release(&got);
        bs_image_release(&want);
        bs_buf_release(&file);
    }
    return bad == 0 ? NULL : (void *)pictures;
}

static void
threads(void)
{
    pthread_t thread[4];
    size_t i, bad = 0;
    void *result;

    for (i = 0; i < BS_LEN(thread); i++)
        if (pthread_create(&thread[i], NULL, decode_all, NULL) != 0)
            exit(1);
    for (i = 0; i < BS_LEN(thread); i++) {
        pthread_join(thread[i], &result);
        bad += result != NULL;
    }
    ok(bad == 0, "four threads at once see the same pixels");
}

static double
mean_difference(const struct bs_image *a, const struct bs_image *b)
{
    size_t n = a->width * a->height * 3, i;
    double sum = 0;

    for (i = 0; i < n; i++)
        sum += a->rgb[i] > b->rgb[i] ? a->rgb[i] - b->rgb[i]
                                     : b->rgb[i] - a->rgb[i];
    return sum / (double)n;
}

static void
encoding(void)
{
    static const int qualities[] = {1, 75, 100};
    struct bs_image img = pixels_of("encode"), back;
    struct bs_err e = {0};
    char libraries[128], name[40];
    size_t i, before = 0;
    double last = 256;
    bool good = img.rgb != NULL;

    bs_image_libraries(libraries, sizeof libraries);
    for (i = 0; good && i < BS_LEN(qualities); i++) {
        struct bs_buf jpeg = {0}, want;
        double difference;

        good = bs_buf_add(&jpeg, "before", 6, &e) == 0 &&
               bs_image_encode_jpeg(&img, qualities[i], &jpeg, &e) == 0 &&
               memcmp(jpeg.data, "before\xff\xd8\xff", 9) == 0;
        snprintf(name, sizeof name, "encode-%d.jpg", qualities[i]);
        want = slurp("golden/images", name);
        if (strncmp(libraries, "libjpeg-turbo 2.1.5,", 20) == 0)
            ok(good && jpeg.len - 6 == want.len &&
                   memcmp(jpeg.data + 6, want.data, want.len) == 0,
               "quality %d: Pillow's bytes", qualities[i]);
        else
            skip("the bytes of libjpeg-turbo 2.1.5");
        good = good &&
               bs_image_decode(jpeg.data + 6, jpeg.len - 6, usual, &back, &e) ==
                   BS_IMAGE_OK &&
               back.width == img.width && back.height == img.height;
        difference = good ? mean_difference(&img, &back) : 256;
        good = good && jpeg.len > before && difference < last;
        before = jpeg.len;
        last = difference;
        if (good)
            bs_image_release(&back);
        bs_buf_release(&want);
        bs_buf_release(&jpeg);
    }
    ok(good && last < 12, "a better quality is longer and closer (%.1f)", last);
    bs_image_release(&img);
}

static void
encoding_refused(void)
{
    struct bs_buf jpeg = {0};
    struct bs_err e = {0};
    const struct bs_image wide = {.width = 65501, .height = 1};

    ok(bs_image_encode_jpeg(&wide, 75, &jpeg, &e) == -BS_EX_DATA &&
           e.code == BS_EX_DATA && jpeg.len == 0,
       "what no JPEG can hold is refused: %s", e.text);
    bs_buf_release(&jpeg);
}

int
main(void)
{
    against_pillow();
    refused();
    limits();
    sniffs();
    cuts();
    flips();
    threads();
    encoding();
    encoding_refused();
    return tap_done();
}
