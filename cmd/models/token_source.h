/*
 * token_source.h - the tokens of features, input after input, as often as
 * wanted.
 *
 * An input is anything that source.h reads and whose records are features x
 * [tokens, width] of F16, BF16 or F32.  All must have one width; the type may
 * change from record to record.  A pass reads the inputs in their order; the
 * next pass opens them again and demands the same content, segment by segment.
 *
 * Ownership: paths are borrowed; what is lent is valid until the next call.
 */
#ifndef BS_MODELS_TOKEN_SOURCE_H
#define BS_MODELS_TOKEN_SOURCE_H

#include "cmd/models/source.h"
#include "common/dtype.h"

enum bs_token_choice {
    BS_TOKENS_ALL,
    BS_TOKENS_PATCH, /* those behind the first `prefix` of the record */
    BS_TOKENS_CLS    /* the first, where `prefix` is not 0 */
};
extern const char *const bs_token_choice_names[]; /* "all", "patch", "cls" */

struct bs_token_options {
    const char *const *path; /* "-": stdin */
    size_t paths;
    enum bs_token_choice choice;
    bool allow_partial;
    size_t max_record; /* bytes */
    uint64_t limit;    /* records of a pass */
    size_t width;      /* that the tokens must have; 0: the first record's */
    bool (*wanted)(void *command, const char *key); /* NULL: all are */
    void *command;
};

/* A segment that was read to its end. */
struct bs_token_segment {
    uint64_t hash;    /* its content id */
    uint64_t records; /* in it */
};

/* Tokens of one record, row by row. */
struct bs_token_run {
    const void *data; /* aligned for its type */
    enum bs_dtype dtype;
    size_t tokens, width;
};

enum bs_token_item {
    BS_TOKENS_END = 0, /* of the pass */
    BS_TOKENS_RUN = 1,
    BS_TOKENS_STOP = 2 /* bs_stop_wanted() */
};

struct bs_token_source;

int bs_token_source_open(struct bs_token_source **out,
                         const struct bs_token_options *o,
                         struct bs_err *e) BS_CHECKED;
void bs_token_source_close(struct bs_token_source *s);

/* The first of these inputs that cannot be read twice (stdin, a pipe), or
 * NULL. */
const char *bs_token_once(const char *const *path, size_t paths);

/*
 * An enum bs_token_item, or < 0: a record without features, of another width,
 * or with a value that is not finite is -BS_EX_DATA, and so is a segment whose
 * content id is not that of the pass before.
 */
int bs_token_source_next(struct bs_token_source *s, struct bs_token_run *run,
                         struct bs_err *e) BS_CHECKED;
/* Begin the next pass. */
void bs_token_source_rewind(struct bs_token_source *s);

/* Tokens lent in this pass, and their width (0: not known yet). */
uint64_t bs_token_source_tokens(const struct bs_token_source *s);
size_t bs_token_source_width(const struct bs_token_source *s);

/* ---- what was read ------------------------------------------------------- */

/* Segments whose end was read in any pass: the first `n` of them stay as they
 * are.  May be asked on another thread than the one that reads. */
size_t bs_token_source_segments(struct bs_token_source *s);
/* Append bs.parents (bs-stream(5)) of the first n segments, JSON, with a NUL;
 * and the segments themselves: [{"hash":"...","records":12},...]. */
int bs_token_source_parents(struct bs_token_source *s, size_t n,
                            struct bs_buf *json, struct bs_err *e) BS_CHECKED;
int bs_token_source_list(struct bs_token_source *s, size_t n,
                         struct bs_buf *json, struct bs_err *e) BS_CHECKED;
/* Before the first pass: the input must begin with these segments, as the two
 * functions above wrote them.  -BS_EX_DATA for text that is not theirs. */
int bs_token_source_expect(struct bs_token_source *s, const char *list,
                           const char *parents, struct bs_err *e) BS_CHECKED;

#endif
