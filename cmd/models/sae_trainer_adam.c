/*
 * sae_trainer_adam.c - the numbers of each step, and parameters brought up to
 * one.
 */
#include "cmd/models/sae_trainer_own.h"

#include "common/mem.h"

#include <math.h>

#define PI 3.14159265358979323846

double
bs_trainer_rate(const struct bs_trainer_options *o, uint64_t i)
{
    double along;

    if (i < o->warmup)
        return o->warmup > 1 ? o->rate * (double)i / (double)(o->warmup - 1)
                             : 0;
    if (o->steps == 0)
        return o->rate;
    if (i >= o->steps)
        return o->rate_end;
    along = (double)(i - o->warmup) / (double)(o->steps - o->warmup);
    return o->rate_end + 0.5 * (o->rate - o->rate_end) * (1 + cos(PI * along));
}

int
bs_trainer_steps(struct bs_trainer *t, uint32_t step, struct bs_err *e)
{
    size_t room = t->steps_room, i;
    struct bs_adam_step *steps;

    if (step < room)
        return 0;
    room = 2 * (size_t)step + 1024;
    steps = bs_alloc_array(room, sizeof *steps);
    if (steps == NULL)
        return bs_err_memory(e, "steps", room * sizeof *steps);
    for (i = 1; i < room; i++) {
        double rate = bs_trainer_rate(&t->o, i - 1);

        steps[i].keep = (float)(1 - rate * t->o.decay);
        steps[i].rate = (float)(rate / (1 - pow(t->o.beta1, (double)i)));
        steps[i].root = (float)sqrt(1 - pow(t->o.beta2, (double)i));
    }
    bs_free(t->steps);
    t->steps = steps;
    t->steps_room = room;
    return 0;
}

int
bs_trainer_adam(struct bs_trainer *t, enum bs_trainer_param which, uint32_t now,
                const struct bs_adam_grad *g, struct bs_err *e)
{
    const struct bs_trainer_tensor *p = &t->param[which];
    const struct bs_adam adam = {
        .steps = t->steps,
        .now = now,
        .toward1 = (float)(1 - t->o.beta1),
        .keep2 = (float)t->o.beta2,
        .toward2 = (float)(1 - t->o.beta2),
        .eps = (float)t->o.eps,
        .project = p->project,
        .radius = p->radius,
    };

    if (p->at.cols == 0)
        return 0;
    if (bs_dev_adam(t->dev, &adam, &p->at, g) < 0)
        return bs_trainer_failed(t, e);
    return 0;
}

int
bs_trainer_catch_up(struct bs_trainer *t, struct bs_err *e)
{
    int r = bs_trainer_steps(t, t->step, e);
    size_t j;

    for (j = 0; j < t->o.concepts; j++)
        t->list[j] = (uint32_t)j;
    return r == 0 && t->step > 0
               ? bs_trainer_dict_ready(t, t->list, t->o.concepts, e)
               : r;
}
