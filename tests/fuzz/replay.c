/*
 * replay.c - the main() of a fuzz target where no fuzzer is linked: feeds it
 * the files named and all files in the folders named, one test point each.  A
 * target that fails crashes, which the harness sees as a missing plan.
 */
#include "common/io.h"
#include "tests/fuzz/target.h"
#include "tests/unit/tap.h"

#include <ftw.h>
#include <sys/stat.h>

enum { FILE_MAX = 64 << 20 };

/* nftw() takes no argument for its callback. */
static size_t fed;

static int
feed(const char *path, const struct stat *st, int type, struct FTW *where)
{
    struct bs_err e = {0};
    struct bs_buf b = {0};

    (void)st;
    (void)where;
    if (type != FTW_F)
        return 0;
    if (bs_read_file(path, FILE_MAX, &b, &e) < 0) {
        printf("# %s\n", e.text);
        return 1;
    }
    LLVMFuzzerTestOneInput(b.data, b.len);
    bs_buf_release(&b);
    fed++;
    return 0;
}

int
main(int argc, char *argv[])
{
    int i;

    for (i = 1; i < argc; i++) {
        int r;

        fed = 0;
        r = nftw(argv[i], feed, 16, FTW_PHYS);
        ok(r == 0 && fed > 0, "%s: %zu files", argv[i], fed);
    }
    return tap_done();
}
