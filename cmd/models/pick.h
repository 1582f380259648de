/*
 * pick.h - which records of the input are wanted.
 */
#ifndef BS_MODELS_PICK_H
#define BS_MODELS_PICK_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"
#include "formats/keyset.h"

/* A record must meet every condition that is set. */
struct bs_pick_options {
    uint64_t from, to;     /* positions in the whole input; to is not in it */
    const char *keys;      /* keys with commas between them */
    const char *keys_file; /* the same, a key a line */
    const char *where;     /* NAME=VALUE of the metadata */
    uint64_t shard_index, shard_count; /* XXH64 of the key; count 0: all */
};

#define BS_PICK_ALL      \
    {                    \
        .to = UINT64_MAX \
    }

/* True if every record is wanted whatever the input. */
bool bs_pick_is_all(const struct bs_pick_options *options);

struct bs_pick {
    struct bs_pick_options options; /* private, as is all of it */
    struct bs_keyset keys;          /* wanted keys, numbered */
    uint8_t *found;                 /* by number */
    size_t missing;
    char *name; /* of the metadata */
    const char *value;
    uint64_t position;
};

enum bs_picked {
    BS_PICKED_NOT,
    BS_PICKED,
    BS_PICKED_DONE /* not, and no later one will be */
};

/* `where` without '=' is -BS_EX_USAGE.  *p must be empty; release it also when
 * this fails. */
int bs_pick_init(struct bs_pick *p, const struct bs_pick_options *options,
                 struct bs_err *e) BS_CHECKED;
enum bs_picked bs_pick_take(struct bs_pick *p, const struct bs_doc *rec);
/* How many keys that were asked for have not come. */
size_t bs_pick_missing(const struct bs_pick *p);
void bs_pick_release(struct bs_pick *p);

#endif
