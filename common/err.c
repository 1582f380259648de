/*
 * err.c - messages and exit statuses.  A message leaves with one write(), its
 * control characters escaped, so that a hostile key or path cannot drive the
 * terminal and two processes' lines do not mix.
 */
#include "common/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

static const char *prog_name = "bs";
static int prog_verbosity = 1;

int
bs_err_set(struct bs_err *e, enum bs_exit code, const char *fmt, ...)
{
    va_list ap;

    if (e->code != 0)
        return -e->code;
    e->code = (int)code;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return -e->code;
}

int
bs_err_errno(struct bs_err *e, enum bs_exit code, const char *fmt, ...)
{
    int number = errno;
    size_t len;
    va_list ap;

    if (e->code != 0)
        return -e->code;
    e->code = number == ENOMEM ? BS_EX_OSERR : (int)code;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    len = strlen(e->text);
    snprintf(e->text + len, sizeof e->text - len, ": %s", strerror(number));
    return -e->code;
}

int
bs_err_memory(struct bs_err *e, const char *what, size_t bytes)
{
    return bs_err_set(e, BS_EX_OSERR, "out of memory: %s (%zu bytes)", what,
                      bytes);
}

int
bs_err_prefix(struct bs_err *e, const char *fmt, ...)
{
    char place[sizeof e->text];
    size_t len, keep;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(place, sizeof place - 2, fmt, ap);
    va_end(ap);
    len = strlen(place);
    memcpy(place + len, ": ", 2);
    len += 2;
    keep = strlen(e->text);
    if (keep > sizeof e->text - 1 - len)
        keep = sizeof e->text - 1 - len;
    memmove(e->text + len, e->text, keep);
    memcpy(e->text, place, len);
    e->text[len + keep] = '\0';
    return -e->code;
}

/* One line to stderr: NAME: [kind]what[: detail]. */
static void
say(const char *kind, const char *fmt, va_list ap, const char *detail)
{
    char raw[1400], line[sizeof raw * 4 + 64];
    size_t n = 0, len, i;

    vsnprintf(raw, sizeof raw, fmt, ap);
    len = strlen(raw);
    if (detail != NULL)
        snprintf(raw + len, sizeof raw - len, "%s%s", len > 0 ? ": " : "",
                 detail);
    n = (size_t)snprintf(line, sizeof line, "%.40s: %s", prog_name, kind);
    for (i = 0; raw[i] != '\0'; i++) {
        unsigned char c = (unsigned char)raw[i];

        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(line + n, sizeof line - n, "\\x%02x", c);
        else
            line[n++] = (char)c;
    }
    line[n++] = '\n';
    fflush(stdout);
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody left to tell */
}

void
bs_prog_init(const char *name)
{
    const char *slash = strrchr(name, '/');
    int fd;

    prog_name = slash != NULL ? slash + 1 : name;
    /* A closed 0, 1 or 2 would be handed to the next open(): data would land
     * in a wrong file.  A write to a read-only 1 then fails, as it should. */
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
    signal(SIGPIPE, SIG_DFL);
}

const char *
bs_prog_name(void)
{
    return prog_name;
}

void
bs_prog_verbosity(int level)
{
    prog_verbosity = level;
}

int
bs_prog_verbose(void)
{
    return prog_verbosity;
}

void
bs_warn(const char *fmt, ...)
{
    va_list ap;

    if (prog_verbosity < 1)
        return;
    va_start(ap, fmt);
    say("warning: ", fmt, ap, NULL);
    va_end(ap);
}

void
bs_info(const char *fmt, ...)
{
    va_list ap;

    if (prog_verbosity < 2)
        return;
    va_start(ap, fmt);
    say("", fmt, ap, NULL);
    va_end(ap);
}

void
bs_complain(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("", fmt, ap, NULL);
    va_end(ap);
}

void
bs_die(enum bs_exit code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("", fmt, ap, NULL);
    va_end(ap);
    exit((int)code);
}

void
bs_die_err(const struct bs_err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("", fmt != NULL ? fmt : "", ap, e->text);
    va_end(ap);
    exit(e->code != 0 ? e->code : (int)BS_EX_SOFTWARE);
}

int
bs_finish(int status)
{
    int bad = ferror(stdout);

    errno = 0;
    if (fclose(stdout) != 0)
        bad = 1;
    if (!bad)
        return status;
    bs_complain("cannot write 'stdout': %s",
                errno != 0 ? strerror(errno) : "write failed");
    return BS_EX_IO;
}
