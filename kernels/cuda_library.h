/*
 * cuda_library.h - libraries of CUDA's that are opened at run time.  Private to
 * kernels/.
 */
#ifndef BS_KERNELS_CUDA_LIBRARY_H
#define BS_KERNELS_CUDA_LIBRARY_H

#include "common/bs.h"

/* The first of `files` that can be opened, of a list that NULL ends; otherwise
 * NULL, and why the first one cannot. */
void *bs_library_open(const char *const *files, char *why, size_t room);

/* The functions called `names`, n pointers to functions; the name of the first
 * that is not there, or NULL. */
const char *bs_library_find(void *library, const char *const *names, size_t n,
                            void *table);

#endif
