/*
 * bs-fetch - gather pictures and captions into a stream of images
 *
 * Folders, archives and lists go in, image records come out; see gather.h.
 */
#include "cmd/models/gather.h"
#include "cmd/models/ledger.h"
#include "cmd/shared.h"
#include "common/pool.h"

struct run {
    struct bs_std std;
    struct bs_gather_options options;
    const char *log;
    bool strict;
    struct bs_gather *gather;
    struct bs_ledger ledger;
    struct bs_out out;
    struct bs_writer *writer;
    struct bs_err e;
    bool stopped;
};

static void
check(const struct run *run, int r)
{
    if (r < 0)
        bs_die_err(&run->e, NULL);
}

static bool
is_mine(const void *std, const char *key)
{
    return bs_std_mine(std, key);
}

static void
write_head(struct run *run)
{
    const struct bs_gather_options *o = &run->options;
    const struct bs_std *std = &run->std;
    struct bs_doc head = {0};
    struct bs_buf params = {0};

    check(run, bs_gather_params(o, std->limit, std->shard_index,
                                std->shard_count, &params, &run->e));
    bs_std_head(&head, std, "image", (const char *)params.data, NULL);
    if (std->provenance && o->sample > 0)
        check(run, bs_doc_setf(&head, "bs.seed", &run->e, "%ju",
                               (uintmax_t)o->seed));
    if (bs_writer_head(run->writer, &head) < 0)
        bs_std_write_failed(&run->out, run->writer);
    bs_doc_release(&head);
    bs_buf_release(&params);
}

/* One candidate: into the log, and into the stream if it is good. */
static void
take(struct run *run, const struct bs_found *found)
{
    const char *status = bs_gather_status_name(found->status);

    check(run, bs_ledger_add(&run->ledger, found, &run->e));
    if (found->status == BS_GATHER_OK) {
        if (bs_writer_record(run->writer, &found->doc) < 0)
            bs_std_write_failed(&run->out, run->writer);
    } else if (run->strict) {
        bs_die(BS_EX_DATA, "'%s': %s: %s", found->src, status, found->message);
    } else if (bs_prog_verbose() > 2) {
        bs_info("'%s': %s: %s", found->src, status, found->message);
    }
}

static void
take_all(struct run *run)
{
    const uint64_t *good = &run->ledger.count[BS_GATHER_OK];
    const struct bs_found *found;
    struct bs_progress progress;
    int r = 1;

    bs_progress_start(&progress, "images", run->options.sample,
                      run->std.progress);
    while (r > 0 && *good < run->std.limit && !run->stopped) {
        r = bs_gather_next(run->gather, &found, &run->e);
        if (r > 0)
            take(run, found);
        bs_progress_step(&progress, *good);
        run->stopped = r != 0 && bs_stop_wanted();
    }
    bs_progress_end(&progress);
    if (!run->stopped || r != -BS_EX_TEMPFAIL)
        check(run, r);
    check(run, bs_ledger_close(&run->ledger, &run->e));
}

/* The counts: for programs into the stream, for people on stderr. */
static void
write_end(struct run *run)
{
    struct bs_ledger *l = &run->ledger;
    struct bs_buf stats = {0}, summary = {0};
    struct bs_doc end = {0};

    l->strays = bs_gather_strays(run->gather);
    l->cuts = bs_gather_cuts(run->gather);
    l->stopped = run->stopped ? bs_stop_reason() : NULL;
    if (!run->stopped && l->count[BS_GATHER_OK] < run->std.limit)
        l->wanted = run->options.sample;
    check(run, bs_ledger_stats(l, &stats, &run->e));
    check(run, bs_ledger_summary(l, &summary, &run->e));
    check(run, bs_doc_set(&end, "bs.stats", (char *)stats.data, &run->e));
    if (run->stopped)
        check(run, bs_doc_set(&end, "bs.status", "partial", &run->e));
    if (bs_writer_end(run->writer, &end, NULL) < 0)
        bs_std_write_failed(&run->out, run->writer);
    (bs_ledger_clean(l) ? bs_info : bs_warn)("%s", (char *)summary.data);
    bs_doc_release(&end);
    bs_buf_release(&stats);
    bs_buf_release(&summary);
}

/* Options into run; the index of the first operand. */
static int
parse(struct run *run, int argc, char *argv[])
{
    struct bs_gather_options *o = &run->options;
    int format = 0, captions = 1, validate = 1, operand;

    const struct bs_opt opt[] = {
        OPT_ENUM('i', "input-format", "format", &format, bs_table_format_names,
                 "of lists: auto (default), lines, tsv, csv, jsonl"),
        OPT_STR(0, "path-column", "name", &o->path_column, "column of paths"),
        OPT_STR(0, "caption-column", "name", &o->caption_column,
                "column of captions"),
        OPT_NEGATE("captions", &captions, "read captions (default)"),
        OPT_STR(0, "key-prefix", "text", &o->key_prefix, "starts every key"),
        OPT_U64(0, "jpeg-roundtrip", "quality", &o->jpeg_quality, 1, 100,
                "store every image as JPEG of this quality"),
        OPT_U64(0, "min-side", "pixels", &o->min_side, 0, 32768, "least side"),
        OPT_U64(0, "max-pixels", "n", &o->max_pixels, 1, (uint64_t)1 << 32,
                "refuse images with more (default 67108864)"),
        OPT_SIZE(0, "max-bytes", "size", &o->max_bytes, 1, (uint64_t)1 << 29,
                 "refuse files with more (default 32M)"),
        OPT_FLAG(0, "dedupe", &o->dedupe, "refuse bytes that came before"),
        OPT_NEGATE("validate", &validate, "decode every image (default)"),
        OPT_U64(0, "sample", "n", &o->sample, 1, UINT64_MAX, "draw n images"),
        OPT_U64(0, "seed", "n", &o->seed, 0, UINT64_MAX, "of the sample"),
        OPT_FLAG(0, "strict", &run->strict, "fail at the first bad image"),
        OPT_FILE(0, "log", "file", &run->log, "log each candidate as JSON"),
        OPT_FLAG(0, "allow-partial", &o->allow_cut, "accept cut archives"),
        BS_STD_SELECT(&run->std),
        BS_STD_THREADS(&run->std),
        BS_STD_OUTPUT(&run->std),
        OPT_DONE};
    const struct bs_cmd cmd = {
        "bs-fetch", "[options] source ...", "gather pictures and captions", opt,
        NULL,       bs_std_features};

    operand = bs_std_parse(&cmd, &run->std, argc, argv);
    if (operand == argc)
        bs_opt_misuse(&cmd, "no source: name a folder, an archive or a list");
    o->list = (enum bs_table_format)format;
    o->no_captions = captions == 0;
    o->no_decode = validate == 0;
    o->mine_arg = &run->std;
    o->threads = run->std.threads > 0 ? (unsigned)run->std.threads
                                      : bs_pool_processors();
    return operand;
}

int
main(int argc, char *argv[])
{
    struct run run = {.std = BS_STD_DEFAULT, .options.mine = is_mine};
    int i = parse(&run, argc, argv);

    check(&run, bs_gather_open(&run.gather, (const char *const *)argv + i,
                               (size_t)(argc - i), &run.options, &run.e));
    check(&run, bs_ledger_open(&run.ledger, run.log, &run.e));
    bs_std_open(&run.out, &run.writer, &run.std);
    write_head(&run);
    take_all(&run);
    write_end(&run);
    bs_gather_close(run.gather);
    return bs_std_close(&run.out, run.writer,
                        run.stopped ? BS_EX_TEMPFAIL : BS_EX_OK);
}
