/*
 * attention_cudnn.c - attention by cuDNN, where it can be had: one operation,
 * softmax(q k^T) v, of bf16 into bf16, for BS_MATH_BF16.  The scale goes into
 * q.  It knows no causal mask.
 *
 * q, k and v are rounded into memory of our own, image by image, and so many
 * images are run at once as fill a GPU, which depends on their shape and not on
 * how many there are: so that an image's result does not depend on it either,
 * the last ones of a batch are run with others, whose memory is there and whose
 * result nobody reads.
 */
#include "kernels/cuda_dnn.h"

#include <math.h>

#define IMAGES_MAX 64
#define MEMORY ((size_t)256 << 20) /* at most, but for one image */

/* The library's heads: whole runs of 8 columns. */
static bool
suits(const struct bs_dev_attention *a)
{
    return a->math == BS_MATH_BF16 && !a->causal && a->dim % 8 == 0 &&
           a->dim <= 256 && a->queries <= INT32_MAX && a->keys <= INT32_MAX &&
           a->heads <= INT32_MAX / a->dim &&
           a->queries <= INT32_MAX / (a->heads * a->dim) &&
           a->keys <= INT32_MAX / (a->heads * a->dim);
}

static size_t
images_at_once(const struct bs_cuda *c, const struct bs_dev_attention *a)
{
    size_t blocks = a->heads * bs_blocks(a->queries, 128);
    size_t images = bs_blocks(c->attention_blocks, blocks);
    size_t bytes =
        2 * (a->queries + a->keys) * a->heads * a->dim * sizeof(uint16_t);

    if (images > IMAGES_MAX)
        images = IMAGES_MAX;
    if (images > MEMORY / bytes)
        images = MEMORY / bytes;
    return images > 0 ? images : 1;
}

/* [images, heads, tokens, dim], as the rows of [images * tokens, heads * dim].
 */
static struct bs_dnn_tensor
tensor_of(const struct bs_dev_attention *a, size_t images, size_t tokens)
{
    int64_t width = (int64_t)(a->heads * a->dim), n = (int64_t)tokens;

    return (struct bs_dnn_tensor){
        .type = BS_CUDNN_DATA_BFLOAT16,
        .dim = {(int64_t)images, (int64_t)a->heads, n, (int64_t)a->dim},
        .stride = {n * width, (int64_t)a->dim, width, 1},
    };
}

static int
find_plan(struct bs_cuda *c, const struct bs_dev_attention *a, size_t images,
          struct bs_dnn_plan **out)
{
    static const int attributes[] = {BS_CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC,
                                     BS_CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC,
                                     BS_CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC,
                                     BS_CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC};
    const size_t key[BS_DNN_KEY] = {images, a->queries, a->keys, a->heads,
                                    a->dim};
    const struct bs_dnn_tensor q = tensor_of(a, images, a->queries);
    const struct bs_dnn_tensor k = tensor_of(a, images, a->keys);
    const struct bs_dnn_tensor tensors[] = {q, k, k, q};

    *out = bs_dnn_find(c, key);
    if (*out != NULL)
        return 0;
    return bs_dnn_make(c, key, BS_CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR,
                       tensors, attributes, BS_LEN(tensors), out);
}

/* Where the images that are run at once lie, in bf16: q, k, v, out. */
struct room {
    uint16_t *at[4];
    size_t width;
};

static int
make_room(struct bs_cuda *c, const struct bs_dev_attention *a, size_t images,
          struct room *room)
{
    size_t q, k, i;
    uint16_t *p;
    int r;

    room->width = a->heads * a->dim;
    q = BS_ROUND_UP(images * a->queries * room->width, 128);
    k = BS_ROUND_UP(images * a->keys * room->width, 128);
    r = bs_cuda_scratch(c, BS_SCRATCH_OPERAND, &p, 2 * (q + k) * sizeof *p);
    for (i = 0; r == 0 && i < 4; i++) {
        room->at[i] = p;
        p += i == 1 || i == 2 ? k : q;
    }
    return r;
}

static int
run_images(struct bs_cuda *c, const struct bs_dev_attention *a,
           const struct bs_dnn_plan *plan, const struct room *room,
           size_t first, size_t images)
{
    size_t queries = images * a->queries, keys = images * a->keys;
    size_t q = first * a->queries, k = first * a->keys, width = room->width;
    const float scale = (float)(1 / sqrt((double)a->dim));
    void *const at[] = {room->at[0], room->at[1], room->at[2], room->at[3]};
    int r;

    r = bs_cuda_round_rows(c, a->q + q * a->ldq, a->ldq, queries, width, scale,
                           room->at[0], width);
    if (r == 0)
        r = bs_cuda_round_rows(c, a->k + k * a->ldk, a->ldk, keys, width, 1,
                               room->at[1], width);
    if (r == 0)
        r = bs_cuda_round_rows(c, a->v + k * a->ldv, a->ldv, keys, width, 1,
                               room->at[2], width);
    if (r == 0)
        r = bs_dnn_run(c, plan, at);
    return r < 0 ? r
                 : bs_cuda_widen_rows(c, room->at[3], queries, width,
                                      a->out + q * a->ldo, a->ldo);
}

int
bs_cuda_dnn_attention(struct bs_cuda *c, const struct bs_dev_attention *a,
                      bool *done)
{
    struct bs_dnn_plan *plan = NULL;
    struct room room;
    size_t most, first, images;
    int r;

    *done = false;
    if (!suits(a))
        return 0;
    r = bs_dnn_ready(c, done);
    if (r < 0 || !*done)
        return r;
    most = images_at_once(c, a);
    r = find_plan(c, a, most, &plan);
    *done = r == 0 && plan->usable;
    if (!*done)
        return r;
    r = make_room(c, a, most, &room);
    for (first = 0; r == 0 && first < a->batch; first += images) {
        images = a->batch - first < most ? a->batch - first : most;
        r = run_images(c, a, plan, &room, first, images);
    }
    return r;
}
