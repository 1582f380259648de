/*
 * u-table.c - lists: what the formats make of the same bytes, headers, limits,
 * places of errors.
 */
#include "formats/table.h"
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <unistd.h>

static const char *const known[] = {"url", "path", NULL};

/* Every row as "line:name=value|name=value;", or the error. */
static void
dump(struct bs_buf *out, enum bs_table_format format, const char *text,
     size_t len)
{
    int fd = open("/dev/null", O_RDONLY), r;
    struct bs_plain *plain = NULL;
    struct bs_table *t = NULL;
    const struct bs_row *row;
    struct bs_err e = {0};
    size_t i;

    out->len = 0;
    r = bs_plain_open(&plain, fd, text, len, &e);
    if (r == 0)
        r = bs_table_open(&t, plain, format, known, &e);
    while (r >= 0 && (r = bs_table_next(t, &row, &e)) > 0) {
        r = bs_buf_printf(out, &e, "%ju:", (uintmax_t)row->line);
        for (i = 0; i < row->cells && r == 0; i++)
            r = bs_buf_printf(out, &e, "%s%s=%s", i > 0 ? "|" : "",
                              row->cell[i].name, row->cell[i].value);
        if (r == 0)
            r = bs_buf_str(out, ";", &e);
    }
    if (r < 0 && bs_buf_printf(out, &e, "!%d %s", e.code, e.text) < 0)
        out->len = 0;
    if (bs_buf_add(out, "", 1, &e) < 0)
        out->len = 0;
    bs_table_close(t);
    bs_plain_close(plain);
    close(fd);
}

struct table_case {
    enum bs_table_format format;
    const char *text, *want;
};

static const struct table_case cases[] = {
    {BS_TABLE_LINES, "a\n\n b,c\t\r\n\"", "1:1=a;3:1= b,c\t;4:1=\";"},
    {BS_TABLE_LINES, "path\na\n", "1:1=path;2:1=a;"},
    {BS_TABLE_LINES, "", ""},
    {BS_TABLE_LINES, "\n\r\n", ""},
    {BS_TABLE_LINES, "a\rb", "1:1=a\rb;"},
    {BS_TABLE_TSV, "a\t\"b\"\n\tc\n", "1:1=a|2=\"b\";2:1=|2=c;"},
    {BS_TABLE_TSV, "x\tURL\n1\ta\n2\n", "2:x=1|URL=a;3:x=2;"},
    {BS_TABLE_TSV, "url\na\tb\n", "!65 line 2: more cells than the header has"},
    {BS_TABLE_TSV, "url\t\ta\na\tb\tc\n", "2:url=a|2=b|a=c;"},
    {BS_TABLE_TSV, "url\ta\tA\n",
     "!65 line 1: the header names a column twice"},
    {BS_TABLE_CSV, "\"a,\"\"b\"\"\",\"c\r\nd\",\n", "1:1=a,\"b\"|2=c\r\nd|3=;"},
    {BS_TABLE_CSV, "\"\",\"\n\n\"\nx\n", "1:1=|2=\n\n;4:1=x;"},
    {BS_TABLE_CSV, "a\"b\",c\n", "1:1=a\"b\"|2=c;"},
    {BS_TABLE_CSV, "x\n\"a\" ,b\n",
     "1:1=x;!65 line 2: text behind a closing quote"},
    {BS_TABLE_CSV, "x\n\n\"a\nb\n", "1:1=x;!65 line 3: quote is not closed"},
    {BS_TABLE_CSV, "path,\"c\nd\"\na,b", "3:path=a|c\nd=b;"},
    {BS_TABLE_JSONL, "{\"b\":1.50,\"a\":\"\\u00e9\\n\"}\n",
     "1:b=1.50|a=\303\251\n;"},
    {BS_TABLE_JSONL, "{\"l\":[1,{}],\"z\":null,\"t\":true,\"o\":{\"k\":2}}",
     "1:l=[1,{}]|t=true|o={\"k\":2};"},
    {BS_TABLE_JSONL, "{}\n", "1:;"},
    {BS_TABLE_JSONL, "{}\n[]\n", "1:;!65 line 2: not a JSON object"},
    {BS_TABLE_AUTO, " {\"a\":NaN}", "1:a=NaN;"},
    {BS_TABLE_AUTO, "a\tb", "1:1=a|2=b;"},
    {BS_TABLE_AUTO, "PATH\na,b", "2:PATH=a,b;"},
    {BS_TABLE_AUTO, "k,\"path\"\n1,a", "2:k=1|path=a;"},
    {BS_TABLE_AUTO, "k,way\n1,a", "1:1=k,way;2:1=1,a;"},
    {BS_TABLE_AUTO, "\357\273\277path\na", "2:path=a;"},
    {BS_TABLE_AUTO, "\377\376a", "!65 line 1: UTF-16 text, UTF-8 wanted"},
    {BS_TABLE_AUTO, "path,\"a\nb\"\n", "!65 line 1: quote is not closed"},
};

/* `text` repeated, with `head` before it and `tail` behind. */
static void
repeat(struct bs_buf *out, const char *head, const char *text, size_t count,
       const char *tail)
{
    struct bs_err e = {0};
    int r = bs_buf_str(out, head, &e);

    while (r == 0 && count-- > 0)
        r = bs_buf_str(out, text, &e);
    if (r == 0)
        r = bs_buf_str(out, tail, &e);
    ok(r == 0, "made %zu bytes", out->len);
}

static void
check_limits(struct bs_buf *out)
{
    struct bs_buf text = {0};

    repeat(&text, "", "a", BS_TABLE_ROW_MAX - 1, "\nb");
    dump(out, BS_TABLE_LINES, (char *)text.data, text.len);
    ok(out->len == BS_TABLE_ROW_MAX - 1 + 12, "a row of 1 MiB");
    text.len = 0;
    repeat(&text, "b\n", "a", BS_TABLE_ROW_MAX, "\n");
    dump(out, BS_TABLE_LINES, (char *)text.data, text.len);
    ok(strcmp((char *)out->data,
              "1:1=b;!65 line 2: row is longer than 1 MiB") == 0,
       "a row of 1 MiB and a byte");
    text.len = 0;
    repeat(&text, "\"", "\n", BS_TABLE_ROW_MAX, "\"\n");
    dump(out, BS_TABLE_CSV, (char *)text.data, text.len);
    ok(strcmp((char *)out->data, "!65 line 1: row is longer than 1 MiB") == 0,
       "a cell of many lines");
    text.len = 0;
    repeat(&text, "", "\t", BS_TABLE_CELLS_MAX - 1, "x\n");
    dump(out, BS_TABLE_TSV, (char *)text.data, text.len);
    ok(strstr((char *)out->data, "|4096=x;") != NULL, "4096 cells");
    text.len = 0;
    repeat(&text, "", "\t", BS_TABLE_CELLS_MAX, "\n");
    dump(out, BS_TABLE_TSV, (char *)text.data, text.len);
    ok(strcmp((char *)out->data, "!65 line 1: more than 4096 cells") == 0,
       "4097 cells");
    dump(out, BS_TABLE_LINES, "a\nb\0c\n", 6);
    ok(strcmp((char *)out->data, "1:1=a;!65 line 2: NUL byte: not a text") == 0,
       "NUL");
    bs_buf_release(&text);
}

int
main(void)
{
    struct bs_buf out = {0};
    size_t i;

    for (i = 0; i < BS_LEN(cases); i++) {
        const struct table_case *c = &cases[i];

        dump(&out, c->format, c->text, strlen(c->text));
        if (!ok(strcmp((char *)out.data, c->want) == 0, "case %zu", i))
            printf("# wanted %s\n# got    %s\n", c->want, (char *)out.data);
    }
    check_limits(&out);
    bs_buf_release(&out);
    return tap_done();
}
