/*
 * u-train-log.c - the metrics' file: its lines, and that it is cut where a
 * checkpoint was made and nowhere else.
 */
#include "cmd/models/train_log.h"

#include <math.h>

#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

static const char *name = "metrics.jsonl";

static void
add(struct bs_train_log *l, unsigned step)
{
    struct bs_trainer_metrics m = {.step = step,
                                   .tokens = 10 * step,
                                   .loss = 1.0 / step,
                                   .r2 = -INFINITY,
                                   .rate = 5e-4f,
                                   .dead = 3};
    struct bs_err e = {0};

    need(bs_train_log_add(l, &m, 2, 6, 1234.6, &e) == 0);
}

static struct bs_train_log
open_log(const struct bs_train_log_mark *from, int want, const char *text)
{
    struct bs_train_log l;
    struct bs_err e = {0};
    int r = bs_train_log_open(&l, name, from, &e);

    ok(r == -want && strstr(e.text, text) != NULL, "opening: %d %s", r, e.text);
    return l;
}

static void
close_log(struct bs_train_log *l)
{
    struct bs_err e = {0};

    need(bs_train_log_close(l, &e) == 0);
}

static bool
holds(const char *want)
{
    struct bs_buf b = {0};
    struct bs_err e = {0};
    bool good;

    need(bs_read_file(name, 1 << 20, &b, &e) == 0);
    good = b.len == strlen(want) &&
           (b.len == 0 || memcmp(b.data, want, b.len) == 0);
    if (!good)
        printf("# holds %.*s\n", (int)b.len, (char *)b.data);
    bs_buf_release(&b);
    return good;
}

#define LINE(step, tokens, loss)                                          \
    "{\"step\":" step ",\"tokens\":" tokens ",\"epoch\":2,\"loss\":" loss \
    ",\"rec\":0,\"aux\":0,\"r2\":null,\"r2_all\":0,\"l0\":0,\"norm\":0,"  \
    "\"rate\":0.0005,\"dead\":3,\"dead_share\":0.5,\"tokens_s\":1235}\n"

int
main(void)
{
    struct bs_train_log_mark mark, wrong;
    struct bs_train_log l;
    struct bs_err e = {0};
    char folder[] = "/tmp/u-train-log.XXXXXX";

    need(mkdtemp(folder) != NULL && chdir(folder) == 0);
    l = open_log(NULL, 0, "");
    add(&l, 1);
    need(bs_train_log_sync(&l, &mark, &e) == 0);
    add(&l, 3);
    close_log(&l);
    ok(holds(LINE("1", "10", "1") LINE("3", "30", "0.3333333")), "two lines");

    l = open_log(&mark, 0, "");
    add(&l, 2);
    close_log(&l);
    ok(holds(LINE("1", "10", "1") LINE("2", "20", "0.5")),
       "cut behind the mark, and gone on with");
    wrong = mark;
    wrong.hash++;
    (void)open_log(&wrong, BS_EX_DATA, "does not begin with");
    wrong = mark;
    wrong.bytes = 5000;
    (void)open_log(&wrong, BS_EX_DATA, "does not begin with");
    ok(holds(LINE("1", "10", "1") LINE("2", "20", "0.5")),
       "a file that is another one is left alone");
    l = open_log(NULL, 0, "");
    close_log(&l);
    ok(holds(""), "a new one is empty");

    name = NULL;
    l = open_log(&mark, 0, "");
    add(&l, 1);
    close_log(&l);
    name = "no/such/folder";
    (void)open_log(NULL, BS_EX_IO, "cannot open");
    name = "/dev/full";
    l = open_log(NULL, 0, "");
    ok(bs_train_log_add(&l, &(struct bs_trainer_metrics){0}, 0, 1, 0, &e) ==
           -BS_EX_IO,
       "a full disk: %s", e.text);
    close_log(&l);
    need(unlink("metrics.jsonl") == 0 && rmdir(folder) == 0);
    return tap_done();
}
