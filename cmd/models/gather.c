/*
 * gather.c - see gather.h.  Candidates go to the workers in order and come back
 * in order; what depends on earlier ones (duplicates, the sample) is decided as
 * they come back.
 *
 * A sample of n is the first n candidates that pass, in an order that depends
 * on nothing but seed and key.  It is taken in rounds: one pass over the
 * sources numbers the candidates, then each pass looks at as many of the next
 * in that order as are still missing.  So no picture is kept in memory, and
 * few are read that are not needed.
 */
#include "cmd/models/gather.h"

#include "cmd/models/candidate.h"
#include "cmd/models/picture.h"
#include "common/order.h"
#include "formats/digest.h"
#include "formats/stream.h"

struct draw {
    uint64_t rank; /* hash of seed and key */
    uint64_t index;
};

struct bs_gather {
    struct bs_gather_options options;
    struct bs_candidates *candidates;
    struct bs_order *order;
    struct bs_picture *lent;
    struct bs_tally digests;
    bool drained;        /* no more candidates in this pass */
    struct bs_buf drawn; /* struct draw[], in the order of the sample */
    size_t used;         /* of these, how many are in this or earlier rounds */
    size_t from;         /* the next one of this round, which is by index */
    uint64_t found;      /* with status ok */
    uint64_t strays, cuts; /* of the pass that numbered the candidates */
    struct bs_err failed;  /* of a source, until what went before is out */
};

const char *
bs_gather_status_name(enum bs_gather_status status)
{
    switch (status) {
    case BS_GATHER_TOO_LARGE:
        return "too_large";
    case BS_GATHER_TOO_SMALL:
        return "too_small";
    case BS_GATHER_DUPLICATE:
        return "duplicate";
    case BS_GATHER_IO_ERROR:
        return "io_error";
    case BS_GATHER_INVALID_URL:
        return "invalid_url";
    case BS_GATHER_BAD_METADATA:
        return "bad_metadata";
    default:
        return bs_image_status_name((enum bs_image_status)status);
    }
}

/* ---- which candidates ---------------------------------------------------- */

static bool
is_mine(const struct bs_gather *g, const char *key)
{
    return g->options.mine == NULL || g->options.mine(g->options.mine_arg, key);
}

static bool
want_mine(void *arg, uint64_t index, const char *key)
{
    (void)index;
    return is_mine(arg, key);
}

/* The first pass of a sample: note the rank of each, want none. */
static bool
want_rank(void *arg, uint64_t index, const char *key)
{
    struct bs_gather *g = arg;
    struct draw d = {bs_xxh64(key, strlen(key), g->options.seed), index};

    if (is_mine(g, key) && g->failed.code == 0)
        (void)!bs_buf_add(&g->drawn, &d, sizeof d, &g->failed);
    return false;
}

static struct draw *
draws(const struct bs_gather *g)
{
    return (struct draw *)(void *)g->drawn.data;
}

/* A pass of a sample: indices come ascending, as the round has them. */
static bool
want_round(void *arg, uint64_t index, const char *key)
{
    struct bs_gather *g = arg;

    (void)key;
    if (g->from == g->used || draws(g)[g->from].index != index)
        return false;
    g->from++;
    return true;
}

static int
by_rank(const void *a, const void *b)
{
    const struct draw *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int
by_index(const void *a, const void *b)
{
    const struct draw *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static int
rank_all(struct bs_gather *g, struct bs_err *e)
{
    struct bs_candidate *none;
    int r;

    bs_candidates_rewind(g->candidates, want_rank, g);
    r = bs_candidates_next(g->candidates, &none, e);
    if (r == 0 && g->failed.code != 0) {
        *e = g->failed;
        r = -e->code;
    }
    if (r == 0 && g->drawn.len > 0)
        qsort(g->drawn.data, g->drawn.len / sizeof(struct draw),
              sizeof(struct draw), by_rank);
    g->strays = bs_candidates_strays(g->candidates);
    g->cuts = bs_candidates_cuts(g->candidates);
    g->drained = true;
    return r;
}

/* Start the next round of a sample; false where none is needed or left. */
static bool
next_round(struct bs_gather *g)
{
    size_t left = g->drawn.len / sizeof(struct draw) - g->used;
    uint64_t missing = g->options.sample - g->found;
    size_t round = missing < left ? (size_t)missing : left;

    if (g->options.sample == 0 || round == 0)
        return false;
    g->from = g->used;
    g->used += round;
    qsort(draws(g) + g->from, round, sizeof(struct draw), by_index);
    bs_candidates_rewind(g->candidates, want_round, g);
    g->drained = false;
    return true;
}

/* ---- what becomes of them ------------------------------------------------ */

static void
work(void *arg, void *job)
{
    struct bs_gather *g = arg;

    bs_picture_examine(job, &g->options);
}

static void
drop(void *job)
{
    bs_picture_free(job);
}

/* The next candidate on its way to the workers: 1, 0 at the end. */
static int
feed_one(struct bs_gather *g, struct bs_err *e)
{
    struct bs_candidate *c;
    struct bs_picture *p;
    int r = bs_candidates_next(g->candidates, &c, e);

    if (r == 0 && g->from < g->used)
        return bs_err_set(e, BS_EX_DATA,
                          "sources changed while they were read");
    if (r <= 0)
        return r;
    p = bs_picture_new(c);
    if (p == NULL) {
        bs_candidate_free(c);
        return bs_err_memory(e, "picture", sizeof *p);
    }
    bs_order_put(g->order, p);
    return 1;
}

/* Keep the workers busy.  What is wrong with a source waits in g->failed, so
 * that what comes out before it does not depend on the number of threads. */
static void
feed(struct bs_gather *g)
{
    while (!g->drained && bs_order_room(g->order)) {
        g->drained = feed_one(g, &g->failed) <= 0;
        /* Nothing behind the last one of a round is looked at. */
        if (g->options.sample > 0 && g->from == g->used)
            g->drained = true;
    }
}

/* Same bytes as one that went before? */
static int
check_duplicate(struct bs_gather *g, struct bs_picture *p, struct bs_err *e)
{
    struct bs_identity id;

    if (!g->options.dedupe || p->found.status != BS_GATHER_OK)
        return 0;
    id = bs_identity_of_sha256(p->found.sha256);
    if (bs_tally_count(&g->digests, id) == 0)
        return bs_tally_set(&g->digests, id, 1, e);
    p->found.status = BS_GATHER_DUPLICATE;
    p->found.message = "same bytes as an earlier one";
    bs_doc_release(&p->found.doc);
    return 0;
}

int
bs_gather_next(struct bs_gather *g, const struct bs_found **found,
               struct bs_err *e)
{
    struct bs_picture *p;
    int r;

    bs_picture_free(g->lent);
    g->lent = NULL;
    do {
        feed(g);
        p = bs_order_take(g->order);
    } while (p == NULL && g->failed.code == 0 && next_round(g));
    if (p == NULL) {
        *e = g->failed;
        return -e->code;
    }
    g->lent = p;
    if (p->fatal.code != 0) {
        *e = p->fatal;
        return bs_err_prefix(e, "'%.200s'", p->found.src);
    }
    r = check_duplicate(g, p, e);
    if (r < 0)
        return r;
    g->found += p->found.status == BS_GATHER_OK;
    *found = &p->found;
    return 1;
}

/* ---- life ---------------------------------------------------------------- */

/* At most half a key, and with something behind it a valid one. */
static bool
is_prefix(const char *prefix)
{
    char key[BS_KEY_MAX];
    int len = snprintf(key, sizeof key, "%sx", prefix != NULL ? prefix : "");

    return len <= BS_KEY_MAX / 2 && bs_key_valid(key);
}

int
bs_gather_open(struct bs_gather **out, const char *const *path, size_t paths,
               const struct bs_gather_options *options, struct bs_err *e)
{
    const struct bs_image_limits *usual = &bs_image_limits_default;
    struct bs_gather *g = bs_alloc_array(1, sizeof *g);
    unsigned threads;
    int r;

    *out = NULL;
    if (!is_prefix(options->key_prefix)) {
        bs_free(g);
        return bs_err_set(e, BS_EX_USAGE, "no key can start with '%.100s'",
                          options->key_prefix);
    }
    if (g == NULL)
        return bs_err_memory(e, "gather", sizeof *g);
    g->options = *options;
    if (options->max_bytes == 0)
        g->options.max_bytes = usual->bytes;
    if (options->max_pixels == 0)
        g->options.max_pixels = usual->pixels;
    threads = options->threads > 0 ? options->threads : 1;
    r = bs_order_open(&g->order, threads, 2 * (size_t)threads, work, g, e);
    if (r == 0)
        r = bs_candidates_open(&g->candidates, path, paths, &g->options,
                               options->sample > 0, e);
    if (r == 0)
        bs_candidates_rewind(g->candidates, want_mine, g);
    if (r == 0 && options->sample > 0)
        r = rank_all(g, e);
    if (r < 0) {
        bs_gather_close(g);
        return r;
    }
    *out = g;
    return 0;
}

uint64_t
bs_gather_strays(const struct bs_gather *g)
{
    return g->options.sample > 0 ? g->strays
                                 : bs_candidates_strays(g->candidates);
}

uint64_t
bs_gather_cuts(const struct bs_gather *g)
{
    return g->options.sample > 0 ? g->cuts : bs_candidates_cuts(g->candidates);
}

void
bs_gather_close(struct bs_gather *g)
{
    if (g == NULL)
        return;
    bs_order_close(g->order, drop);
    bs_picture_free(g->lent);
    bs_candidates_close(g->candidates);
    bs_tally_release(&g->digests);
    bs_buf_release(&g->drawn);
    bs_free(g);
}
