/*
 * shared.h - what every command has in common: the standard options, the
 * output, the head of a stream, the end of a run.
 */
#ifndef BS_CMD_SHARED_H
#define BS_CMD_SHARED_H

#include "cmd/models/relay.h"
#include "common/err.h"
#include "common/io.h"
#include "common/opt.h"
#include "common/progress.h"
#include "common/stop.h"
#include "formats/doc.h"
#include "formats/stream.h"

/* Values of the standard options, with their defaults in BS_STD_DEFAULT. */
struct bs_std {
    const char *output;
    uint64_t threads;   /* 0: one a processor */
    const char *device; /* unless named, $BS_DEVICE, or auto */
    uint64_t wait_gpu;  /* seconds; 0: share it */
    uint64_t memory;
    int64_t level;
    const char *shard;
    uint64_t shard_index, shard_count; /* parsed from `shard` */
    uint64_t limit;
    uint64_t time_limit;
    int provenance, progress, verbose;
    bool quiet, allow_partial;
};

#define BS_STD_DEFAULT                                       \
    {                                                        \
        .memory = (uint64_t)1 << 30, .level = BS_LEVEL_AUTO, \
        .limit = UINT64_MAX, .provenance = 1, .progress = -1 \
    }

/*
 * Rows for an option table, by what a command has: every command has the
 * first; the others where they mean something.
 */
#define BS_STD_OUTPUT(s)                                                \
    OPT_FILE('o', "output", "file", &(s)->output,                       \
             "write to file, which appears when complete"),             \
        OPT_I64(0, "level", "n", &(s)->level, -131072, 19,              \
                "zstd level of the output"),                            \
        OPT_NEGATE("provenance", &(s)->provenance,                      \
                   "record how the output was made"),                   \
        OPT_NEGATE("progress", &(s)->progress,                          \
                   "show progress on stderr (default: on a terminal)"), \
        OPT_FLAG('q', "quiet", &(s)->quiet, "print errors only"),       \
        OPT_COUNT('v', "verbose", &(s)->verbose,                        \
                  "say what is done; twice: in detail")
#define BS_STD_INPUT(s)                                              \
    OPT_SIZE(0, "memory", "size", &(s)->memory, 1 << 20, UINT64_MAX, \
             "refuse records larger than this (default 1G)"),        \
        OPT_FLAG(0, "allow-partial", &(s)->allow_partial,            \
                 "accept input that ended early")
#define BS_STD_SELECT(s)                                                    \
    OPT_U64('n', "limit", "count", &(s)->limit, 0, UINT64_MAX,              \
            "stop after this many records"),                                \
        OPT_STR(                                                            \
            0, "shard", "i/n", &(s)->shard,                                 \
            "take the records of key hash i modulo n; auto: by job array"), \
        OPT_SECONDS(0, "time-limit", "time", &(s)->time_limit, 31536000,    \
                    "end early after this long, with a partial result")
#define BS_STD_THREADS(s)                                \
    OPT_U64('T', "threads", "n", &(s)->threads, 0, 1024, \
            "threads to use (default: all; never changes the output)")
#define BS_STD_DEVICE(s) \
    OPT_STR(0, "device", "name", &(s)->device, "auto, cpu, cuda or cuda:N")
#define BS_STD_WAIT_GPU(s)                                       \
    OPT_SECONDS(0, "wait-gpu", "time", &(s)->wait_gpu, 31536000, \
                "wait for others with this option to leave the GPU")

/*
 * Start of every main(): bs_prog_init, parse, the checks of the standard
 * options, verbosity, signals and the time limit.  Returns the index of the
 * first operand; exits with 64 for misuse.
 */
int bs_std_parse(const struct bs_cmd *cmd, struct bs_std *std, int argc,
                 char *argv[]);

/* What this build can do, and the libraries that it runs on: for --version. */
const char *bs_std_features(void);

/* True if the record `key` is of this shard. */
bool bs_std_mine(const struct bs_std *std, const char *key);

enum { BS_STD_OUTPUTS = 2 };

/*
 * Open the output and a writer on it; dies on failure.  Refuses to write
 * records to a terminal (64).  If the process ends before bs_std_close
 * (which *out must outlive), the temporary file is removed.  At most
 * BS_STD_OUTPUTS at a time.
 */
void bs_std_open(struct bs_out *out, struct bs_writer **w,
                 const struct bs_std *std);

/*
 * Fill a head: bs.kind, bs.tool, bs.params (canonical JSON; NULL for "{}"),
 * and bs.parents from `parent` (NULL for none).  With --no-provenance only
 * bs.kind.  Dies when out of memory.
 */
void bs_std_head(struct bs_doc *head, const struct bs_std *std,
                 const char *kind, const char *params,
                 const struct bs_doc *parent);

/*
 * Pass the records of the inputs argv[0..argc-1], or of stdin where there are
 * none, through the relay, whose writer is on `out`.  Dies on failure; what
 * ended early is in relay->stopped.
 */
void bs_std_relay(struct bs_relay *relay, struct bs_out *out,
                  const struct bs_std *std, int argc, char *argv[]);

/* Die with the writer's error, naming the output. */
void bs_std_write_failed(struct bs_out *out, struct bs_writer *w) BS_NORETURN;

/* Close the writer and let the output appear; returns `status`. */
int bs_std_close(struct bs_out *out, struct bs_writer *w, int status);

#endif
