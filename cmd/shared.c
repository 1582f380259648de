/*
 * shared.c - see shared.h.
 */
#include "cmd/shared.h"

#include <unistd.h>

#include "common/num.h"
#include "formats/digest.h"
#include "formats/image.h"
#include "formats/tarwrite.h"
#include "kernels/dev.h"

/* "i/n", or "auto": the job array's task. */
static void
parse_shard(const struct bs_cmd *cmd, struct bs_std *std)
{
    const char *slash = strchr(std->shard, '/');
    const char *index = std->shard, *count = slash != NULL ? slash + 1 : "";
    char first[24];

    if (strcmp(std->shard, "auto") == 0) {
        index = getenv("SLURM_ARRAY_TASK_ID");
        count = getenv("SLURM_ARRAY_TASK_COUNT");
        if (index == NULL || count == NULL)
            bs_opt_misuse(cmd, "'--shard=auto': SLURM_ARRAY_TASK_ID and "
                               "SLURM_ARRAY_TASK_COUNT are not set");
    } else if (slash == NULL || slash - index >= (ptrdiff_t)sizeof first) {
        bs_opt_misuse(cmd, "option '--shard': '%s' is not i/n", std->shard);
    } else {
        memcpy(first, index, (size_t)(slash - index));
        first[slash - index] = '\0';
        index = first;
    }
    if (bs_num_u64(count, 1, UINT32_MAX, &std->shard_count) != NULL ||
        bs_num_u64(index, 0, std->shard_count - 1, &std->shard_index) != NULL)
        bs_opt_misuse(cmd, "option '--shard': '%s/%s' is not i/n with i < n",
                      index, count);
}

int
bs_std_parse(const struct bs_cmd *cmd, struct bs_std *std, int argc,
             char *argv[])
{
    int operand;

    bs_prog_init(cmd->name);
    operand = bs_opt_parse(cmd, argc, argv);
    if (std->shard != NULL)
        parse_shard(cmd, std);
    if (std->device == NULL)
        std->device = getenv("BS_DEVICE");
    if (std->device == NULL || *std->device == '\0')
        std->device = "auto";
    if (std->quiet && std->verbose > 0)
        bs_opt_misuse(cmd, "'--quiet' and '--verbose' do not go together");
    bs_prog_verbosity(std->quiet ? 0 : 1 + std->verbose);
    if (std->quiet && std->progress < 0)
        std->progress = 0;
    bs_stop_install(std->time_limit);
    return operand;
}

const char *
bs_std_features(void)
{
    static char text[600];
    char images[200];

    bs_image_libraries(images, sizeof images);
    snprintf(text, sizeof text, "images: %s\narchives: %s\ncompute: %s", images,
             bs_tar_library(), bs_dev_features());
    return text;
}

bool
bs_std_mine(const struct bs_std *std, const char *key)
{
    return std->shard_count <= 1 ||
           bs_xxh64(key, strlen(key), 0) % std->shard_count == std->shard_index;
}

/* The outputs that are being written; a process that dies leaves nothing of
 * them. */
static struct bs_out *unfinished[BS_STD_OUTPUTS];

static void
abandon_unfinished(void)
{
    size_t i;

    for (i = 0; i < BS_LEN(unfinished); i++) {
        if (unfinished[i] == NULL)
            continue;
        unfinished[i]->fd = -1; /* the writer's thread may be using it: exit
                                   closes */
        bs_out_abandon(unfinished[i]);
    }
}

/* From what to what, in the first place that has it. */
static bool
swap_unfinished(const struct bs_out *from, struct bs_out *to)
{
    size_t i;

    for (i = 0; i < BS_LEN(unfinished); i++)
        if (unfinished[i] == from) {
            unfinished[i] = to;
            return true;
        }
    return false;
}

void
bs_std_open(struct bs_out *out, struct bs_writer **w, const struct bs_std *std)
{
    static bool registered;
    struct bs_err e = {0};

    if (bs_out_open(out, std->output, &e) < 0)
        bs_die_err(&e, NULL);
    registered = registered || atexit(abandon_unfinished) == 0;
    if (!registered || !swap_unfinished(NULL, out))
        bs_die(BS_EX_SOFTWARE, "too many outputs");
    if (isatty(out->fd) == 1)
        bs_die(BS_EX_USAGE, "records are not written to a terminal; "
                            "use '-o file' or a pipe, or 'bs-cat -l' to look");
    if (bs_writer_open(w, out->fd, out->name, (int)std->level, &e) < 0)
        bs_die_err(&e, "cannot write '%s'", out->name);
}

void
bs_std_head(struct bs_doc *head, const struct bs_std *std, const char *kind,
            const char *params, const struct bs_doc *parent)
{
    struct bs_err e = {0};
    int r = bs_doc_set(head, "bs.kind", kind, &e);

    if (r == 0 && std->provenance) {
        r = bs_doc_set(head, "bs.tool", bs_opt_version(), &e);
        if (r == 0)
            r = bs_doc_set(head, "bs.params", params != NULL ? params : "{}",
                           &e);
        if (r == 0 && parent != NULL)
            r = bs_stream_parent(head, parent, 0, &e);
    }
    if (r < 0)
        bs_die_err(&e, NULL);
}

void
bs_std_write_failed(struct bs_out *out, struct bs_writer *w)
{
    bs_die_err(bs_writer_error(w), "cannot write '%s'", out->name);
}

/* Pass one input on; false when the run is over. */
static bool
relay_input(struct bs_relay *relay, struct bs_out *out,
            const struct bs_std *std, const char *path)
{
    unsigned flags = BS_READER_STOP;
    struct bs_source *in;
    struct bs_err e = {0};
    int more;

    if (std->allow_partial)
        flags |= BS_READER_PARTIAL;
    if (bs_source_open_captions(&in, path, flags, (size_t)std->memory,
                                relay->columns, &e) < 0)
        bs_die_err(&e, NULL);
    more = bs_relay_source(relay, in, &e);
    if (bs_writer_error(relay->writer)->code != 0)
        bs_std_write_failed(out, relay->writer);
    if (more < 0)
        bs_die_err(&e, NULL);
    bs_source_close(in);
    return more > 0;
}

void
bs_std_relay(struct bs_relay *relay, struct bs_out *out,
             const struct bs_std *std, int argc, char *argv[])
{
    bool more = argc > 0 || relay_input(relay, out, std, "-");
    int i;

    for (i = 0; more && i < argc; i++)
        more = relay_input(relay, out, std, argv[i]);
    bs_relay_release(relay);
}

int
bs_std_close(struct bs_out *out, struct bs_writer *w, int status)
{
    struct bs_err e = {0};

    if (bs_writer_close(w, &e) < 0)
        bs_die_err(&e, "cannot write '%s'", out->name);
    if (bs_out_commit(out, &e) < 0)
        bs_die_err(&e, NULL);
    (void)swap_unfinished(out, NULL);
    return status;
}
