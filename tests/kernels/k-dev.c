/*
 * k-dev.c - opening devices, the forced instruction set, memory and its ranges.
 */
#include "kernels/dev.h"

#include "common/mem.h"
#include "common/pool.h"
#include "kernels/cpu.h"
#include "kernels/cuda.h"
#include "kernels/sae_train_ops.h"
#include "tests/kernels/staged.h"
#include "tests/unit/tap.h"

/* Open, and say what came out: the description or the error. */
static int
opens(const char *name, unsigned threads, int status, const char *text)
{
    struct bs_err e = {0};
    struct bs_dev *d = NULL;
    int r = bs_dev_open(&d, name, threads, &e);
    const char *got = r == 0 ? bs_dev_describe(d) : e.text;
    int good =
        r == -status && (r == 0) == (d != NULL) && strstr(got, text) != NULL;

    ok(good, "'%s': %s", name, got);
    bs_dev_close(d);
    return good;
}

/* Where neither a driver nor the emulation is there. */
static void
test_no_cuda(void)
{
    const char *why = bs_cuda_built() ? "no driver" : "without GPU kernels";

    opens("auto", 1, 0, "1 thread)");
    opens("cuda", 1, BS_EX_UNAVAIL, why);
    opens("cuda:1", 1, BS_EX_UNAVAIL, why);
}

static void
test_cuda(void)
{
    opens("auto", 1, 0, "cuda:0 (");
    opens("cuda", 1, 0, "cuda:0 (");
    opens("cuda:0", 1, 0, "cuda:0 (");
    opens("cuda:999", 1, BS_EX_UNAVAIL, " are there");
    opens("cuda:", 1, BS_EX_USAGE, "no device 'cuda:'");
    opens("cuda:-1", 1, BS_EX_USAGE, "no device 'cuda:-1'");
    if (!staged_slow(&bs_isa_cuda))
        return;
    setenv("FAKE_CUDA_DEVICES", "0", 1);
    opens("cuda", 1, BS_EX_UNAVAIL, "0 are there");
    opens("auto", 1, 0, "1 thread); no device 'cuda:0': 0 are there");
    unsetenv("FAKE_CUDA_DEVICES");
}

static void
test_open(void)
{
    opens("cpu", 3, 0, "3 threads)");
    opens("cpu", 0, 0, "cpu (");
    opens("gpu", 1, BS_EX_USAGE, "no device 'gpu'");
    opens("", 1, BS_EX_USAGE, "no device ''");
    ok(strstr(bs_dev_features(), "portable") != NULL, "features: %s",
       bs_dev_features());
    bs_dev_close(NULL);
}

static void
test_forced(void)
{
    setenv("BS_CPU", "portable", 1);
    opens("cpu", 1, 0, "cpu (portable, 1 thread)");
    setenv("BS_CPU", "", 1);
    opens("cpu", 1, 0, "cpu (");
    setenv("BS_CPU", "avx3", 1);
    opens("cpu", 1, BS_EX_UNAVAIL, "no instruction set 'avx3'");
#if defined(__x86_64__)
    setenv("BS_CPU", "avx2", 1);
    opens("cpu", 1, bs_cpu_has(&bs_isa_avx2) ? 0 : BS_EX_UNAVAIL, "avx2");
    setenv("BS_CPU", "avx512bf16", 1);
    opens("cpu", 1, bs_cpu_has(&bs_isa_avx512bf16) ? 0 : BS_EX_UNAVAIL,
          "avx512bf16");
#endif
    unsetenv("BS_CPU");
}

static void
test_memory(const char *device)
{
    static const char text[] = "0123456789";
    struct bs_err e = {0};
    struct bs_mem m, none;
    struct bs_dev *d;
    const char *host;
    char back[sizeof text] = {0};

    if (!ok(bs_dev_open(&d, device, 1, &e) == 0, "%s: open", device))
        return;
    staged_note(strcmp(device, "cpu") == 0 ? bs_cpu_isa(&e)->name : device);
    ok(bs_dev_alloc(d, &m, 20) == 0 && m.bytes == 20 &&
           (uintptr_t)m.p % BS_ALIGN == 0,
       "aligned memory");
    ok(bs_dev_put(d, &m, 9, text, sizeof text) == 0 &&
           bs_dev_get(d, back, &m, 9, sizeof back) == 0 &&
           strcmp(back, text) == 0 && bs_dev_sync(d) == 0,
       "put, get, sync");
    ok(bs_dev_put(d, &m, 20, text, 0) == 0, "nothing, at the end");
    host = bs_dev_host(d, &m);
    ok(host != NULL ? memcmp(host + 9, text, sizeof text) == 0
                    : strcmp(device, "cpu") != 0,
       "as the host reads it");
    ok(bs_dev_put(d, &m, 10, text, sizeof text) == -BS_EX_SOFTWARE,
       "a put past the end: %s", bs_dev_error(d)->text);
    ok(bs_dev_get(d, back, &m, SIZE_MAX, sizeof back) == -BS_EX_SOFTWARE,
       "a get whose range overflows");
    ok(bs_dev_alloc(d, &none, SIZE_MAX - 3) < 0 && none.p == NULL,
       "more than all memory");
    bs_dev_free(d, &none);
    bs_dev_free(d, &m);
    ok(m.p == NULL && m.bytes == 0, "freed is empty");
    bs_dev_free(d, &m);
    bs_dev_close(d);
}

/* More than the two buffers between host and device hold, in odd parts. */
static void
test_copies(const char *device)
{
    const size_t n = ((size_t)13 << 20) + 5, odd = 3;
    struct bs_err e = {0};
    uint8_t *from = bs_alloc(n), *to = bs_alloc(n);
    struct bs_mem m;
    struct bs_dev *d;
    size_t i;

    if (!ok(from != NULL && to != NULL && bs_dev_open(&d, device, 1, &e) == 0,
            "%s: open", device))
        return;
    for (i = 0; i < n; i++)
        from[i] = (uint8_t)(i * 2654435761u >> 13);
    ok(bs_dev_alloc(d, &m, n + odd) == 0 &&
           bs_dev_put(d, &m, odd, from, n) == 0 &&
           bs_dev_put(d, &m, odd + 7, from + 7, 11) == 0 &&
           bs_dev_get(d, to, &m, odd, n) == 0 && memcmp(from, to, n) == 0,
       "%s: %zu bytes there and back", device, n);
    memset(to, 0, n);
    ok(bs_dev_get(d, to + 1, &m, odd + n - 9, 9) == 0 &&
           memcmp(to + 1, from + n - 9, 9) == 0,
       "%s: a part of them", device);
    bs_dev_free(d, &m);
    bs_dev_close(d);
    bs_free(from);
    bs_free(to);
}

int
main(void)
{
    static const char *const devices[] = {"cpu", "cuda"};
    char why[600];
    size_t i, n = 1;

    unsetenv("BS_CPU");
    if (!staged_driver())
        test_no_cuda();
    if (staged_there(why, sizeof why)) {
        test_cuda();
        n = 2;
    } else {
        skip(why);
    }
    test_open();
    test_forced();
    for (i = 0; i < n; i++) {
        test_memory(devices[i]);
        test_copies(devices[i]);
    }
    return tap_done();
}
