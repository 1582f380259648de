/*
 * sae-select.c - see sae-select.h.
 */
#include "cmd/sae-select.h"

void
bs_sae_choose(const struct bs_cmd *cmd, const struct bs_sae_choice *c,
              struct bs_sae *s)
{
    if (c->select >= 0)
        s->select = (enum bs_sae_select)c->select;
    if (c->k > 0)
        s->k = (uint32_t)c->k;
    if (!isnan(c->tau))
        s->tau = (float)c->tau;
    if (c->k > 0 && s->select != BS_SAE_TOPK)
        bs_opt_misuse(cmd, "'-k' belongs to '--select=topk'");
    if (!isnan(c->tau) && s->select != BS_SAE_THRESHOLD &&
        s->select != BS_SAE_BATCH_TOPK)
        bs_opt_misuse(cmd, "'--tau' belongs to '--select=threshold'");
    if (c->k > s->concepts)
        bs_opt_misuse(cmd, "'-k' is at most %zu, the model's concepts",
                      s->concepts);
    if (s->select == BS_SAE_TOPK && s->k < 1)
        bs_opt_misuse(cmd, "the model says no k: 'topk' needs '-k'");
    if (s->select == BS_SAE_JUMPRELU && s->taus == NULL)
        bs_opt_misuse(cmd, "the model has no thresholds for 'jumprelu'");
    if (s->select != BS_SAE_TOPK && s->select != BS_SAE_JUMPRELU &&
        !(s->tau > 0))
        bs_opt_misuse(cmd, isnan(c->tau) ? "the model says no threshold: "
                                           "'--tau' is needed"
                                         : "'--tau' must be above 0");
}
