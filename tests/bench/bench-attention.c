/*
 * bench-attention.c - self-attention of one image, against oneDNN's matmul,
 * softmax and matmul on the same strided q, k and v.
 *
 *     bench-attention [rounds]
 */
#include "tests/bench/peers.h"

struct problem {
    size_t tokens, heads, dim;
    float *qkv, *out, *scores;
    struct bs_dev *dev;
    struct peer score, softmax, weigh;
};

static void
run_ours(struct problem *p, enum bs_math math)
{
    size_t width = p->heads * p->dim, n = p->tokens * width;
    struct bs_mem qkv = mem_of(p->qkv, 3 * n);
    const struct bs_attention a = {
        .q = qkv,
        .k = bs_mem_from(&qkv, width * sizeof(float)),
        .v = bs_mem_from(&qkv, 2 * width * sizeof(float)),
        .out = mem_of(p->out, n),
        .ldq = 3 * width,
        .ldk = 3 * width,
        .ldv = 3 * width,
        .ldo = width,
        .batch = 1,
        .queries = p->tokens,
        .keys = p->tokens,
        .heads = p->heads,
        .dim = p->dim,
        .math = math,
    };

    must(bs_dev_attention(p->dev, &a) == 0, "bs attention");
}

static void
run_f32(void *arg)
{
    run_ours(arg, BS_MATH_F32);
}

static void
run_bf16(void *arg)
{
    run_ours(arg, BS_MATH_BF16);
}

static void
run_peer(void *arg)
{
    struct problem *p = arg;

    peer_run(&p->score);
    peer_run(&p->softmax);
    peer_run(&p->weigh);
}

/* [heads, rows, cols] with the given strides. */
static dnnl_memory_desc_t
strided(size_t heads, size_t rows, size_t cols, size_t head_stride,
        size_t row_stride, size_t col_stride)
{
    dnnl_dims_t dims = {(dnnl_dim_t)heads, (dnnl_dim_t)rows, (dnnl_dim_t)cols};
    dnnl_dims_t strides = {(dnnl_dim_t)head_stride, (dnnl_dim_t)row_stride,
                           (dnnl_dim_t)col_stride};
    dnnl_memory_desc_t md;

    must(dnnl_memory_desc_init_by_strides(&md, 3, dims, dnnl_f32, strides) ==
             dnnl_success,
         "oneDNN memory descriptor");
    return md;
}

static void
problem_init(struct problem *p)
{
    size_t t = p->tokens, h = p->heads, d = p->dim, width = h * d;
    dnnl_memory_desc_t q = strided(h, t, d, d, 3 * width, 1);
    dnnl_memory_desc_t k = strided(h, d, t, d, 1, 3 * width);
    dnnl_memory_desc_t scores = strided(h, t, t, t * t, t, 1);
    dnnl_memory_desc_t out = strided(h, t, d, d, width, 1);

    p->qkv = floats(3 * t * width);
    p->out = floats(t * width);
    p->scores = floats(h * t * t);
    p->score =
        peer_matmul_init(&q, p->qkv, &k, p->qkv + width, false,
                         (float)(1 / sqrt((double)d)), &scores, p->scores);
    p->softmax = peer_softmax_init(&scores, 2, p->scores);
    p->weigh = peer_matmul_init(&scores, p->scores, &q, p->qkv + 2 * width,
                                false, 1, &out, p->out);
}

static void
problem_release(struct problem *p)
{
    peer_release(&p->score);
    peer_release(&p->softmax);
    peer_release(&p->weigh);
    bs_free(p->qkv);
    bs_free(p->out);
    bs_free(p->scores);
}

static void
check_agreement(struct problem *p)
{
    size_t n = p->tokens * p->heads * p->dim, i;
    float *want = floats(n);

    run_f32(p);
    memcpy(want, p->out, n * sizeof *want);
    run_peer(p);
    for (i = 0; i < n; i++)
        must(fabs((double)(p->out[i] - want[i])) <= 4e-6, "agreement");
    bs_free(want);
}

static void
measure(struct problem *p, int rounds, double peak)
{
    static void (*const run[])(void *) = {run_f32, run_bf16, run_peer};
    double best[BS_LEN(run)] = {INFINITY, INFINITY, INFINITY};
    double flops = 4e-9 * (double)(p->tokens * p->tokens * p->heads * p->dim);
    size_t c;
    int r;

    problem_init(p);
    check_agreement(p);
    for (r = 0; r < rounds; r++)
        for (c = 0; c < BS_LEN(run); c++)
            best[c] = fmin(best[c], turn(run[c], p, 5));
    printf("%6zu %5zu %4zu", p->tokens, p->heads, p->dim);
    for (c = 0; c < BS_LEN(run); c++)
        printf(" %10.1f", flops / best[c]);
    printf("  %6.3f", best[2] / best[0]);
    if (peak > 0)
        printf("  %6.3f", flops / best[0] / peak);
    putchar('\n');
    fflush(stdout);
    problem_release(p);
}

static void
table(unsigned threads, int rounds)
{
    static const size_t shapes[][3] = {
        {261, 12, 64},  {261, 6, 64},  {1024, 12, 64},
        {1374, 12, 64}, {4096, 8, 40},
    };
    double peak = peak_gflops(threads);
    struct bs_err e = {0};
    struct bs_dev *d;
    size_t i;

    must(bs_dev_open(&d, "cpu", threads, &e) == 0, e.text);
    peers_init(threads);
    printf("# GF/s; %s; oneDNN %d.%d; f32 peak %.1f\n", bs_dev_describe(d),
           DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, peak);
    printf(
        "# tok heads  dim     bs f32    bs bf16        dnn   /peer   /peak\n");
    for (i = 0; i < BS_LEN(shapes); i++) {
        struct problem p = {.tokens = shapes[i][0],
                            .heads = shapes[i][1],
                            .dim = shapes[i][2],
                            .dev = d};

        measure(&p, rounds, peak);
    }
    bs_dev_close(d);
}

int
main(int argc, char *argv[])
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8;
    unsigned all = bs_pool_processors();

    table(1, rounds);
    if (all > 1)
        table(all, rounds);
    return 0;
}
