/*
 * doc.h - one safetensors document: metadata and tensors.
 *
 * The unit of everything here: a record of a stream is one, and so is a model
 * file.  u64 length n, n bytes of JSON (padded with spaces so that the tensor
 * data starts at a multiple of BS_ALIGN), data.
 *
 * Ownership: a document parsed from memory borrows that memory; strings live in
 * the document.  A document under construction borrows the tensors' data until
 * it is written, and copies names and metadata.
 */
#ifndef BS_FORMATS_DOC_H
#define BS_FORMATS_DOC_H

#include "common/bs.h"
#include "common/dtype.h"
#include "common/err.h"
#include "common/mem.h"

enum {
    BS_DOC_RANK_MAX = 8,
    BS_DOC_NAME_MAX = 128,   /* bytes of a tensor's name, in a stream */
    BS_DOC_TENSORS_MAX = 256 /* in a document of a stream */
};

/* What a reader accepts; the first two presets are those of bs-stream(5). */
struct bs_doc_limits {
    size_t json_bytes;
    size_t bytes; /* the whole document */
    size_t tensors;
    size_t name_bytes; /* of a tensor's name */
    size_t metas;      /* metadata entries */
    size_t align;      /* of the tensor data, from the document's start */
};
extern const struct bs_doc_limits bs_doc_limits_record; /* 1 MiB JSON, 1 GiB */
extern const struct bs_doc_limits bs_doc_limits_head;   /* 16 MiB JSON */
/* A model: 100 MB JSON, any size.  Its tensors may lie at any address: data of
 * a foreign file must not be read through a pointer to its type. */
extern const struct bs_doc_limits bs_doc_limits_file;

struct bs_tensor {
    const char *name;
    enum bs_dtype dtype;
    unsigned rank;
    uint64_t shape[BS_DOC_RANK_MAX];
    const void *data;
    size_t bytes;
};

struct bs_pair {
    const char *name;
    const char *value;
};

struct bs_doc {
    struct bs_tensor *tensor; /* in order of their data; built: of insertion */
    size_t tensors;
    struct bs_pair *meta; /* in order of the text; built: sorted by name */
    size_t metas;
    struct bs_doc_own *own; /* private: what the strings live in */
};

/*
 * Length in bytes of the document at the start of `data`, of which len bytes
 * are there: *need is the whole length, or, where the length cannot be told
 * yet, how many bytes must be there to tell more.  Returns 1 if *need is the
 * whole length, 0 if not yet, < 0 for a document that is wrong or too large.
 */
int bs_doc_measure(const uint8_t *data, size_t len,
                   const struct bs_doc_limits *limits, size_t *need,
                   struct bs_err *e) BS_CHECKED;

/*
 * Parse a document of exactly len bytes.  Checks everything that safetensors
 * and the stream's man page ask: types, shapes, checked products, offsets
 * contiguous without hole or overlap, no duplicate keys.  *doc must be empty.
 */
int bs_doc_parse(struct bs_doc *doc, const uint8_t *data, size_t len,
                 const struct bs_doc_limits *limits,
                 struct bs_err *e) BS_CHECKED;

/* The same for the document at the start of the len bytes: *used receives its
 * length.  One that needs more than len bytes is an error. */
int bs_doc_parse_prefix(struct bs_doc *doc, const uint8_t *data, size_t len,
                        size_t *used, const struct bs_doc_limits *limits,
                        struct bs_err *e) BS_CHECKED;

/* Build (a parsed document may be changed, too): set (replace) a metadata
 * value; value NULL removes it. */
int bs_doc_set(struct bs_doc *doc, const char *name, const char *value,
               struct bs_err *e) BS_CHECKED;
int bs_doc_setf(struct bs_doc *doc, const char *name, struct bs_err *e,
                const char *fmt, ...) BS_CHECKED BS_PRINTF(4, 5);
/* Build: add a tensor, or replace one of the same name; data is borrowed. */
int bs_doc_put(struct bs_doc *doc, const char *name, enum bs_dtype dtype,
               unsigned rank, const uint64_t *shape, const void *data,
               struct bs_err *e) BS_CHECKED;

/* Value of a metadata name, or NULL. */
const char *bs_doc_meta(const struct bs_doc *doc, const char *name);
/* Tensor by name, or NULL. */
const struct bs_tensor *bs_doc_tensor(const struct bs_doc *doc,
                                      const char *name);

/*
 * Append the document's bytes to `out`: metadata sorted by name, tensors by
 * descending item size and then name, the same bytes for the same content.
 */
int bs_doc_write(const struct bs_doc *doc, struct bs_buf *out,
                 struct bs_err *e) BS_CHECKED;

/* The same bytes to a descriptor, without a copy of the tensors.  Errors read
 * "write failed: No space left on device". */
int bs_doc_save(const struct bs_doc *doc, int fd, struct bs_err *e) BS_CHECKED;

/* Empty the document; what it borrowed stays. */
void bs_doc_release(struct bs_doc *doc);

/* A key of a record: 1..200 bytes of [A-Za-z0-9_/-], no leading '/', no empty
 * component (and so no trailing '/'). */
bool bs_key_valid(const char *key);

#endif
