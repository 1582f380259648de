/*
 * sink_text.c - see sink.h: records as text.
 *
 * Lines are TSV: a tab, a line's end or any other control character in a name
 * comes out as \xNN.  Numbers are the shortest that read back as the same
 * value.
 */
#include <inttypes.h>
#include <math.h>

#include "cmd/models/sink.h"
#include "formats/json.h"

enum { FLUSH_BYTES = 1 << 16 };

struct text {
    struct bs_sink base;
    enum bs_text_kind kind;
    struct bs_out out;
    struct bs_buf buf; /* not yet written */
};

static int
flush(struct text *t, size_t least, struct bs_err *e)
{
    if (t->buf.len < least || t->buf.len == 0)
        return 0;
    if (bs_write(t->out.fd, t->buf.data, t->buf.len) < 0)
        return bs_err_errno(e, BS_EX_IO, "cannot write '%s'", t->out.name);
    t->buf.len = 0;
    return 0;
}

/* ---- list ---------------------------------------------------------------- */

static int
add_escaped(struct bs_buf *b, const char *s, struct bs_err *e)
{
    int r = 0;

    for (; *s != '\0' && r == 0; s++) {
        unsigned char c = (unsigned char)*s;

        r = c < 0x20 || c == 0x7f ? bs_buf_printf(b, e, "\\x%02x", c)
                                  : bs_buf_add(b, s, 1, e);
    }
    return r;
}

/* NAME:DTYPE[SHAPE] */
static int
add_tensor(struct bs_buf *b, const struct bs_tensor *x, struct bs_err *e)
{
    int r = add_escaped(b, x->name, e);
    unsigned i;

    if (r == 0)
        r = bs_buf_printf(b, e, ":%s[", bs_dtype_name(x->dtype));
    for (i = 0; i < x->rank && r == 0; i++)
        r = bs_buf_printf(b, e, "%s%" PRIu64, i > 0 ? "," : "", x->shape[i]);
    return r < 0 ? r : bs_buf_str(b, "]", e);
}

static int
list_record(struct bs_buf *b, const struct bs_doc *doc, struct bs_err *e)
{
    int r = add_escaped(b, bs_doc_meta(doc, "key"), e);
    size_t i;

    for (i = 0; i < doc->tensors && r == 0; i++) {
        r = bs_buf_str(b, "\t", e);
        if (r == 0)
            r = add_tensor(b, &doc->tensor[i], e);
    }
    return r < 0 ? r : bs_buf_str(b, "\n", e);
}

/* ---- JSON ---------------------------------------------------------------- */

static int
jsonl_record(struct bs_buf *b, const struct bs_doc *doc, struct bs_err *e)
{
    int r = bs_buf_str(b, "{\"key\":", e);
    size_t i;

    if (r == 0)
        r = bs_json_quote(b, bs_doc_meta(doc, "key"), e);
    for (i = 0; i < doc->metas && r == 0; i++) {
        if (strcmp(doc->meta[i].name, "key") == 0)
            continue;
        r = bs_buf_str(b, ",", e);
        if (r == 0)
            r = bs_json_quote(b, doc->meta[i].name, e);
        if (r == 0)
            r = bs_buf_str(b, ":", e);
        if (r == 0)
            r = bs_json_quote(b, doc->meta[i].value, e);
    }
    return r < 0 ? r : bs_buf_str(b, "}\n", e);
}

/* A value that is the text of an object or a list is shown as such. */
static int
add_value(struct bs_buf *b, const char *value, struct bs_err *e)
{
    struct bs_json_doc *json = NULL;
    struct bs_err none = {0};
    int r;

    if ((*value != '{' && *value != '[') ||
        bs_json_parse(&json, value, strlen(value), 0, &none) < 0)
        return bs_json_quote(b, value, e);
    r = bs_json_write(b, bs_json_root(json), e);
    bs_json_free(json);
    return r;
}

/* "name": an object of the metadata, a line each. */
static int
add_members(struct bs_buf *b, const char *name, const struct bs_doc *doc,
            struct bs_err *e)
{
    size_t i;
    int r = bs_buf_printf(b, e, "\"%s\": {", name);

    for (i = 0; i < doc->metas && r == 0; i++) {
        r = bs_buf_printf(b, e, "%s\n    ", i > 0 ? "," : "");
        if (r == 0)
            r = bs_json_quote(b, doc->meta[i].name, e);
        if (r == 0)
            r = bs_buf_str(b, ": ", e);
        if (r == 0)
            r = add_value(b, doc->meta[i].value, e);
    }
    return r < 0 ? r : bs_buf_str(b, "}", e);
}

/* ---- values -------------------------------------------------------------- */

/* The shortest of at least `least` and at most `most` digits that reads back
 * as v; narrow: as a float. */
static int
add_float(struct bs_buf *b, double v, int least, int most, bool narrow,
          struct bs_err *e)
{
    char text[40];
    int digits;

    if (isnan(v))
        return bs_buf_str(b, "nan", e);
    if (isinf(v))
        return bs_buf_str(b, v < 0 ? "-inf" : "inf", e);
    for (digits = least; digits <= most; digits++) {
        double back;

        snprintf(text, sizeof text, "%.*g", digits, v);
        back = narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (back == v)
            break;
    }
    return bs_buf_str(b, text, e);
}

static int
add_signed(struct bs_buf *b, int64_t v, struct bs_err *e)
{
    return bs_buf_printf(b, e, "%" PRId64, v);
}

static int
add_unsigned(struct bs_buf *b, uint64_t v, struct bs_err *e)
{
    return bs_buf_printf(b, e, "%" PRIu64, v);
}

/* A half or bfloat16 is shown as its value needs among its own kind. */
static int
add_half(struct bs_buf *b, enum bs_dtype dtype, uint16_t v, struct bs_err *e)
{
    bool half = dtype == BS_DTYPE_F16;
    float f = half ? bs_f32_from_f16(v) : bs_f32_from_bf16(v);
    char text[40];
    int digits;

    if (isnan(f) || isinf(f))
        return add_float(b, (double)f, 1, 1, true, e);
    for (digits = 1; digits <= 9; digits++) {
        float back;

        snprintf(text, sizeof text, "%.*g", digits, (double)f);
        back = strtof(text, NULL);
        if ((half ? bs_f16_from_f32(back) : bs_bf16_from_f32(back)) == v)
            break;
    }
    return bs_buf_str(b, text, e);
}

/* Element i of the tensor. */
static int
add_element(struct bs_buf *b, const struct bs_tensor *x, size_t i,
            struct bs_err *e)
{
    size_t size = bs_dtype_size(x->dtype);
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
    } v;

    memcpy(&v, (const char *)x->data + i * size, size);
    switch (x->dtype) {
    case BS_DTYPE_BOOL:
    case BS_DTYPE_U8:
        return add_unsigned(b, v.u8, e);
    case BS_DTYPE_U16:
        return add_unsigned(b, v.u16, e);
    case BS_DTYPE_U32:
        return add_unsigned(b, v.u32, e);
    case BS_DTYPE_U64:
        return add_unsigned(b, v.u64, e);
    case BS_DTYPE_I8:
        return add_signed(b, v.i8, e);
    case BS_DTYPE_I16:
        return add_signed(b, v.i16, e);
    case BS_DTYPE_I32:
        return add_signed(b, v.i32, e);
    case BS_DTYPE_I64:
        return add_signed(b, v.i64, e);
    case BS_DTYPE_F32:
        return add_float(b, (double)v.f32, 6, 9, true, e);
    case BS_DTYPE_F64:
        return add_float(b, v.f64, 15, 17, false, e);
    default:
        return add_half(b, x->dtype, v.u16, e);
    }
}

/* The values, the last dimension on a line. */
static int
values(struct text *t, const struct bs_tensor *x, struct bs_err *e)
{
    size_t n = x->bytes / bs_dtype_size(x->dtype), i;
    size_t width = x->rank > 0 ? (size_t)x->shape[x->rank - 1] : 1;
    int r = 0;

    for (i = 0; i < n && r == 0; i++) {
        r = add_element(&t->buf, x, i, e);
        if (r == 0)
            r = bs_buf_str(&t->buf, (i + 1) % width == 0 ? "\n" : "\t", e);
        if (r == 0)
            r = flush(t, FLUSH_BYTES, e);
    }
    return r;
}

static int
tensors_record(struct text *t, const struct bs_doc *doc, struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < doc->tensors && r == 0; i++) {
        r = add_escaped(&t->buf, bs_doc_meta(doc, "key"), e);
        if (r == 0)
            r = bs_buf_str(&t->buf, "\t", e);
        if (r == 0)
            r = add_tensor(&t->buf, &doc->tensor[i], e);
        if (r == 0)
            r = bs_buf_str(&t->buf, "\n", e);
        if (r == 0)
            r = values(t, &doc->tensor[i], e);
    }
    return r;
}

/* ---- the sink ------------------------------------------------------------ */

static int
text_head(struct bs_sink *base, const struct bs_doc *head, struct bs_err *e)
{
    struct text *t = (struct text *)base;
    int r = 0;

    if (t->kind == BS_TEXT_HEADS) {
        r = bs_buf_str(&t->buf, "{", e);
        if (r == 0)
            r = add_members(&t->buf, "head", head, e);
        if (r == 0)
            r = flush(t, 0, e); /* to be seen even where the rest is cut */
    }
    return r;
}

static int
text_record(struct bs_sink *base, const struct bs_sunk *rec, struct bs_err *e)
{
    struct text *t = (struct text *)base;
    int r = 0;

    if (t->kind == BS_TEXT_LIST)
        r = list_record(&t->buf, rec->doc, e);
    else if (t->kind == BS_TEXT_JSONL)
        r = jsonl_record(&t->buf, rec->doc, e);
    else if (t->kind == BS_TEXT_TENSORS)
        r = tensors_record(t, rec->doc, e);
    return r < 0 ? r : flush(t, FLUSH_BYTES, e);
}

static int
text_end(struct bs_sink *base, const struct bs_doc *end, struct bs_err *e)
{
    struct text *t = (struct text *)base;
    int r;

    if (t->kind != BS_TEXT_HEADS)
        return 0;
    r = bs_buf_str(&t->buf, ",\n", e);
    if (r == 0)
        r = add_members(&t->buf, "end", end, e);
    return r < 0 ? r : bs_buf_str(&t->buf, "}\n", e);
}

static int
text_close(struct bs_sink *base, bool keep, struct bs_err *e)
{
    struct text *t = (struct text *)base;
    struct bs_err late = {0};
    int r = flush(t, 0, &late);

    if (r < 0 && keep)
        *e = late;
    else
        r = 0;
    if (bs_sink_done(&t->out, keep && r == 0, e) < 0)
        r = -e->code;
    bs_buf_release(&t->buf);
    bs_free(t);
    return r;
}

int
bs_sink_text(struct bs_sink **out, const char *path, enum bs_text_kind kind,
             struct bs_err *e)
{
    static const struct bs_sink_class class = {text_head, text_record, text_end,
                                               text_close};
    struct text *t = bs_alloc_array(1, sizeof *t);
    int r;

    *out = NULL;
    if (t == NULL)
        return bs_err_memory(e, "output", sizeof *t);
    t->base.class = &class;
    t->kind = kind;
    r = bs_out_open(&t->out, path, e);
    if (r < 0) {
        bs_free(t);
        return r;
    }
    *out = &t->base;
    return 0;
}
