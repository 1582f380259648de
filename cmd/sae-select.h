/*
 * sae-select.h - options that change which pre-activations become codes, for
 * the commands that encode.
 */
#ifndef BS_CMD_SAE_SELECT_H
#define BS_CMD_SAE_SELECT_H

#include <math.h>

#include "cmd/models/sae.h"
#include "common/opt.h"

struct bs_sae_choice {
    int select; /* -1: as the model says */
    uint64_t k; /* 0: the model's */
    double tau; /* NaN: the model's */
};
#define BS_SAE_CHOICE_DEFAULT     \
    {                             \
        .select = -1, .tau = NAN, \
    }

/* Rows for an option table. */
#define BS_SAE_CHOICE(c)                                                     \
    OPT_ENUM(0, "select", "rule", &(c)->select, bs_sae_select_names,         \
             "topk, batchtopk, threshold, jumprelu (default: the model's)"), \
        OPT_U64('k', "top", "n", &(c)->k, 1, 1024,                           \
                "codes a token, with topk (default: the model's)"),          \
        OPT_F64(0, "tau", "value", &(c)->tau,                                \
                "least code, with threshold and batchtopk (default: the "    \
                "model's)")

/* Change the model's own selection; exits with 64 for what does not go
 * together. */
void bs_sae_choose(const struct bs_cmd *cmd, const struct bs_sae_choice *c,
                   struct bs_sae *s);

#endif
