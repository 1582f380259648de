/*
 * image_webp.c - still WebP by libwebp.  The file must be whole: the demuxer
 * walks its chunks before anything is decoded.
 */
#include "formats/image_codec.h"

#if BS_HAVE_WEBP

#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>

static enum bs_image_status
fail_status(VP8StatusCode code, struct bs_err *e)
{
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        bs_err_memory(e, "webp decoder", 0);
        return BS_IMAGE_LIMIT;
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return bs_image_fail(e, BS_IMAGE_TRUNCATED,
                             "webp ends before its last pixel");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return bs_image_fail(e, BS_IMAGE_UNSUPPORTED,
                             "webp with a feature that is not read");
    default:
        return bs_image_fail(e, BS_IMAGE_BAD, "webp: damaged data (code %d)",
                             (int)code);
    }
}

/* Decode the frame to its place on the canvas, which is black elsewhere. */
static enum bs_image_status
read_frame(const WebPIterator *frame, struct bs_image *img, struct bs_err *e)
{
    size_t stride = img->width * 3, start;
    enum bs_image_status status;
    WebPDecoderConfig config;
    VP8StatusCode code;

    if (frame->x_offset < 0 || frame->y_offset < 0 || frame->width < 1 ||
        frame->height < 1 ||
        (size_t)frame->x_offset + (size_t)frame->width > img->width ||
        (size_t)frame->y_offset + (size_t)frame->height > img->height)
        return bs_image_fail(e, BS_IMAGE_BAD, "webp: frame outside the canvas");
    if (!WebPInitDecoderConfig(&config))
        return bs_image_fail(e, BS_IMAGE_UNSUPPORTED,
                             "webp: another version of libwebp");
    status = bs_image_alloc(img, e);
    if (status != BS_IMAGE_OK)
        return status;
    memset(img->rgb, 0, stride * img->height);
    start = (size_t)frame->y_offset * stride + (size_t)frame->x_offset * 3;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = img->rgb + start;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * img->height - start;
    code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    /* The file is whole: data that end early are damaged. */
    if (code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED)
        code = VP8_STATUS_BITSTREAM_ERROR;
    return code == VP8_STATUS_OK ? BS_IMAGE_OK : fail_status(code, e);
}

static enum bs_image_status
read_whole(const uint8_t *data, size_t len, struct bs_image *img,
           struct bs_err *e)
{
    const WebPData bytes = {data, len};
    enum bs_image_status status;
    WebPIterator frame = {0};
    WebPDemuxState state;
    WebPDemuxer *demux = WebPDemuxPartial(&bytes, &state);

    if (demux == NULL || state != WEBP_DEMUX_DONE) {
        WebPDemuxDelete(demux);
        if (state == WEBP_DEMUX_PARSE_ERROR)
            return bs_image_fail(e, BS_IMAGE_BAD, "webp: damaged structure");
        return fail_status(VP8_STATUS_NOT_ENOUGH_DATA, e);
    }
    if (WebPDemuxGetI(demux, WEBP_FF_FRAME_COUNT) > 1)
        status = bs_image_fail(e, BS_IMAGE_ANIMATED, "animated webp");
    else if (WebPDemuxGetI(demux, WEBP_FF_CANVAS_WIDTH) != img->width ||
             WebPDemuxGetI(demux, WEBP_FF_CANVAS_HEIGHT) != img->height ||
             !WebPDemuxGetFrame(demux, 1, &frame))
        status = bs_image_fail(e, BS_IMAGE_BAD, "webp: no frame");
    else
        status = read_frame(&frame, img, e);
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demux);
    return status;
}

enum bs_image_status
bs_webp_read(const uint8_t *data, size_t len,
             const struct bs_image_limits *limits, bool pixels,
             struct bs_image *img, struct bs_err *e)
{
    WebPBitstreamFeatures has;
    VP8StatusCode code = WebPGetFeatures(data, len, &has);
    enum bs_image_status status;

    if (code != VP8_STATUS_OK)
        return fail_status(code, e);
    status =
        bs_image_fits(img, (size_t)has.width, (size_t)has.height, limits, e);
    if (status == BS_IMAGE_OK && pixels)
        status = read_whole(data, len, img, e);
    return status;
}

int
bs_image_encode_webp(const struct bs_image *img, struct bs_buf *out,
                     struct bs_err *e)
{
    uint8_t *data = NULL;
    size_t len;
    int r;

    if (img->width > WEBP_MAX_DIMENSION || img->height > WEBP_MAX_DIMENSION)
        return bs_err_set(e, BS_EX_USAGE,
                          "webp: %zu x %zu pixels are more than %d a side",
                          img->width, img->height, WEBP_MAX_DIMENSION);
    len = WebPEncodeLosslessRGB(img->rgb, (int)img->width, (int)img->height,
                                (int)img->width * 3, &data);
    r = len == 0 ? bs_err_memory(e, "webp encoder", img->width * img->height)
                 : bs_buf_add(out, data, len, e);
    WebPFree(data);
    return r;
}

void
bs_webp_version(char *out, size_t room)
{
    int v = WebPGetDecoderVersion();

    snprintf(out, room, "libwebp %d.%d.%d", v >> 16, v >> 8 & 255, v & 255);
}

#else

enum bs_image_status
bs_webp_read(const uint8_t *data, size_t len,
             const struct bs_image_limits *limits, bool pixels,
             struct bs_image *img, struct bs_err *e)
{
    (void)data;
    (void)len;
    (void)limits;
    (void)pixels;
    (void)img;
    return bs_image_fail(e, BS_IMAGE_UNSUPPORTED, "built without webp");
}

int
bs_image_encode_webp(const struct bs_image *img, struct bs_buf *out,
                     struct bs_err *e)
{
    (void)img;
    (void)out;
    return bs_err_set(e, BS_EX_UNAVAIL, "built without webp");
}

void
bs_webp_version(char *out, size_t room)
{
    snprintf(out, room, "no webp");
}

#endif
