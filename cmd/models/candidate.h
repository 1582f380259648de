/*
 * candidate.h - what may become a record: one picture of one source, with its
 * key and what the source says of it, before anybody looked at its bytes.
 */
#ifndef BS_MODELS_CANDIDATE_H
#define BS_MODELS_CANDIDATE_H

#include "cmd/models/gather.h"
#include "cmd/models/keys.h"
#include "cmd/models/tally.h"
#include "cmd/models/walk.h"

enum {
    BS_CAPTION_MAX = 1 << 16, /* bytes of a caption, or of a caption file */
    BS_EXTRA_MAX = 1 << 16    /* bytes of a candidate's other metadata */
};

struct bs_candidate {
    struct bs_arena arena; /* of all texts here */
    uint64_t index;
    const char *key;
    const char *orig_key; /* NULL where it is the key */
    const char *src;
    const char *path;         /* to read; NULL: the bytes are here */
    struct bs_buf bytes;      /* of a member of an archive */
    struct bs_buf text, json; /* caption files of an archive */
    bool has_text, has_json;
    bool beside; /* caption files may lie beside path */
    const char *caption;
    struct bs_pair *extra; /* other metadata */
    size_t extras;
    enum bs_gather_status status; /* what is known already */
    const char *message;
};

void bs_candidate_free(struct bs_candidate *c);
/* Give it a status other than ok; 0, or < 0 where there is no memory. */
int bs_candidate_refuse(struct bs_candidate *c, enum bs_gather_status status,
                        const char *message, struct bs_err *e) BS_CHECKED;

/* Whether a candidate is to be handed out. */
typedef bool bs_want_fn(void *arg, uint64_t index, const char *key);

/* ---- all candidates of all sources, in order ----------------------------- */

struct bs_candidates;

/* Sources that can be read only once are copied to a temporary file if `again`
 * says that there will be another pass. */
int bs_candidates_open(struct bs_candidates **out, const char *const *path,
                       size_t paths, const struct bs_gather_options *options,
                       bool again, struct bs_err *e) BS_CHECKED;
/* Start over; `want` NULL: all. */
void bs_candidates_rewind(struct bs_candidates *c, bs_want_fn *want, void *arg);
/* 1 with *out the caller's, 0 at the end. */
int bs_candidates_next(struct bs_candidates *c, struct bs_candidate **out,
                       struct bs_err *e) BS_CHECKED;
uint64_t bs_candidates_strays(const struct bs_candidates *c);
uint64_t bs_candidates_cuts(const struct bs_candidates *c);
void bs_candidates_close(struct bs_candidates *c);

/* ---- for the kinds of sources -------------------------------------------- */

/*
 * Count a candidate whose key comes from the first len bytes of `name`: 1 with
 * *out the caller's if it is wanted, 0 if not, < 0.
 */
int bs_candidates_admit(struct bs_candidates *c, const char *name, size_t len,
                        const char *src, struct bs_candidate **out,
                        struct bs_err *e) BS_CHECKED;

/* Rows of a list; `base` is the folder that relative paths start from. */
struct bs_list;
int bs_list_open(struct bs_list **out, struct bs_candidates *all,
                 struct bs_plain *plain, enum bs_table_format format,
                 const char *base, const struct bs_gather_options *options,
                 struct bs_err *e) BS_CHECKED;
int bs_list_next(struct bs_list *l, struct bs_candidate **out,
                 struct bs_err *e) BS_CHECKED;
void bs_list_close(struct bs_list *l);

/* Members of an archive; takes `plain` over. */
struct bs_members;
int bs_members_open(struct bs_members **out, struct bs_candidates *all,
                    struct bs_plain *plain,
                    const struct bs_gather_options *options,
                    struct bs_err *e) BS_CHECKED;
int bs_members_next(struct bs_members *m, struct bs_candidate **out,
                    struct bs_err *e) BS_CHECKED;
/* After the end. */
uint64_t bs_members_strays(const struct bs_members *m);
bool bs_members_ended(const struct bs_members *m);
void bs_members_close(struct bs_members *m);

#endif
