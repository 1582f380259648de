/*
 * u-num.c - strict numbers: what is accepted, what is refused and why.
 */
#include "common/num.h"

#include "tests/unit/tap.h"

static void
u64(const char *text, const char *why, uint64_t want)
{
    uint64_t got = 77;
    const char *said = bs_num_u64(text, 2, 1000, &got);

    ok(why == NULL ? said == NULL && got == want
                   : said != NULL && strcmp(said, why) == 0 && got == 77,
       "u64 '%s': %s", text, why != NULL ? why : "fine");
}

static void
size(const char *text, const char *why, uint64_t want)
{
    uint64_t got = 77;
    const char *said = bs_num_size(text, 0, UINT64_MAX, &got);

    ok(why == NULL ? said == NULL && got == want
                   : said != NULL && strcmp(said, why) == 0 && got == 77,
       "size '%s': %s", text, why != NULL ? why : "fine");
}

static void
f64(const char *text, const char *why, double want)
{
    double got = 77;
    const char *said = bs_num_f64(text, -10, 10, &got);

    ok(why == NULL ? said == NULL && got == want
                   : said != NULL && strcmp(said, why) == 0 && got == 77,
       "f64 '%s': %s", text, why != NULL ? why : "fine");
}

int
main(void)
{
    static const char nan[] = "not a number", small[] = "too small",
                      large[] = "too large";
    uint64_t seconds = 0;
    int64_t i = 0;

    u64("2", NULL, 2);
    u64("1000", NULL, 1000);
    u64("0010", NULL, 10);
    u64("1", small, 0);
    u64("1001", large, 0);
    u64("99999999999999999999", large, 0);
    u64("", nan, 0);
    u64(" 5", nan, 0);
    u64("+5", nan, 0);
    u64("-5", nan, 0);
    u64("5x", nan, 0);
    u64("0x5", nan, 0);
    u64("5K", nan, 0);

    size("1", NULL, 1);
    size("1K", NULL, 1024);
    size("3m", NULL, 3 << 20);
    size("2GiB", NULL, (uint64_t)2 << 30);
    size("1T", NULL, (uint64_t)1 << 40);
    size("16777216T", large, 0);
    size("1X", nan, 0);
    size("1Ki", nan, 0);
    size("1KB", nan, 0);
    size("K", nan, 0);

    f64("1.5", NULL, 1.5);
    f64("-1e1", NULL, -10);
    f64("11", large, 0);
    f64("-11", small, 0);
    f64("1e999", large, 0);
    f64("nan", nan, 0);
    f64("inf", nan, 0);
    f64("0x1p3", nan, 0);
    f64("1.5 ", nan, 0);
    f64("", nan, 0);
    f64("e", nan, 0);

    ok(bs_num_i64("-3", -3, 3, &i) == NULL && i == -3, "i64 '-3'");
    ok(strcmp(bs_num_i64("-4", -3, 3, &i), small) == 0,
       "i64 '-4' is too small");
    ok(strcmp(bs_num_i64("-99999999999999999999", -3, 3, &i), small) == 0,
       "i64 far below is too small");
    ok(strcmp(bs_num_i64("--3", -3, 3, &i), nan) == 0, "i64 '--3'");

    ok(bs_num_seconds("90", 1000, &seconds) == NULL && seconds == 90,
       "90 seconds");
    ok(bs_num_seconds("2m", 1000, &seconds) == NULL && seconds == 120,
       "2 minutes");
    ok(strcmp(bs_num_seconds("1h", 1000, &seconds), large) == 0,
       "an hour is too large");
    ok(strcmp(bs_num_seconds("1y", 1000, &seconds), nan) == 0,
       "a year is no unit");
    return tap_done();
}
