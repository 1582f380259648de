/*
 * json.h - a strict JSON reader (RFC 8259) and string writer.
 *
 * One tree per text, allocated in one arena and freed at once.  Strings are
 * decoded to UTF-8 and NUL-terminated; a NUL inside a string, invalid UTF-8, a
 * lone surrogate and a duplicate key are errors, as is anything after the
 * value. No library of Debian 12 reads NaN and Infinity, refuses duplicate keys
 * and keeps the order of keys, all three of which the files here need.
 */
#ifndef BS_FORMATS_JSON_H
#define BS_FORMATS_JSON_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/utf8.h"

enum bs_json_type {
    BS_JSON_NULL,
    BS_JSON_BOOL,
    BS_JSON_NUMBER,
    BS_JSON_STRING,
    BS_JSON_ARRAY,
    BS_JSON_OBJECT
};

enum bs_json_flags {
    BS_JSON_NONFINITE = 1 << 0 /* NaN, Infinity, -Infinity, as Python writes */
};

struct bs_json {
    enum bs_json_type type;
    bool truth;            /* BOOL */
    double number;         /* NUMBER */
    const char *text;      /* STRING; NUMBER: as it was spelled */
    const char *key;       /* name within the parent object, else NULL */
    size_t count;          /* ARRAY, OBJECT: children */
    struct bs_json *child; /* first child */
    struct bs_json *next;  /* next sibling */
};

struct bs_json_doc; /* owns a tree */

enum {
    BS_JSON_DEPTH = 64 /* values inside values */
};

/*
 * Parse len bytes.  Depth is limited to 64.  Errors are -BS_EX_DATA with "byte
 * N: what" and leave *doc NULL.
 */
int bs_json_parse(struct bs_json_doc **doc, const char *text, size_t len,
                  unsigned flags, struct bs_err *e) BS_CHECKED;
/* The same with at most `values` values: a value takes two bytes of text and 64
 * of memory, so what is hostile must be stopped earlier. */
int bs_json_parse_max(struct bs_json_doc **doc, const char *text, size_t len,
                      unsigned flags, size_t values,
                      struct bs_err *e) BS_CHECKED;
const struct bs_json *bs_json_root(const struct bs_json_doc *doc);
void bs_json_free(struct bs_json_doc *doc);

/* The child of an object by key, or NULL (also where v is no object). */
const struct bs_json *bs_json_get(const struct bs_json *v, const char *key);

/*
 * A plain non-negative integer (no sign, point, exponent or leading zero), at
 * most max.  False if it is anything else.
 */
bool bs_json_u64(const struct bs_json *v, uint64_t max, uint64_t *out);

/* The children of v sorted by key: an array for bs_free, or NULL. */
const struct bs_json **bs_json_sorted(const struct bs_json *v) BS_CHECKED;

/* Typed members of an object: false if absent or of another type. */
bool bs_json_get_u64(const struct bs_json *v, const char *key, uint64_t max,
                     uint64_t *out);
bool bs_json_get_number(const struct bs_json *v, const char *key, double *out);
const char *bs_json_get_string(const struct bs_json *v, const char *key);

/* Append s as a quoted JSON string; control characters are escaped.  Invalid
 * UTF-8 is -BS_EX_DATA. */
int bs_json_quote(struct bs_buf *b, const char *s, struct bs_err *e) BS_CHECKED;
/* Append v: canonical (keys sorted bytewise, no spaces, numbers as spelled). */
int bs_json_write(struct bs_buf *b, const struct bs_json *v,
                  struct bs_err *e) BS_CHECKED;

#endif
