/*
 * k-resize.c - bs_resize against Pillow's own results and against a plain
 * implementation of its definition; the sizes against torchvision's.
 */
#include <math.h>

#include "common/mem.h"
#include "kernels/resize.h"
#include "tests/unit/tap.h"

#define GUARD 64 /* bytes before and behind each output, which must stay */

static const char *const names[] = {
    [BS_FILTER_BICUBIC] = "bicubic",
    [BS_FILTER_BILINEAR] = "bilinear",
    [BS_FILTER_LANCZOS] = "lanczos",
};

/* The generator of tests/golden/make-images.py. */
static uint8_t *
random_bytes(size_t n)
{
    uint8_t *out = bs_alloc(n);
    uint32_t state = 1;
    size_t i;

    for (i = 0; out != NULL && i < n; i++) {
        state = state * 1664525 + 1013904223;
        out[i] = (uint8_t)(state >> 24);
    }
    return out;
}

/* bs_resize to fresh memory between guards; NULL if it fails or strays. */
static uint8_t *
run(const uint8_t *src, size_t w, size_t h, size_t ow, size_t oh,
    enum bs_filter filter, const struct bs_crop *crop)
{
    size_t len = crop->width * crop->height * 3, i;
    uint8_t *room = malloc(len + 2 * GUARD), *out = NULL;
    struct bs_err e = {0};
    bool good;

    if (room == NULL)
        return NULL;
    memset(room, 0xa5, len + 2 * GUARD);
    good = bs_resize(src, w, h, room + GUARD, ow, oh, filter, crop, &e) == 0;
    for (i = 0; i < GUARD; i++)
        good = good && room[i] == 0xa5 && room[GUARD + len + i] == 0xa5;
    if (good && (out = malloc(len)) != NULL)
        memcpy(out, room + GUARD, len);
    free(room);
    return out;
}

static double
plain_filter(enum bs_filter filter, double x)
{
    const double pi = 3.14159265358979323846;

    x = fabs(x);
    if (filter == BS_FILTER_BILINEAR)
        return x < 1 ? 1 - x : 0;
    if (filter == BS_FILTER_LANCZOS)
        return x == 0 ? 1
               : x < 3
                   ? sin(x * pi) / (x * pi) * (sin(x / 3 * pi) / (x / 3 * pi))
                   : 0;
    return x < 1   ? ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1
           : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5
                   : 0;
}

/*
 * One sample of one pass, as the definition reads: the inputs within the
 * filter's support of the output's centre, weighed in double, the weights
 * normalised and rounded to 22 bits.
 */
static uint8_t
plain_sample(const uint8_t *in, size_t step, size_t n, size_t out_n, size_t at,
             enum bs_filter filter)
{
    static const double supports[] = {2, 1, 3};
    double scale = (double)n / (double)out_n, stretch = fmax(scale, 1);
    double support = supports[filter] * stretch;
    double center = ((double)at + 0.5) * scale, total = 0;
    long first = (long)fmax(center - support + 0.5, 0), i;
    long end = (long)fmin(center + support + 0.5, (double)n);
    int64_t sum = 1 << 21;

    for (i = first; i < end; i++)
        total +=
            plain_filter(filter, ((double)i - center + 0.5) * (1 / stretch));
    for (i = first; i < end; i++) {
        double w =
            plain_filter(filter, ((double)i - center + 0.5) * (1 / stretch));

        w = w / total * (1 << 22);
        sum += in[(size_t)i * step] * (int64_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    sum >>= 22;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static uint8_t *
plain(const uint8_t *src, size_t w, size_t h, size_t ow, size_t oh,
      enum bs_filter filter)
{
    uint8_t *wide = malloc(ow * h * 3), *out = malloc(ow * oh * 3);
    size_t x, y, c;

    if (wide == NULL || out == NULL)
        exit(1);
    for (y = 0; y < h; y++)
        for (x = 0; x < ow; x++)
            for (c = 0; c < 3; c++)
                wide[(y * ow + x) * 3 + c] =
                    ow == w ? src[(y * w + x) * 3 + c]
                            : plain_sample(src + y * w * 3 + c, 3, w, ow, x,
                                           filter);
    for (y = 0; y < oh; y++)
        for (x = 0; x < ow; x++)
            for (c = 0; c < 3; c++)
                out[(y * ow + x) * 3 + c] =
                    oh == h ? wide[(y * ow + x) * 3 + c]
                            : plain_sample(wide + x * 3 + c, ow * 3, h, oh, y,
                                           filter);
    free(wide);
    return out;
}

/* The number of bytes that differ, with a line about the first of them. */
static size_t
differing(const uint8_t *got, const uint8_t *want, size_t n)
{
    size_t bad = 0, i;

    if (got == NULL) {
        printf("# failed, or wrote beside its output\n");
        return n + 1;
    }
    for (i = 0; i < n; i++)
        if (got[i] != want[i] && bad++ == 0)
            printf("# byte %zu: got %d, want %d\n", i, got[i], want[i]);
    return bad;
}

static void
against_plain(void)
{
    static const size_t cases[][4] = {
        {1, 1, 1, 1},     {1, 1, 7, 5},     {2, 3, 1, 1},     {3, 2, 4, 3},
        {31, 5, 16, 5},   {32, 5, 33, 5},   {33, 5, 32, 9},   {5, 31, 5, 16},
        {5, 33, 9, 32},   {64, 64, 64, 64}, {100, 1, 3, 1},   {1, 100, 1, 3},
        {97, 61, 31, 17}, {17, 31, 61, 97}, {300, 7, 11, 70}, {7, 300, 70, 11},
        {401, 3, 2, 2},   {3, 401, 2, 2},   {120, 90, 60, 45}};
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        size_t w = cases[i][0], h = cases[i][1], ow = cases[i][2],
               oh = cases[i][3], bad = 0;
        uint8_t *src = random_bytes(w * h * 3);
        const struct bs_crop whole = {0, 0, ow, oh};
        int filter;

        for (filter = 0; src != NULL && filter < 3; filter++) {
            uint8_t *want = plain(src, w, h, ow, oh, (enum bs_filter)filter);
            uint8_t *got =
                run(src, w, h, ow, oh, (enum bs_filter)filter, &whole);

            bad += differing(got, want, ow * oh * 3);
            free(want);
            free(got);
        }
        ok(src != NULL && bad == 0, "%zux%zu to %zux%zu", w, h, ow, oh);
        bs_free(src);
    }
}

/* Black and white edges: sums beyond 0 and 255 are clipped. */
static void
extremes(void)
{
    uint8_t src[40 * 40 * 3];
    const struct bs_crop whole = {0, 0, 57, 23};
    size_t i, bad = 0;
    int filter;

    for (i = 0; i < sizeof src; i++)
        src[i] = (i / 3 + i / 120 / 3) % 5 < 2 ? 255 : 0;
    for (filter = 0; filter < 3; filter++) {
        uint8_t *want = plain(src, 40, 40, 57, 23, (enum bs_filter)filter);
        uint8_t *got = run(src, 40, 40, 57, 23, (enum bs_filter)filter, &whole);

        bad += differing(got, want, 57 * 23 * 3);
        free(want);
        free(got);
    }
    ok(bad == 0, "sums beyond the range are clipped");
}

/* A crop shows what the whole shows there. */
static void
crops(void)
{
    static const size_t sizes[][2] = {{37, 29}, {90, 70}, {60, 29}, {37, 44}};
    const size_t w = 60, h = 44;
    uint8_t *src = random_bytes(w * h * 3);
    size_t i, bad = 0, tried = 0;

    for (i = 0; src != NULL && i < BS_LEN(sizes); i++) {
        size_t ow = sizes[i][0], oh = sizes[i][1], y;
        const struct bs_crop whole = {0, 0, ow, oh};
        uint8_t *all = run(src, w, h, ow, oh, BS_FILTER_BICUBIC, &whole);
        struct bs_crop c;

        for (c.x = 0; all != NULL && c.x < ow; c.x += 5)
            for (c.y = 0; c.y < oh; c.y += 7)
                for (c.width = 1; c.width <= ow - c.x; c.width += 11) {
                    uint8_t *part;

                    c.height = 1 + (c.x + c.width) % (oh - c.y);
                    part = run(src, w, h, ow, oh, BS_FILTER_BICUBIC, &c);
                    for (y = 0; y < c.height; y++)
                        bad += part == NULL ||
                               memcmp(part + y * c.width * 3,
                                      all + ((c.y + y) * ow + c.x) * 3,
                                      c.width * 3) != 0;
                    tried++;
                    free(part);
                }
        free(all);
    }
    ok(tried > 500 && bad == 0, "%zu crops equal their part of the whole",
       tried);
    bs_free(src);
}

/* A file of tests/golden/images: P6 with one white space a field. */
static uint8_t *
golden(const char *name, size_t ow, size_t oh)
{
    const char *root = getenv("BS_SRC");
    char path[4096];
    size_t w = 0, h = 0;
    uint8_t *pixels = NULL;
    FILE *f;

    snprintf(path, sizeof path, "%s/tests/golden/images/%s.ppm",
             root != NULL ? root : ".", name);
    f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    if (fscanf(f, "P6 %zu %zu 255%*c", &w, &h) == 2 && w == ow && h == oh)
        pixels = malloc(w * h * 3);
    if (pixels != NULL && fread(pixels, 3, w * h, f) != w * h) {
        free(pixels);
        pixels = NULL;
    }
    fclose(f);
    return pixels;
}

static void
against_pillow(void)
{
    static const size_t cases[][4] = {{40, 30, 16, 12}, {9, 7, 20, 15},
                                      {1, 1, 5, 5},     {13, 50, 13, 20},
                                      {50, 13, 20, 13}, {31, 33, 30, 37}};
    size_t i;
    int filter;

    for (i = 0; i < BS_LEN(cases); i++)
        for (filter = 0; filter < 3; filter++) {
            size_t w = cases[i][0], h = cases[i][1], ow = cases[i][2],
                   oh = cases[i][3];
            const struct bs_crop whole = {0, 0, ow, oh};
            uint8_t *src = random_bytes(w * h * 3), *want, *got;
            char name[80];

            snprintf(name, sizeof name, "%s-%zux%zu-%zux%zu", names[filter], w,
                     h, ow, oh);
            want = golden(name, ow, oh);
            got = run(src, w, h, ow, oh, (enum bs_filter)filter, &whole);
            ok(want != NULL && differing(got, want, ow * oh * 3) == 0,
               "Pillow's %s", name);
            free(want);
            free(got);
            bs_free(src);
        }
}

static void
wrong_sizes(void)
{
    static const struct {
        size_t w, h, ow, oh;
        struct bs_crop crop;
    } cases[] = {
        {0, 1, 1, 1, {0, 0, 1, 1}},
        {1, 0, 1, 1, {0, 0, 1, 1}},
        {1, 1, 0, 1, {0, 0, 1, 1}},
        {1, 1, 1, 0, {0, 0, 1, 1}},
        {1, 1, 4, 4, {0, 0, 5, 1}},
        {1, 1, 4, 4, {0, 0, 1, 5}},
        {1, 1, 4, 4, {2, 0, 3, 1}},
        {1, 1, 4, 4, {0, SIZE_MAX, 1, 1}},
        {1, 1, 4, 4, {0, 0, 0, 1}},
        {((size_t)1 << 24) + 1, 1, 4, 4, {0, 0, 1, 1}},
    };
    uint8_t src[3] = {1, 2, 3}, dst[3] = {9, 9, 9};
    size_t i, bad = 0;

    for (i = 0; i < BS_LEN(cases); i++) {
        struct bs_err e = {0};

        bad += bs_resize(src, cases[i].w, cases[i].h, dst, cases[i].ow,
                         cases[i].oh, BS_FILTER_BICUBIC, &cases[i].crop,
                         &e) != -BS_EX_USAGE ||
               e.code != BS_EX_USAGE || dst[0] != 9;
    }
    ok(bad == 0, "sizes of nothing and crops outside are refused");
}

/* width, height, shorter -> width, height; then a square crop -> its corner:
 * what torchvision 0.29 computes. */
static void
fits(void)
{
    static const size_t cases[][8] = {
        {640, 480, 256, 341, 256, 224, 58, 16},
        {480, 640, 256, 256, 341, 224, 16, 58},
        {256, 256, 256, 256, 256, 224, 16, 16},
        {257, 256, 256, 257, 256, 224, 16, 16},
        {500, 375, 256, 341, 256, 224, 58, 16},
        {1, 1000, 256, 256, 256000, 224, 16, 127888},
        {333, 500, 224, 224, 336, 224, 0, 56},
        {500, 333, 224, 336, 224, 224, 56, 0},
        {7, 5, 3, 4, 3, 1, 2, 1},
        {5, 7, 10, 10, 14, 3, 4, 6},
        {1023, 769, 518, 689, 518, 518, 86, 0},
        {2048, 1365, 518, 777, 518, 518, 130, 0}};
    struct bs_crop crop = {0};
    struct bs_err e = {0};
    size_t i, bad = 0;

    for (i = 0; i < BS_LEN(cases); i++) {
        const size_t *c = cases[i];
        size_t w, h;

        bs_resize_fit(c[0], c[1], c[2], &w, &h);
        if (bs_center_crop(w, h, c[5], c[5], &crop, &e) < 0 || w != c[3] ||
            h != c[4] || crop.x != c[6] || crop.y != c[7] ||
            crop.width != c[5] || crop.height != c[5]) {
            printf("# %zux%zu: got %zux%zu, %zu+%zu\n", c[0], c[1], w, h,
                   crop.x, crop.y);
            bad++;
        }
    }
    ok(bad == 0, "Resize and CenterCrop choose torchvision's sizes");
    ok(bs_center_crop(223, 300, 224, 224, &crop, &e) == -BS_EX_USAGE &&
           e.code == BS_EX_USAGE,
       "a crop larger than the image is refused");
}

int
main(void)
{
    against_pillow();
    against_plain();
    extremes();
    crops();
    wrong_sizes();
    fits();
    return tap_done();
}
