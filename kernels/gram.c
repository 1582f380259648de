/*
 * gram.c - see gram.h; the loops are isa_panel.h's.
 */
#include "kernels/gram.h"

#include "kernels/cpu.h"

bs_gram_fn *
bs_gram_here(struct bs_err *e)
{
    const struct bs_isa *isa = bs_cpu_isa(e);

    return isa != NULL ? isa->gram : NULL;
}
