/*
 * unicode_own.h - the tables behind unicode.h.  Private to formats/.
 */
#ifndef BS_FORMATS_UNICODE_OWN_H
#define BS_FORMATS_UNICODE_OWN_H

#include "common/bs.h"

/* Letters first, first + step, ... last, whose lower case is at a distance. */
struct bs_unicode_lower {
    uint32_t first, last;
    int32_t step, distance;
};

/* A canonical decomposition, in the order of `whole`; second may be 0. */
struct bs_unicode_pair {
    uint32_t whole, first, second;
};

/* Code point << 8 | value, where a value begins: properties of unicode.h, and
 * canonical combining classes. */
extern const uint32_t bs_unicode_runs[], bs_unicode_classes[];
extern const size_t bs_unicode_runs_count, bs_unicode_classes_count;
extern const struct bs_unicode_lower bs_unicode_lower[];
extern const size_t bs_unicode_lower_count;
extern const struct bs_unicode_pair bs_unicode_pairs[];
extern const size_t bs_unicode_pairs_count;
/* Which pairs compose again, in the order of (first, second). */
extern const uint16_t bs_unicode_composites[];
extern const size_t bs_unicode_composites_count;

#endif
