/*
 * eigen.c - see eigen.h.
 *
 * LAPACK's matrices are column-major: what it takes for the upper triangle is
 * our lower one, and its columns of vectors are our rows.
 */
#include "kernels/eigen.h"

#include <dlfcn.h>
#include <lapacke.h>
#include <math.h>

#include "common/mem.h"

/* OpenBLAS, where it is the LAPACK, splits its sums over as many threads as
 * there are processors; here it shall not. */
static void
one_thread(void)
{
    void *symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    void (*set)(int);

    if (symbol == NULL)
        return;
    memcpy(&set, &symbol, sizeof set);
    set(1);
}

static int
check(const double *a, size_t m, size_t n, bool symmetric, struct bs_err *e)
{
    size_t i, j;

    if (m > BS_EIGEN_MAX || n > BS_EIGEN_MAX)
        return bs_err_set(e, BS_EX_DATA,
                          "a matrix of %zu rows and %zu columns: "
                          "%d are taken at most",
                          m, n, (int)BS_EIGEN_MAX);
    for (i = 0; i < m; i++)
        for (j = 0; j < (symmetric ? i + 1 : n); j++)
            if (!isfinite(a[i * n + j]))
                return bs_err_set(e, BS_EX_DATA,
                                  "row %zu, column %zu of a matrix is not "
                                  "finite",
                                  i, j);
    return 0;
}

static int
solved(lapack_int info, size_t m, size_t n, struct bs_err *e)
{
    if (info == LAPACK_WORK_MEMORY_ERROR ||
        info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return bs_err_memory(e, "eigenvalues", n * n * sizeof(double));
    if (info != 0)
        return bs_err_set(e, BS_EX_SOFTWARE,
                          "LAPACK gave up on a matrix of %zu rows and %zu "
                          "columns (%ld)",
                          m, n, (long)info);
    return 0;
}

/* LAPACK's order is ascending. */
static void
reverse_rows(double *a, size_t rows, size_t width)
{
    size_t i, j;

    for (i = 0; i < rows / 2; i++) {
        double *x = a + i * width, *y = a + (rows - 1 - i) * width;

        for (j = 0; j < width; j++) {
            double kept = x[j];

            x[j] = y[j];
            y[j] = kept;
        }
    }
}

void
bs_eigen_sign(double *x, size_t n)
{
    size_t i, largest = 0;

    for (i = 1; i < n; i++)
        if (fabs(x[i]) > fabs(x[largest]))
            largest = i;
    if (x[largest] < 0)
        for (i = 0; i < n; i++)
            x[i] = -x[i];
}

int
bs_eigen_sym(const double *a, size_t n, double *values, double *vectors,
             struct bs_err *e)
{
    double *work;
    size_t i;
    int r = check(a, n, n, true, e);

    if (r < 0 || n == 0)
        return r;
    work = vectors != NULL ? vectors : bs_alloc_array(n * n, sizeof *work);
    if (work == NULL)
        return bs_err_memory(e, "matrix", n * n * sizeof *work);
    memmove(work, a, n * n * sizeof *work);
    one_thread();
    r = solved(LAPACKE_dsyevd(LAPACK_COL_MAJOR, vectors != NULL ? 'V' : 'N',
                              'U', (lapack_int)n, work, (lapack_int)n, values),
               n, n, e);
    if (r == 0) {
        reverse_rows(values, n, 1);
        if (vectors != NULL)
            reverse_rows(vectors, n, n);
        for (i = 0; i < n && vectors != NULL; i++)
            bs_eigen_sign(vectors + i * n, n);
    }
    if (vectors == NULL)
        bs_free(work);
    return r;
}

int
bs_svd(const double *a, size_t m, size_t n, double *values, struct bs_err *e)
{
    double *work, none;
    int r = check(a, m, n, false, e);

    if (r < 0 || m == 0 || n == 0)
        return r;
    work = bs_alloc_array(m * n, sizeof *work);
    if (work == NULL)
        return bs_err_memory(e, "matrix", m * n * sizeof *work);
    memcpy(work, a, m * n * sizeof *work);
    one_thread();
    r = solved(LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)n,
                              (lapack_int)m, work, (lapack_int)n, values, &none,
                              1, &none, 1),
               m, n, e);
    bs_free(work);
    return r;
}
