/*
 * k-rows.c - layer norm, SwiGLU, GEGLU, and the way from images to tokens, on
 * every instruction set against plain loops in double.
 */
#include "tests/kernels/compare.h"

static const size_t lengths[] = {0,  1,  2,  3,  7,  8,  9,   15,  16,   17,
                                 31, 32, 33, 63, 64, 65, 129, 768, 1024, 1537};
static const size_t row_counts[] = {0, 1, 2, 15, 16, 17, 37};

/* ---- layer norm ------------------------------------------------------------
 */

static int
layer_norm_good(const float *y, const float *x, size_t k, const float *gamma,
                const float *beta, double eps)
{
    double mean = 0, var = 0;
    size_t i;

    for (i = 0; i < k; i++)
        mean += (double)x[i] / (double)k;
    for (i = 0; i < k; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)k;
    for (i = 0; i < k; i++) {
        double n = ((double)x[i] - mean) / sqrt(var + eps);
        double g = (double)gamma[i], b = (double)beta[i];
        double tolerance = 2e-6 * (fabs(g * n) + fabs(b)) + 1e-6;

        if (!near((double)y[i], n * g + b, tolerance)) {
            printf("# k %zu: [%zu] is %.9g, wanted %.9g +- %.2g\n", k, i,
                   (double)y[i], n * g + b, tolerance);
            return 0;
        }
    }
    return 1;
}

/* Values of `scale` around `offset`; in place as well as to elsewhere. */
static int
layer_norm_case(struct bs_dev *d, size_t m, size_t k, float offset, float scale,
                bool in_place)
{
    struct floats x = floats_of(m * k, scale, 1), y = floats_of(m * k, 1, 2);
    struct floats kept = floats_of(m * k, scale, 1);
    struct floats gamma = floats_of(k, 2, 3), beta = floats_of(k, 1, 4);
    float eps = 1e-6f;
    size_t i;
    int good;

    for (i = 0; i < m * k; i++)
        kept.at[i] = x.at[i] += offset;
    good = bs_dev_layer_norm(d, &x.mem, in_place ? &x.mem : &y.mem, m, k,
                             &gamma.mem, &beta.mem, eps) == 0;
    for (i = 0; i < m; i++)
        good &=
            layer_norm_good((in_place ? x.at : y.at) + i * k, kept.at + i * k,
                            k, gamma.at, beta.at, (double)eps);
    return floats_free(&x) & floats_free(&y) & floats_free(&kept) &
           floats_free(&gamma) & floats_free(&beta) & good;
}

static void
test_layer_norm(const struct bs_isa *isa, struct bs_dev *d)
{
    size_t i, j;
    int good = 1;

    for (i = 0; i < BS_LEN(row_counts); i++)
        for (j = 0; j < BS_LEN(lengths); j++)
            good &= layer_norm_case(d, row_counts[i], lengths[j], 0, 3, j % 2);
    ok(good, "%s: layer norm of every length", isa->name);
    ok(layer_norm_case(d, 5, 768, 5000, 1, false),
       "%s: a mean far from zero costs no accuracy", isa->name);
    ok(layer_norm_case(d, 5, 768, 1e-3f, 0, false) &&
           layer_norm_case(d, 5, 77, -1e5f, 0, false),
       "%s: equal values give beta", isa->name);
    ok(layer_norm_case(d, 3, 100, 0, 1e-18f, false) &&
           layer_norm_case(d, 3, 100, 0, 1e15f, false),
       "%s: tiny and huge values", isa->name);
}

static void
test_layer_norm_nan(const struct bs_isa *isa, struct bs_dev *d)
{
    static const size_t places[] = {0, 1, 50, 99};
    static const float value[] = {NAN, INFINITY};
    const size_t k = 100;
    size_t p, i;
    int good = 1;

    for (p = 0; p < 2 * BS_LEN(places); p++) {
        struct floats x = floats_of(3 * k, 1, 1), one = floats_of(k, 1, 2);

        x.at[k + places[p / 2]] = value[p % 2];
        good &= bs_dev_layer_norm(d, &x.mem, &x.mem, 3, k, &one.mem, &one.mem,
                                  1e-6f) == 0;
        for (i = 0; i < 3 * k; i++)
            good &= !isnan(x.at[i]) == (i / k != 1);
        good &= floats_free(&x) & floats_free(&one);
    }
    ok(good, "%s: a NaN or infinity spoils its row and no other", isa->name);
}

/* ---- swiglu ----------------------------------------------------------------
 */

static int
swiglu_case(struct bs_dev *d, size_t m, size_t k, float scale)
{
    struct floats x = floats_of(m * 2 * k, scale, 1),
                  y = floats_of(m * k, 1, 2);
    size_t i, j;
    int good = bs_dev_swiglu(d, &x.mem, &y.mem, m, k) == 0;

    for (i = 0; i < m; i++)
        for (j = 0; j < k && good; j++) {
            double g = (double)x.at[i * 2 * k + j];
            double want = g / (1 + exp(-g)) * (double)x.at[i * 2 * k + k + j];
            double got = (double)y.at[i * k + j];

            good = near(got, want, 4e-7 * fabs(want) + 1e-7);
            if (!good)
                printf("# swiglu of %.9g: %.9g, wanted %.9g\n", g, got, want);
        }
    return floats_free(&x) & floats_free(&y) & good;
}

static void
test_swiglu(const struct bs_isa *isa, struct bs_dev *d)
{
    size_t i, j;
    int good = 1;

    for (i = 0; i < BS_LEN(row_counts); i++)
        for (j = 0; j < BS_LEN(lengths); j++)
            good &= swiglu_case(d, row_counts[i], lengths[j], 8);
    ok(good, "%s: swiglu of every length", isa->name);
    ok(swiglu_case(d, 3, 4000, 30) && swiglu_case(d, 3, 1000, 1000) &&
           swiglu_case(d, 3, 1000, 1e-20f),
       "%s: swiglu of large and tiny values", isa->name);
}

static void
test_swiglu_nan(const struct bs_isa *isa, struct bs_dev *d)
{
    const size_t k = 21;
    struct floats x = floats_of(2 * k, 1, 1), y = floats_of(k, 1, 2);
    size_t i;
    int good;

    x.at[0] = NAN;
    x.at[k + 20] = NAN;
    x.at[3] = INFINITY;
    x.at[k + 3] = 2;
    good = bs_dev_swiglu(d, &x.mem, &y.mem, 1, k) == 0 &&
           y.at[3] == (float)INFINITY;
    for (i = 0; i < k; i++)
        good &= !isnan(y.at[i]) == (i != 0 && i != 20);
    ok(floats_free(&x) & floats_free(&y) & good,
       "%s: NaN first and last, infinity", isa->name);
}

/* ---- geglu -----------------------------------------------------------------
 */

static int
geglu_case(struct bs_dev *d, size_t m, size_t k, float scale)
{
    struct floats x = floats_of(m * 2 * k, scale, 1);
    struct floats y = floats_of(m * k, 1, 2);
    size_t i, j;
    int good = bs_dev_geglu(d, &x.mem, &y.mem, m, k) == 0;

    for (i = 0; i < m; i++)
        for (j = 0; j < k && good; j++) {
            double a = (double)x.at[i * 2 * k + j];
            double g = (double)x.at[i * 2 * k + k + j];
            double want = a * g * 0.5 * (1 + erf(g * sqrt(0.5)));
            double got = (double)y.at[i * k + j];

            good = near(got, want,
                        4e-7 * fabs(a) * fmax(1, fabs(g)) + 1e-6 * fabs(want));
            if (!good)
                printf("# geglu of %.9g, %.9g: %.9g, wanted %.9g\n", a, g, got,
                       want);
        }
    return floats_free(&x) & floats_free(&y) & good;
}

static void
test_geglu(const struct bs_isa *isa, struct bs_dev *d)
{
    struct floats x = floats_of(42, 1, 1), y = floats_of(21, 1, 2);
    size_t i, j;
    int good = 1;

    for (i = 0; i < BS_LEN(row_counts); i++)
        for (j = 0; j < BS_LEN(lengths); j++)
            good &= geglu_case(d, row_counts[i], lengths[j], 4);
    ok(good, "%s: geglu of every length", isa->name);
    ok(geglu_case(d, 3, 4000, 8) && geglu_case(d, 3, 1000, 1000) &&
           geglu_case(d, 3, 1000, 1e-20f),
       "%s: geglu of large and tiny values", isa->name);
    x.at[0] = NAN;
    x.at[21 + 20] = NAN;
    good = bs_dev_geglu(d, &x.mem, &y.mem, 1, 21) == 0;
    for (i = 0; i < 21; i++)
        good &= !isnan(y.at[i]) == (i != 0 && i != 20);
    ok(floats_free(&x) & floats_free(&y) & good, "%s: geglu of NaN", isa->name);
}

/* ---- add -------------------------------------------------------------------
 */

static int
add_case(struct bs_dev *d, size_t m, size_t k)
{
    size_t ldx = k + 3, ldy = k + 1, i, j;
    struct floats x = floats_of(m * ldx, 1, 1), y = floats_of(m * ldy, 1, 2);
    struct floats before = floats_of(m * ldy, 1, 2);
    int good = bs_dev_add(d, &x.mem, ldx, &y.mem, ldy, m, k) == 0;

    for (i = 0; i < m; i++)
        for (j = 0; j < ldy; j++) {
            float want = before.at[i * ldy + j];

            good &=
                y.at[i * ldy + j] == (j < k ? want + x.at[i * ldx + j] : want);
        }
    return floats_free(&x) & floats_free(&y) & floats_free(&before) & good;
}

static void
test_add(const struct bs_isa *isa, struct bs_dev *d)
{
    size_t i, j;
    int good = 1;

    for (i = 0; i < BS_LEN(row_counts); i++)
        for (j = 0; j < BS_LEN(lengths); j++)
            good &= add_case(d, row_counts[i], lengths[j]);
    ok(good, "%s: add of every length", isa->name);
}

/* ---- images to tokens ------------------------------------------------------
 */

static int
patchify_case(struct bs_dev *d, size_t batch, size_t height, size_t width,
              size_t patch)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f};
    static const float std[3] = {0.229f, 0.224f, 0.225f};
    size_t n = batch * height * width * 3, i, across = width / patch;
    struct floats y = floats_of(n, 1, 1);
    uint8_t *rgb = need(bs_alloc(n));
    struct bs_mem in = {rgb, n};
    int good;

    for (i = 0; i < n; i++)
        rgb[i] = (uint8_t)(i * 7919 >> 3);
    good = bs_dev_patchify(d, &in, &y.mem, batch, height, width, patch, mean,
                           std) == 0;
    for (i = 0; i < n; i++) {
        size_t column = i % patch, row = i / patch % patch;
        size_t channel = i / patch / patch % 3, p = i / patch / patch / 3;
        size_t image = p / (across * (height / patch));
        size_t py = p / across % (height / patch) * patch + row;
        size_t px = p % across * patch + column;
        uint8_t u = rgb[((image * height + py) * width + px) * 3 + channel];
        float unit = (float)u / 255;
        float centred = unit - mean[channel];

        good &= y.at[i] == centred / std[channel];
    }
    bs_free(rgb);
    return floats_free(&y) & good;
}

static int
assemble_case(struct bs_dev *d, size_t batch, size_t n, size_t prefix, size_t k)
{
    struct floats x = floats_of(batch * n * k, 1, 1);
    struct floats lead = floats_of(prefix * k, 1, 2);
    struct floats pos = floats_of(n * k, 1, 3);
    struct floats y = floats_of(batch * (prefix + n) * k, 1, 4);
    size_t b, t, j;
    int good = bs_dev_assemble(d, &x.mem, &lead.mem, &pos.mem, &y.mem, batch, n,
                               prefix, k) == 0;

    for (b = 0; b < batch; b++)
        for (t = 0; t < prefix + n; t++)
            for (j = 0; j < k; j++) {
                size_t p = t - prefix;
                float want =
                    t < prefix ? lead.at[t * k + j]
                               : x.at[(b * n + p) * k + j] + pos.at[p * k + j];

                good &= y.at[(b * (prefix + n) + t) * k + j] == want;
            }
    return floats_free(&x) & floats_free(&lead) & floats_free(&pos) &
           floats_free(&y) & good;
}

static void
test_images(struct bs_dev *d)
{
    static const float one[3] = {1, 1, 1};
    struct floats y = floats_of(300, 1, 1);

    ok(patchify_case(d, 2, 28, 42, 14) && patchify_case(d, 3, 8, 6, 1) &&
           patchify_case(d, 1, 16, 16, 16) && patchify_case(d, 0, 14, 14, 14) &&
           patchify_case(d, 1, 0, 0, 14),
       "patchify: exact");
    ok(bs_dev_patchify(d, &y.mem, &y.mem, 1, 10, 10, 3, one, one) ==
           -BS_EX_SOFTWARE,
       "patchify: %s", bs_dev_error(d)->text);
    ok(assemble_case(d, 2, 9, 5, 33) && assemble_case(d, 3, 50, 1, 7) &&
           assemble_case(d, 2, 4, 0, 8) && assemble_case(d, 2, 0, 3, 8) &&
           assemble_case(d, 0, 4, 1, 8),
       "assemble: exact");
    floats_free(&y);
}

/* ---- independence ----------------------------------------------------------
 */

static void
test_invariance(const struct bs_isa *isa)
{
    const size_t m = 101, k = 770;
    struct floats x = floats_of(m * k, 1, 1), g = floats_of(k, 1, 2);
    struct floats first = floats_of(m * k, 1, 3), y = floats_of(m * k, 1, 3);
    size_t bytes = m * k * sizeof(float);
    unsigned threads;
    int good = 1;

    for (threads = 1; threads <= 4; threads++) {
        struct bs_dev *d = open_isa(isa, threads);
        struct floats *to = threads == 1 ? &first : &y;

        good &= bs_dev_layer_norm(d, &x.mem, &to->mem, m, k, &g.mem, &g.mem,
                                  1e-6f) == 0 &&
                (threads == 1 || memcmp(first.at, y.at, bytes) == 0);
        good &= bs_dev_layer_norm(d, &x.mem, &y.mem, 1, k, &g.mem, &g.mem,
                                  1e-6f) == 0 &&
                memcmp(first.at, y.at, k * sizeof(float)) == 0;
        bs_dev_close(d);
    }
    ok(floats_free(&x) & floats_free(&g) & floats_free(&first) &
           floats_free(&y) & good,
       "%s: rows depend neither on threads nor on one another", isa->name);
}

int
main(void)
{
    struct bs_isa isa[DEVICES];
    size_t n = devices_to_test(isa), i;
    struct bs_dev *d;

    for (i = 0; i < n; i++) {
        d = open_isa(&isa[i], 2);
        test_layer_norm(&isa[i], d);
        test_layer_norm_nan(&isa[i], d);
        test_swiglu(&isa[i], d);
        test_swiglu_nan(&isa[i], d);
        test_geglu(&isa[i], d);
        test_add(&isa[i], d);
        bs_dev_close(d);
        test_invariance(&isa[i]);
    }
    d = open_isa(&isa[0], 3);
    test_images(d);
    bs_dev_close(d);
    return tap_done();
}
