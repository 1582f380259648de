/*
 * k-dev.c - opening devices, the forced instruction set, memory and its ranges.
 */
#include "kernels/dev.h"

#include "common/pool.h"
#include "kernels/cpu.h"
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

static void
test_open(void)
{
    opens("auto", 1, 0, "1 thread)");
    opens("cpu", 3, 0, "3 threads)");
    opens("cpu", 0, 0, "cpu (");
    opens("cuda", 1, BS_EX_UNAVAIL, "built without GPU kernels");
    opens("cuda:1", 1, BS_EX_UNAVAIL, "built without GPU kernels");
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
test_memory(void)
{
    static const char text[] = "0123456789";
    struct bs_err e = {0};
    struct bs_mem m, none;
    struct bs_dev *d;
    char back[sizeof text] = {0};

    if (!ok(bs_dev_open(&d, "cpu", 1, &e) == 0, "open"))
        return;
    ok(bs_dev_alloc(d, &m, 20) == 0 && m.bytes == 20 &&
           (uintptr_t)m.p % BS_ALIGN == 0,
       "aligned memory");
    ok(bs_dev_put(d, &m, 9, text, sizeof text) == 0 &&
           bs_dev_get(d, back, &m, 9, sizeof back) == 0 &&
           strcmp(back, text) == 0 && bs_dev_sync(d) == 0,
       "put, get, sync");
    ok(bs_dev_put(d, &m, 20, text, 0) == 0, "nothing, at the end");
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

int
main(void)
{
    unsetenv("BS_CPU");
    test_open();
    test_forced();
    test_memory();
    return tap_done();
}
