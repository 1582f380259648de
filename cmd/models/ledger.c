/*
 * ledger.c - see ledger.h.
 */
#include "cmd/models/ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/io.h"
#include "formats/json.h"

int
bs_ledger_open(struct bs_ledger *l, const char *path, struct bs_err *e)
{
    *l = (struct bs_ledger){.fd = -1};
    if (path == NULL)
        return 0;
    l->fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    return l->fd >= 0
               ? 0
               : bs_err_errno(e, BS_EX_IO, "cannot write log '%s'", path);
}

/* ,"name":"text", or null without one. */
static int
add_text(struct bs_buf *b, const char *name, const char *text, struct bs_err *e)
{
    int r = bs_buf_printf(b, e, ",\"%s\":", name);

    if (r < 0)
        return r;
    return text != NULL ? bs_json_quote(b, text, e) : bs_buf_str(b, "null", e);
}

/* ,"name":number, or null where it is 0: not known. */
static int
add_number(struct bs_buf *b, const char *name, size_t number, struct bs_err *e)
{
    return number > 0 ? bs_buf_printf(b, e, ",\"%s\":%zu", name, number)
                      : bs_buf_printf(b, e, ",\"%s\":null", name);
}

static int
format_line(struct bs_buf *b, const struct bs_found *f, struct bs_err *e)
{
    int r;

    b->len = 0;
    r = bs_buf_printf(b, e, "{\"i\":%ju", (uintmax_t)f->index);
    if (r == 0)
        r = add_text(b, "key", f->key, e);
    if (r == 0)
        r = add_text(b, "src", f->src, e);
    if (r == 0)
        r = add_text(b, "status", bs_gather_status_name(f->status), e);
    if (r == 0)
        r = bs_buf_printf(b, e, ",\"bytes\":%zu", f->bytes);
    if (r == 0)
        r = add_number(b, "width", f->width, e);
    if (r == 0)
        r = add_number(b, "height", f->height, e);
    if (r == 0)
        r = add_text(b, "sha256", f->sha256[0] != '\0' ? f->sha256 : NULL, e);
    if (r == 0)
        r = add_text(b, "message", f->message, e);
    return r == 0 ? bs_buf_str(b, "}\n", e) : r;
}

int
bs_ledger_add(struct bs_ledger *l, const struct bs_found *f, struct bs_err *e)
{
    int r;

    l->total++;
    l->count[f->status]++;
    if (l->fd < 0)
        return 0;
    r = format_line(&l->line, f, e);
    if (r == 0 && bs_write(l->fd, l->line.data, l->line.len) < 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write the log");
    return r;
}

int
bs_ledger_stats(const struct bs_ledger *l, struct bs_buf *out, struct bs_err *e)
{
    int r = bs_buf_printf(out, e, "{\"candidates\":%ju", (uintmax_t)l->total);
    unsigned i;

    for (i = 0; i < BS_GATHER_STATUSES && r == 0; i++)
        if (l->count[i] > 0)
            r = bs_buf_printf(out, e, ",\"%s\":%ju", bs_gather_status_name(i),
                              (uintmax_t)l->count[i]);
    return r == 0 ? bs_buf_add(out, "}", 2, e) : r;
}

bool
bs_ledger_clean(const struct bs_ledger *l)
{
    return l->count[BS_GATHER_OK] == l->total && l->total >= l->wanted &&
           l->strays == 0 && l->cuts == 0 && l->stopped == NULL;
}

int
bs_ledger_summary(const struct bs_ledger *l, struct bs_buf *out,
                  struct bs_err *e)
{
    int r = bs_buf_printf(out, e, "%ju candidate%s: %ju ok",
                          (uintmax_t)l->total, l->total != 1 ? "s" : "",
                          (uintmax_t)l->count[BS_GATHER_OK]);
    unsigned i;

    for (i = 0; i < BS_GATHER_STATUSES && r == 0; i++)
        if (l->count[i] > 0 && i != BS_GATHER_OK)
            r = bs_buf_printf(out, e, ", %ju %s", (uintmax_t)l->count[i],
                              bs_gather_status_name(i));
    if (r == 0 && l->count[BS_GATHER_OK] < l->wanted)
        r = bs_buf_printf(out, e, "; a sample of %ju was asked for",
                          (uintmax_t)l->wanted);
    if (r == 0 && l->strays > 0)
        r = bs_buf_printf(out, e,
                          "; %ju captions do not stand beside their picture",
                          (uintmax_t)l->strays);
    if (r == 0 && l->cuts > 0)
        r = bs_buf_printf(out, e, "; %ju archive%s may be cut",
                          (uintmax_t)l->cuts, l->cuts != 1 ? "s" : "");
    if (r == 0 && l->stopped != NULL)
        r = bs_buf_printf(out, e, "; ended early: %s", l->stopped);
    return r == 0 ? bs_buf_add(out, "", 1, e) : r;
}

int
bs_ledger_close(struct bs_ledger *l, struct bs_err *e)
{
    int r = 0;

    bs_buf_release(&l->line);
    if (l->fd >= 0 && close(l->fd) != 0)
        r = bs_err_errno(e, BS_EX_IO, "cannot write the log");
    l->fd = -1;
    return r;
}
