/*
 * err.h - exit statuses and the two tiers of errors.
 *
 * Library tier (common, formats, kernels, cmd/models): a call that fails fills
 * a struct bs_err and returns the negative of an enum bs_exit; it never prints
 * and never exits.  Command tier (cmd/bs-*.c, cmd/shared.c): prints one line
 * and exits.  Messages are lower case, without a full stop, the subject in
 * single quotes, what failed first and the errno text last.
 */
#ifndef BS_COMMON_ERR_H
#define BS_COMMON_ERR_H

#include "common/bs.h"

/* Exit statuses, the part of sysexits(3) that a caller acts on; bs(7). */
enum bs_exit {
    BS_EX_OK = 0,
    BS_EX_USAGE = 64,    /* wrong option, operand or combination */
    BS_EX_DATA = 65,     /* corrupt, truncated, empty or mismatched input */
    BS_EX_NOINPUT = 66,  /* a named file cannot be opened */
    BS_EX_UNAVAIL = 69,  /* device or feature not there */
    BS_EX_SOFTWARE = 70, /* a bug */
    BS_EX_OSERR = 71,    /* out of memory or threads */
    BS_EX_IO = 74,       /* read or write failed */
    BS_EX_TEMPFAIL = 75  /* partial result, or try again later */
};

/* An error on its way up.  Zero-initialised means none. */
struct bs_err {
    int code; /* an enum bs_exit, 0 for none */
    char text[500];
};

/* Say what is wrong; returns -code.  The first message of an error stays. */
int bs_err_set(struct bs_err *e, enum bs_exit code, const char *fmt, ...)
    BS_PRINTF(3, 4);

/* The same, with ": " and the text of errno behind it. */
int bs_err_errno(struct bs_err *e, enum bs_exit code, const char *fmt, ...)
    BS_PRINTF(3, 4);

/* "out of memory: WHAT (BYTES bytes)"; returns -BS_EX_OSERR. */
int bs_err_memory(struct bs_err *e, const char *what, size_t bytes);

/* Put the place before the message: "PLACE: text"; returns -e->code. */
int bs_err_prefix(struct bs_err *e, const char *fmt, ...) BS_PRINTF(2, 3);

/* ---- command tier: these print to stderr, and most exit ---------------- */

/*
 * First call of every main(): keeps the name for messages, puts descriptors
 * 0-2 on /dev/null where they are closed, restores the default SIGPIPE.
 */
void bs_prog_init(const char *name);
const char *bs_prog_name(void);

/* Verbosity: 0 errors only (-q), 1 warnings, 2 summary (-v), 3 details. */
void bs_prog_verbosity(int level);
int bs_prog_verbose(void);

/* "NAME: warning: ..." unless -q; "NAME: ..." from -v on. */
void bs_warn(const char *fmt, ...) BS_PRINTF(1, 2);
void bs_info(const char *fmt, ...) BS_PRINTF(1, 2);

/* "NAME: ..." whatever the verbosity; the program goes on. */
void bs_complain(const char *fmt, ...) BS_PRINTF(1, 2);

void bs_die(enum bs_exit code, const char *fmt, ...) BS_NORETURN
    BS_PRINTF(2, 3);
/* "NAME: what: e->text", exit e->code; fmt may be NULL. */
void bs_die_err(const struct bs_err *e, const char *fmt, ...) BS_NORETURN
    BS_PRINTF(2, 3);

/*
 * Last call of every main(): close stdout, where late write errors surface.
 * Returns `status`, or BS_EX_IO after a complaint where the close fails.
 */
int bs_finish(int status) BS_CHECKED;

#endif
