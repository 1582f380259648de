/*
 * gen_steps.h - a choice of evaluations of the UNet, as "0,25,49".
 */
#ifndef BS_MODELS_GEN_STEPS_H
#define BS_MODELS_GEN_STEPS_H

#include "common/bs.h"
#include "common/err.h"

/*
 * chosen[i], of `count` evaluations, becomes whether `text` names i: numbers
 * from 0, ranges A-B, and the words first, middle (count / 2), last and all,
 * with commas between them.  Returns how many are chosen; -BS_EX_USAGE for
 * anything else, and for one that the run does not have.
 */
ptrdiff_t bs_gen_steps(bool *chosen, size_t count, const char *text,
                       struct bs_err *e) BS_CHECKED;

#endif
