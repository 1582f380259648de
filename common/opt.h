/*
 * opt.h - one table describes a command's options.
 *
 * Parsing, --help, the completions and the check of the man page all read it,
 * so none of them can disagree.
 */
#ifndef BS_COMMON_OPT_H
#define BS_COMMON_OPT_H

#include "common/bs.h"

enum bs_opt_kind {
    BS_OPT_END = 0,
    BS_OPT_FLAG,    /* to: bool *, set */
    BS_OPT_NEGATE,  /* to: int *: --name sets 1, --no-name sets 0 */
    BS_OPT_COUNT,   /* to: int *, incremented each time */
    BS_OPT_U64,     /* to: uint64_t *, min..max */
    BS_OPT_I64,     /* to: int64_t *, (int64_t)min..(int64_t)max */
    BS_OPT_SIZE,    /* to: uint64_t *, bytes with K M G T, min..max */
    BS_OPT_SECONDS, /* to: uint64_t *, with s m h d, at most max */
    BS_OPT_F64,     /* to: double *, finite */
    BS_OPT_STR,     /* to: const char **, borrowed from argv, not empty */
    BS_OPT_FILE,    /* the same; completions offer files */
    BS_OPT_FILES,   /* to: struct bs_opt_list *, one more each time */
    BS_OPT_ENUM     /* to: int *, index into the NULL-ended list `names` */
};

#define BS_OPT_LIST_MAX 64

struct bs_opt {
    enum bs_opt_kind kind;
    char ch;          /* short letter, 0 for none */
    const char *name; /* long name, without the dashes */
    const char *arg;  /* what --help calls the value, NULL for flags */
    const char *help; /* one line, lower case, no full stop */
    void *to;
    uint64_t min, max;
    const char *const *names;
};

/* The values of an option that may be repeated, borrowed from argv. */
struct bs_opt_list {
    const char *item[BS_OPT_LIST_MAX];
    size_t count;
};

/* clang-format off */
/* Rows of a table, one a line; the last is OPT_DONE. */
#define OPT_FLAG(ch, name, to, help) \
    {BS_OPT_FLAG, ch, name, 0, help, to, 0, 0, 0}
#define OPT_NEGATE(name, to, help) \
    {BS_OPT_NEGATE, 0, name, 0, help, to, 0, 0, 0}
#define OPT_COUNT(ch, name, to, help) \
    {BS_OPT_COUNT, ch, name, 0, help, to, 0, 0, 0}
#define OPT_U64(ch, name, arg, to, lo, hi, help) \
    {BS_OPT_U64, ch, name, arg, help, to, lo, hi, 0}
#define OPT_I64(ch, name, arg, to, lo, hi, help) \
    {BS_OPT_I64, ch, name, arg, help, to, (uint64_t)(lo), (uint64_t)(hi), 0}
#define OPT_SIZE(ch, name, arg, to, lo, hi, help) \
    {BS_OPT_SIZE, ch, name, arg, help, to, lo, hi, 0}
#define OPT_SECONDS(ch, name, arg, to, hi, help) \
    {BS_OPT_SECONDS, ch, name, arg, help, to, 0, hi, 0}
#define OPT_F64(ch, name, arg, to, help) \
    {BS_OPT_F64, ch, name, arg, help, to, 0, 0, 0}
#define OPT_STR(ch, name, arg, to, help) \
    {BS_OPT_STR, ch, name, arg, help, to, 0, 0, 0}
#define OPT_FILE(ch, name, arg, to, help) \
    {BS_OPT_FILE, ch, name, arg, help, to, 0, 0, 0}
#define OPT_FILES(ch, name, arg, to, help) \
    {BS_OPT_FILES, ch, name, arg, help, to, 0, 0, 0}
#define OPT_ENUM(ch, name, arg, to, names, help) \
    {BS_OPT_ENUM, ch, name, arg, help, to, 0, 0, names}
#define OPT_DONE {BS_OPT_END, 0, 0, 0, 0, 0, 0, 0, 0}
/* clang-format on */

struct bs_cmd {
    const char *name;
    const char *synopsis;     /* operands and what is worth naming: "[options]
                                 [file ...]"; as in the man page */
    const char *brief;        /* as in the man page's NAME */
    const struct bs_opt *opt; /* the command's own options */
    const struct bs_opt *shared;   /* options of every command, or NULL */
    const char *(*features)(void); /* lines for --version, or NULL */
};

/*
 * Parse argv, which may be permuted ("--" ends the options, "-" is an
 * operand); returns the index of the first operand.  Prints and exits for
 * --help, --version and the hidden --list-options (status 0) and for anything
 * wrong (one line and a usage line on stderr, status 64).  A repeated option:
 * the last one wins, but for BS_OPT_FILES.
 * Unambiguous prefixes of long names are not accepted.
 */
int bs_opt_parse(const struct bs_cmd *cmd, int argc, char *argv[]);

/* Complain and exit with 64 and the usage line: wrong operands or options that
 * do not go together. */
void bs_opt_misuse(const struct bs_cmd *cmd, const char *fmt, ...) BS_NORETURN
    BS_PRINTF(2, 3);

/* "bs-embed v0.1.0": what bs.tool says. */
const char *bs_opt_version(void);

#endif
