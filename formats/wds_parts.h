/*
 * wds_parts.h - a record while it is put together from the members of an
 * archive; for wds.c.
 *
 * Ownership: the document borrows the parts, which keep their memory from one
 * record to the next.
 */
#ifndef BS_FORMATS_WDS_PARTS_H
#define BS_FORMATS_WDS_PARTS_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/archive.h"
#include "formats/doc.h"

enum { BS_WDS_PARTS_MAX = BS_DOC_TENSORS_MAX }; /* members of a record */

struct bs_wds_parts {
    struct bs_archive *archive;
    size_t left; /* bytes that the record may still take */
    struct bs_doc doc;
    struct bs_buf part[BS_WDS_PARTS_MAX];  /* contents of the members */
    struct bs_doc inner[BS_WDS_PARTS_MAX]; /* parsed safetensors members */
    size_t parts;
};

/* Start over, with a document of at most max_record bytes. */
void bs_wds_clear(struct bs_wds_parts *p, size_t max_record);
void bs_wds_release(struct bs_wds_parts *p);

/* The contents of the member in hand, at most `limit` bytes, as a part of their
 * own. */
int bs_wds_load(struct bs_wds_parts *p, size_t limit, struct bs_buf **part,
                struct bs_err *e) BS_CHECKED;

/* Add what the member in hand, whose extensions are `ext`, means: 1, or 0 if it
 * means nothing. */
int bs_wds_add(struct bs_wds_parts *p, const char *ext,
               struct bs_err *e) BS_CHECKED;

#endif
