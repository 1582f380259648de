/*
 * progress.c - see progress.h.
 */
#include "common/progress.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"

#define FIRST_S 1.0
#define TERMINAL_S (1.0 / 6)
#define LOG_S 10.0

static volatile sig_atomic_t line_wanted;

static void
on_usr1(int number)
{
    (void)number;
    line_wanted = 1;
}

void
bs_progress_start(struct bs_progress *p, const char *unit, uint64_t total,
                  int mode)
{
    struct sigaction act = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};

    *p = (struct bs_progress){.unit = unit, .total = total};
    p->terminal = isatty(STDERR_FILENO) == 1;
    p->on = mode == 1 || (mode != 0 && p->terminal);
    p->start = p->last = bs_clock();
    sigemptyset(&act.sa_mask);
    sigaction(SIGUSR1, &act, NULL);
}

void
bs_progress_before(struct bs_progress *p, uint64_t done)
{
    p->before = p->done = done;
}

void
bs_progress_note(struct bs_progress *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->note, sizeof p->note, fmt, ap);
    va_end(ap);
}

/* Columns of the terminal, or 0 where it does not say. */
static size_t
columns(void)
{
    struct winsize w;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

/* Decimals of a rate that say something. */
static int
decimals(double rate)
{
    return rate < 1 ? 3 : rate < 100 ? 1 : 0;
}

/* "NAME: 120 of 1000 images, 11.3/s, 78 s left, note" */
static void
print_line(struct bs_progress *p, double at, bool redraw)
{
    double seconds = at - p->start;
    double rate = seconds > 0 ? (double)(p->done - p->before) / seconds : 0;
    size_t n, width = redraw ? columns() : 0;
    char line[300];

    n = (size_t)snprintf(line, sizeof line, "%s: %ju", bs_prog_name(),
                         (uintmax_t)p->done);
    if (p->total > 0)
        n += (size_t)snprintf(line + n, sizeof line - n, " of %ju",
                              (uintmax_t)p->total);
    n += (size_t)snprintf(line + n, sizeof line - n, " %s, %.*f/s", p->unit,
                          decimals(rate), rate);
    if (p->total > p->done && rate > 0)
        n += (size_t)snprintf(line + n, sizeof line - n, ", %.0f s left",
                              (double)(p->total - p->done) / rate);
    if (p->note[0] != '\0')
        snprintf(line + n, sizeof line - n, ", %s", p->note);
    if (width > 0 && width < sizeof line)
        line[width - 1] = '\0'; /* one that wraps cannot be redrawn */
    fprintf(stderr, redraw ? "\r%s\x1b[K" : "%s\n", line);
    fflush(stderr);
}

void
bs_progress_step(struct bs_progress *p, uint64_t done)
{
    double at, wait;

    p->done = done;
    if (!p->on && !line_wanted)
        return;
    at = bs_clock();
    if (line_wanted) {
        line_wanted = 0;
        print_line(p, at, false);
    }
    wait = !p->shown ? FIRST_S : p->terminal ? TERMINAL_S : LOG_S;
    if (!p->on || at - p->last < wait)
        return;
    p->last = at;
    p->shown = true;
    print_line(p, at, p->terminal);
}

void
bs_progress_end(struct bs_progress *p)
{
    double seconds = bs_clock() - p->start;
    double rate = seconds > 0 ? (double)(p->done - p->before) / seconds : 0;

    if (p->shown && p->terminal) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
    }
    bs_info("%ju %s in %.1f s, %.*f/s", (uintmax_t)(p->done - p->before),
            p->unit, seconds, decimals(rate), rate);
}
