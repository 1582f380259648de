/*
 * gather_params.c - the options of a gathering that change its result, as
 * canonical JSON for the head of the stream: in order of their names, without
 * those that have their default.
 */
#include "cmd/models/gather.h"
#include "formats/json.h"

/* "name": with the comma before it that the object needs. */
static int
add_name(struct bs_buf *b, const char *name, struct bs_err *e)
{
    return bs_buf_printf(b, e, "%s\"%s\":", b->len > 1 ? "," : "", name);
}

static int
add_number(struct bs_buf *b, const char *name, uint64_t value,
           uint64_t otherwise, struct bs_err *e)
{
    int r = value != otherwise ? add_name(b, name, e) : 0;

    return r == 0 && value != otherwise
               ? bs_buf_printf(b, e, "%llu", (unsigned long long)value)
               : r;
}

static int
add_text(struct bs_buf *b, const char *name, const char *value,
         struct bs_err *e)
{
    int r = value != NULL ? add_name(b, name, e) : 0;

    return r == 0 && value != NULL ? bs_json_quote(b, value, e) : r;
}

static int
add_flag(struct bs_buf *b, const char *name, bool value, bool otherwise,
         struct bs_err *e)
{
    int r = value != otherwise ? add_name(b, name, e) : 0;

    return r == 0 && value != otherwise
               ? bs_buf_str(b, value ? "true" : "false", e)
               : r;
}

static int
add_limits(struct bs_buf *b, const struct bs_gather_options *o,
           struct bs_err *e)
{
    const struct bs_image_limits *usual = &bs_image_limits_default;
    uint64_t bytes = o->max_bytes > 0 ? o->max_bytes : usual->bytes;
    uint64_t pixels = o->max_pixels > 0 ? o->max_pixels : usual->pixels;
    int r = add_number(b, "max_bytes", bytes, usual->bytes, e);

    return r == 0 ? add_number(b, "max_pixels", pixels, usual->pixels, e) : r;
}

int
bs_gather_params(const struct bs_gather_options *o, uint64_t limit,
                 uint64_t shard, uint64_t shards, struct bs_buf *b,
                 struct bs_err *e)
{
    const char *format = bs_table_format_names[o->list];

    char part[48];

    snprintf(part, sizeof part, "%ju/%ju", (uintmax_t)shard, (uintmax_t)shards);
    if (bs_buf_str(b, "{", e) < 0 ||
        add_text(b, "caption_column", o->caption_column, e) < 0 ||
        add_flag(b, "captions", !o->no_captions, true, e) < 0 ||
        add_flag(b, "dedupe", o->dedupe, false, e) < 0 ||
        add_text(b, "input_format", o->list != BS_TABLE_AUTO ? format : NULL,
                 e) < 0 ||
        add_number(b, "jpeg_roundtrip", o->jpeg_quality, 0, e) < 0 ||
        add_text(b, "key_prefix", o->key_prefix, e) < 0 ||
        add_number(b, "limit", limit, UINT64_MAX, e) < 0 ||
        add_limits(b, o, e) < 0 ||
        add_number(b, "min_side", o->min_side, 0, e) < 0 ||
        add_text(b, "path_column", o->path_column, e) < 0 ||
        add_number(b, "sample", o->sample, 0, e) < 0 ||
        add_text(b, "shard", shards > 1 ? part : NULL, e) < 0 ||
        add_flag(b, "validate", !o->no_decode, true, e) < 0)
        return -e->code;
    return bs_buf_add(b, "}", 2, e);
}
