/*
 * u-energy.c - a case worked by hand; the golden case of NumPy, SciPy and
 * statsmodels; sharding, order and threads; what cannot be paired.
 */
#include "cmd/models/energy_input.h"
#include "cmd/models/energy_stats.h"
#include "common/mem.h"
#include "formats/safetensors.h"
#include "tests/unit/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct bs_pool *pool;
static char root[900];

static bool
every(void *command, const char *key)
{
    (void)command;
    (void)key;
    return true;
}

static int
near(double got, double want, double tolerance)
{
    if (isnan(want))
        return isnan(got);
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

static struct bs_energy_config
config_of(enum bs_energy_form form, double temperature)
{
    struct bs_energy_config c = {.form = form,
                                 .temperature = temperature,
                                 .level = 0.95,
                                 .permutations = 500,
                                 .min_images = 1};

    return c;
}

/* ---- by hand --------------------------------------------------------------
 */

/* A record of variable form with the codes of `tokens` tokens. */
static int
add(struct bs_pooler *p, struct bs_energy_set *set, const char *key,
    size_t tokens, const uint32_t *ptr, const uint32_t *idx, const float *val,
    struct bs_err *e)
{
    uint64_t ends = tokens + 1, codes = ptr[tokens];
    struct bs_doc rec = {0};
    int r = bs_doc_set(&rec, "key", key, e);

    if (r == 0)
        r = bs_doc_set(&rec, "prefix", "1", e);
    if (r == 0)
        r = bs_doc_put(&rec, "ptr", BS_DTYPE_U32, 1, &ends, ptr, e);
    if (r == 0)
        r = bs_doc_put(&rec, "idx", BS_DTYPE_U32, 1, &codes, idx, e);
    if (r == 0)
        r = bs_doc_put(&rec, "val", BS_DTYPE_F32, 1, &codes, val, e);
    if (r == 0)
        r = bs_pooler_add(p, set, &rec, e);
    bs_doc_release(&rec);
    return r;
}

/*
 * Two pairs, three tokens, two concepts.  Concept 0: real 1 + 0.5 and 0, so
 * 0.75 a pair; generated 0 and 0.5: 0.25.  Raw -0.5, relative -0.5.  Concept 1:
 * real 2 and 4: 3; generated 3 and 3.
 */
static void
by_hand(enum bs_pooling pooling, enum bs_scope scope, double real0, double gen0,
        double real1, double gen1)
{
    static const uint32_t ptr[] = {0, 1, 3, 3}, few[] = {0, 0, 1, 1};
    struct bs_energy_set sets[2] = {{0}, {0}};
    struct bs_energy_config c = config_of(BS_FORM_RELATIVE, 0.4);
    struct bs_energy_result r = {0};
    struct bs_pooler p;
    struct bs_err e = {0};
    int bad;

    c.concepts = 2;
    c.pooling = pooling;
    bad = bs_pooler_open(&p, pooling, scope, 2, &e);
    bad |= add(&p, &sets[0], "b", 3, ptr, (const uint32_t[]){0, 1, 0},
               (const float[]){1, 2, 0.5f}, &e);
    bad |= add(&p, &sets[0], "a", 3, few, (const uint32_t[]){1},
               (const float[]){4}, &e);
    bad |= add(&p, &sets[1], "a", 3, ptr, (const uint32_t[]){1, 1, 0},
               (const float[]){2, 1, 0.5f}, &e);
    bad |= add(&p, &sets[1], "b", 3, few, (const uint32_t[]){1},
               (const float[]){3}, &e);
    bad |= bs_energy_set_sort(&sets[0], &e);
    bad |= bs_energy_set_sort(&sets[1], &e);
    bad |= bs_energy_compute(&r, &c, sets, 1, pool, &e);
    if (ok(bad == 0, "%s over %s %s", bs_pooling_names[pooling],
           bs_scope_names[scope], e.text)) {
        double *const *v = r.table[0].column;

        ok(near(v[BS_E_REAL][0], real0, 1e-12) &&
               near(v[BS_E_GEN][0], gen0, 1e-12) &&
               near(v[BS_E_REAL][1], real1, 1e-12) &&
               near(v[BS_E_GEN][1], gen1, 1e-12),
           "energies %g %g %g %g", v[BS_E_REAL][0], v[BS_E_GEN][0],
           v[BS_E_REAL][1], v[BS_E_GEN][1]);
        if (pooling == BS_POOL_SUM && scope == BS_SCOPE_ALL) {
            ok(v[BS_E_RAW][0] == -0.5 && v[BS_E_REL][0] == -0.5 &&
                   near(v[BS_E_DELTA][0], 0.2227001388253089, 1e-15),
               "relative difference -1/2, delta sigmoid(-1.25)");
            ok(v[BS_E_DELTA][1] == 0.5 && v[BS_E_P][1] == 1, "equal: 0.5");
            ok(r.table[0].count[BS_E_REAL_TOKENS][0] == 2 &&
                   r.table[0].count[BS_E_REAL_IMAGES][0] == 1 &&
                   r.table[0].count[BS_E_GEN_TOKENS][1] == 3 &&
                   r.table[0].count[BS_E_GEN_IMAGES][1] == 2,
               "fires by token and by image");
            ok(v[BS_E_P][0] == 1, "p of differences 0.5 and -1.5: 1");
        }
    }
    bs_energy_result_release(&r);
    bs_energy_set_release(&sets[0]);
    bs_energy_set_release(&sets[1]);
    bs_pooler_close(&p);
}

static void
too_large(void)
{
    static const uint32_t ptr[] = {0, 1};
    struct bs_energy_set set = {0};
    struct bs_pooler p;
    struct bs_err e = {0};

    if (bs_pooler_open(&p, BS_POOL_SUM, BS_SCOPE_ALL, 2, &e) < 0)
        exit(1);
    ok(add(&p, &set, "a", 1, ptr, (const uint32_t[]){0}, (const float[]){65536},
           &e) == -BS_EX_DATA &&
           strstr(e.text, "too large") != NULL,
       "a value of 2^16: %s", e.text);
    bs_energy_set_release(&set);
    bs_pooler_close(&p);
}

/* ---- the golden case ------------------------------------------------------
 */

static int
read_golden(struct bs_energy_input *in, size_t number, const char *name,
            struct bs_err *e)
{
    struct bs_source *s;
    char path[1000];
    int r;

    snprintf(path, sizeof path, "%s/tests/golden/energy/%s.bs", root, name);
    r = bs_source_open(&s, path, 0, 0, e);
    if (r == 0) {
        r = bs_energy_read_codes(in, number, s, e);
        bs_source_close(s);
    }
    return r;
}

/* All columns of `names` against the golden "PREFIX.NAME". */
static void
hold(const struct bs_safetensors *want, const char *prefix,
     const char *const *names, double *const *column, size_t concepts)
{
    char name[100];
    size_t i, k, known = 0;

    for (i = 0; names[i] != NULL; i++) {
        const struct bs_tensor *t;
        bool p = strcmp(names[i], "p") == 0;
        int good = 1;

        snprintf(name, sizeof name, "%s.%s", prefix, names[i]);
        t = bs_safetensors_find(want, name);
        if (t == NULL || strcmp(names[i], "p_max") == 0)
            continue;
        known++;
        for (k = 0; k < concepts; k++) {
            double w;

            memcpy(&w, (const char *)t->data + 8 * k, 8);
            good &= (p && isnan(w)) || near(column[i][k], w, 1e-9);
        }
        if (!good)
            ok(0, "%s", name);
    }
    ok(known >= 5, "%s: %zu columns", prefix, known);
}

static void
golden(enum bs_energy_form form, double temperature)
{
    struct bs_energy_input in = {.models = 2, .wanted = every};
    struct bs_energy_config c = config_of(form, temperature);
    struct bs_energy_result r = {0};
    struct bs_safetensors *want;
    struct bs_err e = {0};
    char path[1000], prefix[40];
    size_t m;
    int bad = 0;

    snprintf(path, sizeof path, "%s/tests/golden/energy/want.safetensors",
             root);
    bad |= bs_safetensors_open(&want, path, &e) < 0;
    bad |= read_golden(&in, 0, "real", &e) < 0 ||
           read_golden(&in, 1, "a", &e) < 0 || read_golden(&in, 2, "b", &e) < 0;
    bad |= bs_energy_input_sort(&in, &e);
    c.concepts = in.origin.head.concepts;
    bad |= bs_energy_compute(&r, &c, in.set, 2, pool, &e);
    if (ok(bad == 0, "golden case: %s %s", bs_energy_form_names[form],
           e.text)) {
        for (m = 0; m < 2; m++) {
            snprintf(prefix, sizeof prefix, "%s.%c", bs_energy_form_names[form],
                     m == 0 ? 'a' : 'b');
            hold(want, prefix, bs_energy_column_names, r.table[m].column,
                 c.concepts);
        }
        snprintf(prefix, sizeof prefix, "%s.a/b", bs_energy_form_names[form]);
        hold(want, prefix, bs_contrast_column_names, r.contrast[0].column,
             c.concepts);
        ok(r.table[0].only_real == 3 && r.table[0].only_gen == 2 &&
               r.table[0].pairs == 21,
           "what has no partner is counted");
    }
    bs_safetensors_close(want);
    bs_energy_result_release(&r);
    bs_energy_input_release(&in);
}

static void
nothing_shared(void)
{
    struct bs_energy_input in = {.models = 1, .wanted = every};
    struct bs_energy_config c = config_of(BS_FORM_RAW, 1);
    struct bs_energy_result r = {0};
    struct bs_err e = {0};
    int bad = read_golden(&in, 0, "real", &e) < 0;

    c.concepts = in.origin.head.concepts;
    bad |= bs_energy_input_sort(&in, &e);
    ok(bad == 0 &&
           bs_energy_compute(&r, &c, in.set, 1, pool, &e) == -BS_EX_DATA,
       "no pair at all: %s", e.text);
    bs_energy_result_release(&r);
    bs_energy_input_release(&in);
}

int
main(void)
{
    const char *src = getenv("BS_SRC");
    struct bs_err e = {0};

    snprintf(root, sizeof root, "%s", src != NULL ? src : ".");
    if (bs_pool_open(&pool, 3, &e) < 0)
        return 1;
    by_hand(BS_POOL_SUM, BS_SCOPE_ALL, 0.75, 0.25, 3, 3);
    by_hand(BS_POOL_MEAN, BS_SCOPE_ALL, 0.25, 0.25 / 3, 1, 1);
    by_hand(BS_POOL_MAX, BS_SCOPE_ALL, 0.5, 0.25, 3, 2.5);
    by_hand(BS_POOL_SUM, BS_SCOPE_PATCH, 0.25, 0.25, 3, 2);
    by_hand(BS_POOL_SUM, BS_SCOPE_CLS, 0.5, 0, 0, 1);
    too_large();
    golden(BS_FORM_RELATIVE, 0.4);
    golden(BS_FORM_RAW, 0.8);
    nothing_shared();
    bs_pool_close(pool);
    return tap_done();
}
