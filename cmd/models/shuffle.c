/*
 * shuffle.c - see shuffle.h.  Tokens lie still in slots; an array of slot
 * numbers is what moves: those of tokens first, then those that are free.
 */
#include "cmd/models/shuffle.h"

#include "common/mem.h"
#include "common/rng.h"

/* Tokens of a block, the unit in which memory is taken. */
enum { BLOCK = 4096 };

struct bs_shuffle {
    struct bs_shuffle_options o;
    enum bs_dtype dtype; /* of the slots */
    size_t row;          /* bytes of a slot */
    uint8_t **block;     /* [blocks] */
    size_t blocks, made; /* made: of these, how many are there */
    uint32_t *slot;      /* [capacity], those that hold tokens from `first` on,
                            around the end (ordered), or from 0 */
    size_t first, count;
    uint64_t stream;
    struct bs_rng rng;
};

int
bs_shuffle_open(struct bs_shuffle **out, const struct bs_shuffle_options *o,
                struct bs_err *e)
{
    struct bs_shuffle *s = bs_alloc_array(1, sizeof *s);

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "shuffle buffer", sizeof *s);
    s->o = *o;
    s->o.name = NULL;
    s->stream = bs_rng_name(o->name);
    s->blocks = (o->capacity + BLOCK - 1) / BLOCK;
    s->block = bs_alloc_array(s->blocks, sizeof *s->block);
    s->slot = bs_alloc_array(o->capacity, sizeof *s->slot);
    if (s->block == NULL || s->slot == NULL) {
        bs_shuffle_close(s);
        return bs_err_memory(e, "shuffle buffer", o->capacity);
    }
    bs_shuffle_begin(s, 0);
    *out = s;
    return 0;
}

void
bs_shuffle_close(struct bs_shuffle *s)
{
    size_t i;

    if (s == NULL)
        return;
    for (i = 0; s->block != NULL && i < s->made; i++)
        bs_free(s->block[i]);
    bs_free(s->block);
    bs_free(s->slot);
    bs_free(s);
}

void
bs_shuffle_begin(struct bs_shuffle *s, uint64_t pass)
{
    size_t i;

    for (i = 0; i < s->o.capacity; i++)
        s->slot[i] = (uint32_t)i;
    s->first = s->count = 0;
    bs_rng_init(&s->rng, s->o.seed, s->stream + pass, 0);
}

size_t
bs_shuffle_count(const struct bs_shuffle *s)
{
    return s->count;
}

size_t
bs_shuffle_room(const struct bs_shuffle *s)
{
    return s->o.capacity - s->count;
}

/* ---- memory ----------------------------------------------------------------
 */

static int
make_block(struct bs_shuffle *s, uint8_t **block, size_t row, struct bs_err *e)
{
    size_t bytes = 0, tokens = s->o.capacity < BLOCK ? s->o.capacity : BLOCK;

    *block = bs_mul(tokens, row, &bytes) ? bs_alloc(bytes) : NULL;
    return *block == NULL ? bs_err_memory(e, "shuffle buffer", bytes) : 0;
}

/* Tokens of another type came: all become f32, which holds either exactly. */
static int
widen(struct bs_shuffle *s, struct bs_err *e)
{
    size_t row = s->o.width * sizeof(float), i;
    size_t tokens = s->o.capacity < BLOCK ? s->o.capacity : BLOCK;

    for (i = 0; i < s->made; i++) {
        uint8_t *wide;
        int r = make_block(s, &wide, row, e);

        if (r < 0)
            return r;
        bs_to_f32((float *)(void *)wide, s->dtype, s->block[i],
                  tokens * s->o.width);
        bs_free(s->block[i]);
        s->block[i] = wide;
    }
    s->dtype = BS_DTYPE_F32;
    s->row = row;
    return 0;
}

static uint8_t *
token_at(const struct bs_shuffle *s, size_t slot)
{
    return s->block[slot / BLOCK] + slot % BLOCK * s->row;
}

/* ---- in and out ------------------------------------------------------------
 */

static int
prepare(struct bs_shuffle *s, enum bs_dtype dtype, struct bs_err *e)
{
    if (s->made == 0) {
        s->dtype = dtype;
        s->row = s->o.width * bs_dtype_size(dtype);
    } else if (s->dtype != dtype && s->dtype != BS_DTYPE_F32) {
        return widen(s, e);
    }
    return 0;
}

int
bs_shuffle_put(struct bs_shuffle *s, enum bs_dtype dtype, const void *x,
               size_t n, struct bs_err *e)
{
    size_t row = s->o.width * bs_dtype_size(dtype), i;
    const uint8_t *from = x;
    int r = prepare(s, dtype, e);

    for (i = 0; i < n && r == 0; i++) {
        size_t place = (s->first + s->count) % s->o.capacity;
        size_t slot = s->slot[place];

        while (slot / BLOCK >= s->made && r == 0) {
            r = make_block(s, &s->block[s->made], s->row, e);
            s->made += r == 0;
        }
        if (r < 0)
            break;
        if (s->dtype == dtype)
            memcpy(token_at(s, slot), from + i * row, row);
        else
            bs_to_f32((float *)(void *)token_at(s, slot), dtype, from + i * row,
                      s->o.width);
        s->count++;
    }
    return r;
}

void
bs_shuffle_peek(const struct bs_shuffle *s, size_t i, float *x)
{
    size_t place = (s->first + i) % s->o.capacity;

    bs_to_f32(x, s->dtype, token_at(s, s->slot[place]), s->o.width);
}

void
bs_shuffle_take(struct bs_shuffle *s, float *x)
{
    size_t i = s->o.ordered ? 0 : (size_t)bs_rng_below(&s->rng, s->count);
    uint32_t slot;

    if (x != NULL)
        bs_shuffle_peek(s, i, x);
    s->count--;
    if (s->o.ordered) {
        s->first = (s->first + 1) % s->o.capacity;
    } else { /* the last token's slot takes its place, behind it are free ones
              */
        slot = s->slot[i];
        s->slot[i] = s->slot[s->count];
        s->slot[s->count] = slot;
    }
}
