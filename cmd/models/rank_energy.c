/*
 * rank_energy.c - see rank_energy.h.
 */
#include "cmd/models/rank_energy.h"

#include <math.h>

#include "cmd/models/codes.h"
#include "cmd/models/energy.h"
#include "cmd/models/sight.h"
#include "common/num.h"
#include "formats/json.h"

enum { MODELS_MAX = 1024 };

const char *const bs_rank_f64_names[BS_RANK_F64S] = {
    "real",    "gen", "raw", "rel",       "raw_se",    "rel_se",
    "delta",   "lo",  "hi",  "mcdiarmid", "bernstein", "boot_lo",
    "boot_hi", "p",   "q",   "q_by",      "p_max",
};

const char *const bs_rank_u64_names[BS_RANK_U64S] = {
    "real_tokens", "gen_tokens", "real_images", "gen_images"};

/* What the reader knows between two items. */
struct reading {
    struct bs_rank_energy *en;
    bool head, pairs;
    size_t tables;
};

/* ---- head ----------------------------------------------------------------
 */

/* Metadata of the head that must be there. */
static const char *
need(const struct bs_doc *head, const char *name, struct bs_err *e)
{
    const char *value = bs_doc_meta(head, name);

    if (value == NULL)
        (void)bs_err_set(e, BS_EX_DATA, "its head says no '%s'", name);
    return value;
}

static int
read_number(double *out, const struct bs_doc *head, const char *name,
            double least, double most, struct bs_err *e)
{
    const char *text = need(head, name, e);
    const char *why = text != NULL ? bs_num_f64(text, least, most, out) : NULL;

    if (why != NULL)
        return bs_err_set(e, BS_EX_DATA, "%s '%.40s': %s", name, text, why);
    return text != NULL ? 0 : -e->code;
}

static int
add_label(struct bs_rank_energy *en, const struct bs_json *v, struct bs_err *e)
{
    if (v->type != BS_JSON_STRING || *v->text == '\0')
        return bs_err_set(e, BS_EX_DATA, "'models' is not a list of labels");
    if (bs_rank_model_find(en, v->text) >= 0)
        return bs_err_set(e, BS_EX_DATA, "model '%.40s' comes twice", v->text);
    en->model[en->models].label = bs_strdup(v->text);
    if (en->model[en->models].label == NULL)
        return bs_err_memory(e, "labels", strlen(v->text));
    en->models++;
    return 0;
}

static int
read_labels(struct bs_rank_energy *en, const char *text, struct bs_err *e)
{
    struct bs_json_doc *json;
    const struct bs_json *root, *v;
    int r = bs_json_parse(&json, text, strlen(text), 0, e);

    if (r < 0)
        return bs_err_prefix(e, "'models'");
    root = bs_json_root(json);
    if (root->type != BS_JSON_ARRAY || root->count == 0 ||
        root->count > MODELS_MAX)
        r = bs_err_set(e, BS_EX_DATA, "'models' is not a list of 1 to %d",
                       MODELS_MAX);
    if (r == 0) {
        en->model = bs_alloc_array(root->count, sizeof *en->model);
        if (en->model == NULL)
            r = bs_err_memory(e, "models", root->count);
    }
    for (v = r == 0 ? root->child : NULL; v != NULL && r == 0; v = v->next)
        r = add_label(en, v, e);
    bs_json_free(json);
    return r;
}

static int
read_form(struct bs_rank_energy *en, const struct bs_doc *head,
          struct bs_err *e)
{
    const char *form = need(head, "form", e);

    if (form == NULL)
        return -e->code;
    en->relative = strcmp(form, "relative") == 0;
    if (!en->relative && strcmp(form, "raw") != 0)
        return bs_err_set(e, BS_EX_DATA, "form '%.40s' is not known", form);
    return 0;
}

static int
read_concepts(struct bs_rank_energy *en, const struct bs_doc *head,
              struct bs_err *e)
{
    const char *text = need(head, "concepts", e), *why;
    uint64_t n = 0;

    if (text == NULL)
        return -e->code;
    why = bs_num_u64(text, 1, BS_CODES_CONCEPTS_MAX, &n);
    if (why != NULL)
        return bs_err_set(e, BS_EX_DATA, "concepts '%.40s': %s", text, why);
    en->concepts = (uint32_t)n;
    return 0;
}

static int
read_head(struct reading *rd, const struct bs_doc *head, struct bs_err *e)
{
    struct bs_rank_energy *en = rd->en;
    const char *kind = bs_doc_meta(head, "bs.kind"), *labels;
    int r;

    if (kind == NULL || strcmp(kind, BS_ENERGY_KIND) != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "holds records of kind '%.40s', not '%s'",
                          kind != NULL ? kind : "unknown", BS_ENERGY_KIND);
    if (bs_doc_meta(head, "partial") != NULL)
        return bs_err_set(e, BS_EX_DATA,
                          "is a partial: merge it first (bs-energy --merge)");
    if (rd->head)
        return bs_err_set(e, BS_EX_DATA, "holds more than one energy stream");
    rd->head = true;
    bs_sight_find(&rd->en->sight, head);
    r = read_concepts(en, head, e);
    if (r == 0)
        r = read_form(en, head, e);
    if (r == 0)
        r = read_number(&en->temperature, head, "temperature", 1e-300, 1e300,
                        e);
    if (r == 0)
        r = read_number(&en->level, head, "level", 1e-9, 1 - 1e-9, e);
    if (r == 0)
        r = bs_rank_dictionary(en->dictionary, head, e);
    if (r < 0)
        return r;
    labels = need(head, "models", e);
    return labels != NULL ? read_labels(en, labels, e) : -e->code;
}

/* ---- the table of concepts -----------------------------------------------
 */

static int
check_column(const double *x, uint32_t n, enum bs_rank_f64 column,
             struct bs_err *e)
{
    bool may_be_nan = column != BS_RANK_REAL && column != BS_RANK_GEN &&
                      column != BS_RANK_RAW;
    double most = column == BS_RANK_DELTA ? 1 : INFINITY;
    uint32_t k;

    for (k = 0; k < n; k++)
        if (isnan(x[k]) ? !may_be_nan
                        : isinf(x[k]) || x[k] > most ||
                              (column == BS_RANK_DELTA && x[k] < 0))
            return bs_err_set(e, BS_EX_DATA, "concept %ju: %s is %g",
                              (uintmax_t)k, bs_rank_f64_names[column], x[k]);
    return 0;
}

/* A copy of the tensor, NULL where it is not there or e is set. */
static void *
column_copy(const struct bs_doc *rec, const char *name, enum bs_dtype dtype,
            uint32_t concepts, struct bs_err *e)
{
    size_t bytes = (size_t)concepts * 8;
    bool wrong = false;
    const void *data = bs_rank_values(rec, name, dtype, concepts, &wrong, e);
    void *copy;

    if (data == NULL)
        return NULL;
    copy = bs_alloc(bytes);
    if (copy == NULL)
        (void)bs_err_memory(e, "energies", bytes);
    else
        memcpy(copy, data, bytes);
    return copy;
}

static int
read_columns(struct bs_rank_model *m, const struct bs_doc *rec,
             uint32_t concepts, struct bs_err *e)
{
    static const enum bs_rank_f64 needed[] = {
        BS_RANK_REAL, BS_RANK_GEN, BS_RANK_RAW, BS_RANK_REL, BS_RANK_DELTA};
    size_t i;
    int r = 0;

    for (i = 0; i < BS_RANK_F64S && e->code == 0; i++) {
        m->f64[i] =
            column_copy(rec, bs_rank_f64_names[i], BS_DTYPE_F64, concepts, e);
        if (m->f64[i] != NULL)
            r = check_column(m->f64[i], concepts, (enum bs_rank_f64)i, e);
    }
    for (i = 0; i < BS_RANK_U64S && e->code == 0; i++)
        m->u64[i] =
            column_copy(rec, bs_rank_u64_names[i], BS_DTYPE_U64, concepts, e);
    for (i = 0; i < BS_LEN(needed) && e->code == 0; i++)
        if (m->f64[needed[i]] == NULL)
            r = bs_err_set(e, BS_EX_DATA, "'%s' is missing",
                           bs_rank_f64_names[needed[i]]);
    return e->code != 0 ? -e->code : r;
}

static int
read_concept_table(struct reading *rd, const struct bs_doc *rec,
                   struct bs_err *e)
{
    struct bs_rank_energy *en = rd->en;
    int i = bs_rank_model_find(en, bs_doc_meta(rec, "key"));
    const char *pairs = bs_doc_meta(rec, "pairs");
    struct bs_rank_model *m;

    if (i < 0)
        return bs_err_set(e, BS_EX_DATA, "the head names no such model");
    m = &en->model[i];
    if (m->f64[BS_RANK_REAL] != NULL)
        return bs_err_set(e, BS_EX_DATA, "the model's table comes twice");
    if (pairs == NULL || bs_num_u64(pairs, 0, UINT64_MAX, &m->pairs) != NULL)
        return bs_err_set(e, BS_EX_DATA, "'pairs' is not a number");
    rd->tables++;
    return read_columns(m, rec, en->concepts, e);
}

/* ---- the table of pairs --------------------------------------------------
 */

static int
add_text(struct bs_rank_pairs *p, const char *s, struct bs_err *e)
{
    size_t at = p->text.len;
    int r = bs_buf_add(&p->at, &at, sizeof at, e);

    return r < 0 ? r : bs_buf_add(&p->text, s, strlen(s) + 1, e);
}

/* The tensor [models, top] of concepts that differ most, or nothing. */
static int
read_top(struct bs_rank_energy *en, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_rank_pairs *p = &en->pairs;
    const struct bs_tensor *idx = bs_doc_tensor(rec, "top_idx");
    const struct bs_tensor *diff = bs_doc_tensor(rec, "top_diff");
    size_t top = 0, i;

    if (idx != NULL || diff != NULL) {
        if (idx == NULL || diff == NULL || idx->dtype != BS_DTYPE_U32 ||
            diff->dtype != BS_DTYPE_F64 || idx->rank != 2 || diff->rank != 2 ||
            idx->shape[0] != en->models || diff->shape[0] != en->models ||
            idx->shape[1] != diff->shape[1])
            return bs_err_set(e, BS_EX_DATA,
                              "'top_idx' and 'top_diff' are "
                              "not U32 and F64 [models, top]");
        top = (size_t)idx->shape[1];
    }
    if (p->count > 0 && top != p->top)
        return bs_err_set(e, BS_EX_DATA,
                          "'top_idx' has another size than "
                          "that of the pairs before");
    p->top = top;
    for (i = 0; i < en->models * top; i++) {
        uint32_t k = ((const uint32_t *)idx->data)[i];

        if (k >= en->concepts && k != UINT32_MAX)
            return bs_err_set(e, BS_EX_DATA, "top_idx %ju of %ju concepts",
                              (uintmax_t)k, (uintmax_t)en->concepts);
    }
    if (top == 0)
        return 0;
    i = (size_t)(bs_buf_add(&p->top_idx, idx->data, idx->bytes, e) < 0);
    return i > 0 ? -e->code
                 : bs_buf_add(&p->top_diff, diff->data, diff->bytes, e);
}

static int
check_pair(const double *l2, const double *mean, size_t n, struct bs_err *e)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (isinf(l2[i]) || l2[i] < 0 || isinf(mean[i]))
            return bs_err_set(e, BS_EX_DATA, "l2 is %g, mean %g", l2[i],
                              mean[i]);
    return 0;
}

static int
read_pair(struct bs_rank_energy *en, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_rank_pairs *p = &en->pairs;
    const char *caption = bs_doc_meta(rec, "caption");
    bool wrong = false;
    const double *l2 =
        bs_rank_values(rec, "l2", BS_DTYPE_F64, en->models, &wrong, e);
    const double *mean = wrong ? NULL
                               : bs_rank_values(rec, "mean", BS_DTYPE_F64,
                                                en->models, &wrong, e);
    size_t bytes = en->models * sizeof *l2;
    int r;

    if (wrong)
        return -e->code;
    if (l2 == NULL || mean == NULL)
        return bs_err_set(e, BS_EX_DATA, "'%s' is missing",
                          l2 == NULL ? "l2" : "mean");
    r = check_pair(l2, mean, en->models, e);
    if (r == 0)
        r = read_top(en, rec, e);
    if (r == 0)
        r = add_text(p, bs_doc_meta(rec, "key"), e);
    if (r == 0)
        r = add_text(p, caption != NULL ? caption : "", e);
    if (r == 0)
        r = bs_buf_add(&p->l2, l2, bytes, e);
    if (r == 0)
        r = bs_buf_add(&p->mean, mean, bytes, e);
    p->count++;
    return r;
}

/* ---- the whole -----------------------------------------------------------
 */

static int
on_item(void *arg, int item, const struct bs_doc *doc, struct bs_err *e)
{
    struct reading *rd = arg;
    const char *table;

    if (item == BS_ITEM_HEAD)
        return read_head(rd, doc, e);
    if (item != BS_ITEM_RECORD)
        return 0;
    table = bs_doc_meta(doc, "table");
    if (table == NULL)
        return bs_err_set(e, BS_EX_DATA, "does not say its 'table'");
    if (strcmp(table, "concept") == 0)
        return read_concept_table(rd, doc, e);
    if (strcmp(table, "pair") == 0 && rd->pairs)
        return read_pair(rd->en, doc, e);
    return 0;
}

int
bs_rank_energy_read(struct bs_rank_energy *en, const char *path,
                    const struct bs_rank_input *in, bool pairs,
                    struct bs_err *e)
{
    struct reading rd = {.en = en, .pairs = pairs};
    const char *name = strcmp(path, "-") == 0 ? "stdin" : path;
    size_t i;
    int r = bs_rank_scan(path, in, on_item, &rd, e);

    if (r < 0)
        return r;
    for (i = 0; i < en->models; i++)
        if (en->model[i].f64[BS_RANK_REAL] == NULL)
            return bs_err_set(e, BS_EX_DATA,
                              "'%s': no table of concepts of model '%.40s'",
                              name, en->model[i].label);
    if (pairs && en->pairs.count == 0)
        return bs_err_set(e, BS_EX_DATA, "'%s': no table of pairs", name);
    return 0;
}

static void
release_pairs(struct bs_rank_pairs *p)
{
    bs_buf_release(&p->text);
    bs_buf_release(&p->at);
    bs_buf_release(&p->l2);
    bs_buf_release(&p->mean);
    bs_buf_release(&p->top_idx);
    bs_buf_release(&p->top_diff);
}

void
bs_rank_energy_release(struct bs_rank_energy *en)
{
    size_t i, j;

    for (i = 0; i < en->models; i++) {
        bs_free(en->model[i].label);
        for (j = 0; j < BS_RANK_F64S; j++)
            bs_free(en->model[i].f64[j]);
        for (j = 0; j < BS_RANK_U64S; j++)
            bs_free(en->model[i].u64[j]);
    }
    bs_free(en->model);
    release_pairs(&en->pairs);
    *en = (struct bs_rank_energy){0};
}

int
bs_rank_model_find(const struct bs_rank_energy *en, const char *label)
{
    size_t i;

    for (i = 0; i < en->models; i++)
        if (strcmp(en->model[i].label, label) == 0)
            return (int)i;
    return -1;
}

double
bs_rank_f64(const struct bs_rank_energy *en, size_t model, uint32_t concept,
            enum bs_rank_f64 column)
{
    const double *x = en->model[model].f64[column];

    return x != NULL ? x[concept] : NAN;
}

double
bs_rank_bound(const struct bs_rank_energy *en, double margin)
{
    return en->temperature * log((0.5 + margin) / (0.5 - margin));
}

const char *
bs_rank_pair_key(const struct bs_rank_energy *en, size_t pair)
{
    const size_t *at = (const size_t *)(const void *)en->pairs.at.data;

    return (const char *)en->pairs.text.data + at[2 * pair];
}

const char *
bs_rank_pair_caption(const struct bs_rank_energy *en, size_t pair)
{
    const size_t *at = (const size_t *)(const void *)en->pairs.at.data;

    return (const char *)en->pairs.text.data + at[2 * pair + 1];
}
