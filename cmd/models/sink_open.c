/*
 * sink_open.c - see sink.h: which sink an output's name and format mean.
 */
#include "cmd/models/sink.h"

#include "formats/tarwrite.h"

enum { DIGITS_MAX = 9, NUMBER_ROOM = 32 };

static bool
ends_in(const char *path, const char *suffix)
{
    size_t len = strlen(path), n = strlen(suffix);

    return len > n && strcmp(path + len - n, suffix) == 0;
}

static bool
is_stdout(const char *path)
{
    return path == NULL || strcmp(path, "-") == 0;
}

static enum bs_sink_format
resolve(const char *path, enum bs_sink_format format)
{
    enum bs_tar_filter filter;

    if (format != BS_SINK_AUTO || is_stdout(path))
        return format != BS_SINK_AUTO ? format : BS_SINK_STREAM;
    if (bs_tar_named(path, &filter))
        return BS_SINK_WDS;
    return ends_in(path, ".safetensors") ? BS_SINK_SAFETENSORS : BS_SINK_STREAM;
}

bool
bs_sink_is_whole(const char *path, enum bs_sink_format format)
{
    format = resolve(path, format);
    return format == BS_SINK_NPY || format == BS_SINK_SAFETENSORS;
}

static int
open_one(struct bs_sink **out, const char *path, enum bs_sink_format format,
         int level, struct bs_err *e)
{
    switch (resolve(path, format)) {
    case BS_SINK_WDS:
        return bs_sink_tar(out, path, e);
    case BS_SINK_NPY:
        if (is_stdout(path))
            return bs_err_set(e, BS_EX_USAGE,
                              "npy files go to a folder; name it with '-o'");
        return bs_sink_folder(out, path, BS_FOLDER_NPY, e);
    case BS_SINK_SAFETENSORS:
        if (is_stdout(path) || ends_in(path, ".safetensors"))
            return bs_sink_file(out, path, e);
        return bs_sink_folder(out, path, BS_FOLDER_SAFETENSORS, e);
    default:
        return bs_sink_stream(out, path, level, e);
    }
}

/* ---- one of several ------------------------------------------------------ */

struct pattern {
    const char *path;
    size_t before, after; /* of what the number replaces: where, and behind */
    int digits;
    enum bs_sink_format format;
    int level;
};

/* Find "%d" or "%0Nd", the only one. */
static int
parse_pattern(struct pattern *p, struct bs_err *e)
{
    const char *s = p->path != NULL ? strchr(p->path, '%') : NULL, *start = s;

    p->digits = 1;
    if (s != NULL && s[1] == '0' && s[2] >= '1' && s[2] <= '0' + DIGITS_MAX) {
        p->digits = s[2] - '0';
        s += 2;
    }
    if (s == NULL || s[1] != 'd' || strchr(s + 1, '%') != NULL)
        return bs_err_set(e, BS_EX_USAGE,
                          "parts need a name with one '%%d' or '%%02d' in it");
    p->before = (size_t)(start - p->path);
    p->after = (size_t)(s + 2 - p->path);
    return 0;
}

static int
open_part(void *arg, size_t number, char **name, struct bs_sink **out,
          struct bs_err *e)
{
    const struct pattern *p = arg;
    size_t room = strlen(p->path) + NUMBER_ROOM;

    *name = bs_alloc(room);
    if (*name == NULL)
        return bs_err_memory(e, "name of a part", room);
    snprintf(*name, room, "%.*s%0*zu%s", (int)p->before, p->path, p->digits,
             number, p->path + p->after);
    return open_one(out, *name, p->format, p->level, e);
}

int
bs_sink_open(struct bs_sink **out, const char *path, enum bs_sink_format format,
             int level, size_t split, struct bs_err *e)
{
    struct pattern p = {.path = path, .format = format, .level = level};
    int r;

    if (split == 0)
        return open_one(out, path, format, level, e);
    r = parse_pattern(&p, e);
    return r < 0 ? r : bs_sink_split(out, split, open_part, &p, e);
}
