/*
 * banned.h - functions whose use is a compile error, with what to call instead.
 */
#ifndef BS_COMMON_BANNED_H
#define BS_COMMON_BANNED_H

/* The headers come first: they must not see the names poisoned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gets
#undef atoi
#undef atol
#undef atoll
#undef atof
#define strcpy(d, s) bs_banned_use_memcpy_or_bs_buf
#define strcat(d, s) bs_banned_use_bs_buf
#define strncpy(d, s, n) bs_banned_use_memcpy
#define strncat(d, s, n) bs_banned_use_bs_buf
#define sprintf(...) bs_banned_use_snprintf
#define vsprintf(...) bs_banned_use_vsnprintf
#define strtok(s, d) bs_banned_use_strcspn
#define gets(s) bs_banned_use_bs_read
#define atoi(s) bs_banned_use_bs_num
#define atol(s) bs_banned_use_bs_num
#define atoll(s) bs_banned_use_bs_num
#define atof(s) bs_banned_use_bs_num

#endif
