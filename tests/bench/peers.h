/*
 * peers.h - oneDNN and OpenBLAS as yardsticks.
 */
#ifndef BS_TESTS_PEERS_H
#define BS_TESTS_PEERS_H

#include "tests/bench/bench.h"

#include <cblas.h>
#include <dnnl.h>
#include <dnnl_version.h>
#include <omp.h>

#if DNNL_VERSION_MAJOR != 2
#error "the benchmarks are written for oneDNN 2 (libdnnl-dev of Debian 12)"
#endif

/* One oneDNN primitive with its memory. */
struct peer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    int nargs;
    dnnl_exec_arg_t args[3];
};

static inline void
peers_init(unsigned threads)
{
    omp_set_num_threads((int)threads);
    openblas_set_num_threads((int)threads);
}

static inline dnnl_memory_t
peer_memory(dnnl_engine_t engine, const dnnl_memory_desc_t *md, void *p)
{
    dnnl_memory_t memory;

    must(dnnl_memory_create(&memory, md, engine, p) == dnnl_success,
         "oneDNN memory");
    return memory;
}

static inline void
peer_reorder(struct peer *p, dnnl_memory_t from,
             const dnnl_memory_desc_t *from_md, dnnl_memory_t to,
             const dnnl_memory_desc_t *to_md)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t reorder;

    must(dnnl_reorder_primitive_desc_create(&pd, from_md, p->engine, to_md,
                                            p->engine, NULL) == dnnl_success &&
             dnnl_primitive_create(&reorder, pd) == dnnl_success &&
             dnnl_primitive_execute(reorder, p->stream, 2, args) ==
                 dnnl_success &&
             dnnl_stream_wait(p->stream) == dnnl_success,
         "oneDNN reorder");
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
}

/* dst = scale * src weights, f32; the weights are reordered once to the layout
 * that oneDNN likes best where `prepack`. */
static inline struct peer
peer_matmul_init(const dnnl_memory_desc_t *src, void *src_p,
                 const dnnl_memory_desc_t *weights, void *weights_p,
                 bool prepack, float scale, const dnnl_memory_desc_t *dst,
                 void *dst_p)
{
    struct peer p;
    dnnl_memory_desc_t any = *weights;
    const dnnl_memory_desc_t *best;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t pd;
    dnnl_memory_t user;

    if (prepack)
        any.format_kind = dnnl_format_kind_any;
    must(dnnl_engine_create(&p.engine, dnnl_cpu, 0) == dnnl_success &&
             dnnl_stream_create(&p.stream, p.engine,
                                dnnl_stream_default_flags) == dnnl_success &&
             dnnl_primitive_attr_create(&attr) == dnnl_success &&
             dnnl_primitive_attr_set_output_scales(attr, 1, 0, &scale) ==
                 dnnl_success &&
             dnnl_matmul_desc_init(&desc, src, &any, NULL, dst) ==
                 dnnl_success &&
             dnnl_primitive_desc_create(&pd, &desc, attr, p.engine, NULL) ==
                 dnnl_success &&
             dnnl_primitive_create(&p.primitive, pd) == dnnl_success,
         "oneDNN matmul");
    best = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    p.nargs = 3;
    user = peer_memory(p.engine, weights, weights_p);
    p.args[0] =
        (dnnl_exec_arg_t){DNNL_ARG_SRC, peer_memory(p.engine, src, src_p)};
    p.args[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, user};
    p.args[2] =
        (dnnl_exec_arg_t){DNNL_ARG_DST, peer_memory(p.engine, dst, dst_p)};
    if (!dnnl_memory_desc_equal(best, weights)) {
        p.args[1].memory = peer_memory(p.engine, best, DNNL_MEMORY_ALLOCATE);
        peer_reorder(&p, user, weights, p.args[1].memory, best);
        dnnl_memory_destroy(user);
    }
    dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(pd);
    return p;
}

/* Softmax over the last of `axis` + 1 dimensions, in place. */
static inline struct peer
peer_softmax_init(const dnnl_memory_desc_t *md, int axis, void *values)
{
    struct peer p;
    dnnl_softmax_desc_t desc;
    dnnl_primitive_desc_t pd;

    must(dnnl_engine_create(&p.engine, dnnl_cpu, 0) == dnnl_success &&
             dnnl_stream_create(&p.stream, p.engine,
                                dnnl_stream_default_flags) == dnnl_success &&
             dnnl_softmax_forward_desc_init(&desc, dnnl_forward_inference, md,
                                            axis) == dnnl_success &&
             dnnl_primitive_desc_create(&pd, &desc, NULL, p.engine, NULL) ==
                 dnnl_success &&
             dnnl_primitive_create(&p.primitive, pd) == dnnl_success,
         "oneDNN softmax");
    p.nargs = 2;
    p.args[0] =
        (dnnl_exec_arg_t){DNNL_ARG_SRC, peer_memory(p.engine, md, values)};
    p.args[1] =
        (dnnl_exec_arg_t){DNNL_ARG_DST, peer_memory(p.engine, md, values)};
    dnnl_primitive_desc_destroy(pd);
    return p;
}

static inline void
peer_run(void *arg)
{
    struct peer *p = arg;

    must(dnnl_primitive_execute(p->primitive, p->stream, p->nargs, p->args) ==
                 dnnl_success &&
             dnnl_stream_wait(p->stream) == dnnl_success,
         "oneDNN");
}

static inline void
peer_release(struct peer *p)
{
    int i;

    for (i = 0; i < p->nargs; i++)
        dnnl_memory_destroy(p->args[i].memory);
    dnnl_primitive_destroy(p->primitive);
    dnnl_stream_destroy(p->stream);
    dnnl_engine_destroy(p->engine);
}

#endif
