/*
 * u-sae-trainer.c - training steps against overcomplete's
 * (tests/golden/make-sae-train.py), and what must not change them: threads,
 * rows brought up to date late or at once, stops in between; and bad input.
 */
#include "cmd/models/sae_trainer_own.h"
#include "tests/unit/tap.h"
#include "tests/unit/train-case.h"

#include <math.h>

static const char *const cases[] = {
    "topk",       "plain", "clip",      "batchtopk",
    "archetypal", "fixed", "layernorm", "layernorm-dead",
    "reanimate",  "unit",  "auxk",      "slow",
};

static struct bs_err error;

static const char *
golden(const char *name, const char *what)
{
    static char path[2][4096];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn],
             "%s/tests/golden/sae-train/%s%s.safetensors", getenv("BS_SRC"),
             name, what);
    return path[turn];
}

static void
must(int r)
{
    if (r == 0)
        return;
    ok(0, "%s", error.text);
    exit(tap_done());
}

/* ---- a training ------------------------------------------------------------
 */

struct run {
    struct train_case c;
    struct bs_sae init;
    struct bs_dev *dev;
    struct bs_trainer *t;
};

static struct run
run_open(const char *name, unsigned threads)
{
    struct run r = {0};

    error = (struct bs_err){0};
    case_open(&r.c, golden(name, "-case"));
    case_tokens(&r.c, golden("tokens", ""));
    must(bs_sae_load(&r.init, golden(name, ""), &error));
    must(bs_dev_open(&r.dev, "cpu", threads, &error));
    must(bs_trainer_open(&r.t, &r.c.o, &r.init, r.dev, &error));
    return r;
}

static void
run_close(struct run *r)
{
    bs_trainer_close(r->t);
    bs_dev_close(r->dev);
    bs_sae_release(&r->init);
    case_close(&r->c);
}

static struct bs_trainer_metrics
run_step(struct run *r, size_t i)
{
    struct bs_trainer_metrics m;

    must(bs_trainer_step(r->t, r->c.x + i * r->c.batch * r->c.o.width,
                         r->c.batch, &m, &error));
    return m;
}

/* Everything of a trainer's state, as bytes. */
static struct bs_buf
state_of(struct run *r)
{
    struct bs_buf out = {0};
    struct bs_doc doc = {0};
    struct bs_sae s;

    must(bs_trainer_model(r->t, &s, &error));
    must(bs_sae_document(&doc, &s, &error));
    must(bs_trainer_save(r->t, &doc, &error));
    must(bs_doc_write(&doc, &out, &error));
    bs_doc_release(&doc);
    bs_sae_release(&s);
    return out;
}

static int
same_bytes(struct bs_buf *a, struct bs_buf *b)
{
    int same =
        a->len == b->len && a->len > 0 && memcmp(a->data, b->data, a->len) == 0;

    bs_buf_release(a);
    bs_buf_release(b);
    return same;
}

/* ---- against the reference -------------------------------------------------
 */

/* The largest difference of an array to the golden one; INFINITY where sizes
 * differ. */
static double
far_off(const struct train_case *c, const char *name, const float *got,
        size_t n)
{
    size_t there = 0, i;
    float *want = case_array(c, name, &there);
    double off = want != NULL && there == n ? 0 : INFINITY;

    for (i = 0; off < INFINITY && i < n; i++) {
        double here = fabs((double)got[i] - (double)want[i]);

        if (!(here <= off))
            off = here;
    }
    bs_free(want);
    return off;
}

static void
check_weights(struct run *r, const char *name)
{
    struct bs_sae s;
    size_t n, w;

    must(bs_trainer_model(r->t, &s, &error));
    n = s.concepts, w = s.width;
    ok(far_off(&r->c, "dec_w", s.dec_w, n * w) <= 1e-5, "%s: dictionary", name);
    ok(far_off(&r->c, "enc_w", s.enc_w, n * w) <= 1e-5 &&
           far_off(&r->c, "enc_b", s.enc_b, n) <= 1e-5,
       "%s: encoder", name);
    if (s.ln_g != NULL)
        ok(far_off(&r->c, "ln_g", s.ln_g, n) <= 1e-5 &&
               far_off(&r->c, "ln_b", s.ln_b, n) <= 1e-5,
           "%s: layer norm", name);
    if (s.pre_b != NULL)
        ok(far_off(&r->c, "pre_b", s.pre_b, w) <= 1e-5 &&
               memcmp(s.pre_b, s.dec_b, w * sizeof(float)) == 0,
           "%s: bias", name);
    if (s.ra_w != NULL)
        ok(far_off(&r->c, "ra_w", s.ra_w, n * s.points) <= 1e-5 &&
               far_off(&r->c, "ra_relax", s.ra_relax, n * w) <= 1e-5 &&
               far_off(&r->c, "ra_m", &s.ra_m, 1) <= 1e-5,
           "%s: archetypal parts", name);
    ok(far_off(&r->c, "tau", &s.tau, 1) <= 1e-6, "%s: threshold", name);
    bs_sae_release(&s);
}

/* The codes of the last step, by concept; ties do not occur here. */
static void
check_codes(struct run *r, const char *name)
{
    const struct bs_ragged *codes = &r->t->codes.rows;
    size_t rows = 0, n = 0, i;
    uint32_t *ptr = case_array(&r->c, "ptr", &rows);
    uint32_t *idx = case_array(&r->c, "idx", &n);
    float *val = case_array(&r->c, "val", &n);
    int same = codes->rows + 1 == rows && codes->ptr[codes->rows] == n &&
               memcmp(codes->ptr, ptr, rows * sizeof *ptr) == 0;

    for (i = 0; same && i < n; i++)
        same =
            idx[i] == codes->idx[i] && fabsf(val[i] - codes->val[i]) <= 1e-5f;
    ok(same, "%s: the same codes at the end", name);
    bs_free(ptr);
    bs_free(idx);
    bs_free(val);
}

static int
near_to(double got, double want)
{
    return fabs(got - want) <= 1e-5 * fmax(fabs(want), 1e-3);
}

static void
check_case(const char *name)
{
    struct run r = run_open(name, 1);
    size_t n, i, first = 0;
    double *want = case_array(&r.c, "steps", &n), squares = 0;
    const double *row = want;
    int good[5] = {1, 1, 1, 1, 1};

    for (i = 0; i < r.c.o.steps; i++, row += 6) {
        struct bs_trainer_metrics m = run_step(&r, i);

        good[0] &= near_to(m.loss, row[0]) && near_to(m.rec, row[1]);
        good[1] &= near_to(m.aux, row[2]);
        good[2] &= near_to(m.norm, row[3]);
        good[3] &= fabs(m.r2_all - row[4]) <= 1e-5 && near_to(m.l0, row[5]);
        good[4] &= m.step == i + 1 && m.tokens == (i + 1) * r.c.batch;
        first += i == 0 ? m.dead : 0;
        squares += m.r2;
    }
    ok(good[0], "%s: losses", name);
    ok(good[1], "%s: auxiliary terms", name);
    ok(good[2], "%s: gradient norms", name);
    ok(good[3], "%s: r2 and codes a token", name);
    ok(good[4] && isfinite(squares), "%s: counters", name);
    check_codes(&r, name);
    check_weights(&r, name);
    bs_free(want);
    run_close(&r);
}

/* ---- what must not change a training ---------------------------------------
 */

/* As late as can be, on one thread; at once, on three; stopped halfway. */
static void
check_same(const char *name)
{
    struct run late = run_open(name, 1), dense = run_open(name, 3);
    struct run stopped = run_open(name, 2);
    size_t steps = late.c.o.steps, i;
    struct bs_buf saved, a, b;
    struct bs_doc doc = {0};
    struct bs_sae half;

    for (i = 0; i < steps; i++) {
        run_step(&late, i);
        run_step(&dense, i);
        must(bs_trainer_catch_up(dense.t, &error));
    }
    a = state_of(&late);
    b = state_of(&dense);
    ok(same_bytes(&a, &b), "%s: late rows have the bits of dense AdamW", name);

    for (i = 0; i < steps / 2; i++)
        run_step(&stopped, i);
    saved = state_of(&stopped);
    must(
        bs_doc_parse(&doc, saved.data, saved.len, &bs_doc_limits_file, &error));
    must(bs_trainer_model(stopped.t, &half, &error));
    bs_trainer_close(stopped.t);
    must(bs_trainer_open(&stopped.t, &stopped.c.o, &half, stopped.dev, &error));
    must(bs_trainer_restore(stopped.t, &doc, &error));
    for (; i < steps; i++)
        run_step(&stopped, i);
    a = state_of(&late);
    b = state_of(&stopped);
    ok(same_bytes(&a, &b), "%s: a stop in between changes nothing", name);

    bs_doc_release(&doc);
    bs_buf_release(&saved);
    bs_sae_release(&half);
    run_close(&late);
    run_close(&dense);
    run_close(&stopped);
}

/* ---- the rate --------------------------------------------------------------
 */

static void
check_rate(void)
{
    struct bs_trainer_options o = {
        .rate = 2, .rate_end = 1, .warmup = 5, .steps = 25};

    ok(bs_trainer_rate(&o, 0) == 0 && bs_trainer_rate(&o, 2) == 1 &&
           bs_trainer_rate(&o, 4) == 2,
       "the rate rises from 0");
    ok(bs_trainer_rate(&o, 5) == 2 &&
           fabs(bs_trainer_rate(&o, 15) - 1.5) < 1e-12 &&
           bs_trainer_rate(&o, 24) > 1 && bs_trainer_rate(&o, 25) == 1 &&
           bs_trainer_rate(&o, 1000) == 1,
       "and falls along a cosine");
    o.steps = 0;
    ok(bs_trainer_rate(&o, 5) == 2 && bs_trainer_rate(&o, 1000000) == 2,
       "or stays, where the end is not known");
    o.warmup = 1;
    ok(bs_trainer_rate(&o, 0) == 0 && bs_trainer_rate(&o, 1) == 2,
       "a warm-up of one step");
    o.warmup = 0;
    ok(bs_trainer_rate(&o, 0) == 2, "none");
}

/* ---- bad input -------------------------------------------------------------
 */

static int
says(int r, int code, const char *text)
{
    int good = r == -code && strstr(error.text, text) != NULL;

    if (!good)
        printf("# %d: %s\n", r, error.text);
    error = (struct bs_err){0};
    return good;
}

static void
check_tokens(void)
{
    struct run r = run_open("topk", 2);
    size_t width = r.c.o.width, i;
    struct bs_trainer_metrics m, before = run_step(&r, 0);
    struct bs_buf a = state_of(&r), b;
    float *x = bs_alloc_array(r.c.batch, width * sizeof *x);

    memcpy(x, r.c.x, r.c.batch * width * sizeof *x);
    x[5 * width + 3] = NAN;
    ok(says(bs_trainer_step(r.t, x, r.c.batch, &m, &error), BS_EX_DATA,
            "step 2: "),
       "a token that is not finite");
    ok(says(bs_trainer_step(r.t, x, 0, &m, &error), BS_EX_DATA, "0 tokens"),
       "no tokens");
    for (i = 0; i < width; i++)
        x[i] = 3e38f;
    ok(says(bs_trainer_step(r.t, x, 1, &m, &error), BS_EX_DATA, "not finite"),
       "tokens so large that the loss overflows");
    b = state_of(&r);
    ok(same_bytes(&a, &b), "and all is as before");

    ok(bs_trainer_step(r.t, r.c.x, 1, &m, &error) == 0 && m.step == 2 &&
           m.tokens == before.tokens + 1 && m.l0 == r.c.o.k && m.r2 == 0,
       "a batch of one token");
    ok(bs_trainer_step(r.t, r.c.x, 2 * r.c.batch, &m, &error) == 0 &&
           m.tokens == before.tokens + 1 + 2 * r.c.batch,
       "a batch larger than others");
    memset(x, 0, r.c.batch * width * sizeof *x);
    ok(bs_trainer_step(r.t, x, r.c.batch, &m, &error) == 0 &&
           isfinite(m.loss) && m.r2 == 0,
       "tokens of zeros");
    bs_free(x);
    run_close(&r);
}

/* All tokens alike: no variance to measure by. */
static void
check_alike(void)
{
    struct run r = run_open("unit", 1);
    struct bs_trainer_metrics m;

    ok(says(bs_trainer_step(r.t, r.c.x, 1, &m, &error), BS_EX_DATA,
            "step 1: no loss: all 1 tokens are the same"),
       "one token has no variance to explain");
    ok(bs_trainer_step(r.t, r.c.x, 2, &m, &error) == 0, "two have");
    run_close(&r);
}

/* No concept fires: every pre-activation is below 0. */
static void
check_silent(void)
{
    struct run r = run_open("topk", 1);
    struct bs_trainer_metrics m;
    size_t i;

    bs_trainer_close(r.t);
    for (i = 0; i < r.init.concepts; i++)
        r.init.enc_b[i] = -1e6f;
    must(bs_trainer_open(&r.t, &r.c.o, &r.init, r.dev, &error));
    ok(bs_trainer_step(r.t, r.c.x, r.c.batch, &m, &error) == 0 && m.l0 == 0 &&
           m.norm == 0 && m.rec > 0,
       "a step without a code");
    run_close(&r);
}

static void
check_weights_refused(void)
{
    struct run r = run_open("topk", 1);
    struct bs_trainer_options o = r.c.o;
    struct bs_trainer_metrics m;
    struct bs_trainer *t;

    r.init.enc_w[3 * r.init.width] = INFINITY;
    must(bs_trainer_open(&t, &o, &r.init, r.dev, &error));
    ok(says(bs_trainer_step(t, r.c.x, r.c.batch, &m, &error), BS_EX_DATA,
            "row 3 has a value that is not finite"),
       "weights that are not finite");
    bs_trainer_close(t);

    o.width++;
    ok(says(bs_trainer_open(&t, &o, &r.init, r.dev, &error), BS_EX_DATA,
            "a model of 53 concepts of width 19, not 53 of 20"),
       "another width");
    o = r.c.o;
    o.k = 54;
    ok(says(bs_trainer_open(&t, &o, &r.init, r.dev, &error), BS_EX_USAGE,
            "k is 54 of 53 concepts") &&
           t == NULL,
       "more codes than concepts");
    o = r.c.o;
    o.enc_bias = false;
    ok(says(bs_trainer_open(&t, &o, &r.init, r.dev, &error), BS_EX_DATA,
            "a model with an encoder bias"),
       "a bias that is not to be there");
    o = r.c.o;
    o.dictionary = BS_DICT_ARCHETYPAL;
    ok(says(bs_trainer_open(&t, &o, &r.init, r.dev, &error), BS_EX_DATA,
            "without the parts of an archetypal dictionary"),
       "no archetypes");
    o = r.c.o;
    o.layer_norm = true;
    ok(says(bs_trainer_open(&t, &o, &r.init, r.dev, &error), BS_EX_DATA,
            "a model without layer norm"),
       "no layer norm");
    run_close(&r);
}

/* A rate that throws the weights away: the next step says so. */
static void
check_blown_up(void)
{
    struct run r = run_open("plain", 1);
    struct bs_trainer_metrics m;
    int result = 0;
    size_t i;

    bs_trainer_close(r.t);
    r.c.o.rate = r.c.o.rate_end = 3e38;
    must(bs_trainer_open(&r.t, &r.c.o, &r.init, r.dev, &error));
    for (i = 0; i < 10 && result == 0; i++)
        result = bs_trainer_step(r.t, r.c.x, r.c.batch, &m, &error);
    ok(i < 10 && says(result, BS_EX_DATA, "not finite"),
       "weights that blow up end the training");
    run_close(&r);
}

static void
check_restore(void)
{
    struct run r = run_open("topk", 1);
    struct bs_doc doc = {0};
    float *bad = bs_alloc_array(53, 19 * sizeof *bad);
    uint64_t shape[2] = {53, 19}, *fired = bs_alloc_array(53, sizeof *fired);

    run_step(&r, 0);
    must(bs_trainer_save(r.t, &doc, &error));
    must(bs_trainer_restore(r.t, &doc, &error));
    must(bs_doc_put(&doc, "opt.enc_w.v", BS_DTYPE_F32, 2, shape, bad, &error));
    must(bs_trainer_restore(r.t, &doc, &error));
    bad[40] = -1;
    ok(says(bs_trainer_restore(r.t, &doc, &error), BS_EX_DATA,
            "tensor 'opt.enc_w.v': value 40 is -1"),
       "a second moment below 0");
    shape[0] = 52;
    must(bs_doc_put(&doc, "opt.enc_w.v", BS_DTYPE_F32, 2, shape, bad, &error));
    ok(says(bs_trainer_restore(r.t, &doc, &error), BS_EX_DATA,
            "tensor 'opt.enc_w.v': "),
       "moments of another shape");
    must(bs_trainer_save(r.t, &doc, &error));
    fired[7] = 1000;
    shape[0] = 53;
    must(bs_doc_put(&doc, "opt.fired", BS_DTYPE_U64, 1, shape, fired, &error));
    ok(says(bs_trainer_restore(r.t, &doc, &error), BS_EX_DATA, "opt.fired"),
       "concepts that fired in the future");
    must(bs_doc_set(&doc, "opt.step", NULL, &error));
    ok(says(bs_trainer_restore(r.t, &doc, &error), BS_EX_DATA,
            "metadata 'opt.step': is missing"),
       "no count of steps");
    bs_doc_release(&doc);
    bs_free(bad);
    bs_free(fired);
    run_close(&r);
}

/* ---- starts ----------------------------------------------------------------
 */

static double
row_length(const float *x, size_t n)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static void
check_start(void)
{
    struct bs_trainer_options o = {
        .concepts = 30, .width = 16, .k = 3, .enc_bias = true, .seed = 5};
    float points[20 * 16], centre[16] = {1, 2};
    struct bs_sae s, again;
    size_t i, unit = 0, within = 0;

    for (i = 0; i < BS_LEN(points); i++)
        points[i] = (float)i;
    o.dictionary = BS_DICT_UNIT;
    o.pre_bias = true;
    must(bs_trainer_start(&s, &o, NULL, 0, centre, &error));
    must(bs_trainer_start(&again, &o, NULL, 0, centre, &error));
    for (i = 0; i < 30; i++)
        unit += fabs(row_length(s.dec_w + i * 16, 16) - 1) < 1e-6;
    for (i = 0; i < 30 * 16; i++)
        within += fabsf(s.enc_w[i]) <= 0.25f;
    ok(unit == 30 && within == 480 && row_length(s.enc_b, 30) == 0,
       "atoms of length 1, an encoder within its bound");
    ok(memcmp(s.pre_b, centre, sizeof centre) == 0 &&
           memcmp(s.dec_b, centre, sizeof centre) == 0,
       "the centre for a bias");
    ok(memcmp(s.enc_w, again.enc_w, 480 * sizeof(float)) == 0,
       "the same for the same seed");
    bs_sae_release(&again);
    o.seed = 6;
    must(bs_trainer_start(&again, &o, NULL, 0, NULL, &error));
    ok(memcmp(s.enc_w, again.enc_w, 480 * sizeof(float)) != 0 &&
           row_length(again.pre_b, 16) == 0,
       "another for another");
    bs_sae_release(&s);
    bs_sae_release(&again);
    o.pre_bias = false;
    o.dictionary = BS_DICT_ARCHETYPAL;
    o.delta = 0.5f;
    must(bs_trainer_start(&s, &o, points, 20, NULL, &error));
    ok(memcmp(s.dec_w, points, sizeof points) == 0 &&
           row_length(s.dec_w + 20 * 16, 10 * 16) == 0 && s.ra_w[21] == 1 &&
           s.ra_w[1] == 0 && s.points == 20 && s.ra_delta == 0.5f,
       "archetypes start at the points");
    bs_sae_release(&s);
    ok(says(bs_trainer_start(&s, &o, NULL, 0, NULL, &error), BS_EX_SOFTWARE,
            "0 points"),
       "which must be there");
}

/* ---- bf16 ------------------------------------------------------------------
 */

static void
check_bf16(void)
{
    struct run a = run_open("topk", 1), b = run_open("topk", 1);
    struct bs_trainer_metrics full, half;
    size_t i, differ = 0;

    bs_trainer_close(b.t);
    b.c.o.math = BS_MATH_BF16;
    must(bs_trainer_open(&b.t, &b.c.o, &b.init, b.dev, &error));
    for (i = 0; i < a.c.o.steps; i++) {
        full = run_step(&a, i);
        half = run_step(&b, i);
        differ += full.loss != half.loss;
        if (!(fabs(full.loss - half.loss) <= 2e-2 * full.loss))
            break;
    }
    ok(i == a.c.o.steps && differ > 0, "bf16: losses of f32 to 2 %%");
    run_close(&a);
    run_close(&b);
}

int
main(void)
{
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++)
        check_case(cases[i]);
    for (i = 0; i < BS_LEN(cases); i++)
        check_same(cases[i]);
    check_rate();
    check_tokens();
    check_alike();
    check_silent();
    check_weights_refused();
    check_blown_up();
    check_restore();
    check_start();
    check_bf16();
    return tap_done();
}
