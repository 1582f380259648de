/*
 * token_feed.h - batches of tokens for training: shuffled, pass after pass, and
 * made ready by a thread while the batch before is worked on.
 *
 * What the batches are depends on the input and the options alone.  A batch is
 * always whole: the last tokens of a pass, where they are fewer than a batch,
 * are left out (which these are differs from pass to pass, but for ordered).
 *
 * Memory: the shuffle buffer, and two batches in f32.
 */
#ifndef BS_MODELS_TOKEN_FEED_H
#define BS_MODELS_TOKEN_FEED_H

#include "cmd/models/token_source.h"

struct bs_feed_options {
    size_t batch;    /* tokens */
    size_t capacity; /* of the shuffle buffer; at least 1 */
    bool ordered;    /* tokens in the order of the input */
    uint64_t seed;
    const char *name; /* of the random stream: "train", "k-means" */
    uint64_t passes;
    uint64_t batches; /* give no more than these */
};

/* Where in the data a feed is; a number of its own makes it go there again. */
struct bs_feed_position {
    uint64_t pass;
    uint64_t taken;  /* tokens of this pass that were given */
    uint64_t read;   /* tokens of this pass that were read */
    uint64_t hash;   /* XXH64 of those, as they lie in the records */
    size_t segments; /* known then: bs_token_source_segments */
};

struct bs_feed;

/* The source is borrowed, at the start of a pass, and used by the feed alone
 * until it is closed. */
int bs_feed_open(struct bs_feed **out, const struct bs_feed_options *o,
                 struct bs_token_source *source, struct bs_err *e) BS_CHECKED;
/* Waits for the thread, which ends after the batch that it is making. */
void bs_feed_close(struct bs_feed *f);

/*
 * Before the first batch, in this order where both are called; each returns an
 * enum bs_token_item (RUN: done; STOP) or < 0.
 *
 * seek: go to where another feed of the same options was.  Reads the pass again
 * up to there; -BS_EX_DATA where the tokens are not those that were read then.
 *
 * fill: fill the buffer.  -BS_EX_DATA where there are no tokens at all.
 */
int bs_feed_seek(struct bs_feed *f, const struct bs_feed_position *to,
                 struct bs_err *e) BS_CHECKED;
int bs_feed_fill(struct bs_feed *f, struct bs_err *e) BS_CHECKED;

/* After fill, before the first batch: tokens in the buffer; and n <= count of
 * them, f32 [n, width], evenly from all over it, which stay there. */
size_t bs_feed_count(const struct bs_feed *f);
void bs_feed_sample(const struct bs_feed *f, float *x, size_t n);

/* An enum bs_token_item with the batch f32 [batch, width], lent until the next
 * call, and where the feed is behind it; or < 0.  -BS_EX_DATA where a pass has
 * fewer tokens than a batch. */
int bs_feed_next(struct bs_feed *f, const float **x,
                 struct bs_feed_position *after, struct bs_err *e) BS_CHECKED;

#endif
