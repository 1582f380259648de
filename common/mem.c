/*
 * mem.c - see mem.h.  Growth is by half, so n appends cost O(n).
 */
#include "common/mem.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

bool
bs_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool
bs_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

void *
bs_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX - BS_ALIGN)
        return NULL;
    bytes = bytes > 0 ? BS_ROUND_UP(bytes, BS_ALIGN) : BS_ALIGN;
    return aligned_alloc(BS_ALIGN, bytes);
}

void *
bs_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    void *p;

    if (!bs_mul(count, size, &bytes))
        return NULL;
    p = bs_alloc(bytes);
    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

void
bs_free(void *p)
{
    free(p);
}

void
bs_map_forget(const void *p, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)p / page * page;

    /* advice: what fails changes nothing */
    (void)madvise((void *)start, (uintptr_t)p + bytes - start, MADV_DONTNEED);
}

char *
bs_strdup(const char *s)
{
    size_t len = strlen(s) + 1;
    char *copy = bs_alloc(len);

    if (copy != NULL)
        memcpy(copy, s, len);
    return copy;
}

int
bs_buf_reserve(struct bs_buf *b, size_t room, struct bs_err *e)
{
    size_t want = b->room + b->room / 2;
    uint8_t *data;

    if (room <= b->room)
        return 0;
    if (want < room)
        want = room;
    data = bs_alloc(want);
    if (data == NULL && want > room) {
        want = room;
        data = bs_alloc(want);
    }
    if (data == NULL)
        return bs_err_memory(e, "buffer", want);
    if (b->len > 0)
        memcpy(data, b->data, b->len);
    bs_free(b->data);
    b->data = data;
    b->room = want;
    return 0;
}

/* Make room for `len` more bytes. */
static int
grow(struct bs_buf *b, size_t len, struct bs_err *e)
{
    size_t room;

    if (!bs_add(b->len, len, &room))
        return bs_err_memory(e, "buffer", len);
    return bs_buf_reserve(b, room, e);
}

int
bs_buf_add(struct bs_buf *b, const void *data, size_t len, struct bs_err *e)
{
    int r = grow(b, len, e);

    if (r == 0 && len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
    return r;
}

int
bs_buf_fill(struct bs_buf *b, int byte, size_t len, struct bs_err *e)
{
    int r = grow(b, len, e);

    if (r == 0 && len > 0) {
        memset(b->data + b->len, byte, len);
        b->len += len;
    }
    return r;
}

int
bs_buf_str(struct bs_buf *b, const char *s, struct bs_err *e)
{
    return bs_buf_add(b, s, strlen(s), e);
}

int
bs_buf_printf(struct bs_buf *b, struct bs_err *e, const char *fmt, ...)
{
    va_list ap;
    int len, r;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return bs_err_set(e, BS_EX_SOFTWARE, "cannot format '%s'", fmt);
    r = grow(b, (size_t)len + 1, e);
    if (r < 0)
        return r;
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
    return 0;
}

void
bs_buf_release(struct bs_buf *b)
{
    bs_free(b->data);
    *b = (struct bs_buf){0};
}
