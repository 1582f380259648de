/*
 * utf8.h - characters of Unicode as bytes.
 */
#ifndef BS_FORMATS_UTF8_H
#define BS_FORMATS_UTF8_H

#include "common/bs.h"

/* Bytes of the character at the start of len bytes; 0 if there is none, or one
 * that is overlong, a surrogate or beyond U+10FFFF. */
size_t bs_utf8_length(const char *s, size_t len);

/* Write a code point; returns the bytes it took, 4 at most. */
size_t bs_utf8_put(char *out, uint32_t c);

#endif
