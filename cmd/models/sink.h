/*
 * sink.h - where records go: a stream, a tar, files in a folder, text.
 *
 * Ownership: a sink is freed by its close, which is called once whatever
 * happened before.  What it is given stays the caller's.
 */
#ifndef BS_MODELS_SINK_H
#define BS_MODELS_SINK_H

#include "common/bs.h"
#include "common/err.h"
#include "common/io.h"
#include "formats/doc.h"

struct bs_sink;

/* A record in both its forms.  bytes is NULL where the document was built or
 * changed here and has none yet. */
struct bs_sunk {
    const struct bs_doc *doc;
    const uint8_t *bytes;
    size_t len;
};

/* What every kind of sink does; each call is 0 or < 0. */
struct bs_sink_class {
    int (*head)(struct bs_sink *s, const struct bs_doc *head, struct bs_err *e);
    int (*record)(struct bs_sink *s, const struct bs_sunk *rec,
                  struct bs_err *e);
    /* end carries what bs_writer_end takes, and for text bs.records and
     * bs.hash where they are known */
    int (*end)(struct bs_sink *s, const struct bs_doc *end, struct bs_err *e);
    /* keep: let the output appear; else nothing of it may stay */
    int (*close)(struct bs_sink *s, bool keep, struct bs_err *e);
};

struct bs_sink {
    const struct bs_sink_class *class;
};

enum bs_sink_format {
    BS_SINK_AUTO, /* by the path: tar, one safetensors file, else a stream */
    BS_SINK_STREAM,
    BS_SINK_WDS,
    BS_SINK_NPY,
    BS_SINK_SAFETENSORS
};

/*
 * Open what `path` (NULL or "-": stdout) and format say.  split > 0: so many of
 * them, whose names have the number in place of the path's "%d" or "%0Nd"; a
 * path without one, or no path where a folder is wanted, is -BS_EX_USAGE.
 */
int bs_sink_open(struct bs_sink **out, const char *path,
                 enum bs_sink_format format, int level, size_t split,
                 struct bs_err *e) BS_CHECKED;
/* True if such an output cannot say that it is partial. */
bool bs_sink_is_whole(const char *path, enum bs_sink_format format);

/* path NULL or "-": stdout.  Binary is refused where that is a terminal. */
int bs_sink_stream(struct bs_sink **out, const char *path, int level,
                   struct bs_err *e) BS_CHECKED;
/* The tar is compressed as its path says. */
int bs_sink_tar(struct bs_sink **out, const char *path,
                struct bs_err *e) BS_CHECKED;
/* One record, in one safetensors file. */
int bs_sink_file(struct bs_sink **out, const char *path,
                 struct bs_err *e) BS_CHECKED;

enum bs_folder_kind { BS_FOLDER_NPY, BS_FOLDER_SAFETENSORS };

/* A folder, which must not be there or be empty: the members of wds.h, or
 * KEY.safetensors. */
int bs_sink_folder(struct bs_sink **out, const char *path,
                   enum bs_folder_kind kind, struct bs_err *e) BS_CHECKED;

enum bs_text_kind {
    BS_TEXT_NONE,   /* nothing: the input is only read */
    BS_TEXT_LIST,   /* key and tensors, a line a record */
    BS_TEXT_HEADS,  /* heads and ends, as JSON */
    BS_TEXT_JSONL,  /* metadata, a line a record */
    BS_TEXT_TENSORS /* every value */
};

int bs_sink_text(struct bs_sink **out, const char *path, enum bs_text_kind kind,
                 struct bs_err *e) BS_CHECKED;

/* Open an output by number; *name, which it borrows, becomes the caller's. */
typedef int bs_sink_part_fn(void *arg, size_t number, char **name,
                            struct bs_sink **out, struct bs_err *e);

/* Records by XXH64 of the key modulo `parts` into so many sinks. */
int bs_sink_split(struct bs_sink **out, size_t parts, bs_sink_part_fn *part,
                  void *arg, struct bs_err *e) BS_CHECKED;

/* ---- for the sinks ------------------------------------------------------- */

/* Open the output of a sink that writes no text: not to a terminal. */
int bs_sink_out(struct bs_out *out, const char *path,
                struct bs_err *e) BS_CHECKED;
/* Let it appear, or make it go. */
int bs_sink_done(struct bs_out *out, bool keep, struct bs_err *e) BS_CHECKED;

#endif
