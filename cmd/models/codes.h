/*
 * codes.h - records of sparse codes: the record of bs-stream(5) as rows, and
 * back.
 *
 * A head of codes says in its metadata `concepts` how many concepts there are,
 * and in bs.model whose codes they are.  Both forms are read: fixed, idx U16 or
 * U32 [T,k] and val F16 or F32 [T,k]; and variable, ptr U32 [T+1], idx [N], val
 * [N].  Within a token: values positive and finite, descending, equal ones by
 * index ascending; no index twice; fixed: unused places at the end, value 0 and
 * index all ones.
 */
#ifndef BS_MODELS_CODES_H
#define BS_MODELS_CODES_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

/* As many as a dictionary may have. */
#define BS_CODES_CONCEPTS_MAX ((uint32_t)1 << 24)

/* What the head of a segment of codes says. */
struct bs_codes_head {
    uint32_t concepts;
    char model[65]; /* hex sha256 of the dictionary; "" where it says none */
};

/* -BS_EX_DATA where the head is not of kind "code" or lacks `concepts`. */
int bs_codes_head(struct bs_codes_head *h, const struct bs_doc *head,
                  struct bs_err *e) BS_CHECKED;
/* -BS_EX_DATA "codes of 32000 concepts beside codes of 1000" or "codes of
 * another dictionary (sha256 1234abcd, not 5678...)" where the two cannot be
 * compared; models that are not named are taken to be the same. */
int bs_codes_same(const struct bs_codes_head *a, const struct bs_codes_head *b,
                  struct bs_err *e) BS_CHECKED;

/* A record's codes, copied: rows in CSR form.  Zero-initialised means empty;
 * may be reused. */
struct bs_codes {
    size_t tokens;
    size_t prefix;         /* leading non-patch tokens: metadata `prefix`, 0 */
    size_t grid[2];        /* rows, columns of `grid`; 0, 0 where not there */
    uint32_t *ptr;         /* [tokens + 1] */
    uint32_t *idx;         /* [ptr[tokens]] */
    float *val;            /* exact values of the F16 or F32 */
    size_t room_ptr, room; /* private, as is the rest */
    uint32_t *seen, token; /* [concepts]: the last token that had it */
    size_t room_seen;
};

/* Errors say what is wrong with which token: "token 3: index 40000 of 32000
 * concepts"; the caller puts the record's key before it. */
int bs_codes_read(struct bs_codes *c, const struct bs_doc *rec,
                  uint32_t concepts, struct bs_err *e) BS_CHECKED;
void bs_codes_release(struct bs_codes *c);

/*
 * Values on the grid of F16 denormals: 2^-24 units, so that sums are integers
 * and exact in any order.  Rounds to nearest, ties to even; values of 2^16 and
 * more are not representable and give -1.
 */
int64_t bs_codes_units(float val);
#define BS_CODES_UNIT 0x1p-24

#endif
