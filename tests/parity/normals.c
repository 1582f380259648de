/*
 * normals.c - what noise.py drives: `normals KIND SEED` draws, for each count
 * that it reads from stdin, that many normal numbers as torch.randn would, one
 * draw after another from one generator, and writes them as f32.  KIND is one
 * of bs_draws_names.
 */
#include "cmd/models/draws.h"

#include <stdlib.h>

#include "common/mem.h"

static int
draw(struct bs_draws *d, size_t n)
{
    float *out = bs_alloc_array(n, sizeof *out);
    int r = 0;

    if (out == NULL)
        return 1;
    bs_draws_next(d, out, n);
    if (fwrite(out, sizeof *out, n, stdout) != n)
        r = 1;
    bs_free(out);
    return r;
}

int
main(int argc, char *argv[])
{
    struct bs_draws d;
    size_t n, kind = 0;
    int r = 0;

    if (argc != 3)
        return 64;
    while (bs_draws_names[kind] != NULL &&
           strcmp(bs_draws_names[kind], argv[1]) != 0)
        kind++;
    if (bs_draws_names[kind] == NULL)
        return 64;
    bs_draws_seed(&d, (enum bs_draws_kind)kind, strtoull(argv[2], NULL, 10));
    while (r == 0 && scanf("%zu", &n) == 1)
        r = draw(&d, n);
    return r;
}
