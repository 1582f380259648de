/*
 * fuzz-json.c - the JSON reader: never crashes, and what it writes again reads
 * as the same.
 */
#include "formats/json.h"
#include "tests/fuzz/target.h"

static void
write_again(const struct bs_json *root, unsigned flags)
{
    struct bs_buf first = {0}, second = {0};
    struct bs_json_doc *doc;
    struct bs_err e = {0};

    must(bs_json_write(&first, root, &e) == 0);
    must(bs_json_parse(&doc, (const char *)first.data, first.len, flags, &e) ==
         0);
    must(bs_json_write(&second, bs_json_root(doc), &e) == 0);
    must(first.len == second.len &&
         memcmp(first.data, second.data, first.len) == 0);
    bs_json_free(doc);
    bs_buf_release(&first);
    bs_buf_release(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned flags;

    for (flags = 0; flags <= BS_JSON_NONFINITE; flags++) {
        struct bs_json_doc *doc;
        struct bs_err e = {0};
        int r = bs_json_parse(&doc, (const char *)data, len, flags, &e);

        must(r == 0 || (r == -BS_EX_DATA && doc == NULL && e.text[0] != 0));
        if (r == 0)
            write_again(bs_json_root(doc), flags);
        bs_json_free(r == 0 ? doc : NULL);
    }
    return 0;
}
