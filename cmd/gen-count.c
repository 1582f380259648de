/*
 * gen-count.c - see gen-count.h.  Reading takes a moment where images take
 * minutes.
 */
#include "cmd/gen-count.h"

#include <sys/stat.h>
#include <unistd.h>

#include "cmd/models/source.h"

/* Whether the input is there again when it is opened or wound back. */
static bool
is_there_again(const char *path)
{
    struct stat st;

    if (strcmp(path, "-") == 0)
        return fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode);
    return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* Add the records of one input to *n; false where it cannot be read. */
static bool
count_records(const struct bs_gen_command_options *o, const char *path,
              uint64_t *n)
{
    const struct bs_doc *doc;
    struct bs_source *in;
    struct bs_err e = {0};
    int item = -1;

    if (bs_source_open_captions(&in, path, BS_READER_PARTIAL | BS_READER_STOP,
                                (size_t)o->std.memory, &o->columns, &e) < 0)
        return false;
    while (*n < o->std.limit && (item = bs_source_next(in, &doc)) > 0 &&
           item != BS_ITEM_STOP) {
        const char *caption =
            item == BS_ITEM_RECORD ? bs_doc_meta(doc, "caption") : NULL;

        *n += caption != NULL && caption[0] != '\0' &&
              bs_std_mine(&o->std, bs_doc_meta(doc, "key"));
    }
    bs_source_close(in);
    return item == BS_ITEM_EOF || *n >= o->std.limit;
}

uint64_t
bs_gen_count(const struct bs_gen_command_options *o, int argc, char *argv[])
{
    static char standard[] = "-", *only[] = {standard};
    size_t each = o->gen.per_caption > 0 ? o->gen.per_caption : 1;
    uint64_t n = 0;
    bool good = true;
    off_t at;
    int i;

    if (argc == 0) {
        argv = only;
        argc = 1;
    }
    for (i = 0; i < argc && good; i++) {
        bool piped = strcmp(argv[i], "-") == 0;

        good = is_there_again(argv[i]);
        at = good && piped ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
        good = good && at >= 0 && count_records(o, argv[i], &n);
        if (piped && at >= 0 && lseek(STDIN_FILENO, at, SEEK_SET) < 0)
            good = false;
    }
    return good && n < UINT64_MAX / each ? n * each : 0;
}
