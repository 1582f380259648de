/*
 * eval_metrics.c - see eval_metrics.h.
 */
#include "cmd/models/eval_metrics.h"

const char *const bs_metric_group_names[BS_GROUPS] = {
    "reconstruction", "codes", "ood", "coactivation", "dictionary", "match"};

const struct bs_metric_info bs_metric_infos[BS_METRICS] = {
    [BS_M_RECORDS] = {"records", BS_GROUP_RECONSTRUCTION},
    [BS_M_TOKENS] = {"tokens", BS_GROUP_RECONSTRUCTION},
    [BS_M_R2] = {"r2", BS_GROUP_RECONSTRUCTION},
    [BS_M_R2_GLOBAL] = {"r2_global", BS_GROUP_RECONSTRUCTION},
    [BS_M_FVU] = {"fvu", BS_GROUP_RECONSTRUCTION},
    [BS_M_EXPLAINED_VARIANCE] = {"explained_variance", BS_GROUP_RECONSTRUCTION},
    [BS_M_MSE] = {"mse", BS_GROUP_RECONSTRUCTION},
    [BS_M_NORMALIZED_MSE] = {"normalized_mse", BS_GROUP_RECONSTRUCTION},
    [BS_M_AVG_L2] = {"avg_l2", BS_GROUP_RECONSTRUCTION},
    [BS_M_AVG_L1] = {"avg_l1", BS_GROUP_RECONSTRUCTION},
    [BS_M_RELATIVE_AVG_L2] = {"relative_avg_l2", BS_GROUP_RECONSTRUCTION},
    [BS_M_RELATIVE_AVG_L1] = {"relative_avg_l1", BS_GROUP_RECONSTRUCTION},
    [BS_M_COSINE] = {"cosine", BS_GROUP_RECONSTRUCTION},
    [BS_M_L2_RATIO] = {"l2_ratio", BS_GROUP_RECONSTRUCTION},
    [BS_M_L0] = {"l0", BS_GROUP_CODES},
    [BS_M_L0_SHARE] = {"l0_share", BS_GROUP_CODES},
    [BS_M_L1] = {"l1", BS_GROUP_CODES},
    [BS_M_HOYER] = {"hoyer", BS_GROUP_CODES},
    [BS_M_KAPPA_4] = {"kappa_4", BS_GROUP_CODES},
    [BS_M_EMPTY] = {"empty", BS_GROUP_CODES},
    [BS_M_ALIVE] = {"alive", BS_GROUP_CODES},
    [BS_M_DEAD] = {"dead", BS_GROUP_CODES},
    [BS_M_OOD] = {"ood", BS_GROUP_OOD},
    [BS_M_PAIRS] = {"pairs", BS_GROUP_COACTIVATION},
    [BS_M_CONNECTIVITY] = {"connectivity", BS_GROUP_COACTIVATION},
    [BS_M_MAX_CORRELATION] = {"max_correlation", BS_GROUP_COACTIVATION},
    [BS_M_FROBENIUS] = {"interference_frobenius", BS_GROUP_COACTIVATION},
    [BS_M_SPECTRAL] = {"interference_spectral", BS_GROUP_COACTIVATION},
    [BS_M_FROBENIUS_TOKEN] = {"interference_frobenius_token",
                              BS_GROUP_COACTIVATION},
    [BS_M_SPECTRAL_TOKEN] = {"interference_spectral_token",
                             BS_GROUP_COACTIVATION},
    [BS_M_CONCEPTS] = {"concepts", BS_GROUP_DICTIONARY},
    [BS_M_WIDTH] = {"width", BS_GROUP_DICTIONARY},
    [BS_M_NORM_MIN] = {"norm_min", BS_GROUP_DICTIONARY},
    [BS_M_NORM_MEAN] = {"norm_mean", BS_GROUP_DICTIONARY},
    [BS_M_NORM_MAX] = {"norm_max", BS_GROUP_DICTIONARY},
    [BS_M_ZERO_ATOMS] = {"zero_atoms", BS_GROUP_DICTIONARY},
    [BS_M_STABLE_RANK] = {"stable_rank", BS_GROUP_DICTIONARY},
    [BS_M_EFFECTIVE_RANK] = {"effective_rank", BS_GROUP_DICTIONARY},
    [BS_M_COHERENCE] = {"coherence", BS_GROUP_DICTIONARY},
    [BS_M_STABILITY] = {"stability", BS_GROUP_MATCH},
    [BS_M_STABILITY_GAP] = {"stability_gap", BS_GROUP_MATCH},
    [BS_M_STABILITY_SIGNED] = {"stability_signed", BS_GROUP_MATCH},
    [BS_M_STABILITY_SIGNED_GAP] = {"stability_signed_gap", BS_GROUP_MATCH},
    [BS_M_MAX_COSINE] = {"max_cosine", BS_GROUP_MATCH},
    [BS_M_MEAN_MAX_COSINE] = {"mean_max_cosine", BS_GROUP_MATCH},
    [BS_M_MEAN_MAX_COSINE_OTHER] = {"mean_max_cosine_other", BS_GROUP_MATCH},
};

static bool
is_name(const char *known, const char *name, size_t len)
{
    return strlen(known) == len && memcmp(known, name, len) == 0;
}

static int
unknown(const char *name, size_t len, struct bs_err *e)
{
    struct bs_buf list = {0};
    size_t i;
    int r = 0;

    for (i = 0; i < BS_GROUPS && r == 0; i++)
        r = bs_buf_printf(&list, e, "%s%s", i > 0 ? ", " : "",
                          bs_metric_group_names[i]);
    if (r == 0)
        r = bs_err_set(e, BS_EX_USAGE,
                       "unknown metric '%.*s'; known are those that the report "
                       "names, and the groups %.*s",
                       (int)(len < 60 ? len : 60), name, (int)list.len,
                       (const char *)list.data);
    bs_buf_release(&list);
    return r;
}

static int
choose_one(struct bs_metric_choice *c, const char *name, size_t len,
           struct bs_err *e)
{
    bool found = false;
    size_t i;

    for (i = 0; i < BS_METRICS; i++) {
        const struct bs_metric_info *m = &bs_metric_infos[i];

        if (is_name(m->name, name, len) ||
            is_name(bs_metric_group_names[m->group], name, len))
            found = c->metric[i] = true;
    }
    return found ? 0 : unknown(name, len, e);
}

int
bs_metric_choose(struct bs_metric_choice *c, const char *names,
                 struct bs_err *e)
{
    size_t i;
    int r = 0;

    *c = (struct bs_metric_choice){.named = names != NULL};
    for (i = 0; i < BS_METRICS; i++)
        c->metric[i] = names == NULL;
    while (names != NULL && r == 0) {
        size_t len = strcspn(names, ",");

        r = choose_one(c, names, len, e);
        names = names[len] == ',' ? names + len + 1 : NULL;
    }
    return r;
}

bool
bs_metric_wanted(const struct bs_metric_choice *c, enum bs_metric_group group)
{
    size_t i;

    for (i = 0; i < BS_METRICS; i++)
        if (c->metric[i] && bs_metric_infos[i].group == group)
            return true;
    return false;
}

bool
bs_metric_needs_features(const struct bs_metric_choice *c)
{
    return bs_metric_wanted(c, BS_GROUP_RECONSTRUCTION) ||
           bs_metric_wanted(c, BS_GROUP_CODES) ||
           bs_metric_wanted(c, BS_GROUP_OOD) ||
           bs_metric_wanted(c, BS_GROUP_COACTIVATION);
}
