/*
 * energy_input.c - see energy_input.h.
 */
#include "cmd/models/energy_input.h"

#include <stdio.h>
#include <string.h>

#include "cmd/models/energy.h"
#include "cmd/models/visit.h"
#include "common/mem.h"

/* ---- heads ----------------------------------------------------------------
 */

/* What a stream's head says must go with what is known. */
static int
agree(struct bs_energy_input *in, const struct bs_codes_head *head,
      const struct bs_doc *doc, struct bs_err *e)
{
    int r = bs_origin_agree(&in->origin, head, doc, e);

    return r <= 0 ? r
                  : bs_pooler_open(&in->pooler, in->pooling, in->scope,
                                   head->concepts, e);
}

static int
partial_head(struct bs_energy_input *in, const struct bs_doc *head,
             struct bs_err *e)
{
    const char *kind = bs_doc_meta(head, "bs.kind");
    const char *partial = bs_doc_meta(head, "partial");
    struct bs_codes_head codes;
    bool first = in->models == 0;
    int pool = 0, scope = 0, r;

    if (kind == NULL || strcmp(kind, BS_ENERGY_KIND) != 0 || partial == NULL ||
        strcmp(partial, "1") != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "holds no partial energies ('--partial')");
    r = bs_origin_read(&codes, head, e);
    if (r == 0)
        r = bs_head_choice(head, "pool", bs_pooling_names, &pool, e);
    if (r == 0)
        r = bs_head_choice(head, "scope", bs_scope_names, &scope, e);
    if (r < 0)
        return r;
    if (first) {
        in->pooling = (enum bs_pooling)pool;
        in->scope = (enum bs_scope)scope;
    }
    if (in->pooling != (enum bs_pooling)pool ||
        in->scope != (enum bs_scope)scope)
        return bs_err_set(
            e, BS_EX_DATA, "is pooled by %s over %s, not by %s over %s",
            bs_pooling_names[pool], bs_scope_names[scope],
            bs_pooling_names[in->pooling], bs_scope_names[in->scope]);
    r = bs_head_labels(head, "models", in->label, &in->models, e);
    return r < 0 ? r : agree(in, &codes, head, e);
}

int
bs_energy_input_head(const struct bs_energy_input *in, struct bs_doc *head,
                     struct bs_err *e)
{
    int r = bs_head_set_labels(head, "models", in->label, in->models, e);

    if (r == 0)
        r = bs_doc_set(head, "pool", bs_pooling_names[in->pooling], e);
    if (r == 0)
        r = bs_doc_set(head, "scope", bs_scope_names[in->scope], e);
    return r < 0 ? r : bs_origin_describe(&in->origin, head, e);
}

/* ---- records --------------------------------------------------------------
 */

/* Concepts ascending and known, energies in the range of pooled ones. */
static int
check_energies(const struct bs_energies *en, uint32_t concepts,
               struct bs_err *e)
{
    size_t i;

    for (i = 0; i < en->n; i++) {
        if (en->concept[i] >= concepts ||
            (i > 0 && en->concept[i] <= en->concept[i - 1]))
            return bs_err_set(e, BS_EX_DATA,
                              "concept %ju of %ju is out of order or range",
                              (uintmax_t)en->concept[i], (uintmax_t)concepts);
        if (en->energy[i] < 0 || en->energy[i] > (int64_t)1 << 61 ||
            en->fires[i] == 0)
            return bs_err_set(e, BS_EX_DATA,
                              "concept %ju has an impossible energy",
                              (uintmax_t)en->concept[i]);
    }
    return 0;
}

static int
sums_record(struct bs_energy_input *in, const struct bs_doc *rec,
            struct bs_err *e)
{
    const struct bs_tensor *concept = NULL, *energy = NULL, *fires = NULL;
    struct bs_energies en = {0};
    struct bs_doc kept = {0};
    uint64_t number = 0;
    size_t i;
    int r = bs_head_number(rec, "set", 0, in->models, &number, e);

    if (r == 0)
        r = bs_record_tensor(rec, "concept", BS_DTYPE_U32, &concept, e);
    if (r == 0)
        r = bs_record_tensor(rec, "energy", BS_DTYPE_I64, &energy, e);
    if (r == 0)
        r = bs_record_tensor(rec, "fires", BS_DTYPE_U32, &fires, e);
    if (r < 0)
        return r;
    if (concept->shape[0] != energy->shape[0] ||
        concept->shape[0] != fires->shape[0])
        return bs_err_set(e, BS_EX_DATA, "tensors of different lengths");
    en.n = (size_t) concept->shape[0];
    en.concept = concept->data;
    en.energy = energy->data;
    en.fires = fires->data;
    r = check_energies(&en, in->origin.head.concepts, e);
    for (i = 0; i < rec->metas && r == 0; i++)
        if (strcmp(rec->meta[i].name, "set") != 0 &&
            strcmp(rec->meta[i].name, "table") != 0)
            r = bs_doc_set(&kept, rec->meta[i].name, rec->meta[i].value, e);
    if (r == 0)
        r = bs_energy_set_add(&in->set[number], &kept, &en, e);
    bs_doc_release(&kept);
    return r;
}

/* ---- streams --------------------------------------------------------------
 */

/* What is being read, and into which set. */
struct reading {
    struct bs_energy_input *in;
    size_t number;
};

static int
codes_head(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    const struct reading *reading = arg;
    struct bs_codes_head codes;
    int r = bs_codes_head(&codes, head, e);

    return r < 0 ? r : agree(reading->in, &codes, head, e);
}

static int
codes_record(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    const struct reading *reading = arg;
    struct bs_energy_input *in = reading->in;

    if (!in->wanted(in->command, bs_doc_meta(rec, "key")))
        return 0;
    return bs_pooler_add(&in->pooler, &in->set[reading->number], rec, e);
}

int
bs_energy_read_codes(struct bs_energy_input *in, size_t number,
                     struct bs_source *s, struct bs_err *e)
{
    struct reading reading = {in, number};
    struct bs_visit v = {codes_head, codes_record, &reading, &in->parents};

    return bs_visit(s, &v, e);
}

static int
part_head(void *arg, const struct bs_doc *head, struct bs_err *e)
{
    return partial_head(arg, head, e);
}

static int
part_record(void *arg, const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_energy_input *in = arg;

    if (!in->wanted(in->command, bs_doc_meta(rec, "key")))
        return 0;
    return sums_record(in, rec, e);
}

int
bs_energy_read_partial(struct bs_energy_input *in, struct bs_source *s,
                       struct bs_err *e)
{
    struct bs_visit v = {part_head, part_record, in, &in->parents};

    return bs_visit(s, &v, e);
}

static int
write_sums(struct bs_writer *w, const struct bs_energy_set *set, size_t number,
           size_t i, struct bs_err *e)
{
    struct bs_energies en = bs_energy_set_get(set, i);
    uint64_t n = en.n;
    struct bs_doc rec = {0};
    int r = bs_energy_set_describe(set, i, &rec, e);

    if (r == 0)
        r = bs_doc_set(&rec, "table", "sums", e);
    if (r == 0)
        r = bs_doc_setf(&rec, "set", e, "%zu", number);
    if (r == 0)
        r = bs_doc_put(&rec, "concept", BS_DTYPE_U32, 1, &n, en.concept, e);
    if (r == 0)
        r = bs_doc_put(&rec, "energy", BS_DTYPE_I64, 1, &n, en.energy, e);
    if (r == 0)
        r = bs_doc_put(&rec, "fires", BS_DTYPE_U32, 1, &n, en.fires, e);
    if (r == 0) {
        r = bs_writer_record(w, &rec);
        if (r < 0)
            *e = *bs_writer_error(w);
    }
    bs_doc_release(&rec);
    return r;
}

int
bs_energy_write_partial(struct bs_writer *w, const struct bs_energy_input *in,
                        struct bs_err *e)
{
    size_t s, i;
    int r = 0;

    for (s = 0; s <= in->models; s++)
        for (i = 0; i < in->set[s].records && r == 0; i++)
            r = write_sums(w, &in->set[s], s, in->set[s].order[i], e);
    return r;
}

int
bs_energy_input_sort(struct bs_energy_input *in, struct bs_err *e)
{
    size_t s;
    int r = 0;

    for (s = 0; s <= in->models && r == 0; s++)
        r = bs_energy_set_sort(&in->set[s], e);
    return r;
}

void
bs_energy_input_release(struct bs_energy_input *in)
{
    size_t s;

    for (s = 0; s < BS_LEN(in->set); s++)
        bs_energy_set_release(&in->set[s]);
    bs_pooler_close(&in->pooler);
    bs_doc_release(&in->parents);
    bs_origin_release(&in->origin);
}
