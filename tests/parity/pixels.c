/*
 * pixels.c - what images.py drives: reads requests from stdin, one a line, and
 * answers each with a line "STATUS WIDTH HEIGHT BYTES" and that many bytes.
 *
 *   decode FILE                        RGB of the file
 *   fit FILE FILTER SHORTER CROP       Resize(SHORTER), CenterCrop(CROP)
 *   resize FILE FILTER W H             resize to W x H
 *   encode FILE QUALITY                JPEG of the decoded file
 *   plan W H SHORTER CROP              the sizes only: resized, crop's corner
 */
#include "formats/image.h"
#include "kernels/resize.h"

static uint64_t
number(const char *s)
{
    uint64_t value = 0;

    for (; *s >= '0' && *s <= '9'; s++)
        value = value * 10 + (uint64_t)(*s - '0');
    return value;
}

static void
answer(const char *status, size_t width, size_t height, const void *bytes,
       size_t len)
{
    printf("%s %zu %zu %zu\n", status, width, height, len);
    if (len > 0)
        fwrite(bytes, 1, len, stdout);
    fflush(stdout);
}

static int
load(const char *path, struct bs_buf *file)
{
    struct bs_err e = {0};
    uint8_t piece[65536];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (f == NULL)
        return -1;
    file->len = 0;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        if (bs_buf_add(file, piece, n, &e) < 0)
            break;
    fclose(f);
    return e.code == 0 ? 0 : -1;
}

static void
resized(const struct bs_image *img, const char *filter, size_t width,
        size_t height, const struct bs_crop *crop)
{
    enum bs_filter which = filter[0] == 'l'   ? BS_FILTER_LANCZOS
                           : filter[2] == 'l' ? BS_FILTER_BILINEAR
                                              : BS_FILTER_BICUBIC;
    size_t len = crop->width * crop->height * 3;
    uint8_t *out = bs_alloc(len);
    struct bs_err e = {0};

    if (out == NULL || bs_resize(img->rgb, img->width, img->height, out, width,
                                 height, which, crop, &e) < 0)
        answer(e.text, 0, 0, NULL, 0);
    else
        answer("ok", crop->width, crop->height, out, len);
    bs_free(out);
}

static void
respond(char *word[5], struct bs_buf *file)
{
    struct bs_image img;
    struct bs_crop crop;
    struct bs_err e = {0};
    enum bs_image_status status;
    size_t w, h;

    if (strcmp(word[0], "plan") == 0) {
        bs_resize_fit(number(word[1]), number(word[2]), number(word[3]), &w,
                      &h);
        if (bs_center_crop(w, h, number(word[4]), number(word[4]), &crop, &e) <
            0)
            crop = (struct bs_crop){0};
        printf("%zu %zu %zu %zu\n", w, h, crop.x, crop.y);
        fflush(stdout);
        return;
    }
    if (load(word[1], file) < 0) {
        answer("unreadable", 0, 0, NULL, 0);
        return;
    }
    status = bs_image_decode(file->data, file->len, &bs_image_limits_default,
                             &img, &e);
    if (status != BS_IMAGE_OK) {
        answer(bs_image_status_name(status), 0, 0, e.text, strlen(e.text));
    } else if (strcmp(word[0], "decode") == 0) {
        answer("ok", img.width, img.height, img.rgb,
               img.width * img.height * 3);
    } else if (strcmp(word[0], "encode") == 0) {
        file->len = 0;
        if (bs_image_encode_jpeg(&img, (int)number(word[2]), file, &e) < 0)
            answer("encode", 0, 0, e.text, strlen(e.text));
        else
            answer("ok", img.width, img.height, file->data, file->len);
    } else if (strcmp(word[0], "fit") == 0) {
        bs_resize_fit(img.width, img.height, number(word[3]), &w, &h);
        if (bs_center_crop(w, h, number(word[4]), number(word[4]), &crop, &e) <
            0)
            answer("crop", 0, 0, e.text, strlen(e.text));
        else
            resized(&img, word[2], w, h, &crop);
    } else {
        w = number(word[3]);
        h = number(word[4]);
        crop = (struct bs_crop){0, 0, w, h};
        resized(&img, word[2], w, h, &crop);
    }
    bs_image_release(&img);
}

int
main(void)
{
    struct bs_buf file = {0};
    char line[4400];

    while (fgets(line, sizeof line, stdin) != NULL) {
        char none[] = "", *word[5] = {none, none, none, none, none}, *at = line;
        size_t n;

        for (n = 0; n < BS_LEN(word) && *at != '\0'; n++) {
            size_t len = strcspn(at, "\t\n");

            word[n] = at;
            at += len + (at[len] != '\0');
            word[n][len] = '\0';
        }
        respond(word, &file);
    }
    bs_buf_release(&file);
    return 0;
}
