/*
 * u-rank.c - the parts of bs-rank by hand-made cases: lists of the best images,
 * columns, rows as text, letters on a sheet.
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/models/rank_report.h"
#include "cmd/models/rank_top.h"
#include "cmd/models/sheet_canvas.h"
#include "tests/unit/tap.h"

/* ---- lists of images ----------------------------------------------------- */

static int
offer(struct bs_tops *t, const char *key, double score)
{
    struct bs_err e = {0};

    return bs_tops_offer(t, BS_SIDE_REAL, 0, key, "a caption", score, NAN, &e);
}

/* Are the images of the list these, in this order? */
static bool
holds(const struct bs_tops *t, const char *keys)
{
    char got[100] = "";
    size_t i, n = 0;

    for (i = 0; i < t->count[BS_SIDE_REAL][0]; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s",
                              bs_tops_key(t, t->top[BS_SIDE_REAL][i].image));
    if (strcmp(got, keys) != 0)
        printf("# got %s, wanted %s\n", got, keys);
    return strcmp(got, keys) == 0;
}

static void
tops(void)
{
    static const uint32_t concept[] = {7};
    static const char *const orders[] = {"abcdef", "fedcba", "cfbead"};
    size_t i, j;

    for (i = 0; i < BS_LEN(orders); i++) {
        struct bs_tops t = {0};
        struct bs_err e = {0};
        bool good = bs_tops_init(&t, 10, concept, 1, 3, &e) == 0;

        for (j = 0; j < 6; j++) {
            char key[2] = {orders[i][j], '\0'};

            /* a 1, b 2, c 2, d 2, e 3, f 1 */
            good = good && offer(&t, key,
                                 key[0] == 'e'                    ? 3
                                 : key[0] == 'a' || key[0] == 'f' ? 1
                                                                  : 2) == 0;
        }
        ok(good && holds(&t, "ebc"), "the best three, equal ones by key, of %s",
           orders[i]);
        ok(offer(&t, "c", 9) == -BS_EX_DATA, "an image has one place");
        ok(t.list_of[7] == 0 && t.list_of[6] == t.lists,
           "concepts without a list");
        bs_tops_release(&t);
    }
}

/* ---- reports ------------------------------------------------------------- */

static const struct bs_column known[] = {
    {"name", true, false}, {"size", true, true}, {"odd", false, true}, {0}};
static const char *const labels[] = {"one", "two"};

static bool
chooses(const char *asked, const char *each, const char *want)
{
    struct bs_columns c = {0};
    struct bs_err e = {0};
    char got[600] = "";
    size_t i, n = 0;
    int r = bs_columns_choose(&c, known, asked, each, labels, 2, &e);

    for (i = 0; r == 0 && i < c.count; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s ", c.name[i]);
    if (r < 0)
        snprintf(got, sizeof got, "%d %s", -r, e.text);
    bs_columns_release(&c);
    if (strcmp(got, want) != 0)
        printf("# got '%s'\n", got);
    return strcmp(got, want) == 0;
}

static void
columns(void)
{
    ok(chooses(NULL, NULL, "name size "), "the usual columns");
    ok(chooses(NULL, "odd", "name size odd@one odd@two "), "and one of each");
    ok(chooses("odd,name,odd@two,odd", NULL, "odd name odd@two odd "),
       "those that are asked for");
    ok(chooses("nam", NULL,
               "64 unknown column 'nam'; known are name, size, odd"),
       "an unknown one");
    ok(chooses("name,", NULL,
               "64 unknown column ''; known are name, size, odd"),
       "an empty one");
    ok(chooses("name@one", NULL,
               "64 unknown column 'name@one'; known are name, size, odd"),
       "one that models do not have");
    ok(chooses("size@six", NULL, "64 column 'size@six': no such model"),
       "a model that is not there");
}

static bool
prints(enum bs_report_format format, const char *want)
{
    static const char *const names[] = {"text", "count", "real", "none"};
    struct bs_cell cell[4] = {
        {.kind = BS_CELL_TEXT, .text = "a\tb\xc3\xa9"},
        {.kind = BS_CELL_COUNT, .count = UINT64_MAX},
        {.kind = BS_CELL_REAL, .real = 0.1},
        {.kind = BS_CELL_NONE},
    };
    struct bs_report r;
    struct bs_err e = {0};
    char got[400] = "";
    FILE *f = tmpfile();
    struct bs_out out = {.fd = f != NULL ? fileno(f) : -1, .name = "test"};
    bool good =
        f != NULL && bs_report_begin(&r, format, &out, names, 4, &e) == 0;

    good = good && bs_report_row(&r, cell, &e) == 0;
    cell[2].real = NAN;
    cell[0].text = "";
    good = good && bs_report_row(&r, cell, &e) == 0 &&
           bs_report_end(&r, &e) == 0 &&
           pread(out.fd, got, sizeof got - 1, 0) > 0;
    if (f != NULL) {
        bs_report_release(&r);
        fclose(f);
    }
    if (strcmp(got, want) != 0)
        printf("# got '%s'\n", got);
    return good && strcmp(got, want) == 0;
}

static void
reports(void)
{
    ok(prints(BS_REPORT_TSV, "text\tcount\treal\tnone\n"
                             "a\\x09b\xc3\xa9\t18446744073709551615\t0.1\t\n"
                             "\t18446744073709551615\tnan\t\n"),
       "TSV");
    ok(prints(BS_REPORT_JSONL,
              "{\"text\":\"a\\tb\xc3\xa9\",\"count\":18446744073709551615,"
              "\"real\":0.1,\"none\":null}\n"
              "{\"text\":\"\",\"count\":18446744073709551615,"
              "\"real\":null,\"none\":null}\n"),
       "JSON lines");
    ok(prints(BS_REPORT_TABLE, "text                    count  real  none\n"
                               "a\\x09b\xc3\xa9  18446744073709551615   0.1  \n"
                               "         18446744073709551615   nan  \n"),
       "a table");
}

/* ---- sheets -------------------------------------------------------------- */

/* The dark pixels of a line of text, within `width` pixels. */
static size_t
ink(const char *text, size_t width, size_t scale)
{
    struct bs_image c;
    struct bs_err e = {0};
    size_t i, n = 0;

    if (bs_canvas_init(&c, 100, 30, 0xffffff, &e) < 0)
        return 0;
    bs_canvas_text(&c, 0, 0, width, scale, 0x000000, text);
    for (i = 0; i < c.width * c.height; i++)
        n += c.rgb[i * 3] == 0;
    bs_image_release(&c);
    return n;
}

static void
letters(void)
{
    struct bs_image c;
    struct bs_err e = {0};
    uint8_t square[4 * 4 * 3];

    ok(ink("I", 100, 1) == 11 && ink("I", 100, 2) == 44, "a letter, enlarged");
    ok(ink("\xc3\xa9\xff\n", 100, 1) == 3 * ink("?", 100, 1),
       "what has no letter");
    ok(ink("III", 12, 1) == 11 + ink("~", 100, 1), "a text that is cut");
    ok(ink("I", 5, 1) == 0 && ink("", 100, 1) == 0, "no room, no text");
    ok(ink("IIIIIIIIIIIIIIIIIIIIIIIIIIIII", 1000, 4) > 0,
       "a text that leaves the sheet");
    memset(square, 9, sizeof square);
    if (!ok(bs_canvas_init(&c, 5, 3, 0x010203, &e) == 0, "a sheet"))
        return;
    bs_canvas_put(&c, 3, 1, square, 4);
    bs_canvas_put(&c, 9, 9, square, 4);
    ok(c.rgb[0] == 1 && c.rgb[1] == 2 && c.rgb[2] == 3 &&
           c.rgb[(5 + 2) * 3] == 1 && c.rgb[(5 + 3) * 3] == 9 &&
           c.rgb[(14) * 3] == 9,
       "a picture that is cut at the edge");
    bs_image_release(&c);
}

int
main(void)
{
    tops();
    columns();
    reports();
    letters();
    return tap_done();
}
