/*
 * assign_own.h - the assignment of a square graph.  Private to assign.c and
 * assign_square.c.
 */
#ifndef BS_KERNELS_ASSIGN_OWN_H
#define BS_KERNELS_ASSIGN_OWN_H

#include "kernels/assign.h"

/* bs_assign for rows == cols.  Where it starts from even prices it ends with
 * even ones; it does not bring the lowest of v to 0. */
int bs_assign_square(const struct bs_assign_graph *g, uint32_t *match,
                     int64_t *u, int64_t *v, struct bs_err *e) BS_CHECKED;

#endif
