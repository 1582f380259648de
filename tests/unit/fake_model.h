/*
 * fake_model.h - a scripted model for schedulers, exact in f32 wherever it is
 * computed: tests/golden/fake_model.py is the same.
 */
#ifndef BS_TESTS_FAKE_MODEL_H
#define BS_TESTS_FAKE_MODEL_H

#include "cmd/models/scheduler.h"

/* A number in -1..1 for a place. */
static inline float
fake_number(uint32_t i, uint32_t kind)
{
    uint32_t x = (i + 1) * 2654435761u + kind * 40503u;

    return (float)(x >> 8) / 8388608.0f - 1.0f;
}

/* Its prediction for an input at a timestep. */
static inline void
fake_predict(float *out, const float *input, size_t n, float time)
{
    size_t i;

    for (i = 0; i < n; i++)
        out[i] = input[i] * 0.5f +
                 fake_number((uint32_t)i, 1) * (0.5f + time * 0.0009765625f);
}

/*
 * Run a schedule from noise: trace[k] is the sample after evaluation k, n
 * values each.
 */
static inline int
fake_run(struct bs_scheduler *s, size_t n, float *trace, struct bs_err *e)
{
    float *sample = bs_alloc_array(4 * n, sizeof *sample);
    float *input = sample + n, *out = sample + 2 * n, *noise = sample + 3 * n;
    size_t i, k;
    int r = sample == NULL ? bs_err_memory(e, "sample", n)
                           : bs_scheduler_begin(s, n, e);

    for (i = 0; i < n && r == 0; i++)
        sample[i] = fake_number((uint32_t)i, 2) * bs_scheduler_start(s);
    for (k = 0; k < bs_scheduler_count(s) && r == 0; k++) {
        for (i = 0; i < n; i++)
            noise[i] = fake_number((uint32_t)i, 3 + (uint32_t)k);
        bs_scheduler_input(s, sample, input);
        fake_predict(out, input, n, bs_scheduler_time(s, k));
        bs_scheduler_step(s, out, bs_scheduler_noisy(s) ? noise : NULL, sample);
        memcpy(trace + k * n, sample, n * sizeof *sample);
    }
    bs_free(sample);
    return r;
}

#endif
