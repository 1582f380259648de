/*
 * bs-cat - look at, verify, select, combine and convert records
 *
 * Reads streams, tar archives, npy and safetensors files and folders of
 * pictures; writes them as a stream, or as one of those, or as text.  Memory is
 * one record; cat.h says what sampling, joining and merging add.
 */
#include "cmd/models/cat.h"
#include "cmd/shared.h"
#include "common/num.h"
#include "formats/tarwrite.h"

enum { PARTS_MAX = 1024 };

/* What the options say that bs_cat_options does not hold. */
struct want {
    bool list, head, jsonl, text, verify;
    const char *slice;
    uint64_t seed;
    int format, duplicates, bf16;
};

static enum bs_text_kind
text_kind(const struct want *w)
{
    return w->list    ? BS_TEXT_LIST
           : w->head  ? BS_TEXT_HEADS
           : w->jsonl ? BS_TEXT_JSONL
           : w->text  ? BS_TEXT_TENSORS
                      : BS_TEXT_NONE;
}

/* "a:b", "a:" or ":b". */
static void
parse_slice(const struct bs_cmd *cmd, const char *text,
            struct bs_pick_options *pick)
{
    const char *colon = strchr(text, ':');
    char from[24] = "0";
    size_t len = colon != NULL ? (size_t)(colon - text) : sizeof from;

    if (len > 0 && len < sizeof from) {
        memcpy(from, text, len);
        from[len] = '\0';
    }
    if (len >= sizeof from || text[1] == '\0' ||
        bs_num_u64(from, 0, UINT64_MAX, &pick->from) != NULL ||
        (colon[1] != '\0' &&
         bs_num_u64(colon + 1, 0, UINT64_MAX, &pick->to) != NULL))
        bs_opt_misuse(cmd, "option '--slice': '%s' is not from:to", text);
    if (pick->from > pick->to)
        bs_opt_misuse(cmd, "option '--slice': '%s' ends before it starts",
                      text);
}

static void
check(const struct bs_cmd *cmd, const struct want *w,
      const struct bs_cat_options *o, const struct bs_std *std)
{
    int looks = w->list + w->head + w->jsonl + w->text + w->verify;

    if (looks > 1)
        bs_opt_misuse(cmd, "'--list', '--head', '--jsonl', '--text' and "
                           "'--verify' exclude each other");
    if (looks > 0 && (w->format != BS_SINK_AUTO || o->split > 0))
        bs_opt_misuse(cmd, "'--format' and '--split' do not go with text");
    if (w->verify && std->output != NULL)
        bs_opt_misuse(cmd, "'--verify' has no output");
    if (o->prefix != NULL && o->join == NULL)
        bs_opt_misuse(cmd, "'--prefix' needs '--join'");
    if (o->keep_first && !o->merge)
        bs_opt_misuse(cmd, "'--duplicates' needs '--merge'");
}

/* What was left out, which nobody would notice from the result. */
static void
tell(const struct bs_cat_counts *n, const struct bs_cat_options *o)
{
    if (n->unpaired > 0 || n->unused > 0)
        bs_warn("left out: %ju records without a partner in '%s', %ju of its "
                "own",
                (uintmax_t)n->unpaired, o->join, (uintmax_t)n->unused);
    if (n->missing > 0)
        bs_warn("%zu keys that were asked for are not there", n->missing);
    if (n->duplicates > 0)
        bs_warn("left out: %ju records whose key came before",
                (uintmax_t)n->duplicates);
    bs_info("%ju records read, %ju written, %ju members passed over",
            (uintmax_t)n->read, (uintmax_t)n->written, (uintmax_t)n->ignored);
}

/* Open the sink, run, close it; dies on failure. */
static int
run(struct bs_cat_options *o, const struct want *w, const struct bs_std *std)
{
    bool text = w->list || w->head || w->jsonl || w->text || w->verify;
    struct bs_progress progress;
    struct bs_cat_counts counts;
    struct bs_sink *sink;
    struct bs_err e = {0}, late = {0};
    int r;

    r = text ? bs_sink_text(&sink, std->output, text_kind(w), &e)
             : bs_sink_open(&sink, std->output, (enum bs_sink_format)w->format,
                            (int)std->level, (size_t)o->split, &e);
    if (r < 0)
        bs_die_err(&e, NULL);
    o->keep_heads = text;
    o->whole =
        !text && bs_sink_is_whole(std->output, (enum bs_sink_format)w->format);
    bs_progress_start(&progress, "records", 0, std->progress);
    o->progress = &progress;
    r = bs_cat_run(o, sink, &counts, &e);
    if (sink->class->close(sink, r == 0, &late) < 0 && r == 0) {
        e = late;
        r = -e.code;
    }
    bs_progress_end(&progress);
    if (r < 0)
        bs_die_err(&e, NULL);
    tell(&counts, o);
    if (counts.stopped)
        bs_complain("stopped by %s: the result is partial", bs_stop_reason());
    return counts.stopped ? BS_EX_TEMPFAIL : BS_EX_OK;
}

int
main(int argc, char *argv[])
{
    static const char *const formats[] = {"auto", "stream",      "wds",
                                          "npy",  "safetensors", NULL};
    static const char *const duplicates[] = {"error", "first", NULL};
    static const char *const bf16[] = {"bf16", "f32", NULL};
    struct bs_std std = BS_STD_DEFAULT;
    struct want w = {0};
    struct bs_cat_options o = {.pick = BS_PICK_ALL, .sample = UINT64_MAX};
    int first;

    /* clang-format off */
    const struct bs_opt opt[] = {
        OPT_FLAG('l', "list", &w.list, "print each record's key, and its tensors with type and shape"),
        OPT_FLAG('H', "head", &w.head, "print the head and end of each segment as JSON"),
        OPT_FLAG('j', "jsonl", &w.jsonl, "print each record's metadata as a line of JSON"),
        OPT_FLAG('t', "text", &w.text, "print the values of all tensors"),
        OPT_FLAG(0, "verify", &w.verify, "read and check everything, print nothing"),
        OPT_STR(0, "slice", "from:to", &w.slice, "take the records from position from (the first is 0) to before to"),
        OPT_STR(0, "key", "key,...", &o.pick.keys, "take the records with these keys"),
        OPT_FILE(0, "keys", "file", &o.pick.keys_file, "take the records whose keys are the lines of file"),
        OPT_STR(0, "where", "name=value", &o.pick.where, "take the records whose metadata says this"),
        OPT_U64(0, "sample", "count", &o.sample, 0, UINT64_MAX - 1, "take so many records at random"),
        OPT_U64(0, "seed", "n", &w.seed, 0, UINT64_MAX - 1, "seed of --sample (default 0)"),
        OPT_FILE(0, "join", "file", &o.join, "add what file has under the same key; leave out what has no partner"),
        OPT_STR(0, "prefix", "text", &o.prefix, "put text before names of --join that are taken"),
        OPT_FLAG(0, "merge", &o.merge, "make one segment of all"),
        OPT_ENUM(0, "duplicates", "what", &w.duplicates, duplicates, "of a key that comes twice in --merge: error (default) or first"),
        OPT_U64(0, "split", "parts", &o.split, 1, PARTS_MAX, "write so many outputs by key; -o names them, as in part-%02d.bs"),
        OPT_ENUM('f', "format", "name", &w.format, formats, "auto (by the output's name; default), stream, wds, npy or safetensors"),
        OPT_ENUM(0, "bf16-as", "type", &w.bf16, bf16, "bf16 (default) or f32: write BF16 tensors as this"),
        OPT_DONE,
    };
    /* clang-format on */
    const struct bs_opt shared[] = {BS_STD_SELECT(&std), BS_STD_INPUT(&std),
                                    BS_STD_OUTPUT(&std), OPT_DONE};
    const struct bs_cmd cmd = {
        .name = "bs-cat",
        .synopsis = "[options] [file ...]",
        .brief = "look at, verify, select, combine and convert records",
        .opt = opt,
        .shared = shared,
        .features = bs_std_features,
    };

    first = bs_std_parse(&cmd, &std, argc, argv);
    if (w.slice != NULL)
        parse_slice(&cmd, w.slice, &o.pick);
    o.keep_first = w.duplicates == 1;
    check(&cmd, &w, &o, &std);
    o.path = (const char *const *)argv + first;
    o.paths = (size_t)(argc - first);
    o.flags = std.allow_partial ? BS_READER_PARTIAL : 0;
    o.max_record = std.memory;
    o.pick.shard_index = std.shard_index;
    o.pick.shard_count = std.shard_count;
    o.seed = w.seed;
    o.limit = std.limit;
    o.widen = w.bf16 == 1;
    o.provenance = std.provenance != 0;
    o.tool = bs_opt_version();
    return bs_finish(run(&o, &w, &std));
}
