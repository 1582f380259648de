/*
 * png_write.c - PNG by libpng, out of 8-bit RGB; see image.h.
 */
#include "formats/image.h"

#if BS_HAVE_PNG

#include <png.h>
#include <setjmp.h>

struct png_writer {
    png_structp lib;
    png_infop info;
    struct bs_buf *out;
    struct bs_err *e;
};

static void
give_up(png_structp lib, const char *text)
{
    struct png_writer *w = png_get_error_ptr(lib);

    if (w->e->code == 0 && strstr(text, "memory") != NULL)
        bs_err_memory(w->e, "png encoder", 0);
    else if (w->e->code == 0)
        bs_err_set(w->e, BS_EX_DATA, "cannot encode png: %s", text);
    png_longjmp(lib, 1);
}

static void
say_nothing(png_structp lib, const char *text)
{
    (void)lib;
    (void)text;
}

static void
write_bytes(png_structp lib, png_bytep data, size_t n)
{
    struct png_writer *w = png_get_io_ptr(lib);

    if (bs_buf_add(w->out, data, n, w->e) < 0)
        png_longjmp(lib, 1);
}

static void
flush_nothing(png_structp lib)
{
    (void)lib;
}

/* The only frame that longjmp returns to: what changes is in *w->out. */
static int
write_guarded(struct png_writer *w, const struct bs_image *img)
{
    size_t y;

    if (setjmp(png_jmpbuf(w->lib)) != 0)
        return -w->e->code;
    png_set_write_fn(w->lib, w, write_bytes, flush_nothing);
    png_set_user_limits(w->lib, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(w->lib, w->info, (png_uint_32)img->width,
                 (png_uint_32)img->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->lib, w->info);
    for (y = 0; y < img->height; y++)
        png_write_row(w->lib, img->rgb + y * img->width * 3);
    png_write_end(w->lib, NULL);
    return 0;
}

int
bs_image_encode_png(const struct bs_image *img, struct bs_buf *out,
                    struct bs_err *e)
{
    struct png_writer w = {.out = out, .e = e};
    size_t before = out->len;
    int r;

    if (img->width > PNG_UINT_31_MAX / 4 || img->height > PNG_UINT_31_MAX)
        return bs_err_set(e, BS_EX_DATA, "cannot encode png: %zu x %zu pixels",
                          img->width, img->height);
    w.lib = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, give_up,
                                    say_nothing);
    if (w.lib != NULL)
        w.info = png_create_info_struct(w.lib);
    r = w.info != NULL ? write_guarded(&w, img)
                       : bs_err_memory(e, "png encoder", 0);
    if (r < 0)
        out->len = before;
    png_destroy_write_struct(&w.lib, &w.info);
    return r;
}

#else

int
bs_image_encode_png(const struct bs_image *img, struct bs_buf *out,
                    struct bs_err *e)
{
    (void)img;
    (void)out;
    return bs_err_set(e, BS_EX_UNAVAIL, "built without png");
}

#endif
