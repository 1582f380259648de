/*
 * embed_run.h - bs-embed's stage of a relay: images to features.
 */
#ifndef BS_MODELS_EMBED_RUN_H
#define BS_MODELS_EMBED_RUN_H

#include "cmd/models/embed.h"
#include "cmd/models/relay.h"

struct bs_embed_run {
    struct bs_embed *embed; /* whose sink writes to the relay's writer */
    bool provenance;
    uint64_t overflows; /* of the segments that ended */
};

/* The stage, whose arg is `run`.  A segment whose records are all skipped is
 * -BS_EX_DATA. */
struct bs_stage bs_embed_stage(struct bs_embed_run *run);

#endif
