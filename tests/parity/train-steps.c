/*
 * train-steps.c - what sae_train.py drives: the steps of a case, from a model.
 *
 *     train-steps MODEL CASE OUT
 *
 * A line a step: loss, reconstruction, auxiliary term, gradient norm, r2 about
 * one mean, codes a token, seconds.  OUT is the model behind the last step,
 * OUT.codes the codes of that step, as ptr, idx and val.
 */
#include "cmd/models/sae_trainer_own.h"
#include "common/clock.h"
#include "tests/unit/train-case.h"

static void
must(int r, const struct bs_err *e)
{
    if (r == 0)
        return;
    fprintf(stderr, "train-steps: %s\n", e->text);
    exit(1);
}

static void
write_codes(const struct bs_ragged *codes, const char *path)
{
    uint64_t rows = codes->rows + 1, n = codes->ptr[codes->rows];
    char name[4096];
    struct bs_doc doc = {0};
    struct bs_buf out = {0};
    struct bs_err e = {0};
    FILE *f;

    snprintf(name, sizeof name, "%s.codes", path);
    must(bs_doc_put(&doc, "ptr", BS_DTYPE_U32, 1, &rows, codes->ptr, &e), &e);
    must(bs_doc_put(&doc, "idx", BS_DTYPE_U32, 1, &n, codes->idx, &e), &e);
    must(bs_doc_put(&doc, "val", BS_DTYPE_F32, 1, &n, codes->val, &e), &e);
    must(bs_doc_write(&doc, &out, &e), &e);
    f = fopen(name, "wb");
    if (f == NULL || fwrite(out.data, 1, out.len, f) != out.len ||
        fclose(f) != 0)
        must(bs_err_errno(&e, BS_EX_IO, "cannot write '%s'", name), &e);
    bs_buf_release(&out);
    bs_doc_release(&doc);
}

int
main(int argc, char **argv)
{
    struct bs_sae init = {0}, last = {0};
    struct bs_trainer_metrics m;
    struct bs_trainer *t;
    struct train_case c;
    struct bs_err e = {0};
    struct bs_dev *dev;
    size_t i;

    if (argc != 4) {
        fprintf(stderr, "usage: train-steps MODEL CASE OUT\n");
        return 1;
    }
    case_open(&c, argv[2]);
    case_tokens(&c, argv[2]);
    must(bs_sae_load(&init, argv[1], &e), &e);
    must(bs_dev_open(&dev, "cpu", 0, &e), &e);
    must(bs_trainer_open(&t, &c.o, &init, dev, &e), &e);
    bs_sae_release(&init);
    for (i = 0; i < c.o.steps; i++) {
        double start = bs_clock();

        must(bs_trainer_step(t, c.x + i * c.batch * c.o.width, c.batch, &m, &e),
             &e);
        printf("%.9g %.9g %.9g %.9g %.9g %.9g %.6f\n", m.loss, m.rec, m.aux,
               m.norm, m.r2_all, m.l0, bs_clock() - start);
    }
    must(bs_trainer_model(t, &last, &e), &e);
    must(bs_sae_save(&last, NULL, argv[3], &e), &e);
    write_codes(&t->codes.rows, argv[3]);
    bs_trainer_close(t);
    bs_dev_close(dev);
    bs_sae_release(&last);
    case_close(&c);
    return 0;
}
