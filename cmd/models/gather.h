/*
 * gather.h - local pictures as image records.
 *
 * Sources are folders, tar and zip archives, lists of paths and single files.
 * Every picture that they name is a candidate: it gets a number, a key and, in
 * the end, a status; those with status ok become records.  Candidates come in
 * the order of the sources; a folder's in bytewise order of their paths.  The
 * work on them is done by several threads, but nothing that comes out depends
 * on how many.
 *
 * Memory: the paths of the folder being walked, about 40 bytes a candidate for
 * unique keys (as much again to find duplicates, 16 to sample), and two
 * pictures a thread.
 */
#ifndef BS_MODELS_GATHER_H
#define BS_MODELS_GATHER_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"
#include "formats/image.h"
#include "formats/table.h"

/* What became of a candidate.  The first are those of bs_image_status. */
enum bs_gather_status {
    BS_GATHER_OK = BS_IMAGE_OK,
    BS_GATHER_TOO_LARGE = BS_IMAGE_LIMIT + 1, /* more bytes than the limit */
    BS_GATHER_TOO_SMALL,    /* a side is shorter than min_side */
    BS_GATHER_DUPLICATE,    /* same bytes as an earlier one */
    BS_GATHER_IO_ERROR,     /* cannot be opened or read */
    BS_GATHER_INVALID_URL,  /* a row without a path, or of an unknown scheme */
    BS_GATHER_BAD_METADATA, /* caption file is damaged or too long */
    BS_GATHER_STATUSES
};
/* "ok", "empty", ..., "bad_metadata": identifiers that stay. */
const char *bs_gather_status_name(enum bs_gather_status status);

/* All zero means: everything, as it is, on one thread. */
struct bs_gather_options {
    enum bs_table_format list;  /* of lists; AUTO: by name and contents */
    const char *path_column;    /* NULL: url, path, file, image, filename */
    const char *caption_column; /* NULL: caption, text */
    const char *key_prefix;     /* NULL: none */
    bool no_captions;           /* leave captions and metadata alone */
    bool no_decode;             /* look at the headers only */
    bool dedupe;                /* later ones with the same sha256 fail */
    bool allow_cut;             /* accept tar archives without an end */
    uint64_t jpeg_quality;      /* 1..100; 0: keep the original bytes */
    uint64_t min_side;
    uint64_t max_pixels, max_bytes; /* 0: bs_image_limits_default */
    uint64_t sample;                /* this many successes at random; 0: all */
    uint64_t seed;
    unsigned threads; /* 0: one */
    /* Candidates with other keys are passed over; NULL: all are mine. */
    bool (*mine)(const void *arg, const char *key);
    const void *mine_arg;
};

struct bs_found {
    uint64_t index; /* of the candidate, from 0 */
    const char *key;
    const char *src; /* path within its source, valid UTF-8 */
    enum bs_gather_status status;
    const char *message;  /* what is wrong, NULL for ok */
    size_t bytes;         /* of the file; 0: not known */
    size_t width, height; /* 0: not known */
    char sha256[65];      /* of the file, in hex; "": not known */
    struct bs_doc doc;    /* the record, where status is ok: one tensor jpg,
                             png or webp; key, caption, format, ... */
};

struct bs_gather;

/*
 * Open sources; paths and options are borrowed until the close.  "-" is stdin.
 * A source that does not exist is -BS_EX_NOINPUT, a key_prefix that cannot
 * start a key -BS_EX_USAGE.
 */
int bs_gather_open(struct bs_gather **out, const char *const *path,
                   size_t paths, const struct bs_gather_options *options,
                   struct bs_err *e) BS_CHECKED;

/*
 * 1 with the next candidate lent until the next call, 0 at the end, < 0 where a
 * source itself is damaged, empty or (69) somewhere on a network.
 */
int bs_gather_next(struct bs_gather *g, const struct bs_found **found,
                   struct bs_err *e) BS_CHECKED;

/* Captions in archives that did not stand beside their picture, so far. */
uint64_t bs_gather_strays(const struct bs_gather *g);
/* Archives that ended without saying so (allow_cut), so far. */
uint64_t bs_gather_cuts(const struct bs_gather *g);

void bs_gather_close(struct bs_gather *g);

/* Append the options that change the result as canonical JSON, with a NUL:
 * {"dedupe":true,"limit":9}.  No limit is UINT64_MAX, no shards 0 of 1. */
int bs_gather_params(const struct bs_gather_options *options, uint64_t limit,
                     uint64_t shard, uint64_t shards, struct bs_buf *out,
                     struct bs_err *e) BS_CHECKED;

#endif
