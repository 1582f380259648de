/*
 * npy.c - see npy.h.  The header is a Python dictionary; what is read here is
 * the part of that language that numpy writes: three keys in any order, strings
 * in either quotes, a tuple of integers.
 */
#include "formats/npy.h"

#include <inttypes.h>

enum {
    V1_FIXED = 10, /* magic, version, u16 length */
    V2_FIXED = 12, /* magic, version, u32 length */
    PAD = 64,
    GROWTH_DIGITS = 21 /* numpy leaves room for the first dimension to grow */
};

static const struct {
    const char *descr;
    enum bs_dtype dtype;
} types[] = {
    {"|b1", BS_DTYPE_BOOL}, {"|u1", BS_DTYPE_U8},  {"|i1", BS_DTYPE_I8},
    {"<u2", BS_DTYPE_U16},  {"<i2", BS_DTYPE_I16}, {"<u4", BS_DTYPE_U32},
    {"<i4", BS_DTYPE_I32},  {"<u8", BS_DTYPE_U64}, {"<i8", BS_DTYPE_I64},
    {"<f2", BS_DTYPE_F16},  {"<f4", BS_DTYPE_F32}, {"<f8", BS_DTYPE_F64},
};

static const uint8_t magic[BS_NPY_MAGIC] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

bool
bs_npy_sniff(const uint8_t *data, size_t len)
{
    return len == 0 ||
           memcmp(data, magic, len < sizeof magic ? len : sizeof magic) == 0;
}

int
bs_npy_measure(const uint8_t *data, size_t len, size_t *need, struct bs_err *e)
{
    size_t fixed, header;

    if (!bs_npy_sniff(data, len))
        return bs_err_set(e, BS_EX_DATA, "not an npy file");
    *need = V1_FIXED;
    if (len < V1_FIXED)
        return 0;
    if (data[6] < 1 || data[6] > 3 || data[7] != 0)
        return bs_err_set(e, BS_EX_DATA, "npy version %d.%d is not known",
                          data[6], data[7]);
    fixed = data[6] == 1 ? V1_FIXED : V2_FIXED;
    *need = fixed;
    if (len < fixed)
        return 0;
    header = data[8] | (size_t)data[9] << 8;
    if (fixed == V2_FIXED)
        header |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (header > BS_NPY_HEADER_MAX - fixed)
        return bs_err_set(e, BS_EX_DATA, "npy header of %zu bytes is too large",
                          header);
    *need = fixed + header;
    return 1;
}

/* ---- the dictionary -------------------------------------------------------
 */

struct cursor {
    const char *at, *end;
};

static void
skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' ||
                              *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

/* Take `ch` if it comes next. */
static bool
take(struct cursor *c, char ch)
{
    skip_space(c);
    if (c->at == c->end || *c->at != ch)
        return false;
    c->at++;
    return true;
}

static bool
take_word(struct cursor *c, const char *word)
{
    size_t len = strlen(word);

    skip_space(c);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

/* A short string without escapes, in either quotes. */
static bool
take_string(struct cursor *c, char *out, size_t room)
{
    size_t len = 0;
    char quote;

    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    quote = *c->at++;
    while (c->at < c->end && *c->at != quote) {
        if (len + 1 == room || *c->at == '\\' || *c->at < ' ')
            return false;
        out[len++] = *c->at++;
    }
    out[len] = '\0';
    return take(c, quote);
}

/* Digits, and the L that Python 2 put behind a long one. */
static bool
take_integer(struct cursor *c, uint64_t *out)
{
    const char *start;
    uint64_t n = 0;

    skip_space(c);
    for (start = c->at; c->at < c->end && *c->at >= '0' && *c->at <= '9';
         c->at++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*c->at - '0'), &n))
            return false;
    *out = n;
    if (c->at == start)
        return false;
    if (c->at < c->end && *c->at == 'L')
        c->at++;
    return true;
}

static int
parse_shape(struct cursor *c, struct bs_npy *out, struct bs_err *e)
{
    out->rank = 0;
    if (!take(c, '('))
        return bs_err_set(e, BS_EX_DATA, "npy header: bad shape");
    while (!take(c, ')')) {
        uint64_t side;

        if (!take_integer(c, &side))
            return bs_err_set(e, BS_EX_DATA, "npy header: bad shape");
        if (out->rank == BS_NPY_RANK_MAX)
            return bs_err_set(e, BS_EX_DATA,
                              "npy array has more than %d dimensions",
                              BS_NPY_RANK_MAX);
        out->shape[out->rank++] = side;
        if (take(c, ','))
            continue;
        /* a tuple of one needs its comma: (3) is a number */
        if (out->rank < 2 || !take(c, ')'))
            return bs_err_set(e, BS_EX_DATA, "npy header: bad shape");
        break;
    }
    return 0;
}

static int
parse_descr(struct cursor *c, struct bs_npy *out, struct bs_err *e)
{
    char descr[16];
    size_t i;

    if (!take_string(c, descr, sizeof descr))
        return bs_err_set(e, BS_EX_DATA,
                          "npy array is of a structured or unknown type");
    for (i = 0; i < BS_LEN(types); i++)
        if (strcmp(types[i].descr, descr) == 0) {
            out->dtype = types[i].dtype;
            return 0;
        }
    return bs_err_set(e, BS_EX_DATA, "npy array of type '%s' is not supported",
                      descr);
}

/* One entry; *seen has a bit for each of the three keys. */
static int
parse_entry(struct cursor *c, struct bs_npy *out, unsigned *seen, bool *fortran,
            struct bs_err *e)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[16];
    unsigned i;

    if (!take_string(c, key, sizeof key) || !take(c, ':'))
        return bs_err_set(e, BS_EX_DATA, "npy header: bad dictionary");
    for (i = 0; i < BS_LEN(keys) && strcmp(keys[i], key) != 0; i++)
        ;
    if (i == BS_LEN(keys) || (*seen & 1u << i) != 0)
        return bs_err_set(e, BS_EX_DATA, "npy header: key '%s' %s", key,
                          i == BS_LEN(keys) ? "is unknown" : "comes twice");
    *seen |= 1u << i;
    if (i == 0)
        return parse_descr(c, out, e);
    if (i == 2)
        return parse_shape(c, out, e);
    *fortran = take_word(c, "True");
    if (!*fortran && !take_word(c, "False"))
        return bs_err_set(e, BS_EX_DATA, "npy header: bad fortran_order");
    return 0;
}

static int
parse_dictionary(struct cursor *c, struct bs_npy *out, struct bs_err *e)
{
    bool fortran = false;
    unsigned seen = 0;

    if (!take(c, '{'))
        return bs_err_set(e, BS_EX_DATA, "npy header: bad dictionary");
    while (!take(c, '}')) {
        int r = parse_entry(c, out, &seen, &fortran, e);

        if (r < 0)
            return r;
        if (take(c, ','))
            continue;
        if (!take(c, '}'))
            return bs_err_set(e, BS_EX_DATA, "npy header: bad dictionary");
        break;
    }
    skip_space(c);
    if (c->at != c->end || seen != 7)
        return bs_err_set(e, BS_EX_DATA, "npy header: %s",
                          seen != 7 ? "a key is missing"
                                    : "text behind the dictionary");
    if (fortran && out->rank > 1)
        return bs_err_set(e, BS_EX_DATA, "npy array is in Fortran order");
    return 0;
}

int
bs_npy_header(struct bs_npy *out, const uint8_t *data, size_t len,
              struct bs_err *e)
{
    size_t need, fixed, i;
    struct cursor c;
    int r = bs_npy_measure(data, len, &need, e);

    *out = (struct bs_npy){0};
    if (r < 0)
        return r;
    if (r == 0 || need > len)
        return bs_err_set(e, BS_EX_DATA, "npy header is cut");
    fixed = data[6] == 1 ? V1_FIXED : V2_FIXED;
    c = (struct cursor){(const char *)data + fixed, (const char *)data + need};
    r = parse_dictionary(&c, out, e);
    if (r < 0)
        return r;
    out->header = need;
    out->bytes = bs_dtype_size(out->dtype);
    for (i = 0; i < out->rank; i++)
        if (!bs_mul(out->bytes, out->shape[i], &out->bytes))
            return bs_err_set(e, BS_EX_DATA, "npy array is too large");
    return 0;
}

int
bs_npy_parse(struct bs_npy *out, const uint8_t *data, size_t len,
             struct bs_err *e)
{
    int r = bs_npy_header(out, data, len, e);

    if (r == 0 && len - out->header != out->bytes)
        r = bs_err_set(e, BS_EX_DATA,
                       "npy array has %zu bytes of data instead of %zu",
                       len - out->header, out->bytes);
    return r;
}

/* ---- writing --------------------------------------------------------------
 */

static const char *
descr_of(enum bs_dtype dtype)
{
    size_t i;

    for (i = 0; i < BS_LEN(types); i++)
        if (types[i].dtype == dtype)
            return types[i].descr;
    return NULL;
}

bool
bs_npy_has(enum bs_dtype dtype)
{
    return descr_of(dtype) != NULL;
}

int
bs_npy_write_header(struct bs_buf *out, enum bs_dtype dtype, unsigned rank,
                    const uint64_t *shape, struct bs_err *e)
{
    const char *descr = descr_of(dtype);
    size_t start = out->len, length, pad;
    char text[40];
    unsigned i;
    int r;

    if (descr == NULL)
        return bs_err_set(e, BS_EX_DATA, "npy has no type for %s",
                          bs_dtype_name(dtype));
    r = bs_buf_add(out, magic, sizeof magic, e);
    if (r == 0)
        r = bs_buf_add(out, "\1\0\0\0", 4, e); /* the length comes below */
    if (r == 0)
        r = bs_buf_printf(out, e,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          descr);
    for (i = 0; i < rank && r == 0; i++)
        r = bs_buf_printf(out, e, "%s%" PRIu64, i > 0 ? ", " : "", shape[i]);
    if (r == 0)
        r = bs_buf_str(out, rank == 1 ? ",), }" : "), }", e);
    if (r == 0 && rank > 0)
        r = bs_buf_fill(out, ' ',
                        GROWTH_DIGITS - (size_t)snprintf(text, sizeof text,
                                                         "%" PRIu64, shape[0]),
                        e);
    if (r < 0)
        return r;
    pad = PAD - (out->len - start + 1) % PAD;
    r = bs_buf_fill(out, ' ', pad, e);
    if (r == 0)
        r = bs_buf_str(out, "\n", e);
    if (r < 0)
        return r;
    length = out->len - start - V1_FIXED;
    out->data[start + 8] = (uint8_t)length;
    out->data[start + 9] = (uint8_t)(length >> 8);
    return 0;
}
