/*
 * fuzz-caption-list.c - lists of captions: never a crash, every record has a
 * valid key of its own and text that is UTF-8, and errors name a line.  The
 * first byte chooses the format and whether columns are named.
 */
#include "cmd/models/caption_list.h"

#include <fcntl.h>
#include <unistd.h>

#include "formats/archive.h"
#include "formats/keyset.h"
#include "formats/utf8.h"
#include "tests/fuzz/target.h"

static const struct bs_caption_columns named[] = {
    {BS_TABLE_AUTO, NULL, NULL},
    {BS_TABLE_AUTO, "what", NULL},
    {BS_TABLE_AUTO, NULL, "who"},
    {BS_TABLE_AUTO, "what", "who"},
};

static void
check_text(const char *s)
{
    size_t left = strlen(s), n;

    for (; left > 0; s += n, left -= n) {
        n = bs_utf8_length(s, left);
        must(n > 0);
    }
}

static void
check_record(const struct bs_doc *doc, struct bs_keyset *keys)
{
    const char *key = bs_doc_meta(doc, "key");
    const char *caption = bs_doc_meta(doc, "caption");
    struct bs_buf bytes = {0};
    struct bs_err e = {0};
    size_t i;

    must(doc->tensors == 0);
    must(key != NULL && bs_key_valid(key));
    must(bs_keyset_add(keys, key, 0, &e) == 1);
    /* a byte may become the three of U+FFFD */
    must(caption == NULL || strlen(caption) <= 3 * (size_t)BS_CAPTION_ROW_MAX);
    for (i = 0; i < doc->metas; i++)
        check_text(doc->meta[i].value);
    must(bs_doc_write(doc, &bytes, &e) == 0);
    bs_buf_release(&bytes);
}

static void
read_list(struct bs_caption_list *l, struct bs_err *e)
{
    struct bs_keyset keys = {0};
    struct bs_doc *doc;
    int r;

    while ((r = bs_caption_list_next(l, &doc, e)) > 0)
        check_record(doc, &keys);
    must(r == 0 || (r == -e->code && strncmp(e->text, "line ", 5) == 0));
    bs_keyset_release(&keys);
    bs_caption_list_close(l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct bs_caption_columns columns;
    struct bs_caption_list *l;
    struct bs_plain *plain;
    struct bs_err e = {0};
    int r;

    must(fd >= 0);
    if (len > 0)
        (void)bs_caption_list_sniff(data + 1, len - 1);
    if (len > 0 && bs_plain_open(&plain, fd, data + 1, len - 1, &e) == 0) {
        columns = named[data[0] / 8 % BS_LEN(named)];
        columns.format = data[0] % 8 % (BS_TABLE_JSONL + 1);
        r = bs_caption_list_open(&l, plain, &columns, &e);
        must(r == 0 || (r == -e.code && l == NULL));
        if (r == 0)
            read_list(l, &e);
    }
    must(e.code == 0 || e.text[0] != '\0');
    close(fd);
    return 0;
}
