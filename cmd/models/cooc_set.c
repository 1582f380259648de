/*
 * cooc_set.c - see cooc_set.h.
 */
#include "cmd/models/cooc_set.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4 << 20 };

struct kept {
    size_t key;          /* in `text` */
    const uint8_t *data; /* in memory, or NULL */
    uint64_t at;         /* in the file */
    uint32_t tokens, rows;
    size_t entries;
};

static const struct kept *
kept_of(const struct bs_cooc_set *s, size_t i)
{
    return (const struct kept *)s->record.data + i;
}

/* Entries, then lengths, then nothing up to a multiple of 8. */
static size_t
bytes_of(size_t entries, size_t rows)
{
    return entries * sizeof(uint64_t) +
           BS_ROUND_UP(rows * sizeof(uint32_t), sizeof(uint64_t));
}

/* ---- adding --------------------------------------------------------------
 */

/* Memory for `bytes`, or NULL where the budget has no room for it. */
static uint8_t *
room_for(struct bs_cooc_set *s, size_t bytes, struct bs_err *e)
{
    size_t chunk = bytes > CHUNK ? bytes : CHUNK;
    uint8_t *data;

    if (bytes <= s->room - s->at) {
        memcpy(&data, s->chunk.data + s->chunk.len - sizeof data, sizeof data);
        s->at += bytes;
        return data + s->at - bytes;
    }
    if (chunk > s->store->budget - s->store->used)
        return NULL;
    data = bs_alloc(chunk);
    if (data == NULL || bs_buf_add(&s->chunk, &data, sizeof data, e) < 0) {
        bs_free(data);
        (void)bs_err_memory(e, "codes", chunk);
        return NULL;
    }
    s->store->used += chunk;
    s->room = chunk;
    s->at = bytes;
    return data;
}

static int
put_aside(struct bs_cooc_set *s, const struct bs_cooc_rows *rows, uint64_t *at,
          struct bs_err *e)
{
    static const uint32_t nothing = 0;
    struct bs_cooc_store *store = s->store;
    uint64_t unused;
    int r = store->spooled ? 0 : bs_spool_open(&store->spool, e);

    if (r < 0)
        return r;
    store->spooled = true;
    r = bs_spool_add(&store->spool, rows->entry,
                     rows->entries * sizeof *rows->entry, at, e);
    if (r == 0)
        r = bs_spool_add(&store->spool, rows->len,
                         rows->rows * sizeof *rows->len, &unused, e);
    if (r == 0 && rows->rows % 2 != 0)
        r = bs_spool_add(&store->spool, &nothing, sizeof nothing, &unused, e);
    return r;
}

int
bs_cooc_set_add(struct bs_cooc_set *s, struct bs_cooc_store *store,
                const char *key, const struct bs_cooc_rows *rows,
                struct bs_err *e)
{
    struct kept kept = {.key = s->text.len,
                        .tokens = rows->tokens,
                        .rows = rows->rows,
                        .entries = rows->entries};
    uint8_t *data;
    int r = bs_keyset_add(&s->keys, key, s->records, e);

    if (r == 0)
        return bs_err_set(e, BS_EX_DATA, "key '%s' comes twice", key);
    s->store = store;
    if (r > 0)
        r = bs_buf_add(&s->text, key, strlen(key) + 1, e);
    if (r < 0)
        return r;
    data = room_for(s, bytes_of(rows->entries, rows->rows), e);
    if (data != NULL) {
        memcpy(data, rows->entry, rows->entries * sizeof *rows->entry);
        memcpy(data + rows->entries * sizeof *rows->entry, rows->len,
               rows->rows * sizeof *rows->len);
        kept.data = data;
    } else {
        r = e->code != 0 ? -e->code : put_aside(s, rows, &kept.at, e);
    }
    if (r == 0)
        r = bs_buf_add(&s->record, &kept, sizeof kept, e);
    s->records += r == 0;
    return r;
}

/* ---- order ---------------------------------------------------------------
 */

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

static bool
has_partners(const struct bs_cooc_set *sets, size_t n, const char *key)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!bs_keyset_find(&sets[i].keys, key, NULL))
            return false;
    return true;
}

static int
order_set(struct bs_cooc_set *s, const struct bs_cooc_set *sets, size_t n,
          struct bs_err *e)
{
    struct keyed *by = bs_alloc_array(s->records, sizeof *by);
    size_t i;

    s->order = bs_alloc_array(s->records, sizeof *s->order);
    if (by == NULL || s->order == NULL) {
        bs_free(by);
        return bs_err_memory(e, "keys", s->records);
    }
    for (i = 0; i < s->records; i++) {
        const char *key = (const char *)s->text.data + kept_of(s, i)->key;

        if (has_partners(sets, n, key))
            by[s->count++] = (struct keyed){key, i};
    }
    qsort(by, s->count, sizeof *by, compare_keyed);
    s->resident = true;
    for (i = 0; i < s->count; i++) {
        s->order[i] = by[i].record;
        s->resident &= kept_of(s, by[i].record)->data != NULL;
        s->rows += kept_of(s, by[i].record)->tokens;
        s->entries += kept_of(s, by[i].record)->entries;
    }
    bs_free(by);
    return 0;
}

int
bs_cooc_sets_order(struct bs_cooc_set *sets, size_t n, bool paired,
                   struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < n && r == 0; i++)
        r = order_set(&sets[i], sets, paired ? n : 0, e);
    return r;
}

int
bs_cooc_sets_check(const struct bs_cooc_set *sets, size_t n, struct bs_err *e)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (sets[i].count == 0 && sets[i].records > 0)
            return bs_err_set(e, BS_EX_DATA,
                              "nothing is paired: no key is in all %zu inputs "
                              "('--unpaired' counts every record)",
                              n);
        if (sets[i].count == 0)
            return bs_err_set(e, BS_EX_DATA, "input %zu has no record to count",
                              i + 1);
        if (sets[i].rows > UINT32_MAX)
            return bs_err_set(e, BS_EX_DATA, "%ju rows: fewer than 2^32 count",
                              (uintmax_t)sets[i].rows);
    }
    return 0;
}

/* ---- getting -------------------------------------------------------------
 */

int
bs_cooc_set_get(const struct bs_cooc_set *s, size_t place,
                struct bs_cooc_rows *rows, struct bs_buf *scratch,
                struct bs_err *e)
{
    const struct kept *kept = kept_of(s, s->order[place]);
    const uint8_t *data = kept->data;
    int r = 0;

    if (data == NULL) {
        r = bs_spool_get(&s->store->spool, kept->at,
                         bytes_of(kept->entries, kept->rows), scratch, e);
        data = scratch->data;
    }
    *rows = (struct bs_cooc_rows){
        .tokens = kept->tokens, .rows = kept->rows, .entries = kept->entries};
    if (r == 0) {
        rows->entry = (const uint64_t *)(const void *)data;
        rows->len =
            (const uint32_t *)(const void *)(rows->entry + kept->entries);
    }
    return r;
}

size_t
bs_cooc_set_entries(const struct bs_cooc_set *s, size_t place)
{
    return kept_of(s, s->order[place])->entries;
}

const char *
bs_cooc_set_key(const struct bs_cooc_set *s, size_t place)
{
    return (const char *)s->text.data + kept_of(s, s->order[place])->key;
}

void
bs_cooc_set_release(struct bs_cooc_set *s)
{
    size_t i;

    for (i = 0; i < s->chunk.len / sizeof(uint8_t *); i++) {
        uint8_t *data;

        memcpy(&data, s->chunk.data + i * sizeof data, sizeof data);
        bs_free(data);
    }
    bs_free(s->order);
    bs_keyset_release(&s->keys);
    bs_buf_release(&s->record);
    bs_buf_release(&s->text);
    bs_buf_release(&s->chunk);
    *s = (struct bs_cooc_set){0};
}

void
bs_cooc_store_close(struct bs_cooc_store *store)
{
    if (store->spooled)
        bs_spool_close(&store->spool);
    store->spooled = false;
}
