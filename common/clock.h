/*
 * clock.h - time that only goes forward, for rates and limits; never for
 * results.
 */
#ifndef BS_COMMON_CLOCK_H
#define BS_COMMON_CLOCK_H

/* Seconds since some moment in the past. */
double bs_clock(void);

#endif
