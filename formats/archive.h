/*
 * archive.h - compressed files as plain bytes, and the members of tar and zip
 * archives, through libarchive.
 *
 * Only what is needed is enabled: tar and zip; gzip, bzip2, xz, lzma, lzip,
 * lz4, zstd and compress, also one inside the other.  Hostile input costs time
 * in proportion to its size but no memory: blocks are small and a member is
 * read up to a limit that the caller gives.
 *
 * Ownership: what a call lends is valid until the next call on the same object.
 */
#ifndef BS_FORMATS_ARCHIVE_H
#define BS_FORMATS_ARCHIVE_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"

/* ---- the plain bytes of a file ------------------------------------------- */

struct bs_plain;

/*
 * Read descriptor fd, which stays the caller's, from where it stands; `head`
 * are bytes that were already taken from it (copied; len may be 0).  Any
 * compression is taken off.  Empty input gives no bytes and is no error.
 */
int bs_plain_open(struct bs_plain **out, int fd, const void *head, size_t len,
                  struct bs_err *e) BS_CHECKED;

/* Lend the next bytes without taking them: `want` of them (at most 64 KiB), or
 * as many as are left. */
int bs_plain_peek(struct bs_plain *p, size_t want, const uint8_t **data,
                  size_t *len, struct bs_err *e) BS_CHECKED;

/* Take the next block: 1 with some bytes lent, 0 at the end, < 0 for damaged
 * compression (65), a failed read (74), or a wait for input that a signal ended
 * (75, see stop.h). */
int bs_plain_read(struct bs_plain *p, const uint8_t **data, size_t *len,
                  struct bs_err *e) BS_CHECKED;

/* True if there was no compression and fd is a regular file, in which the plain
 * bytes start at *start; to be asked after the first peek or read. */
bool bs_plain_in_file(const struct bs_plain *p, int *fd, uint64_t *start);
/* How many zero bytes stand at the end of what was read so far. */
uint64_t bs_plain_zeros(const struct bs_plain *p);

void bs_plain_close(struct bs_plain *p);

/* ---- archives ------------------------------------------------------------ */

enum bs_archive_kind { BS_ARCHIVE_NONE, BS_ARCHIVE_TAR, BS_ARCHIVE_ZIP };

/* By the first bytes of a plain file; 512 of them tell for sure. */
enum bs_archive_kind bs_archive_sniff(const uint8_t *data, size_t len);

struct bs_archive;

struct bs_member {
    const char *name; /* as stored: any bytes, also "..", never trusted */
    uint64_t size;    /* as announced; only a hint where a zip is streamed */
};

/*
 * Read the archive in `plain`, which it takes over (also when it fails).
 * Several tar archives in a row are one.  A zip in a regular file is read by
 * its central directory, in a pipe member by member.
 */
int bs_archive_open(struct bs_archive **out, struct bs_plain *plain,
                    struct bs_err *e) BS_CHECKED;

/*
 * The next regular file (folders, links and devices are passed over): 1 with *m
 * filled, 0 at the end, < 0 with the member's name in the message.
 */
int bs_archive_next(struct bs_archive *a, struct bs_member *m,
                    struct bs_err *e) BS_CHECKED;

/*
 * Append the member's contents to b.  Returns 0, or 1 with b as it was where
 * the contents are longer than limit, or < 0 where they are damaged or cut.
 */
int bs_archive_data(struct bs_archive *a, size_t limit, struct bs_buf *b,
                    struct bs_err *e) BS_CHECKED;

/*
 * After the end: true if the archive said that it ends there.  Tar readers
 * accept one without its closing zero blocks, which is also what one looks like
 * that was cut between two members.
 */
bool bs_archive_ended(const struct bs_archive *a);

void bs_archive_close(struct bs_archive *a);

#endif
