/*
 * u-codes.c - records of codes: both forms, what is refused and why, units.
 */
#include "cmd/models/codes.h"

#include "common/mem.h"
#include "tests/unit/tap.h"

/* A record of [tokens, 2] places, or, with ptr, of n codes. */
static int
read_record(struct bs_codes *c, size_t tokens, const uint32_t *ptr,
            const uint32_t *idx, const float *val, size_t n, const char *grid,
            struct bs_err *e)
{
    struct bs_doc rec = {0};
    uint64_t fixed[2] = {tokens, 2}, flat[1] = {n}, ends[1] = {tokens + 1};
    int r = bs_doc_put(&rec, "idx", BS_DTYPE_U32, ptr != NULL ? 1 : 2,
                       ptr != NULL ? flat : fixed, idx, e);

    if (r == 0)
        r = bs_doc_put(&rec, "val", BS_DTYPE_F32, ptr != NULL ? 1 : 2,
                       ptr != NULL ? flat : fixed, val, e);
    if (r == 0 && ptr != NULL)
        r = bs_doc_put(&rec, "ptr", BS_DTYPE_U32, 1, ends, ptr, e);
    if (r == 0 && grid != NULL)
        r = bs_doc_set(&rec, "grid", grid, e);
    if (r == 0 && grid != NULL)
        r = bs_doc_set(&rec, "prefix", "1", e);
    if (r == 0)
        r = bs_codes_read(c, &rec, 100, e);
    bs_doc_release(&rec);
    return r;
}

#define NONE UINT32_MAX

static void
both_forms(void)
{
    static const uint32_t idx[] = {7, 9, 99, NONE, NONE, NONE};
    static const float val[] = {2, 2, 0.5f, 0, 0, 0};
    static const uint32_t ptr[] = {0, 2, 3, 3};
    struct bs_codes c = {0};
    struct bs_err e = {0};
    int form;

    for (form = 0; form < 2; form++) {
        int r = read_record(&c, 3, form ? ptr : NULL, idx, val, 3, "1x2", &e);

        ok(r == 0, "%s form: %s", form ? "variable" : "fixed", e.text);
        ok(r == 0 && c.tokens == 3 && memcmp(c.ptr, ptr, sizeof ptr) == 0,
           "its rows");
        ok(r == 0 && memcmp(c.idx, idx, 3 * sizeof *idx) == 0 &&
               memcmp(c.val, val, 3 * sizeof *val) == 0,
           "its codes");
        ok(c.prefix == 1 && c.grid[0] == 1 && c.grid[1] == 2, "its places");
    }
    bs_codes_release(&c);
}

static void
refused(const char *why, size_t tokens, const uint32_t *ptr,
        const uint32_t *idx, const float *val, size_t n, const char *grid)
{
    struct bs_codes c = {0};
    struct bs_err e = {0};
    int r = read_record(&c, tokens, ptr, idx, val, n, grid, &e);

    ok(r == -BS_EX_DATA && strstr(e.text, why) != NULL, "refused: %s (%s)", why,
       e.text);
    bs_codes_release(&c);
}

#define IDX(...) ((const uint32_t[]){__VA_ARGS__})
#define VAL(...) ((const float[]){__VA_ARGS__})

static void
refusals(void)
{
    refused("token 1: index 100 of 100", 2, NULL, IDX(1, 2, 3, 100),
            VAL(2, 1, 2, 1), 0, NULL);
    refused("token 0: value -1 is not", 1, NULL, IDX(1, 2), VAL(2, -1), 0,
            NULL);
    refused("token 0: value 0 is not", 1, NULL, IDX(1, 2), VAL(2, 0), 0, NULL);
    refused("value inf", 1, NULL, IDX(1, 2), VAL(1e38f * 10, 1), 0, NULL);
    refused("not in descending", 1, NULL, IDX(1, 2), VAL(1, 2), 0, NULL);
    refused("not in descending", 1, NULL, IDX(2, 1), VAL(1, 1), 0, NULL);
    refused("index 1 twice", 1, NULL, IDX(1, 1), VAL(2, 1), 0, NULL);
    refused("behind an unused place", 1, NULL, IDX(NONE, 1), VAL(0, 1), 0,
            NULL);
    refused("token 1: codes 2 to 1", 2, IDX(0, 2, 1), IDX(1, 2), VAL(2, 1), 2,
            NULL);
    refused("token 0: codes 1 to 2", 1, IDX(1, 2), IDX(1, 2), VAL(2, 1), 2,
            NULL);
    refused("token 0: codes 0 to 3", 1, IDX(0, 3), IDX(1, 2), VAL(2, 1), 2,
            NULL);
    refused("ptr ends at 1 of 2", 1, IDX(0, 1), IDX(1, 2), VAL(2, 1), 2, NULL);
    refused("index 4294967295 of 100", 1, IDX(0, 1), IDX(NONE), VAL(0), 1,
            NULL);
    refused("grid '3x3'", 1, NULL, IDX(1, 2), VAL(2, 1), 0, "3x3");
    refused("grid '0x'", 1, NULL, IDX(1, 2), VAL(2, 1), 0, "0x");
}

static void
units(void)
{
    ok(bs_codes_units(1) == 1 << 24, "1 is 2^24 units");
    ok(bs_codes_units(0x1p-24f) == 1, "the least F16 is a unit");
    ok(bs_codes_units(65504) == (int64_t)65504 << 24, "the largest F16");
    ok(bs_codes_units(0x1.8p-24f) == 2 && bs_codes_units(0x1p-25f) == 0,
       "ties to even");
    ok(bs_codes_units(65536) == -1, "too large");
}

static void
heads(void)
{
    struct bs_codes_head a, b;
    struct bs_doc head = {0};
    struct bs_err e = {0};

    ok(bs_codes_head(&a, &head, &e) == -BS_EX_DATA, "no kind: %s", e.text);
    e = (struct bs_err){0};
    if (bs_doc_set(&head, "bs.kind", "code", &e) < 0)
        ok(0, "%s", e.text);
    ok(bs_codes_head(&a, &head, &e) == -BS_EX_DATA, "no concepts: %s", e.text);
    e = (struct bs_err){0};
    if (bs_doc_set(&head, "concepts", "100", &e) < 0 ||
        bs_doc_set(&head, "bs.model", "{\"sha256\":\"12ab\"}", &e) < 0)
        ok(0, "%s", e.text);
    ok(bs_codes_head(&a, &head, &e) == 0 && a.concepts == 100 &&
           strcmp(a.model, "12ab") == 0,
       "concepts and model");
    b = a;
    ok(bs_codes_same(&a, &b, &e) == 0, "the same");
    b.model[0] = '9';
    ok(bs_codes_same(&a, &b, &e) == -BS_EX_DATA, "%s", e.text);
    e = (struct bs_err){0};
    b.model[0] = '\0';
    ok(bs_codes_same(&a, &b, &e) == 0, "a model without a name is the same");
    b.concepts = 7;
    ok(bs_codes_same(&a, &b, &e) == -BS_EX_DATA, "%s", e.text);
    bs_doc_release(&head);
}

int
main(void)
{
    both_forms();
    refusals();
    units();
    heads();
    return tap_done();
}
