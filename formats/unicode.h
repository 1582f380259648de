/*
 * unicode.h - what tokenizers ask of characters: kind, lower case, normal form.
 *
 * Everything is that of Unicode 14.0.0, as Python 3.11 has it, whatever the
 * machine: the tables are our own because the ids of a caption must not depend
 * on the version of a system's library.  Source: the Unicode Character
 * Database; UAX #15 for the normal form, Unicode 14 section 3.13 for the final
 * sigma.
 */
#ifndef BS_FORMATS_UNICODE_H
#define BS_FORMATS_UNICODE_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

enum bs_unicode_properties {
    BS_UNICODE_LETTER = 1 << 0,   /* general category L* */
    BS_UNICODE_NUMBER = 1 << 1,   /* N* */
    BS_UNICODE_OTHER = 1 << 2,    /* C*: control, format, private, unassigned */
    BS_UNICODE_SPACE = 1 << 3,    /* Zs */
    BS_UNICODE_CASED = 1 << 4,    /* Cased and not Case_Ignorable */
    BS_UNICODE_IGNORABLE = 1 << 5 /* Case_Ignorable */
};

/* Code points, growable.  Zero-initialised means empty. */
struct bs_text32 {
    uint32_t *at;
    size_t len;
    size_t room; /* private */
};

unsigned bs_unicode_of(uint32_t c);
/* The property White_Space: of \s in a regular expression. */
bool bs_unicode_white(uint32_t c);

/* Append one code point, or those of UTF-8 text; -BS_EX_DATA, "byte N: not
 * UTF-8". */
int bs_text32_put(struct bs_text32 *t, uint32_t c, struct bs_err *e) BS_CHECKED;
int bs_text32_utf8(struct bs_text32 *t, const char *s, size_t len,
                   struct bs_err *e) BS_CHECKED;
void bs_text32_release(struct bs_text32 *t);

/* Append the lower case of one character on its own: itself, or one or two. */
int bs_text32_put_lower(struct bs_text32 *t, uint32_t c,
                        struct bs_err *e) BS_CHECKED;
/* Append the lower case of a string, as Python's str.lower() gives it. */
int bs_text32_lower(struct bs_text32 *t, const uint32_t *s, size_t len,
                    struct bs_err *e) BS_CHECKED;

/* Bring t to the normal form NFC, in time linear in its length. */
int bs_text32_nfc(struct bs_text32 *t, struct bs_err *e) BS_CHECKED;

#endif
