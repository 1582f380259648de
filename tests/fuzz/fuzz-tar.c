/*
 * fuzz-tar.c - archives as records: whatever an archive holds, a record that
 * comes out of it is one that a stream may hold, and the segment around the
 * records is proven.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "common/io.h"
#include "formats/segment.h"
#include "formats/stream.h"
#include "formats/wds.h"
#include "tests/fuzz/target.h"

enum { ITEMS_MAX = 1000, RECORD_MAX = 1 << 20 };

static int
nothing(void *arg, const char *name, const void *data, size_t len,
        struct bs_err *e)
{
    size_t *bytes = arg;

    (void)e;
    must(strchr(name, '.') != NULL && name[0] != '/');
    must(strstr(name, "../") == NULL || strstr(name, "./") > strchr(name, '.'));
    must(data != NULL || len == 0);
    *bytes += len;
    return 0;
}

static void
check_record(struct bs_segment *s, const struct bs_doc *from)
{
    const struct bs_doc *doc;
    struct bs_err e = {0};
    size_t bytes = 0, i;

    if (bs_segment_record(s, from, &doc, &e) < 0)
        return;
    must(bs_key_valid(bs_doc_meta(doc, "key")));
    for (i = 0; i < doc->tensors; i++)
        must((uintptr_t)doc->tensor[i].data %
                 bs_dtype_size(doc->tensor[i].dtype) ==
             0);
    must(bs_wds_write(doc, nothing, &bytes, &e) == 0);
}

static void
read_all(struct bs_wds *w)
{
    struct bs_segment s = {.records = 0};
    const struct bs_doc *lent;
    struct bs_err e = {0};
    struct bs_doc *doc;
    int i, r = 1;

    bs_xxh64_init(&s.hash, 0);
    for (i = 0; i < ITEMS_MAX && r > 0; i++) {
        struct bs_err refused = {0};

        r = bs_wds_next(w, &doc, &e);
        if (r == BS_ITEM_RECORD)
            check_record(&s, doc);
        else if (r == BS_ITEM_HEAD)
            must(bs_segment_head(&s, doc, &lent, &refused) == 0);
        else if (r == BS_ITEM_END &&
                 bs_segment_end(&s, doc, &lent, &refused) < 0)
            r = 0;
    }
    must(r >= 0 || e.text[0] != '\0');
    bs_segment_release(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bs_archive *archive;
    struct bs_plain *plain;
    struct bs_err e = {0};
    struct bs_wds *w;
    int fd = memfd_create("tar", MFD_CLOEXEC);

    must(fd >= 0 && bs_write(fd, data, len) == 0 &&
         lseek(fd, 0, SEEK_SET) == 0);
    if (bs_plain_open(&plain, fd, NULL, 0, &e) == 0 &&
        bs_archive_open(&archive, plain, &e) == 0 &&
        bs_wds_open(&w, archive, RECORD_MAX, &e) == 0) {
        read_all(w);
        bs_wds_close(w);
    }
    close(fd);
    return 0;
}
