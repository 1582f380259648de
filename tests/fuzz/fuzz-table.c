/*
 * fuzz-table.c - the reader of lists: never crashes, rows keep their limits,
 * and errors name a line.  The first byte chooses the format.
 */
#include <fcntl.h>
#include <unistd.h>

#include "formats/table.h"
#include "tests/fuzz/target.h"

static const char *const known[] = {"url", "path", "file", "1", NULL};

static void
check_row(const struct bs_table *t, const struct bs_row *row, uint64_t before)
{
    size_t i, bytes = 0;

    must(row->line > before);
    must(row->cells <= BS_TABLE_CELLS_MAX);
    for (i = 0; i < row->cells; i++) {
        must(row->cell[i].name != NULL && row->cell[i].value != NULL);
        must(bs_row_get(row, row->cell[i].name) != NULL);
        must(bs_table_has(t, row->cell[i].name));
        bytes += strlen(row->cell[i].value);
    }
    must(bs_table_format(t) == BS_TABLE_JSONL || bytes <= BS_TABLE_ROW_MAX);
}

static void
read_rows(struct bs_table *t, struct bs_err *e)
{
    const struct bs_row *row;
    uint64_t line = 0;
    int r;

    must(bs_table_format(t) != BS_TABLE_AUTO);
    while ((r = bs_table_next(t, &row, e)) > 0) {
        check_row(t, row, line);
        line = row->line;
    }
    must(r == 0 || r == -e->code);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct bs_plain *plain;
    struct bs_table *t;
    struct bs_err e = {0};
    int r;

    must(fd >= 0);
    if (len > 0 && bs_plain_open(&plain, fd, data + 1, len - 1, &e) == 0) {
        r = bs_table_open(&t, plain, data[0] % (BS_TABLE_JSONL + 1), known, &e);
        must(r == 0 || (r == -e.code && t == NULL));
        if (r == 0)
            read_rows(t, &e);
        bs_table_close(t);
        bs_plain_close(plain);
    }
    must(e.code == 0 || e.text[0] != '\0');
    close(fd);
    return 0;
}
