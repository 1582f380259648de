/*
 * cat_params.c - see cat_params.h.  Names are those of the options, in order.
 */
#include "cmd/models/cat_params.h"

#include <inttypes.h>

#include "common/io.h"
#include "formats/digest.h"
#include "formats/json.h"

bool
bs_cat_changes(const struct bs_cat_options *o)
{
    return !bs_pick_is_all(&o->pick) || o->sample != UINT64_MAX ||
           o->limit != UINT64_MAX || o->join != NULL || o->merge || o->widen ||
           o->split > 0 || !o->provenance;
}

/* "name": with a comma before it where it is not the first. */
static int
add_name(struct bs_buf *b, const char *name, struct bs_err *e)
{
    return bs_buf_printf(b, e, "%s\"%s\":", b->len > 1 ? "," : "", name);
}

static int
add_text(struct bs_buf *b, const char *name, const char *value,
         struct bs_err *e)
{
    int r = value != NULL ? add_name(b, name, e) : 0;

    return r < 0 || value == NULL ? r : bs_json_quote(b, value, e);
}

/* Numbers that do not say `absent`. */
static int
add_number(struct bs_buf *b, const char *name, uint64_t value, uint64_t absent,
           struct bs_err *e)
{
    int r = value != absent ? add_name(b, name, e) : 0;

    return r < 0 || value == absent ? r
                                    : bs_buf_printf(b, e, "%" PRIu64, value);
}

static int
add_flag(struct bs_buf *b, const char *name, bool value, struct bs_err *e)
{
    int r = value ? add_name(b, name, e) : 0;

    return r < 0 || !value ? r : bs_buf_str(b, "true", e);
}

/* A list of keys counts by what is in it, not by its path. */
static int
add_keys_file(struct bs_buf *b, const char *path, struct bs_err *e)
{
    struct bs_buf text = {0};
    char hex[BS_HEX64_SIZE];
    int r;

    if (path == NULL)
        return 0;
    r = bs_read_file(path, SIZE_MAX, &text, e);
    bs_hex64(bs_xxh64(text.data, text.len, 0), hex);
    bs_buf_release(&text);
    return r < 0 ? r : add_text(b, "keys", hex, e);
}

static int
add_range(struct bs_buf *b, const char *name, uint64_t from, uint64_t to,
          struct bs_err *e)
{
    char text[48];

    if (to != UINT64_MAX)
        snprintf(text, sizeof text, "%" PRIu64 ":%" PRIu64, from, to);
    else
        snprintf(text, sizeof text, "%" PRIu64 ":", from);
    return from == 0 && to == UINT64_MAX ? 0 : add_text(b, name, text, e);
}

static int
add_shard(struct bs_buf *b, const struct bs_pick_options *p, struct bs_err *e)
{
    char text[48];

    snprintf(text, sizeof text, "%" PRIu64 "/%" PRIu64, p->shard_index,
             p->shard_count);
    return p->shard_count <= 1 ? 0 : add_text(b, "shard", text, e);
}

int
bs_cat_params(const struct bs_cat_options *o, struct bs_buf *out,
              struct bs_err *e)
{
    const struct bs_pick_options *p = &o->pick;
    bool sampled = o->sample != UINT64_MAX;
    int r = bs_buf_str(out, "{", e);

    if (r == 0)
        r = add_text(out, "bf16-as", o->widen ? "f32" : NULL, e);
    if (r == 0)
        r = add_text(out, "duplicates", o->keep_first ? "first" : NULL, e);
    if (r == 0)
        r = add_flag(out, "join", o->join != NULL, e);
    if (r == 0)
        r = add_text(out, "key", p->keys, e);
    if (r == 0)
        r = add_keys_file(out, p->keys_file, e);
    if (r == 0)
        r = add_number(out, "limit", o->limit, UINT64_MAX, e);
    if (r == 0)
        r = add_flag(out, "merge", o->merge, e);
    if (r == 0)
        r = add_text(out, "prefix", o->prefix, e);
    if (r == 0)
        r = add_number(out, "sample", o->sample, UINT64_MAX, e);
    if (r == 0 && sampled)
        r = add_number(out, "seed", o->seed, UINT64_MAX, e);
    if (r == 0)
        r = add_shard(out, p, e);
    if (r == 0)
        r = add_range(out, "slice", p->from, p->to, e);
    if (r == 0)
        r = add_number(out, "split", o->split, 0, e);
    if (r == 0)
        r = add_text(out, "where", p->where, e);
    return r < 0 || bs_buf_add(out, "}", 2, e) < 0 ? -e->code : 0;
}
