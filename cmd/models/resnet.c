/*
 * resnet.c - see resnet.h.
 */
#include "cmd/models/resnet.h"

/* time_emb_proj, with conv1's bias in its own. */
static int
load_time(struct bs_loader *l, struct bs_resnet *r, size_t width)
{
    uint64_t shape[1] = {r->out};
    float *bias, *conv;
    size_t i;
    int e = bs_load_linear(l, &r->time, "time_emb_proj", r->out, width, false);

    if (e < 0)
        return e;
    bias = bs_loader_values(l, "time_emb_proj", "bias", 1, shape);
    conv = bias != NULL ? bs_loader_values(l, "conv1", "bias", 1, shape) : NULL;
    if (conv == NULL) {
        bs_free(bias);
        return -l->e->code;
    }
    for (i = 0; i < r->out; i++)
        bias[i] += conv[i];
    e = bs_loader_put(l, &r->time.bias, bias, r->out);
    bs_free(bias);
    bs_free(conv);
    return e;
}

int
bs_resnet_load(struct bs_loader *l, struct bs_resnet *r, size_t in, size_t out,
               size_t time)
{
    const struct bs_conv_shape first = {in, out, 3, 1, 1};
    const struct bs_conv_shape second = {out, out, 3, 1, 1};
    int e;

    r->in = in;
    r->out = out;
    if ((e = bs_load_norm(l, &r->norm1, "norm1", in)) < 0 ||
        (e = bs_load_convolution(l, &r->conv1, "conv1", &first, time == 0)) <
            0 ||
        (e = bs_load_norm(l, &r->norm2, "norm2", out)) < 0 ||
        (e = bs_load_convolution(l, &r->conv2, "conv2", &second, true)) < 0)
        return e;
    if (time > 0 && (e = load_time(l, r, time)) < 0)
        return e;
    return in == out ? 0
                     : bs_load_linear(l, &r->shortcut, "conv_shortcut", out, in,
                                      true);
}

void
bs_resnet_drop(struct bs_dev *dev, struct bs_resnet *r)
{
    bs_drop_norm(dev, &r->norm1);
    bs_drop_norm(dev, &r->norm2);
    bs_drop_convolution(dev, &r->conv1);
    bs_drop_convolution(dev, &r->conv2);
    bs_drop_linear(dev, &r->shortcut);
    bs_drop_linear(dev, &r->time);
}

bool
bs_resnet_needs_first(const struct bs_resnet *r, bool keep)
{
    return keep || r->shortcut.weight == NULL;
}

static int
norm(const struct bs_resnet_room *room, const struct bs_norm *n,
     const struct bs_images *x, const struct bs_images *y, size_t batch,
     size_t pixels, size_t channels)
{
    const struct bs_group_norm a = {
        .x = x->mem,
        .y = y->mem,
        .ldx = x->ld,
        .ldy = y->ld,
        .batch = batch,
        .pixels = pixels,
        .channels = channels,
        .groups = room->groups,
        .gamma = n->gamma,
        .beta = n->beta,
        .eps = room->eps,
        .silu = true,
    };

    return bs_dev_group_norm(room->dev, &a);
}

int
bs_resnet_forward(const struct bs_resnet *r, const struct bs_resnet_room *room,
                  const struct bs_images *x, const struct bs_images *y,
                  size_t batch, size_t height, size_t width, bool keep,
                  const struct bs_mem *time)
{
    struct bs_images first = {room->first, r->in};
    struct bs_images second = {room->second, r->out};
    const struct bs_images *shortcut = x;
    struct bs_mem to = y->mem;
    struct bs_conv2d conv = {
        .batch = batch,
        .height = height,
        .width = width,
    };
    int e = 0;

    if (r->shortcut.weight != NULL) {
        e = bs_dev_gemm(room->dev, r->shortcut.weight, &x->mem, x->ld, &to,
                        y->ld, batch * height * width, &r->shortcut.bias,
                        BS_EPI_NONE, NULL);
        shortcut = y;
    }
    if (!bs_resnet_needs_first(r, keep))
        first = *x;
    if (e == 0)
        e = norm(room, &r->norm1, x, &first, batch, height * width, r->in);
    conv.w = r->conv1.weight;
    conv.x = first.mem;
    conv.ldx = first.ld;
    conv.y = second.mem;
    conv.ldy = second.ld;
    conv.bias = time != NULL ? time : &r->conv1.bias;
    if (e == 0)
        e = bs_dev_conv2d(room->dev, &conv);
    if (e == 0)
        e = norm(room, &r->norm2, &second, &second, batch, height * width,
                 r->out);
    conv.w = r->conv2.weight;
    conv.x = second.mem;
    conv.ldx = second.ld;
    conv.y = y->mem;
    conv.ldy = y->ld;
    conv.bias = &r->conv2.bias;
    conv.residual = &shortcut->mem;
    conv.ldr = shortcut->ld;
    return e < 0 ? e : bs_dev_conv2d(room->dev, &conv);
}
