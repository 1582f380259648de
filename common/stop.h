/*
 * stop.h - end early and cleanly: SIGTERM, SIGINT or a time limit.
 *
 * A command asks bs_stop_wanted() between records; when true it finishes the
 * record in hand, ends its stream with status partial and exits with 75.  A
 * second signal ends the process at once.
 */
#ifndef BS_COMMON_STOP_H
#define BS_COMMON_STOP_H

#include "common/bs.h"

/* seconds 0: no limit. */
void bs_stop_install(uint64_t seconds);
/* On any thread. */
bool bs_stop_wanted(void);
/* "SIGTERM", "SIGINT" or "time limit"; NULL while none. */
const char *bs_stop_reason(void);

#endif
