/*
 * energy_set.c - see energy_set.h.
 */
#include "cmd/models/energy_set.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/models/relay.h"

const char *const bs_pooling_names[] = {"sum", "mean", "max", NULL};
const char *const bs_scope_names[] = {"all", "patch", "cls", NULL};

enum { MEAN_BITS = 16 }; /* that a mean has more than its sum */

double
bs_energy_unit(enum bs_pooling pooling)
{
    return pooling == BS_POOL_MEAN ? BS_CODES_UNIT / (double)(1 << MEAN_BITS)
                                   : BS_CODES_UNIT;
}

/* ---- the set --------------------------------------------------------------
 */

struct energy_record {
    size_t at, n;      /* its energies */
    size_t text, meta; /* its key; its metadata, `metas` pairs of strings */
    size_t metas;
};

static const struct energy_record *
record_of(const struct bs_energy_set *s, size_t i)
{
    return (const struct energy_record *)s->record.data + i;
}

/* Keep the strings of a record. */
static int
keep_text(struct bs_energy_set *s, struct energy_record *kept,
          const struct bs_doc *rec, const char *key, struct bs_err *e)
{
    struct bs_doc described = {0};
    size_t i;
    int r = bs_relay_metadata(&described, rec, e);

    kept->text = s->text.len;
    if (r == 0)
        r = bs_buf_add(&s->text, key, strlen(key) + 1, e);
    kept->meta = s->text.len;
    for (i = 0; i < described.metas && r == 0; i++) {
        const struct bs_pair *m = &described.meta[i];

        if (strcmp(m->name, "key") == 0)
            continue;
        kept->metas++;
        r = bs_buf_add(&s->text, m->name, strlen(m->name) + 1, e);
        if (r == 0)
            r = bs_buf_add(&s->text, m->value, strlen(m->value) + 1, e);
    }
    bs_doc_release(&described);
    return r;
}

int
bs_energy_set_add(struct bs_energy_set *s, const struct bs_doc *rec,
                  const struct bs_energies *en, struct bs_err *e)
{
    struct energy_record kept = {.at = s->concept.len / sizeof(uint32_t),
                                 .n = en->n};
    const char *key = bs_doc_meta(rec, "key");
    int r = bs_keyset_add(&s->keys, key, s->records, e);

    if (r == 0)
        r = bs_err_set(e, BS_EX_DATA, "key '%s' comes twice", key);
    if (r > 0)
        r = keep_text(s, &kept, rec, key, e);
    if (r == 0)
        r = bs_buf_add(&s->concept, en->concept, en->n * sizeof(uint32_t), e);
    if (r == 0)
        r = bs_buf_add(&s->energy, en->energy, en->n * sizeof(int64_t), e);
    if (r == 0)
        r = bs_buf_add(&s->fires, en->fires, en->n * sizeof(uint32_t), e);
    if (r == 0)
        r = bs_buf_add(&s->record, &kept, sizeof kept, e);
    if (r == 0)
        s->records++;
    return r;
}

const char *
bs_energy_set_key(const struct bs_energy_set *s, size_t i)
{
    return (const char *)s->text.data + record_of(s, i)->text;
}

struct bs_energies
bs_energy_set_get(const struct bs_energy_set *s, size_t i)
{
    const struct energy_record *r = record_of(s, i);
    struct bs_energies en = {
        .n = r->n,
        .concept = (const uint32_t *)s->concept.data + r->at,
        .energy = (const int64_t *)s->energy.data + r->at,
        .fires = (const uint32_t *)s->fires.data + r->at,
    };

    return en;
}

int
bs_energy_set_describe(const struct bs_energy_set *s, size_t i,
                       struct bs_doc *rec, struct bs_err *e)
{
    const struct energy_record *kept = record_of(s, i);
    const char *at = (const char *)s->text.data + kept->meta;
    size_t m;
    int r = bs_doc_set(rec, "key", bs_energy_set_key(s, i), e);

    for (m = 0; m < kept->metas && r == 0; m++) {
        const char *value = at + strlen(at) + 1;

        r = bs_doc_set(rec, at, value, e);
        at = value + strlen(value) + 1;
    }
    return r;
}

struct keyed {
    const char *key;
    size_t record;
};

static int
compare_keyed(const void *a, const void *b)
{
    return strcmp(((const struct keyed *)a)->key,
                  ((const struct keyed *)b)->key);
}

int
bs_energy_set_sort(struct bs_energy_set *s, struct bs_err *e)
{
    struct keyed *by = bs_alloc_array(s->records, sizeof *by);
    size_t i;

    s->order = bs_alloc_array(s->records, sizeof *s->order);
    if (by == NULL || s->order == NULL) {
        bs_free(by);
        return bs_err_memory(e, "keys", s->records);
    }
    for (i = 0; i < s->records; i++)
        by[i] = (struct keyed){bs_energy_set_key(s, i), i};
    qsort(by, s->records, sizeof *by, compare_keyed);
    for (i = 0; i < s->records; i++)
        s->order[i] = by[i].record;
    bs_free(by);
    return 0;
}

void
bs_energy_set_release(struct bs_energy_set *s)
{
    bs_free(s->order);
    bs_keyset_release(&s->keys);
    bs_buf_release(&s->record);
    bs_buf_release(&s->text);
    bs_buf_release(&s->concept);
    bs_buf_release(&s->energy);
    bs_buf_release(&s->fires);
    *s = (struct bs_energy_set){0};
}

/* ---- pooling --------------------------------------------------------------
 */

int
bs_pooler_open(struct bs_pooler *p, enum bs_pooling pooling,
               enum bs_scope scope, uint32_t concepts, struct bs_err *e)
{
    *p = (struct bs_pooler){
        .pooling = pooling, .scope = scope, .concepts = concepts};
    p->energy = bs_alloc_array(concepts, sizeof *p->energy);
    p->fires = bs_alloc_array(concepts, sizeof *p->fires);
    p->marks = bs_alloc_array((concepts + 63) / 64, sizeof *p->marks);
    if (p->energy == NULL || p->fires == NULL || p->marks == NULL)
        return bs_err_memory(e, "energies", concepts);
    return 0;
}

void
bs_pooler_close(struct bs_pooler *p)
{
    bs_codes_release(&p->codes);
    bs_free(p->energy);
    bs_free(p->fires);
    bs_free(p->marks);
    bs_free(p->list_concept);
    bs_free(p->list_energy);
    bs_free(p->list_fires);
    *p = (struct bs_pooler){0};
}

int
bs_scope_tokens(enum bs_scope scope, const struct bs_codes *c, size_t *from,
                size_t *to, struct bs_err *e)
{
    *from = scope == BS_SCOPE_PATCH ? c->prefix : 0;
    *to = scope == BS_SCOPE_CLS ? 1 : c->tokens;
    if (scope == BS_SCOPE_CLS && c->prefix == 0)
        return bs_err_set(e, BS_EX_DATA,
                          "no CLS token: its prefix is 0 tokens long");
    if (*from == *to)
        return bs_err_set(e, BS_EX_DATA, "no token of scope '%s'",
                          bs_scope_names[scope]);
    if (*to - *from > (size_t)1 << 20)
        return bs_err_set(e, BS_EX_DATA, "%zu tokens: more than 2^20",
                          *to - *from);
    return 0;
}

int
bs_scope_units(int64_t *units, float val, size_t token, struct bs_err *e)
{
    *units = bs_codes_units(val);
    if (*units < 0)
        return bs_err_set(e, BS_EX_DATA,
                          "token %zu: value %g is too large: 65536 and more "
                          "cannot be summed",
                          token, (double)val);
    return 0;
}

static int
pool_code(struct bs_pooler *p, uint32_t k, float val, size_t token,
          struct bs_err *e)
{
    int64_t units;

    if (bs_scope_units(&units, val, token, e) < 0)
        return -e->code;
    p->marks[k / 64] |= (uint64_t)1 << k % 64;
    p->fires[k]++;
    if (p->pooling != BS_POOL_MAX)
        p->energy[k] += units; /* below 2^40, and 2^20 tokens or fewer */
    else if (units > p->energy[k])
        p->energy[k] = units;
    return 0;
}

/* Of a sum over `tokens` tokens, to the nearest unit of means. */
static int64_t
mean_of(int64_t sum, size_t tokens)
{
    __extension__ typedef __int128 wide;
    wide scaled = (wide)sum << MEAN_BITS;

    return (int64_t)((2 * scaled + (wide)tokens) / (2 * (wide)tokens));
}

/* Move what was pooled to the lists, concepts ascending, by the marks; which
 * are cleared. */
static void
gather(struct bs_pooler *p, size_t tokens)
{
    size_t w, n = 0;

    for (w = 0; w < ((size_t)p->concepts + 63) / 64; w++) {
        uint64_t left = p->marks[w];

        for (; left != 0; left &= left - 1) {
            size_t k = 64 * w + (size_t)__builtin_ctzll(left);

            p->list_concept[n] = (uint32_t)k;
            p->list_energy[n] = p->pooling == BS_POOL_MEAN
                                    ? mean_of(p->energy[k], tokens)
                                    : p->energy[k];
            p->list_fires[n++] = p->fires[k];
            p->energy[k] = 0;
            p->fires[k] = 0;
        }
        p->marks[w] = 0;
    }
}

/* The concepts that fire in the record, counted. */
static size_t
marked(const struct bs_pooler *p)
{
    size_t w, n = 0;

    for (w = 0; w < ((size_t)p->concepts + 63) / 64; w++)
        n += (size_t)__builtin_popcountll(p->marks[w]);
    return n;
}

static int
make_room(struct bs_pooler *p, size_t n, struct bs_err *e)
{
    if (n <= p->room && p->list_concept != NULL)
        return 0;
    bs_free(p->list_concept);
    bs_free(p->list_energy);
    bs_free(p->list_fires);
    p->room = 0;
    p->list_concept = bs_alloc_array(n, sizeof *p->list_concept);
    p->list_energy = bs_alloc_array(n, sizeof *p->list_energy);
    p->list_fires = bs_alloc_array(n, sizeof *p->list_fires);
    if (p->list_concept == NULL || p->list_energy == NULL ||
        p->list_fires == NULL)
        return bs_err_memory(e, "energies", n);
    p->room = n;
    return 0;
}

int
bs_pooler_pool(struct bs_pooler *p, const struct bs_doc *rec,
               struct bs_energies *en, struct bs_err *e)
{
    const struct bs_codes *c = &p->codes;
    size_t from = 0, to = 0, t, i, n = 0;
    int r = bs_codes_read(&p->codes, rec, p->concepts, e);

    if (r == 0)
        r = bs_scope_tokens(p->scope, c, &from, &to, e);
    for (t = from; t < to && r == 0; t++)
        for (i = c->ptr[t]; i < c->ptr[t + 1] && r == 0; i++)
            r = pool_code(p, c->idx[i], c->val[i], t, e);
    if (r == 0) {
        n = marked(p);
        r = make_room(p, n, e);
    }
    if (r == 0)
        gather(p, to - from);
    *en = (struct bs_energies){.n = n,
                               .concept = p->list_concept,
                               .energy = p->list_energy,
                               .fires = p->list_fires};
    return r;
}

int
bs_pooler_add(struct bs_pooler *p, struct bs_energy_set *set,
              const struct bs_doc *rec, struct bs_err *e)
{
    struct bs_energies en;
    int r = bs_pooler_pool(p, rec, &en, e);

    return r < 0 ? r : bs_energy_set_add(set, rec, &en, e);
}
