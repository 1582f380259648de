/*
 * train_start.c - see train_start.h.
 */
#include "cmd/models/train_start.h"

#include "common/stop.h"

enum {
    CENTRE_TOKENS = 32768, /* of the mean or the median */
    SEED_TOKENS = 3,       /* for each candidate */
    ONCE_PASSES = 4        /* of k-means over the sample */
};

bool
bs_train_start_clusters(const struct bs_train_config *c)
{
    return c->init[0] == '\0' && c->dictionary == BS_DICT_ARCHETYPAL;
}

static bool
centres(const struct bs_train_config *c)
{
    return c->init[0] == '\0' &&
           (c->pre_bias == BS_PRE_MEAN || c->pre_bias == BS_PRE_MEDIAN);
}

bool
bs_train_start_samples(const struct bs_train_config *c)
{
    return bs_train_start_clusters(c) || centres(c);
}

struct bs_feed_options
bs_train_feed(const struct bs_train_config *c, const char *name)
{
    uint64_t capacity = c->shuffle > c->batch ? c->shuffle : c->batch;
    uint64_t least = 0;

    /* a sample must fit; in order, nothing else makes the buffer large */
    if (bs_train_start_clusters(c))
        least = c->shuffle == 0 ? SEED_TOKENS * c->points : c->points;
    if (centres(c) && c->shuffle == 0 && least < CENTRE_TOKENS)
        least = CENTRE_TOKENS;
    return (struct bs_feed_options){
        .batch = (size_t)c->batch,
        .capacity = (size_t)(capacity > least ? capacity : least),
        .ordered = c->shuffle == 0,
        .seed = c->seed,
        .name = name};
}

static void
report(const struct bs_train_start *s, enum bs_train_stage stage, uint64_t done,
       uint64_t total)
{
    struct bs_train_report r = {.stage = stage, .done = done, .total = total};

    s->report(s->command, &r);
}

/* ---- the sample ------------------------------------------------------------
 */

/* n tokens of the feed's buffer, to be freed. */
static int
draw(const struct bs_train_start *s, const struct bs_feed *feed, size_t most,
     float **x, size_t *n, struct bs_err *e)
{
    size_t count = bs_feed_count(feed), values = 0;

    *n = count < most ? count : most;
    *x = NULL;
    if (bs_mul(*n, bs_token_source_width(s->source), &values))
        *x = bs_alloc_array(values, sizeof **x);
    if (*x == NULL)
        return bs_err_memory(e, "sample of tokens", values);
    bs_feed_sample(feed, *x, *n);
    return 0;
}

static int
mean_of(const float *x, size_t m, size_t width, float *centre, struct bs_err *e)
{
    double *sum = bs_alloc_array(width, sizeof *sum);
    size_t i, j;

    if (sum == NULL)
        return bs_err_memory(e, "mean", width);
    for (i = 0; i < m; i++)
        for (j = 0; j < width; j++)
            sum[j] += (double)x[i * width + j];
    for (j = 0; j < width; j++)
        centre[j] = (float)(sum[j] / (double)m);
    bs_free(sum);
    return 0;
}

static int
find_centre(struct bs_train_start *s, const struct bs_feed *feed,
            struct bs_err *e)
{
    size_t width = bs_token_source_width(s->source), n;
    float *x;
    int r = draw(s, feed, CENTRE_TOKENS, &x, &n, e);

    if (r < 0)
        return r;
    s->centre = bs_alloc_array(width, sizeof *s->centre);
    if (s->centre == NULL)
        r = bs_err_memory(e, "centre", width);
    else if (s->config->pre_bias == BS_PRE_MEAN)
        r = mean_of(x, n, width, s->centre, e);
    else
        r = bs_geometric_median(x, n, width, s->centre, e);
    bs_free(x);
    return r;
}

/* Seed k-means; *x is the sample, to be freed. */
static int
seed(struct bs_train_start *s, const struct bs_feed *feed, float **x, size_t *n,
     struct bs_err *e)
{
    size_t points = (size_t)s->config->points;
    int r;

    report(s, BS_TRAIN_SEEDING, 0, 0); /* one long call */
    r = draw(s, feed, SEED_TOKENS * points, x, n, e);
    if (r == 0)
        r = bs_kmeans_open(&s->kmeans, points, bs_token_source_width(s->source),
                           s->config->seed, s->dev, e);
    if (r == 0)
        r = bs_kmeans_seed(s->kmeans, *x, *n, e);
    report(s, BS_TRAIN_SEEDING, *n, *n);
    return r;
}

/* k-means over the sample alone. */
static int
cluster_sample(struct bs_train_start *s, const struct bs_feed *feed,
               struct bs_err *e)
{
    size_t width = bs_token_source_width(s->source), n = 0, pass, i, m;
    size_t batch = (size_t)s->config->batch;
    float *x = NULL;
    int r = seed(s, feed, &x, &n, e);

    for (pass = 0; pass < ONCE_PASSES; pass++)
        for (i = 0; i < n && r == 0; i += m) {
            if (bs_stop_wanted()) {
                bs_free(x);
                return BS_TOKENS_STOP;
            }
            m = n - i < batch ? n - i : batch;
            r = bs_kmeans_step(s->kmeans, x + i * width, m, NULL, e);
            report(s, BS_TRAIN_KMEANS, pass * n + i + m, ONCE_PASSES * n);
        }
    bs_free(x);
    return r < 0 ? r : BS_TOKENS_RUN;
}

int
bs_train_start_sample(struct bs_train_start *s, const struct bs_feed *feed,
                      struct bs_err *e)
{
    int r = BS_TOKENS_RUN;

    if (centres(s->config) && s->centre == NULL &&
        (r = find_centre(s, feed, e)) < 0)
        return r;
    if (bs_train_start_clusters(s->config) && s->kmeans == NULL)
        return cluster_sample(s, feed, e);
    return BS_TOKENS_RUN;
}

/* ---- the survey ------------------------------------------------------------
 */

static int
count_tokens(struct bs_train_start *s, struct bs_err *e)
{
    struct bs_token_run run;
    int r;

    while ((r = bs_token_source_next(s->source, &run, e)) == BS_TOKENS_RUN)
        report(s, BS_TRAIN_COUNTING, bs_token_source_tokens(s->source), 0);
    return r == BS_TOKENS_END ? BS_TOKENS_RUN : r;
}

/* Seed from the feed's first tokens, then a step a batch. */
static int
cluster_feed(struct bs_train_start *s, struct bs_feed *feed, struct bs_err *e)
{
    struct bs_feed_position at;
    const float *x;
    float *sample = NULL;
    size_t n = 0;
    int r = bs_feed_fill(feed, e);

    if (r != BS_TOKENS_RUN)
        return r;
    if (centres(s->config) && (r = find_centre(s, feed, e)) < 0)
        return r;
    r = seed(s, feed, &sample, &n, e);
    bs_free(sample);
    if (r < 0)
        return r;
    while ((r = bs_feed_next(feed, &x, &at, e)) == BS_TOKENS_RUN) {
        r = bs_kmeans_step(s->kmeans, x, (size_t)s->config->batch, NULL, e);
        if (r < 0)
            return r;
        report(s, BS_TRAIN_KMEANS, at.taken, 0);
    }
    return r == BS_TOKENS_END ? BS_TOKENS_RUN : r;
}

int
bs_train_start_survey(struct bs_train_start *s, bool cluster, uint64_t *tokens,
                      struct bs_err *e)
{
    struct bs_feed_options o = bs_train_feed(s->config, "k-means");
    struct bs_feed *feed = NULL;
    int r;

    o.passes = 1;
    o.batches = UINT64_MAX;
    if (cluster) {
        r = bs_feed_open(&feed, &o, s->source, e);
        if (r == 0)
            r = cluster_feed(s, feed, e);
        bs_feed_close(feed);
    } else {
        r = count_tokens(s, e);
    }
    *tokens = bs_token_source_tokens(s->source);
    bs_token_source_rewind(s->source);
    return r;
}

/* ---- the model -------------------------------------------------------------
 */

int
bs_train_start_model(struct bs_train_start *s, struct bs_sae *out,
                     const struct bs_trainer_options *o, struct bs_err *e)
{
    bool clusters = bs_train_start_clusters(s->config);

    return bs_trainer_start(
        out, o, clusters ? bs_kmeans_centroids(s->kmeans) : NULL,
        clusters ? (size_t)s->config->points : 0, s->centre, e);
}

void
bs_train_start_release(struct bs_train_start *s)
{
    bs_kmeans_close(s->kmeans);
    bs_free(s->centre);
    s->kmeans = NULL;
    s->centre = NULL;
}
