/*
 * detail - which concepts stand for fine detail
 *
 *     detail images codes >detail.tsv
 *
 * The detail of a patch is the logarithm of 1 and the mean square, over its
 * pixels, of the Laplacian of the luma.  For each concept that fires a line:
 * its number, the patches that it fires in, and Pearson's r, over all patches
 * of all images, of its code and the patch's detail.  The codes are those of
 * the images, in the same order, with nothing resized or cropped.
 */
#include "cmd/models/codes.h"
#include "cmd/models/source.h"
#include "common/opt.h"
#include "formats/image.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

struct sums {
    double patches, detail, squares;
    uint32_t concepts;
    double *fires, *code, *code2, *both; /* [concepts] */
};

static const struct bs_doc *
next(struct bs_source *s, int want)
{
    const struct bs_doc *doc = NULL;
    int item = bs_source_next(s, &doc);

    if (item < 0)
        bs_die_err(bs_source_error(s), "cannot read '%s'", bs_source_name(s));
    if (item == BS_ITEM_END && want == BS_ITEM_RECORD)
        return NULL;
    if (item != want)
        bs_die(BS_EX_DATA, "'%s' is not one segment", bs_source_name(s));
    return doc;
}

static void
die_on(int r, const struct bs_source *s, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, "cannot read '%s'", bs_source_name(s));
}

static void
decode(struct bs_image *img, const struct bs_doc *rec)
{
    const struct bs_tensor *jpg = bs_doc_tensor(rec, "jpg");
    struct bs_err e = {0};

    if (jpg == NULL)
        bs_die(BS_EX_DATA, "record without a JPEG");
    if (bs_image_decode(jpg->data, jpg->bytes, &bs_image_limits_default, img,
                        &e) != BS_IMAGE_OK)
        bs_die_err(&e, "cannot decode");
}

static double
luma(const struct bs_image *img, ptrdiff_t x, ptrdiff_t y)
{
    ptrdiff_t w = (ptrdiff_t)img->width, h = (ptrdiff_t)img->height;
    const uint8_t *p;

    x = x < 0 ? 0 : x >= w ? w - 1 : x;
    y = y < 0 ? 0 : y >= h ? h - 1 : y;
    p = img->rgb + (y * w + x) * 3;
    return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

static double
detail(const struct bs_image *img, size_t side, size_t row, size_t column)
{
    ptrdiff_t top = (ptrdiff_t)(row * side), left = (ptrdiff_t)(column * side);
    ptrdiff_t x, y, n = (ptrdiff_t)side;
    double sum = 0;

    for (y = top; y < top + n; y++)
        for (x = left; x < left + n; x++) {
            double l = luma(img, x - 1, y) + luma(img, x + 1, y) +
                       luma(img, x, y - 1) + luma(img, x, y + 1) -
                       4 * luma(img, x, y);
            sum += l * l;
        }
    return log(1 + sum / (double)(side * side));
}

static void
add(struct sums *s, const struct bs_codes *c, size_t token, double d)
{
    uint32_t i;

    s->patches++;
    s->detail += d;
    s->squares += d * d;
    for (i = c->ptr[token]; i < c->ptr[token + 1]; i++) {
        double v = (double)c->val[i];

        s->fires[c->idx[i]]++;
        s->code[c->idx[i]] += v;
        s->code2[c->idx[i]] += v * v;
        s->both[c->idx[i]] += v * d;
    }
}

static void
add_image(struct sums *s, const struct bs_image *img, const struct bs_codes *c)
{
    size_t rows = c->grid[0], columns = c->grid[1], i;
    size_t side = rows > 0 ? img->height / rows : 0;

    if (rows == 0 || img->height != rows * side ||
        img->width != columns * side || c->tokens != c->prefix + rows * columns)
        bs_die(BS_EX_DATA,
               "an image of %zu x %zu does not have %zu x %zu "
               "patches",
               img->width, img->height, columns, rows);
    for (i = 0; i < rows * columns; i++)
        add(s, c, c->prefix + i, detail(img, side, i / columns, i % columns));
}

static void
sums_open(struct sums *s, uint32_t concepts)
{
    s->concepts = concepts;
    s->fires = bs_alloc_array(concepts, 4 * sizeof *s->fires);
    if (s->fires == NULL)
        bs_die(BS_EX_OSERR, "out of memory");
    s->code = s->fires + concepts;
    s->code2 = s->code + concepts;
    s->both = s->code2 + concepts;
}

static double
correlation(const struct sums *s, uint32_t k)
{
    double n = s->patches;
    double spread = (n * s->code2[k] - s->code[k] * s->code[k]) *
                    (n * s->squares - s->detail * s->detail);

    return spread > 0 ? (n * s->both[k] - s->code[k] * s->detail) / sqrt(spread)
                      : 0;
}

int
main(int argc, char *argv[])
{
    const struct bs_opt opt[] = {OPT_DONE};
    const struct bs_cmd cmd = {.name = "detail",
                               .synopsis = "images codes",
                               .brief = "which concepts stand for fine detail",
                               .opt = opt};
    struct bs_source *images, *codes;
    struct bs_codes_head head;
    struct bs_codes c = {0};
    const struct bs_doc *doc, *rec;
    struct sums s = {0};
    struct bs_err e = {0};
    uint32_t k;
    int first;

    bs_prog_init("detail");
    first = bs_opt_parse(&cmd, argc, argv);
    if (argc - first != 2)
        bs_opt_misuse(&cmd, "images and their codes are wanted");
    if (bs_source_open(&images, argv[first], 0, 0, &e) < 0 ||
        bs_source_open(&codes, argv[first + 1], 0, 0, &e) < 0)
        bs_die_err(&e, NULL);
    (void)next(images, BS_ITEM_HEAD);
    die_on(bs_codes_head(&head, next(codes, BS_ITEM_HEAD), &e), codes, &e);
    sums_open(&s, head.concepts);
    while ((doc = next(images, BS_ITEM_RECORD)) != NULL) {
        struct bs_image img;

        rec = next(codes, BS_ITEM_RECORD);
        if (rec == NULL ||
            strcmp(bs_doc_meta(doc, "key"), bs_doc_meta(rec, "key")) != 0)
            bs_die(BS_EX_DATA, "no codes of '%s'", bs_doc_meta(doc, "key"));
        decode(&img, doc);
        die_on(bs_codes_read(&c, rec, s.concepts, &e), codes, &e);
        add_image(&s, &img, &c);
        bs_image_release(&img);
    }
    printf("concept\tpatches\tr\n");
    for (k = 0; k < s.concepts; k++)
        if (s.fires[k] > 0)
            printf("%" PRIu32 "\t%.0f\t%.4f\n", k, s.fires[k],
                   correlation(&s, k));
    bs_codes_release(&c);
    bs_free(s.fires);
    bs_source_close(images);
    bs_source_close(codes);
    return bs_finish(BS_EX_OK);
}
