/*
 * u-train-checkpoint.c - a checkpoint out and in again, and files that are
 * sound documents with a right checksum but make no sense.
 */
#include "cmd/models/train_checkpoint.h"

#include <math.h>

#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

static const char *const name = "ck";

/* ---- a checkpoint ----------------------------------------------------------
 */

static struct bs_train_state
some_state(void)
{
    struct bs_train_state s = {.steps = UINT64_MAX,
                               .warmup = 3,
                               .done = 5,
                               .logged = 1,
                               .at = {2, 40, 60, 0xfedcba9876543210, 0},
                               .log = {1234, 0x0123456789abcdef},
                               .last = {.step = 5,
                                        .tokens = 40,
                                        .loss = 1.0 / 3,
                                        .r2 = -INFINITY,
                                        .dead = 2}};

    bs_train_config_unset(&s.config);
    s.config.recipe = BS_RECIPE_TOPK;
    s.config.concepts = 9;
    s.config.k = 2;
    bs_train_config_complete(&s.config);
    return s;
}

static void
write_checkpoint(const struct bs_train_state *state, struct bs_err *e)
{
    struct bs_trainer_options o =
        bs_train_config_trainer(&state->config, 4, 10, 0);
    struct bs_token_options none = {.paths = 0};
    struct bs_token_source *source;
    struct bs_trainer *trainer;
    struct bs_sae model;
    struct bs_dev *dev;

    need(bs_dev_open(&dev, "cpu", 1, e) == 0);
    need(bs_trainer_start(&model, &o, NULL, 0, NULL, e) == 0);
    need(bs_trainer_open(&trainer, &o, &model, dev, e) == 0);
    need(bs_token_source_open(&source, &none, e) == 0);
    ok(bs_train_checkpoint_write(name, state, trainer, source, e) == 0,
       "written");
    bs_token_source_close(source);
    bs_trainer_close(trainer);
    bs_sae_release(&model);
    bs_dev_close(dev);
}

static void
test_round(void)
{
    struct bs_train_state want = some_state(), *got;
    struct bs_train_checkpoint c;
    struct bs_err e = {0};

    write_checkpoint(&want, &e);
    ok(bs_train_checkpoint_read(&c, name, &e) == 0, "read: %s", e.text);
    got = &c.state;
    ok(memcmp(&got->config, &want.config, sizeof want.config) == 0, "options");
    ok(got->steps == UINT64_MAX && got->warmup == 3 && got->done == 5 &&
           got->logged == 1,
       "steps");
    ok(got->at.pass == 2 && got->at.taken == 40 && got->at.read == 60 &&
           got->at.hash == want.at.hash && got->at.segments == 0,
       "place");
    ok(got->log.bytes == 1234 && got->log.hash == want.log.hash, "log");
    ok(got->last.step == 5 && got->last.tokens == 40 && got->last.dead == 2 &&
           got->last.loss == 1.0 / 3 && got->last.r2 == -INFINITY,
       "metrics");
    ok(strcmp(c.inputs, "[]") == 0 && strcmp(c.parents, "[]") == 0, "inputs");
    ok(c.model.concepts == 9 && c.model.width == 4 &&
           bs_doc_tensor(&c.doc, "opt.fired") != NULL,
       "model and optimiser");
    bs_train_checkpoint_release(&c);
}

/* ---- changed ones ----------------------------------------------------------
 */

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* train.check as the header says: all metadata but itself, then the tensors,
 * by their names. */
static void
set_check(struct bs_doc *doc)
{
    const char *names[200];
    char hex[BS_HEX64_SIZE];
    struct bs_xxh64 h;
    size_t n = 0, i;

    bs_xxh64_init(&h, 0);
    for (i = 0; i < doc->metas; i++)
        names[n++] = doc->meta[i].name;
    qsort((void *)names, n, sizeof *names, by_name);
    for (i = 0; i < n; i++) {
        const char *value = bs_doc_meta(doc, names[i]);

        if (strcmp(names[i], "train.check") == 0)
            continue;
        bs_xxh64_add(&h, names[i], strlen(names[i]) + 1);
        bs_xxh64_add(&h, value, strlen(value) + 1);
    }
    for (n = 0; n < doc->tensors; n++)
        names[n] = doc->tensor[n].name;
    qsort((void *)names, n, sizeof *names, by_name);
    for (i = 0; i < n; i++) {
        const struct bs_tensor *t = bs_doc_tensor(doc, names[i]);

        bs_xxh64_add(&h, t->name, strlen(t->name) + 1);
        bs_xxh64_add(&h, t->data, t->bytes);
    }
    bs_hex64(bs_xxh64_value(&h), hex);
    set(doc, "train.check", hex);
}

/* Read the checkpoint with one piece of metadata, or train.last, changed. */
static void
refused(const char *key, const char *value, const double *last, uint64_t n,
        int code, const char *why)
{
    struct bs_train_checkpoint c;
    struct bs_buf b = {0};
    struct bs_doc doc = {0};
    struct bs_out out;
    struct bs_err e = {0};
    int r;

    need(bs_read_file(name, 1 << 20, &b, &e) == 0);
    need(bs_doc_parse(&doc, b.data, b.len, &bs_doc_limits_file, &e) == 0);
    if (key != NULL)
        need(bs_doc_set(&doc, key, value, &e) == 0);
    if (last != NULL)
        need(bs_doc_put(&doc, "train.last", BS_DTYPE_F64, 1, &n, last, &e) ==
             0);
    set_check(&doc);
    need(bs_out_open(&out, "odd", &e) == 0 &&
         bs_doc_save(&doc, out.fd, &e) == 0 && bs_out_commit(&out, &e) == 0);
    bs_doc_release(&doc);
    bs_buf_release(&b);
    r = bs_train_checkpoint_read(&c, "odd", &e);
    ok(r == -code && strstr(e.text, why) != NULL, "%s: %d %s",
       key != NULL ? key : "train.last", r, e.text);
    if (r == 0)
        bs_train_checkpoint_release(&c);
    unlink("odd");
}

static void
test_odd(void)
{
    double last[11] = {0};

    refused("train.version", "1", NULL, 0, 0, "");
    refused("train.version", "2", NULL, 0, BS_EX_DATA, "version '2', not 1");
    refused("train.version", NULL, NULL, 0, BS_EX_DATA, "not a checkpoint");
    refused("train.config", NULL, NULL, 0, BS_EX_DATA, "without its state");
    refused("train.config", "{\"top\":true}", NULL, 0, BS_EX_DATA,
            "train.config: option 'top' makes no sense");
    refused("train.config", "{", NULL, 0, BS_EX_DATA, "train.config: byte");
    refused("train.inputs", NULL, NULL, 0, BS_EX_DATA, "without its state");
    refused("train.parents", NULL, NULL, 0, BS_EX_DATA, "without its state");
    refused("train.state", "{}", NULL, 0, BS_EX_DATA,
            "train.state is not complete");
    refused("train.state", "[", NULL, 0, BS_EX_DATA, "train.state: byte");
    refused("k", "100", NULL, 0, BS_EX_DATA, "k is 100 of 9 concepts");
    refused(NULL, NULL, last, 11, 0, "");
    refused(NULL, NULL, last, 10, BS_EX_DATA, "'train.last' is not F64 [11]");
    last[1] = NAN;
    refused(NULL, NULL, last, 11, BS_EX_DATA, "'train.last' is wrong");
    last[1] = -1;
    refused(NULL, NULL, last, 11, BS_EX_DATA, "'train.last' is wrong");
    last[1] = 1e300;
    refused(NULL, NULL, last, 11, BS_EX_DATA, "'train.last' is wrong");
}

int
main(void)
{
    char folder[] = "/tmp/u-train-checkpoint.XXXXXX";

    need(mkdtemp(folder) != NULL && chdir(folder) == 0);
    test_round();
    test_odd();
    need(unlink(name) == 0 && rmdir(folder) == 0);
    return tap_done();
}
