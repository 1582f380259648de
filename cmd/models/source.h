/*
 * source.h - any input as records: a bs stream, a WebDataset tar or zip (plain
 * or compressed), a safetensors file, an npy file, or a folder of images.
 *
 * Where the caller takes captions, also a list of them (caption_list.h).
 *
 * Told apart by the first bytes.  Everything comes out as bs_reader_next gives
 * it: head, records, end.  What is no stream gets a head with the kind that its
 * records have ("image", "feature", "code", "caption", else "tensor") and the
 * name of its format in bs.source; a tar that bs wrote has its own heads.
 *
 *   safetensors  one record; its key is the metadata's, else the file's name
 *   npy          [D] and [T,D]: one record x, its key the file's name;
 *                [N,T,D]: N records x [T,D] with keys 000000, 000001, ...
 *   folder       its pictures, as gather.h finds them, not decoded
 */
#ifndef BS_MODELS_SOURCE_H
#define BS_MODELS_SOURCE_H

#include "common/err.h"
#include "formats/doc.h"
#include "formats/stream.h"

struct bs_source;
struct bs_caption_columns; /* caption_list.h */

/*
 * path: a file or folder; "-" or NULL is stdin.  flags: enum bs_reader_flags;
 * max_record bounds the memory of one record (0: 1 GiB).
 */
int bs_source_open(struct bs_source **out, const char *path, unsigned flags,
                   size_t max_record, struct bs_err *e) BS_CHECKED;

/* The same, and text is a list of captions. */
int bs_source_open_captions(struct bs_source **out, const char *path,
                            unsigned flags, size_t max_record,
                            const struct bs_caption_columns *columns,
                            struct bs_err *e) BS_CHECKED;

/* An enum bs_item with *doc lent until the next call, or < 0.  BS_ITEM_STOP
 * (with BS_READER_STOP) comes only from streams. */
int bs_source_next(struct bs_source *s, const struct bs_doc **doc) BS_CHECKED;

/* "stdin" or the path, for messages. */
const char *bs_source_name(const struct bs_source *s);
/* "stream", "webdataset", "safetensors", "npy", "folder", "list" */
const char *bs_source_format(const struct bs_source *s);
/* Files of a folder and members of a tar that meant nothing, so far. */
uint64_t bs_source_ignored(const struct bs_source *s);
uint64_t bs_source_records(const struct bs_source *s); /* of this segment */
uint64_t bs_source_hash(const struct bs_source *s);    /* after END */
/* The bytes of the document lent last, for copying it unchanged. */
const uint8_t *bs_source_bytes(const struct bs_source *s, size_t *len);
const struct bs_err *bs_source_error(const struct bs_source *s);
void bs_source_close(struct bs_source *s);

#endif
