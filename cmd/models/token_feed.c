/*
 * token_feed.c - see token_feed.h.
 */
#include "cmd/models/token_feed.h"

#include <pthread.h>

#include "cmd/models/shuffle.h"
#include "common/mem.h"
#include "common/stop.h"
#include "formats/digest.h"

enum { SLOTS = 2 };

/* A batch, or why there is none. */
struct slot {
    float *x;
    struct bs_feed_position after;
    int item; /* an enum bs_token_item, or < 0 with the reason in err */
    struct bs_err err;
    bool full;
};

struct bs_feed {
    struct bs_feed_options o;
    char *name;
    struct bs_token_source *source;
    struct bs_shuffle *shuffle;
    size_t width;

    struct bs_token_run run; /* what was read; `used` of it are in the buffer */
    size_t used;
    bool ended; /* the pass has been read */
    struct bs_feed_position at;
    struct bs_xxh64 hash;
    uint64_t given; /* batches */

    struct slot slot[SLOTS];
    unsigned lent; /* the slot that the user has, or waits for */
    bool running, held;
    pthread_t thread;
    pthread_mutex_t lock; /* of `full` and `quit` */
    pthread_cond_t change;
    bool quit;
};

int
bs_feed_open(struct bs_feed **out, const struct bs_feed_options *o,
             struct bs_token_source *source, struct bs_err *e)
{
    struct bs_feed *f = bs_alloc_array(1, sizeof *f);

    *out = NULL;
    if (f == NULL)
        return bs_err_memory(e, "feed", sizeof *f);
    f->o = *o;
    f->source = source;
    bs_xxh64_init(&f->hash, 0);
    f->name = bs_strdup(o->name);
    if (f->name == NULL) {
        bs_free(f);
        return bs_err_memory(e, "feed", strlen(o->name));
    }
    if (pthread_mutex_init(&f->lock, NULL) != 0 ||
        pthread_cond_init(&f->change, NULL) != 0) {
        bs_free(f->name);
        bs_free(f);
        return bs_err_set(e, BS_EX_OSERR, "cannot make a lock");
    }
    *out = f;
    return 0;
}

void
bs_feed_close(struct bs_feed *f)
{
    size_t i;

    if (f == NULL)
        return;
    if (f->running) {
        pthread_mutex_lock(&f->lock);
        f->quit = true;
        pthread_cond_signal(&f->change);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
    }
    pthread_cond_destroy(&f->change);
    pthread_mutex_destroy(&f->lock);
    for (i = 0; i < SLOTS; i++)
        bs_free(f->slot[i].x);
    bs_shuffle_close(f->shuffle);
    bs_free(f->name);
    bs_free(f);
}

/* ---- reading ---------------------------------------------------------------
 */

/* The width is known: make room. */
static int
make_room(struct bs_feed *f, struct bs_err *e)
{
    struct bs_shuffle_options o = {.width = f->run.width,
                                   .capacity = f->o.capacity,
                                   .ordered = f->o.ordered,
                                   .seed = f->o.seed,
                                   .name = f->name};
    size_t n = 0, i;
    int r;

    if (f->shuffle != NULL)
        return 0;
    f->width = f->run.width;
    r = bs_shuffle_open(&f->shuffle, &o, e);
    if (r == 0)
        bs_shuffle_begin(f->shuffle, f->at.pass);
    for (i = 0; i < SLOTS && r == 0; i++) {
        if (bs_mul(f->o.batch, f->width, &n))
            f->slot[i].x = bs_alloc_array(n, sizeof(float));
        if (f->slot[i].x == NULL)
            r = bs_err_memory(e, "batch of tokens", n);
    }
    return r;
}

/* Read on: RUN with tokens in f->run, END or STOP, or < 0. */
static int
read_run(struct bs_feed *f, struct bs_err *e)
{
    int r;

    if (f->ended)
        return BS_TOKENS_END;
    r = bs_token_source_next(f->source, &f->run, e);
    f->used = 0;
    if (r == BS_TOKENS_RUN)
        return make_room(f, e) < 0 ? -e->code : r;
    f->run.tokens = 0;
    f->ended = r == BS_TOKENS_END;
    return r;
}

/* Tokens from the run into the buffer, as many as fit. */
static int
put_run(struct bs_feed *f, struct bs_err *e)
{
    size_t row = f->width * bs_dtype_size(f->run.dtype);
    size_t n = f->run.tokens - f->used, room = bs_shuffle_room(f->shuffle);
    const char *from = (const char *)f->run.data + f->used * row;

    n = n < room ? n : room;
    bs_xxh64_add(&f->hash, from, n * row);
    f->used += n;
    f->at.read += n;
    return bs_shuffle_put(f->shuffle, f->run.dtype, from, n, e);
}

/* Read until the buffer is full: RUN where it is, END where there are no more
 * tokens (but maybe some inside), STOP, or < 0. */
static int
fill(struct bs_feed *f, struct bs_err *e)
{
    int r = BS_TOKENS_RUN;

    while (r == BS_TOKENS_RUN &&
           (f->shuffle == NULL || bs_shuffle_room(f->shuffle) > 0)) {
        if (f->used == f->run.tokens)
            r = read_run(f, e);
        if (r == BS_TOKENS_RUN && put_run(f, e) < 0)
            return -e->code;
    }
    return r;
}

/* Take one token; END where the pass has none left. */
static int
take(struct bs_feed *f, float *x, struct bs_err *e)
{
    int r = fill(f, e);

    if (r < 0 || r == BS_TOKENS_STOP)
        return r;
    if (f->shuffle == NULL || bs_shuffle_count(f->shuffle) == 0)
        return BS_TOKENS_END;
    bs_shuffle_take(f->shuffle, x);
    f->at.taken++;
    return BS_TOKENS_RUN;
}

static void
begin_pass(struct bs_feed *f, uint64_t pass)
{
    f->at = (struct bs_feed_position){.pass = pass};
    f->ended = false;
    f->used = f->run.tokens = 0;
    bs_xxh64_init(&f->hash, 0);
    if (f->shuffle != NULL)
        bs_shuffle_begin(f->shuffle, pass);
}

/* ---- before the first batch ------------------------------------------------
 */

int
bs_feed_seek(struct bs_feed *f, const struct bs_feed_position *to,
             struct bs_err *e)
{
    int r = BS_TOKENS_RUN;

    begin_pass(f, to->pass);
    while (f->at.taken < to->taken && r == BS_TOKENS_RUN)
        r = take(f, NULL, e);
    if (r < 0 || r == BS_TOKENS_STOP)
        return r;
    if (r == BS_TOKENS_END)
        return bs_err_set(e, BS_EX_DATA,
                          "the input ends after %ju tokens; the checkpoint "
                          "was made behind %ju",
                          (uintmax_t)f->at.read, (uintmax_t)to->read);
    if (f->at.read != to->read || bs_xxh64_value(&f->hash) != to->hash)
        return bs_err_set(e, BS_EX_DATA,
                          "the input is not the one that the checkpoint was "
                          "made with: its first %ju tokens differ",
                          (uintmax_t)to->read);
    return BS_TOKENS_RUN;
}

int
bs_feed_fill(struct bs_feed *f, struct bs_err *e)
{
    int r = fill(f, e);

    if (r < 0 || r == BS_TOKENS_STOP)
        return r;
    if (bs_feed_count(f) == 0)
        return bs_err_set(e, BS_EX_DATA, "the input holds no tokens");
    return BS_TOKENS_RUN;
}

size_t
bs_feed_count(const struct bs_feed *f)
{
    return f->shuffle != NULL ? bs_shuffle_count(f->shuffle) : 0;
}

void
bs_feed_sample(const struct bs_feed *f, float *x, size_t n)
{
    uint64_t count = bs_feed_count(f), i;

    for (i = 0; i < n; i++)
        bs_shuffle_peek(f->shuffle, (size_t)(i * count / n), x + i * f->width);
}

/* ---- batches ---------------------------------------------------------------
 */

/* The pass has no whole batch any more. */
static int
end_pass(struct bs_feed *f, size_t left, struct bs_err *e)
{
    if (f->at.taken == left)
        return bs_err_set(e, BS_EX_DATA,
                          "the input holds %zu tokens, fewer than a batch of "
                          "%zu",
                          left, f->o.batch);
    if (f->at.pass + 1 == f->o.passes)
        return BS_TOKENS_END;
    bs_token_source_rewind(f->source);
    begin_pass(f, f->at.pass + 1);
    return BS_TOKENS_RUN;
}

static int
make_batch(struct bs_feed *f, struct slot *s, struct bs_err *e)
{
    size_t n = 0;
    int r;

    if (f->given == f->o.batches)
        return BS_TOKENS_END;
    r = fill(f, e); /* s->x is there with the first token that was read */
    if (r == BS_TOKENS_END)
        r = BS_TOKENS_RUN;
    while (n < f->o.batch && r == BS_TOKENS_RUN) {
        r = take(f, s->x + n * f->width, e);
        if (r == BS_TOKENS_RUN)
            n++;
        else if (r == BS_TOKENS_END && (r = end_pass(f, n, e)) == BS_TOKENS_RUN)
            n = 0;
    }
    if (r != BS_TOKENS_RUN)
        return r;
    f->given++;
    f->at.hash = bs_xxh64_value(&f->hash);
    f->at.segments = bs_token_source_segments(f->source);
    s->after = f->at;
    return r;
}

static void *
work(void *arg)
{
    struct bs_feed *f = arg;
    unsigned i = 0;
    bool more = true;

    while (more) {
        struct slot *s = &f->slot[i];

        pthread_mutex_lock(&f->lock);
        while (s->full && !f->quit)
            pthread_cond_wait(&f->change, &f->lock);
        more = !f->quit;
        pthread_mutex_unlock(&f->lock);
        if (!more)
            break;
        s->item = make_batch(f, s, &s->err);
        more = s->item == BS_TOKENS_RUN;
        pthread_mutex_lock(&f->lock);
        s->full = true;
        pthread_cond_signal(&f->change);
        pthread_mutex_unlock(&f->lock);
        i = (i + 1) % SLOTS;
    }
    return NULL;
}

int
bs_feed_next(struct bs_feed *f, const float **x, struct bs_feed_position *after,
             struct bs_err *e)
{
    struct slot *s;

    if (!f->running && pthread_create(&f->thread, NULL, work, f) != 0)
        return bs_err_set(e, BS_EX_OSERR, "cannot start a thread");
    f->running = true;
    pthread_mutex_lock(&f->lock);
    if (f->held) {
        f->slot[f->lent].full = false;
        f->lent = (f->lent + 1) % SLOTS;
        pthread_cond_signal(&f->change);
    }
    s = &f->slot[f->lent];
    while (!s->full)
        pthread_cond_wait(&f->change, &f->lock);
    pthread_mutex_unlock(&f->lock);
    f->held = s->item == BS_TOKENS_RUN; /* an end is told again */
    if (s->item < 0)
        *e = s->err;
    *x = s->x;
    *after = s->after;
    return s->item;
}
