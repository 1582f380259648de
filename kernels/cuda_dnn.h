/*
 * cuda_dnn.h - cuDNN, where it can be had: graphs of operations, and plans to
 * run them.  Private to kernels/.
 *
 * A plan is made for a key, when it is wanted first, and kept for as long as
 * the device is open.  The library proposes engines; the first that gives the
 * same bits in every run and takes the graph is used.  A graph that it refuses
 * has a plan that is not usable.
 */
#ifndef BS_KERNELS_CUDA_DNN_H
#define BS_KERNELS_CUDA_DNN_H

#include "kernels/cuda.h"
#include "kernels/cudnn_graph.h"

#define BS_DNN_KEY 6      /* numbers that say what a plan is for */
#define BS_DNN_TENSORS 4  /* of a graph */
#define BS_DNN_ENGINES 16 /* proposals that are looked at */

/* A tensor of four dimensions, strides in elements.  Its address is a multiple
 * of 16. */
struct bs_dnn_tensor {
    int type; /* BS_CUDNN_DATA_ */
    int64_t dim[4], stride[4];
};

struct bs_dnn_plan {
    struct bs_dnn_plan *next;
    size_t key[BS_DNN_KEY];
    bool usable;
    size_t tensors, workspace;
    void *tensor[BS_DNN_TENSORS], *operation, *graph, *config, *plan;
};

/* Whether cuDNN is there; 0 or an error. */
int bs_dnn_ready(struct bs_cuda *c, bool *ready) BS_CHECKED;

/* The plan for a key; NULL if it is still to be made. */
struct bs_dnn_plan *bs_dnn_find(struct bs_cuda *c,
                                const size_t key[BS_DNN_KEY]);

/*
 * Make it: a graph of one operation of a kind BS_CUDNN_BACKEND_OPERATION_, with
 * n tensors, whose attributes are `attribute`.  *out is NULL on an error only.
 */
int bs_dnn_make(struct bs_cuda *c, const size_t key[BS_DNN_KEY], int operation,
                const struct bs_dnn_tensor *tensors, const int *attribute,
                size_t n, struct bs_dnn_plan **out) BS_CHECKED;

/* Queue it, with its tensors at these addresses. */
int bs_dnn_run(struct bs_cuda *c, const struct bs_dnn_plan *p,
               void *const *at) BS_CHECKED;

#endif
