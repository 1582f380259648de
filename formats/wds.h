/*
 * wds.h - records as members of a tar, the way WebDataset lays them out.
 *
 *   KEY.jpg KEY.png KEY.webp  the U8 tensor of that name: the file's bytes
 *   KEY.txt                   metadata "caption"
 *   KEY.json                  metadata: strings as they are, other values as
 *                             JSON text; goes before KEY.txt
 *   KEY.NAME.npy              the tensor NAME
 *   KEY.safetensors           tensors that npy has no type or name for
 *   __bs__/head, __bs__/end   the documents around a segment; readers of
 *                             WebDataset pass them over
 *
 * The key is the path up to the first dot of its last component.  Also read:
 * KEY.cls and KEY.NAME.txt (metadata cls, NAME), KEY.NAME.json, KEY.NAME.jpg.
 *
 * Ownership: what is lent is valid until the next call.
 */
#ifndef BS_FORMATS_WDS_H
#define BS_FORMATS_WDS_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/archive.h"
#include "formats/doc.h"

enum { BS_WDS_KEY_SIZE = 201 }; /* a key and its NUL */

/*
 * The key for a name from outside: a byte that a key cannot have becomes '_',
 * empty components go, what is too long is cut and ends in its hash.
 * False if the name had to be changed.
 */
bool bs_wds_key(const char *name, size_t len, char key[BS_WDS_KEY_SIZE]);

/* ---- reading ------------------------------------------------------------- */

struct bs_wds;

/* Read an archive, which is taken over (also when it fails); a record takes at
 * most max_record bytes. */
int bs_wds_open(struct bs_wds **out, struct bs_archive *archive,
                size_t max_record, struct bs_err *e) BS_CHECKED;

/*
 * An enum bs_item (stream.h) with a document that was built, not yet checked
 * as a stream's is; < 0 names the member.  Archives without __bs__/head give
 * records alone, and 0 at their end, where bs_wds_ended tells about it.
 */
int bs_wds_next(struct bs_wds *w, struct bs_doc **doc,
                struct bs_err *e) BS_CHECKED;

/* Members passed over, as their names mean nothing here. */
uint64_t bs_wds_ignored(const struct bs_wds *w);
/* After 0: the archive had its closing mark. */
bool bs_wds_ended(const struct bs_wds *w);
void bs_wds_close(struct bs_wds *w);

/* ---- writing ------------------------------------------------------------- */

typedef int bs_wds_put_fn(void *arg, const char *name, const void *data,
                          size_t len, struct bs_err *e);

/* Give every member of the record to put, KEY.json last. */
int bs_wds_write(const struct bs_doc *rec, bs_wds_put_fn *put, void *arg,
                 struct bs_err *e) BS_CHECKED;

#endif
