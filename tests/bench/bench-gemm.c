/*
 * bench-gemm.c - y = x w^T on the shapes of ViT-B at 224 pixels and of a
 * dictionary, against oneDNN (matmul with weights of its own layout, and
 * sgemm) and OpenBLAS, and against the processor's peak of f32 multiply-adds.
 *
 *     bench-gemm [rounds]
 */
#include "tests/bench/peers.h"

struct problem {
    size_t m, n, k;
    float *x, *w, *y;
    struct bs_dev *dev;
    struct bs_weight *f32, *bf16;
    struct peer matmul;
};

static void
run_ours(struct problem *p, const struct bs_weight *w)
{
    struct bs_mem x = mem_of(p->x, p->m * p->k), y = mem_of(p->y, p->m * p->n);

    must(bs_dev_gemm(p->dev, w, &x, p->k, &y, p->n, p->m, NULL, BS_EPI_NONE,
                     NULL) == 0,
         "bs gemm");
}

static void
run_f32(void *arg)
{
    struct problem *p = arg;

    run_ours(p, p->f32);
}

static void
run_bf16(void *arg)
{
    struct problem *p = arg;

    run_ours(p, p->bf16);
}

static void
run_matmul(void *arg)
{
    struct problem *p = arg;

    peer_run(&p->matmul);
}

static void
run_sgemm(void *arg)
{
    struct problem *p = arg;

    must(dnnl_sgemm('N', 'T', (dnnl_dim_t)p->m, (dnnl_dim_t)p->n,
                    (dnnl_dim_t)p->k, 1, p->x, (dnnl_dim_t)p->k, p->w,
                    (dnnl_dim_t)p->k, 0, p->y,
                    (dnnl_dim_t)p->n) == dnnl_success,
         "oneDNN sgemm");
}

static void
run_openblas(void *arg)
{
    struct problem *p = arg;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->m, (int)p->n,
                (int)p->k, 1, p->x, (int)p->k, p->w, (int)p->k, 0, p->y,
                (int)p->n);
}

static const struct contender {
    const char *name;
    void (*run)(void *arg);
    double tolerance; /* of a sum of k products of values in -1..1 */
} contenders[] = {
    {"bs f32", run_f32, 0},           {"bs bf16", run_bf16, 1e-3},
    {"dnn matmul", run_matmul, 1e-6}, {"dnn sgemm", run_sgemm, 1e-6},
    {"openblas", run_openblas, 1e-6},
};
#define CONTENDERS BS_LEN(contenders)

static void
problem_init(struct problem *p)
{
    dnnl_dim_t m = (dnnl_dim_t)p->m, n = (dnnl_dim_t)p->n;
    dnnl_dim_t k = (dnnl_dim_t)p->k;
    dnnl_dims_t src = {m, k}, weights = {k, n}, dst = {m, n};
    dnnl_memory_desc_t src_md, weights_md, dst_md;

    p->x = floats(p->m * p->k);
    p->w = floats(p->n * p->k);
    p->y = floats(p->m * p->n);
    must(bs_dev_weight(p->dev, &p->f32, p->w, BS_DTYPE_F32, p->n, p->k,
                       BS_MATH_F32) == 0 &&
             bs_dev_weight(p->dev, &p->bf16, p->w, BS_DTYPE_F32, p->n, p->k,
                           BS_MATH_BF16) == 0,
         "bs weight");
    must(dnnl_memory_desc_init_by_tag(&src_md, 2, src, dnnl_f32, dnnl_ab) ==
                 dnnl_success &&
             dnnl_memory_desc_init_by_tag(&weights_md, 2, weights, dnnl_f32,
                                          dnnl_ba) == dnnl_success &&
             dnnl_memory_desc_init_by_tag(&dst_md, 2, dst, dnnl_f32, dnnl_ab) ==
                 dnnl_success,
         "oneDNN memory descriptor");
    p->matmul = peer_matmul_init(&src_md, p->x, &weights_md, p->w, true, 1,
                                 &dst_md, p->y);
}

static void
problem_release(struct problem *p)
{
    peer_release(&p->matmul);
    bs_dev_weight_free(p->dev, p->f32);
    bs_dev_weight_free(p->dev, p->bf16);
    bs_free(p->x);
    bs_free(p->w);
    bs_free(p->y);
}

/* All contenders must have done the same work. */
static void
check_agreement(struct problem *p)
{
    size_t cells = p->m * p->n, i, c;
    float *want = floats(cells);

    run_f32(p);
    memcpy(want, p->y, cells * sizeof *want);
    for (c = 1; c < CONTENDERS; c++) {
        double tolerance = contenders[c].tolerance * (double)p->k;

        contenders[c].run(p);
        for (i = 0; i < cells; i += 97)
            must(fabs((double)(p->y[i] - want[i])) <= tolerance,
                 contenders[c].name);
    }
    bs_free(want);
}

static void
measure(struct problem *p, int rounds, double peak)
{
    double best[CONTENDERS], flops = 2e-9 * (double)(p->m * p->n * p->k);
    double peer = 0;
    char shape[40];
    size_t c;
    int r;

    problem_init(p);
    check_agreement(p);
    for (c = 0; c < CONTENDERS; c++)
        best[c] = INFINITY;
    for (r = 0; r < rounds; r++)
        for (c = 0; c < CONTENDERS; c++)
            best[c] = fmin(best[c], turn(contenders[c].run, p, 5));
    snprintf(shape, sizeof shape, "%zux%zux%zu", p->m, p->n, p->k);
    printf("%-15s", shape);
    for (c = 0; c < CONTENDERS; c++) {
        printf(" %10.1f", flops / best[c]);
        if (c >= 2)
            peer = fmax(peer, flops / best[c]);
    }
    printf("  %6.3f", flops / best[0] / peer);
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
        {257, 768, 768},   {261, 2304, 768},  {261, 3072, 768},
        {261, 768, 3072},  {8352, 768, 768},  {8352, 3072, 768},
        {8352, 768, 3072}, {256, 32000, 768},
    };
    double peak = peak_gflops(threads);
    struct bs_err e = {0};
    struct bs_dev *d;
    size_t i;

    must(bs_dev_open(&d, "cpu", threads, &e) == 0, e.text);
    peers_init(threads);
    printf("# GF/s; %s; OpenBLAS %s; oneDNN %d.%d; f32 peak %.1f\n",
           bs_dev_describe(d), openblas_get_corename(), DNNL_VERSION_MAJOR,
           DNNL_VERSION_MINOR, peak);
    printf("%-15s", "# m x n x k");
    for (i = 0; i < CONTENDERS; i++)
        printf(" %10s", contenders[i].name);
    printf("  %6s  %6s\n", "/peer", "/peak");
    for (i = 0; i < BS_LEN(shapes); i++) {
        struct problem p = {
            .m = shapes[i][0], .n = shapes[i][1], .k = shapes[i][2], .dev = d};

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
