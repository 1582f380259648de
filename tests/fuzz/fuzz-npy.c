/*
 * fuzz-npy.c - npy headers: what is accepted holds the bytes that it says, and
 * means the same when its header is written again.
 */
#include "formats/npy.h"
#include "tests/fuzz/target.h"

static void
again(const struct bs_npy *npy)
{
    struct bs_err e = {0};
    struct bs_buf b = {0};
    struct bs_npy back;

    must(bs_npy_write_header(&b, npy->dtype, npy->rank, npy->shape, &e) == 0);
    must(b.len % 64 == 0);
    must(bs_npy_header(&back, b.data, b.len, &e) == 0);
    must(back.dtype == npy->dtype && back.rank == npy->rank &&
         back.header == b.len && back.bytes == npy->bytes &&
         memcmp(back.shape, npy->shape, sizeof back.shape) == 0);
    bs_buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bs_err e = {0}, none = {0};
    struct bs_npy npy;
    size_t need = 0;
    int known = bs_npy_measure(data, len, &need, &none);

    must(known <= 0 || need <= BS_NPY_HEADER_MAX);
    must(known != 0 || need > len);
    if (bs_npy_parse(&npy, data, len, &e) == 0) {
        must(known == 1 && npy.header == need);
        must(npy.header + npy.bytes == len);
    }
    e = (struct bs_err){0};
    if (bs_npy_header(&npy, data, len, &e) == 0)
        again(&npy);
    return 0;
}
