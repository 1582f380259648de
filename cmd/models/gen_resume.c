/*
 * gen_resume.c - see gen_resume.h.
 */
#include "cmd/models/gen_resume.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/mem.h"
#include "formats/stream.h"

struct bs_gen_resume {
    struct bs_reader *reader;
    int fd;
    const char *path;
    const struct bs_doc *doc; /* the item that is next, lent by the reader */
    int item;                 /* 0: there is no more */
    bool taken;               /* it was lent; the next is to be read */
};

int
bs_gen_resume_open(struct bs_gen_resume **out, const char *path,
                   size_t max_record, struct bs_err *e)
{
    struct bs_gen_resume *r = bs_alloc_array(1, sizeof *r);
    int failed;

    *out = NULL;
    if (r == NULL)
        return bs_err_memory(e, "resume", sizeof *r);
    r->path = path;
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    failed = r->fd < 0
                 ? bs_err_errno(e, BS_EX_NOINPUT, "cannot open '%s'", path)
                 : bs_reader_open(&r->reader, r->fd, path, BS_READER_PARTIAL,
                                  max_record, e);
    if (failed < 0) {
        bs_gen_resume_close(r);
        return failed;
    }
    *out = r;
    return 0;
}

void
bs_gen_resume_close(struct bs_gen_resume *r)
{
    if (r == NULL)
        return;
    bs_reader_close(r->reader);
    if (r->fd >= 0)
        close(r->fd);
    bs_free(r);
}

/* Go on to the next item: one that is damaged or not there is the end. */
static int
advance(struct bs_gen_resume *r, struct bs_err *e)
{
    r->taken = false;
    r->item = bs_reader_next(r->reader, &r->doc);
    if (r->item >= 0)
        return 0;
    r->item = 0;
    if (bs_reader_error(r->reader)->code == BS_EX_DATA)
        return 0;
    *e = *bs_reader_error(r->reader);
    return bs_err_prefix(e, "cannot read '%s'", r->path);
}

int
bs_gen_resume_agree(struct bs_gen_resume *r, const struct bs_doc *head,
                    struct bs_err *e)
{
    static const char *const names[] = {"bs.kind", "bs.params", "bs.model",
                                        "bs.seed"};
    size_t i;
    int failed = advance(r, e);

    while (failed == 0 && r->item != 0 && r->item != BS_ITEM_HEAD)
        failed = advance(r, e);
    if (failed < 0 || r->item == 0)
        return failed;
    for (i = 0; i < BS_LEN(names); i++) {
        const char *a = bs_doc_meta(head, names[i]);
        const char *b = bs_doc_meta(r->doc, names[i]);

        if ((a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0))
            return bs_err_set(e, BS_EX_DATA,
                              "'%s' was made otherwise: its %s is %.150s, not "
                              "%.150s",
                              r->path, names[i], b != NULL ? b : "not there",
                              a != NULL ? a : "not there");
    }
    r->taken = true;
    return 0;
}

int
bs_gen_resume_find(struct bs_gen_resume *r, const char *key,
                   struct bs_gen_made *made, struct bs_err *e)
{
    if (r->taken && advance(r, e) < 0)
        return -e->code;
    if (r->item != BS_ITEM_RECORD ||
        strcmp(bs_doc_meta(r->doc, "key"), key) != 0)
        return 0;
    made->bytes = bs_reader_bytes(r->reader, &made->len);
    made->flagged = bs_doc_meta(r->doc, "flagged") != NULL;
    r->taken = true;
    return 1;
}
