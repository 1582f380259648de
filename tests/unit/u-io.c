/*
 * u-io.c - output files appear whole or not at all; error text; buffers.
 */
#include "common/io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/tap.h"

static bool
exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static void
output_files(void)
{
    struct bs_err e = {0};
    struct bs_buf b = {0};
    struct bs_out o;

    ok(bs_out_open(&o, "result", &e) == 0 && !exists("result"),
       "an open output is not there yet");
    ok(bs_write(o.fd, "hello", 5) == 0 && bs_out_commit(&o, &e) == 0 &&
           exists("result"),
       "a committed one is");
    ok(bs_read_file("result", 100, &b, &e) == 0 && b.len == 5 &&
           memcmp(b.data, "hello", 5) == 0,
       "with its contents");
    ok(bs_out_open(&o, "result", &e) == 0 && bs_write(o.fd, "x", 1) == 0,
       "the next writer");
    bs_out_abandon(&o);
    b.len = 0;
    ok(bs_read_file("result", 100, &b, &e) == 0 && b.len == 5,
       "that gives up leaves the old file");
    ok(bs_read_file("result", 4, &b, &e) == -BS_EX_DATA &&
           strstr(e.text, "larger than 4 bytes") != NULL,
       "a limit is kept");
    e = (struct bs_err){0};
    ok(bs_out_open(&o, "no/such/place", &e) == -BS_EX_IO &&
           strstr(e.text, "No such file") != NULL,
       "a folder that is not there: %s", e.text);
    bs_out_abandon(&o);
    e = (struct bs_err){0};
    ok(bs_read_file(".", 100, &b, &e) == -BS_EX_NOINPUT, "a folder: %s",
       e.text);
    e = (struct bs_err){0};
    ok(bs_out_open(&o, "/dev/full", &e) == 0 && bs_write(o.fd, "x", 1) < 0,
       "a device is written in place");
    bs_out_abandon(&o);
    ok(exists("/dev/full"), "and stays");
    bs_buf_release(&b);
}

/* What a killed process left goes, what a living one writes stays. */
static void
left_over(void)
{
    char dead[60], living[60];
    pid_t pid = fork();
    size_t i;
    static const char *const others[] = {"result.tmp.", "result.tmp.x",
                                         "result.tmp.1", "other.tmp.1"};

    if (pid == 0)
        _exit(0);
    snprintf(dead, sizeof dead, "result.tmp.%ld", (long)pid);
    snprintf(living, sizeof living, "result.tmp.%ld", (long)getpid());
    ok(pid > 0 && waitpid(pid, NULL, 0) == pid, "a process that was");
    close(creat(dead, 0666));
    close(creat(living, 0666));
    for (i = 0; i < BS_LEN(others); i++)
        close(creat(others[i], 0666));
    bs_out_sweep("result");
    ok(!exists(dead) && exists(living), "left over: gone; in use: there");
    for (i = 0; i < BS_LEN(others); i++)
        ok(exists(others[i]) && unlink(others[i]) == 0, "%s stays", others[i]);
    bs_out_sweep("./result");
    ok(exists(living) && unlink(living) == 0, "with a folder, too");
    close(creat(dead, 0666));
    bs_out_sweep("./result");
    ok(!exists(dead), "with a folder: gone");
    bs_out_sweep("no/such/folder/result");
}

static void
errors(void)
{
    struct bs_err e = {0};
    char longest[700];

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ok(bs_err_set(&e, BS_EX_DATA, "bad %d", 1) == -BS_EX_DATA, "code");
    ok(bs_err_set(&e, BS_EX_IO, "worse") == -BS_EX_DATA &&
           strcmp(e.text, "bad 1") == 0,
       "the first error stays");
    bs_err_prefix(&e, "record %d", 2);
    ok(strcmp(e.text, "record 2: bad 1") == 0, "place: %s", e.text);
    bs_err_prefix(&e, "%s", longest);
    ok(strlen(e.text) < sizeof e.text, "a long place is cut");
}

static void
buffers(void)
{
    struct bs_err e = {0};
    struct bs_buf b = {0};
    size_t i, n;
    int good = 1;

    for (i = 0; i < 1000; i++)
        good &= bs_buf_printf(&b, &e, "%zu ", i) == 0;
    ok(good && b.len == 3890 && memcmp(b.data + 3885, " 999 ", 5) == 0,
       "printf appends");
    ok((uintptr_t)b.data % BS_ALIGN == 0, "aligned");
    ok(bs_buf_reserve(&b, SIZE_MAX - 10, &e) == -BS_EX_OSERR && b.len == 3890,
       "more than there is: %s", e.text);
    bs_buf_release(&b);
    ok(!bs_mul(SIZE_MAX, 2, &n) && !bs_add(SIZE_MAX, 1, &n) &&
           bs_mul(3, 4, &n) && n == 12,
       "checked products and sums");
    ok(bs_alloc_array(SIZE_MAX / 2, 3) == NULL, "no overflow in an array");
}

int
main(void)
{
    char folder[] = "/tmp/u-io.XXXXXX";

    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return 1;
    output_files();
    left_over();
    errors();
    buffers();
    unlink("result");
    ok(rmdir(folder) == 0, "nothing else was left behind");
    return tap_done();
}
