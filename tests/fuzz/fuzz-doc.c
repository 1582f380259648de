/*
 * fuzz-doc.c - safetensors documents under all three sets of limits: never
 * crashes, tensors lie inside the document, and what is written again has the
 * same content.
 */
#include "formats/doc.h"
#include "tests/fuzz/target.h"

static void
write_again(const struct bs_doc *doc)
{
    struct bs_buf first = {0}, second = {0};
    struct bs_doc again = {0};
    struct bs_err e = {0};

    must(bs_doc_write(doc, &first, &e) == 0);
    must(bs_doc_parse(&again, first.data, first.len, &bs_doc_limits_file, &e) ==
         0);
    must(again.tensors == doc->tensors && again.metas == doc->metas);
    must(bs_doc_write(&again, &second, &e) == 0);
    must(first.len == second.len &&
         memcmp(first.data, second.data, first.len) == 0);
    bs_doc_release(&again);
    bs_buf_release(&first);
    bs_buf_release(&second);
}

static void
parse(const uint8_t *data, size_t len, const struct bs_doc_limits *limits)
{
    struct bs_doc doc = {0};
    struct bs_err e = {0}, f = {0};
    size_t need = 0, i;
    int r = bs_doc_parse(&doc, data, len, limits, &e);
    int m = bs_doc_measure(data, len, limits, &need, &f);

    must(r == 0 || (r == -BS_EX_DATA && e.text[0] != 0 && doc.own == NULL));
    must(r < 0 || (m == 1 && need == len));
    for (i = 0; i < doc.tensors; i++) {
        const uint8_t *at = doc.tensor[i].data;

        must(at >= data && at + doc.tensor[i].bytes <= data + len);
        must(bs_doc_tensor(&doc, doc.tensor[i].name) == &doc.tensor[i]);
    }
    if (r == 0)
        write_again(&doc);
    bs_doc_release(&doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    parse(data, len, &bs_doc_limits_head);
    parse(data, len, &bs_doc_limits_record);
    parse(data, len, &bs_doc_limits_file);
    return 0;
}
