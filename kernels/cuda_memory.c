/*
 * cuda_memory.c - memory of the CUDA device, and the way to and from it: two
 * page-locked buffers take turns, so that one is filled while the other is on
 * its way, and the caller's memory is free when a call returns.
 */
#include "kernels/cuda.h"

#include "common/mem.h"

#define STAGE_BYTES ((size_t)4 << 20)

static uint64_t
address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* ---- blocks ----------------------------------------------------------------
 */

int
bs_cuda_alloc(struct bs_dev *d, struct bs_mem *m, size_t bytes)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    size_t left = 0, total = 0;
    uint64_t p = 0;
    int r = bs_cuda_enter(c), error;

    if (r < 0)
        return r;
    error = c->cu.cuMemAlloc_v2(&p, bytes > 0 ? bytes : 1);
    if (error == BS_CU_OUT_OF_MEMORY) {
        if (c->cu.cuMemGetInfo_v2(&left, &total) != 0)
            left = total = 0;
        return bs_err_set(&d->err, BS_EX_OSERR,
                          "out of memory on device 'cuda:%d': %zu bytes asked "
                          "for, %zu of %zu free; a smaller batch needs less",
                          c->device, bytes, left, total);
    }
    r = bs_cuda_check(c, error, "cuMemAlloc_v2");
    if (r < 0)
        return r;
    m->p = (void *)(uintptr_t)p;
    m->bytes = bytes;
    return 0;
}

/* An error here is that of work before, and met again by what waits for it. */
void
bs_cuda_free(struct bs_dev *d, struct bs_mem *m)
{
    struct bs_cuda *c = (struct bs_cuda *)d;

    if (m->p != NULL) {
        c->cu.cuCtxSetCurrent(c->context);
        c->cu.cuMemFree_v2(address_of(m->p));
    }
    *m = (struct bs_mem){0};
}

int
bs_cuda_scratch(struct bs_cuda *c, enum bs_cuda_scratch slot, void *p,
                size_t bytes)
{
    struct bs_mem *m = &c->scratch[slot];
    int r = 0;

    if (m->p == NULL || bytes > m->bytes) {
        bs_cuda_free(&c->dev, m);
        r = bs_cuda_alloc(&c->dev, m, bytes);
    }
    memcpy(p, &m->p, sizeof m->p);
    return r;
}

int
bs_cuda_fill(struct bs_cuda *c, void *p, uint8_t value, size_t bytes)
{
    int r = bs_cuda_enter(c);

    if (r < 0 || bytes == 0)
        return r;
    return BS_CU(c, cuMemsetD8Async, address_of(p), value, bytes, c->stream);
}

/* ---- copies ----------------------------------------------------------------
 */

/* The next of the two buffers, free to be written. */
static int
next_stage(struct bs_cuda *c, struct bs_cuda_stage **out)
{
    struct bs_cuda_stage *s = &c->stage[c->turn++ % 2];
    int r = 0;

    *out = s;
    if (s->p == NULL)
        r = BS_CU(c, cuMemHostAlloc, &s->p, STAGE_BYTES, 0);
    if (r == 0 && s->event == NULL)
        return BS_CU(c, cuEventCreate, &s->event, BS_CU_EVENT_DISABLE_TIMING);
    return r < 0 ? r : BS_CU(c, cuEventSynchronize, s->event);
}

int
bs_cuda_put(struct bs_dev *d, void *to, const void *host, size_t bytes)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    int r = bs_cuda_enter(c);
    size_t at = 0;

    while (r == 0 && at < bytes) {
        size_t n = bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES;
        struct bs_cuda_stage *s;

        r = next_stage(c, &s);
        if (r < 0)
            break;
        memcpy(s->p, (const char *)host + at, n);
        r = BS_CU(c, cuMemcpyHtoDAsync_v2, address_of(to) + at, s->p, n,
                  c->stream);
        if (r == 0)
            r = BS_CU(c, cuEventRecord, s->event, c->stream);
        at += n;
    }
    return r;
}

/* A part on its way to the host. */
struct part {
    struct bs_cuda_stage *stage;
    size_t at, bytes;
};

static int
start_part(struct bs_cuda *c, struct part *p, const void *from)
{
    int r = next_stage(c, &p->stage);

    if (r == 0)
        r = BS_CU(c, cuMemcpyDtoHAsync_v2, p->stage->p,
                  address_of(from) + p->at, p->bytes, c->stream);
    return r < 0 ? r : BS_CU(c, cuEventRecord, p->stage->event, c->stream);
}

static int
finish_part(struct bs_cuda *c, const struct part *p, void *host)
{
    int r = BS_CU(c, cuEventSynchronize, p->stage->event);

    if (r == 0)
        memcpy((char *)host + p->at, p->stage->p, p->bytes);
    return r;
}

/* While one part is copied out of its buffer the next is on its way. */
int
bs_cuda_get(struct bs_dev *d, void *host, const void *from, size_t bytes)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    struct part before = {NULL, 0, 0};
    int r = bs_cuda_enter(c);

    while (r == 0 && before.at + before.bytes < bytes) {
        struct part p = {NULL, before.at + before.bytes, STAGE_BYTES};

        if (p.bytes > bytes - p.at)
            p.bytes = bytes - p.at;
        r = start_part(c, &p, from);
        if (r == 0 && before.stage != NULL)
            r = finish_part(c, &before, host);
        before = p;
    }
    return r < 0 || bytes == 0 ? r : finish_part(c, &before, host);
}

int
bs_cuda_words(struct bs_cuda *c, enum bs_cuda_scratch slot, void *p,
              const void *from, size_t n)
{
    void *to = NULL;
    int r = 0;

    if (from != NULL)
        r = bs_cuda_scratch(c, slot, &to, n * sizeof(uint32_t));
    if (r == 0 && from != NULL)
        r = bs_cuda_put(&c->dev, to, from, n * sizeof(uint32_t));
    memcpy(p, &to, sizeof to);
    return r;
}

int
bs_cuda_sync(struct bs_dev *d)
{
    struct bs_cuda *c = (struct bs_cuda *)d;
    int r = bs_cuda_enter(c);

    return r < 0 ? r : BS_CU(c, cuStreamSynchronize, c->stream);
}

void
bs_cuda_memory_close(struct bs_cuda *c)
{
    size_t i;

    if (c->stream != NULL)
        c->cu.cuStreamSynchronize(c->stream);
    for (i = 0; i < BS_SCRATCH_COUNT; i++)
        bs_cuda_free(&c->dev, &c->scratch[i]);
    for (i = 0; i < BS_LEN(c->stage); i++) {
        if (c->stage[i].event != NULL)
            c->cu.cuEventDestroy_v2(c->stage[i].event);
        if (c->stage[i].p != NULL)
            c->cu.cuMemFreeHost(c->stage[i].p);
    }
}
