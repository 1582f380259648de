/*
 * golden-gen.h - reading tests/golden/gen.
 */
#ifndef BS_TESTS_GOLDEN_GEN_H
#define BS_TESTS_GOLDEN_GEN_H

#include <math.h>
#include <stdlib.h>

#include "formats/safetensors.h"
#include "tests/unit/tap.h"

static inline char *
golden(char *out, const char *name)
{
    snprintf(out, 400, "%s/tests/golden/gen/%s", getenv("BS_SRC"), name);
    return out;
}

static inline void
must(int r, const struct bs_err *e)
{
    if (r >= 0)
        return;
    ok(0, "%s", e->text);
    exit(1);
}

static inline struct bs_safetensors *
open_files(const char *name)
{
    struct bs_safetensors *files;
    struct bs_err e = {0};
    char path[400];

    must(bs_safetensors_open(&files, golden(path, name), &e), &e);
    return files;
}

static inline const struct bs_tensor *
tensor(const struct bs_safetensors *files, const char *name, const char *part)
{
    char full[100];
    const struct bs_tensor *t;

    snprintf(full, sizeof full, "%s%s%s", name, part[0] != '\0' ? "." : "",
             part);
    t = bs_safetensors_find(files, full);
    if (t == NULL) {
        ok(0, "no tensor %s", full);
        exit(1);
    }
    return t;
}

/* Largest difference relative to the largest wanted value. */
static inline double
distance(const float *got, const struct bs_tensor *want)
{
    size_t n = want->bytes / sizeof(float), i;
    double worst = 0, largest = 0;

    for (i = 0; i < n; i++) {
        float w;
        double d;

        memcpy(&w, (const char *)want->data + i * sizeof w, sizeof w);
        d = fabs((double)got[i] - (double)w);
        /* not '>': a NaN must not pass */
        if (!(d <= worst))
            worst = d;
        largest = fmax(largest, fabs((double)w));
    }
    return worst / largest;
}

#endif
