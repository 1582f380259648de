/*
 * image_jpeg.c - JPEG by libjpeg-turbo, decoded as Pillow decodes: damage that
 * libjpeg only warns about is let through, input that ends before the last row
 * is not.
 *
 * Bounded: the size is checked before anything is decoded, the library's own
 * memory and the number of scans are limited ("Two Issues with the JPEG
 * Standard": a few kilobytes can ask for hours of progressive scans).
 */
#include "formats/image_codec.h"

/* after stdio.h, which it needs and does not include */
#include <jpeglib.h>

#include <jerror.h>
#include <setjmp.h>

#define MAX_SCANS 500
#define MAX_MEMORY (512L << 20)

#define TEXT_OF(x) #x
#define VERSION_OF(x) TEXT_OF(x)

/* What libjpeg's callbacks find behind the pointers that it hands them. */
struct jpeg_guard {
    struct jpeg_error_mgr mgr; /* first: libjpeg knows this part only */
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    bool scans; /* too many */
};

struct jpeg_reader {
    struct jpeg_decompress_struct lib;
    struct jpeg_guard guard;
    struct jpeg_source_mgr source;
    uint8_t *row; /* CMYK of one row, or NULL */
};

static void
fail_back(j_common_ptr lib)
{
    struct jpeg_guard *guard = (struct jpeg_guard *)lib->err;

    longjmp(guard->back, 1);
}

static void
say_nothing(j_common_ptr lib)
{
    (void)lib;
}

static void
count_scans(j_common_ptr lib)
{
    struct jpeg_guard *guard = (struct jpeg_guard *)lib->err;

    if (((j_decompress_ptr)lib)->input_scan_number <= MAX_SCANS)
        return;
    guard->scans = true;
    longjmp(guard->back, 1);
}

static void
source_start(j_decompress_ptr lib)
{
    (void)lib;
}

/* There is no more: libjpeg suspends, which tells truncated from damaged. */
static boolean
source_fill(j_decompress_ptr lib)
{
    (void)lib;
    return FALSE;
}

static void
source_skip(j_decompress_ptr lib, long count)
{
    struct jpeg_source_mgr *source = lib->src;
    size_t n = count > 0 ? (size_t)count : 0;

    if (n > source->bytes_in_buffer)
        n = source->bytes_in_buffer;
    source->next_input_byte += n;
    source->bytes_in_buffer -= n;
}

static void
guard_init(struct jpeg_guard *guard)
{
    jpeg_std_error(&guard->mgr);
    guard->mgr.error_exit = fail_back;
    guard->mgr.output_message = say_nothing;
}

/* The status and message of the error that libjpeg gave up with. */
static enum bs_image_status
give_up(struct jpeg_reader *r, struct bs_err *e)
{
    enum bs_image_status status = BS_IMAGE_BAD;
    char text[JMSG_LENGTH_MAX];

    if (r->guard.scans)
        return bs_image_fail(e, BS_IMAGE_LIMIT, "jpeg of more than %d scans",
                             MAX_SCANS);
    switch (r->guard.mgr.msg_code) {
    case JERR_OUT_OF_MEMORY:
        bs_err_memory(e, "jpeg decoder", 0);
        return BS_IMAGE_LIMIT;
    case JERR_NO_BACKING_STORE:
        return bs_image_fail(e, BS_IMAGE_LIMIT,
                             "jpeg needs more than %ld MiB to decode",
                             MAX_MEMORY >> 20);
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
        status = BS_IMAGE_LIMIT;
        break;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_SOF_UNSUPPORTED:
        status = BS_IMAGE_UNSUPPORTED;
        break;
    default:
        break;
    }
    r->guard.mgr.format_message((j_common_ptr)&r->lib, text);
    return bs_image_fail(e, status, "jpeg: %s", text);
}

static enum bs_image_status
truncated(const struct bs_image *img, unsigned row, struct bs_err *e)
{
    if (img->width == 0)
        return bs_image_fail(e, BS_IMAGE_TRUNCATED,
                             "jpeg ends inside its header");
    return bs_image_fail(e, BS_IMAGE_TRUNCATED,
                         "jpeg ends before row %u of %zu", row + 1,
                         img->height);
}

static enum bs_image_status
read_header(struct jpeg_reader *r, const struct bs_image_limits *limits,
            struct bs_image *img, struct bs_err *e)
{
    int got;

    do
        got = jpeg_read_header(&r->lib, FALSE);
    while (got == JPEG_HEADER_TABLES_ONLY);
    if (got == JPEG_SUSPENDED)
        return truncated(img, 0, e);
    switch (r->lib.num_components) {
    case 1:
    case 3:
        r->lib.out_color_space = JCS_RGB;
        break;
    case 4:
        r->lib.out_color_space = JCS_CMYK;
        break;
    default:
        return bs_image_fail(e, BS_IMAGE_UNSUPPORTED,
                             "jpeg of %d components: 1, 3 and 4 are read",
                             r->lib.num_components);
    }
    return bs_image_fits(img, r->lib.image_width, r->lib.image_height, limits,
                         e);
}

/*
 * CMYK is stored inverted: Adobe's convention, which Pillow takes for granted.
 * Behind the second inversion stands ink on white: rgb = (1 - k)(1 - cmy), in
 * Pillow's rounding.
 */
static void
rgb_from_cmyk(uint8_t *rgb, const uint8_t *cmyk, size_t width)
{
    size_t x, c;

    for (x = 0; x < width; x++)
        for (c = 0; c < 3; c++) {
            int white = cmyk[x * 4 + 3];
            int t = (255 - cmyk[x * 4 + c]) * white + 128;
            int v = white - ((t + (t >> 8)) >> 8);

            rgb[x * 3 + c] = (uint8_t)(v < 0 ? 0 : v);
        }
}

static enum bs_image_status
read_pixels(struct jpeg_reader *r, struct bs_image *img, struct bs_err *e)
{
    enum bs_image_status status;

    if (!jpeg_start_decompress(&r->lib))
        return truncated(img, 0, e);
    status = bs_image_alloc(img, e);
    if (status != BS_IMAGE_OK)
        return status;
    if (r->lib.out_color_space == JCS_CMYK) {
        r->row = bs_alloc(img->width * 4);
        if (r->row == NULL) {
            bs_err_memory(e, "image row", img->width * 4);
            return BS_IMAGE_LIMIT;
        }
    }
    while (r->lib.output_scanline < r->lib.output_height) {
        unsigned y = r->lib.output_scanline;
        uint8_t *rgb = img->rgb + (size_t)y * img->width * 3;
        JSAMPROW row = r->row != NULL ? r->row : rgb;

        if (jpeg_read_scanlines(&r->lib, &row, 1) != 1)
            return truncated(img, y, e);
        if (r->row != NULL)
            rgb_from_cmyk(rgb, r->row, img->width);
    }
    /* What follows the last row may be missing, but not wrong: as in Pillow. */
    (void)jpeg_finish_decompress(&r->lib);
    return BS_IMAGE_OK;
}

/* The only frame that longjmp returns to: what changes after setjmp is in *r
 * and *img. */
static enum bs_image_status
read_guarded(struct jpeg_reader *r, const uint8_t *data, size_t len,
             const struct bs_image_limits *limits, bool pixels,
             struct bs_image *img, struct bs_err *e)
{
    enum bs_image_status status;

    if (setjmp(r->guard.back) != 0)
        return give_up(r, e);
    jpeg_create_decompress(&r->lib);
    r->lib.mem->max_memory_to_use = MAX_MEMORY;
    r->guard.progress.progress_monitor = count_scans;
    r->lib.progress = &r->guard.progress;
    r->source = (struct jpeg_source_mgr){
        .next_input_byte = data,
        .bytes_in_buffer = len,
        .init_source = source_start,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_start,
    };
    r->lib.src = &r->source;
    status = read_header(r, limits, img, e);
    if (status == BS_IMAGE_OK && pixels)
        status = read_pixels(r, img, e);
    return status;
}

enum bs_image_status
bs_jpeg_read(const uint8_t *data, size_t len,
             const struct bs_image_limits *limits, bool pixels,
             struct bs_image *img, struct bs_err *e)
{
    struct jpeg_reader r = {0};
    enum bs_image_status status;

    guard_init(&r.guard);
    r.lib.err = &r.guard.mgr;
    status = read_guarded(&r, data, len, limits, pixels, img, e);
    jpeg_destroy_decompress(&r.lib);
    bs_free(r.row);
    return status;
}

struct jpeg_writer {
    struct jpeg_compress_struct lib; /* first: its callbacks get this */
    struct jpeg_guard guard;
    struct jpeg_destination_mgr dest;
    struct bs_buf *out;
    struct bs_err *e;
};

/* Offer libjpeg the free part of the buffer, grown if need be. */
static void
dest_offer(j_compress_ptr lib)
{
    struct jpeg_writer *w = (struct jpeg_writer *)lib;

    if (bs_buf_reserve(w->out, w->out->len + 65536, w->e) < 0)
        longjmp(w->guard.back, 1);
    w->dest.next_output_byte = w->out->data + w->out->len;
    w->dest.free_in_buffer = w->out->room - w->out->len;
}

/* libjpeg's rule: the whole buffer is full, whatever free_in_buffer says. */
static boolean
dest_full(j_compress_ptr lib)
{
    struct jpeg_writer *w = (struct jpeg_writer *)lib;

    w->out->len = w->out->room;
    dest_offer(lib);
    return TRUE;
}

static void
dest_end(j_compress_ptr lib)
{
    struct jpeg_writer *w = (struct jpeg_writer *)lib;

    w->out->len = w->out->room - w->dest.free_in_buffer;
}

static int
write_guarded(struct jpeg_writer *w, const struct bs_image *img, int quality)
{
    if (setjmp(w->guard.back) != 0) {
        char text[JMSG_LENGTH_MAX];

        w->guard.mgr.format_message((j_common_ptr)&w->lib, text);
        return bs_err_set(w->e,
                          w->guard.mgr.msg_code == JERR_OUT_OF_MEMORY
                              ? BS_EX_OSERR
                              : BS_EX_DATA,
                          "cannot encode jpeg: %s", text);
    }
    jpeg_create_compress(&w->lib);
    w->dest.init_destination = dest_offer;
    w->dest.empty_output_buffer = dest_full;
    w->dest.term_destination = dest_end;
    w->lib.dest = &w->dest;
    w->lib.image_width = (JDIMENSION)img->width;
    w->lib.image_height = (JDIMENSION)img->height;
    w->lib.input_components = 3;
    w->lib.in_color_space = JCS_RGB;
    jpeg_set_defaults(&w->lib);
    jpeg_set_quality(&w->lib, quality, TRUE);
    jpeg_start_compress(&w->lib, TRUE);
    while (w->lib.next_scanline < w->lib.image_height) {
        size_t y = w->lib.next_scanline;
        JSAMPROW row = img->rgb + y * img->width * 3;

        jpeg_write_scanlines(&w->lib, &row, 1);
    }
    jpeg_finish_compress(&w->lib);
    return 0;
}

int
bs_image_encode_jpeg(const struct bs_image *img, int quality,
                     struct bs_buf *out, struct bs_err *e)
{
    struct jpeg_writer w = {.out = out, .e = e};
    size_t before = out->len;
    int r;

    if (img->width > JPEG_MAX_DIMENSION || img->height > JPEG_MAX_DIMENSION)
        return bs_err_set(e, BS_EX_DATA,
                          "cannot encode jpeg: %zu x %zu pixels, %ld is the "
                          "longest side",
                          img->width, img->height, JPEG_MAX_DIMENSION);
    guard_init(&w.guard);
    w.lib.err = &w.guard.mgr;
    r = write_guarded(&w, img, quality);
    if (r < 0)
        out->len = before;
    jpeg_destroy_compress(&w.lib);
    return r;
}

void
bs_jpeg_version(char *out, size_t room)
{
#ifdef LIBJPEG_TURBO_VERSION
    snprintf(out, room, "libjpeg-turbo %s", VERSION_OF(LIBJPEG_TURBO_VERSION));
#else
    snprintf(out, room, "libjpeg %d", JPEG_LIB_VERSION);
#endif
}
