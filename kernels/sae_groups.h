/*
 * sae_groups.h - codes by concept, a counting sort in host memory: codes are
 * few, also for a GPU, which is sent the result.  Private to kernels/.
 */
#ifndef BS_KERNELS_SAE_GROUPS_H
#define BS_KERNELS_SAE_GROUPS_H

#include "kernels/sae_train_ops.h"

/* Every backend's groups begin with it.  Zero-initialised means empty. */
struct bs_group_sort {
    struct bs_groups head;
    size_t room_places, room_concepts;
    uint32_t *start;  /* [n + 1]: codes of each concept */
    uint32_t *token;  /* of each code, in the order of concepts and tokens */
    uint32_t *place;  /* where it came from */
    uint32_t *counts; /* [concepts]; private */
};

/* Sort codes; what g held before is lost. */
int bs_group_codes(struct bs_group_sort *g, const struct bs_code_rows *codes,
                   size_t concepts, struct bs_err *e) BS_CHECKED;
void bs_group_release(struct bs_group_sort *g);

#endif
