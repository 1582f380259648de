/*
 * mem.h - checked sizes, aligned memory, growable bytes.
 *
 * Ownership: what bs_alloc gives is freed with bs_free; a bs_buf owns its
 * bytes until bs_buf_release.  Nothing here aborts: out of memory is NULL or a
 * negative result.
 */
#ifndef BS_COMMON_MEM_H
#define BS_COMMON_MEM_H

#include "common/bs.h"
#include "common/err.h"

/* *out = a * b; false on overflow. */
bool bs_mul(size_t a, size_t b, size_t *out) BS_CHECKED;
bool bs_add(size_t a, size_t b, size_t *out) BS_CHECKED;

/* `bytes` bytes at a multiple of BS_ALIGN, not cleared; NULL where there is no
 * memory.  bytes 0 gives a valid pointer. */
void *bs_alloc(size_t bytes) BS_CHECKED;
/* The same for an array, NULL also where count * size overflows; cleared. */
void *bs_alloc_array(size_t count, size_t size) BS_CHECKED;
void bs_free(void *p);

/* Give the memory behind p[0..bytes), read-only and mapped from a file, back:
 * what is read there again is filled from the file again. */
void bs_map_forget(const void *p, size_t bytes);

char *bs_strdup(const char *s) BS_CHECKED;

/* Growable bytes, BS_ALIGN-aligned.  Zero-initialised means empty. */
struct bs_buf {
    uint8_t *data;
    size_t len;
    size_t room;
};

/* Room for `room` bytes in all; 0 or -BS_EX_OSERR. */
int bs_buf_reserve(struct bs_buf *b, size_t room, struct bs_err *e) BS_CHECKED;
int bs_buf_add(struct bs_buf *b, const void *data, size_t len,
               struct bs_err *e) BS_CHECKED;
int bs_buf_fill(struct bs_buf *b, int byte, size_t len,
                struct bs_err *e) BS_CHECKED;
int bs_buf_str(struct bs_buf *b, const char *s, struct bs_err *e) BS_CHECKED;
int bs_buf_printf(struct bs_buf *b, struct bs_err *e, const char *fmt,
                  ...) BS_CHECKED BS_PRINTF(3, 4);
void bs_buf_release(struct bs_buf *b);

#endif
