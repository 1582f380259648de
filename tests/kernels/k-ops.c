/*
 * k-ops.c - which operation runs on which device, and which case table runs it:
 * asked of the devices' own tables and of the tests' sources, so that nothing
 * can be there that no test runs, or be missing unsaid.  "k-ops --list" prints
 * it (make ops), with each instruction set that the case tables ran on, which
 * they noted themselves (staged_note).
 */
#include "kernels/cpu.h"
#include "kernels/cuda.h"
#include "kernels/sae_train_table.h"
#include "tests/kernels/staged.h"
#include "tests/unit/tap.h"

#include <dirent.h>

#include "common/mem.h"

/* X(member, function): as they stand in the tables, and what calls each, where
 * that is not bs_dev_<member>. */
#define MEMORY_OPS(X) \
    X(close, close)   \
    X(alloc, alloc)   \
    X(free, free)     \
    X(put, put)       \
    X(get, get)       \
    X(sync, sync)
#define SHARED_OPS(X)                     \
    X(weight, weight)                     \
    X(weight_free, weight_free)           \
    X(gemm, gemm)                         \
    X(attention, attention)               \
    X(layer_norm, layer_norm)             \
    X(swiglu, swiglu)                     \
    X(geglu, geglu)                       \
    X(add, add)                           \
    X(patchify, patchify)                 \
    X(assemble, assemble)                 \
    X(encoder, encoder)                   \
    X(encoder_free, encoder_free)         \
    X(encode_topk, encode_topk)           \
    X(encode_threshold, encode_threshold) \
    X(encode_batch, encode_batch)         \
    X(decode, decode)
#define IMAGE_OPS(X)        \
    X(conv, conv)           \
    X(conv_free, conv_free) \
    X(conv2d, conv2d)       \
    X(group_norm, group_norm)
#define TRAIN_OPS(X)                    \
    X(host, host)                       \
    X(encoder_reserve, encoder_reserve) \
    X(encoder_fill, encoder_fill)       \
    X(tokens, tokens)                   \
    X(residual, residual)               \
    X(row_sum, row_sum)                 \
    X(gram, gram)                       \
    X(copy_rows, gather)                \
    X(group, group)                     \
    X(groups_free, groups_free)         \
    X(group_dots, group_dots)           \
    X(group_sum, group_sum)             \
    X(tangent, tangent)                 \
    X(norm_gradient, norm_gradient)     \
    X(adam, adam)                       \
    X(project, project)

struct op {
    const char *name, *call;
    size_t at;
    bool train; /* in the table of training */
};

#define DEV_ROW(name, call) \
    {#name, "bs_dev_" #call "(", offsetof(struct bs_dev_ops, name), false},
#define TRAIN_ROW(name, call) \
    {#name, "bs_dev_" #call "(", offsetof(struct bs_train_ops, name), true},
static const struct op ops[] = {MEMORY_OPS(DEV_ROW) SHARED_OPS(DEV_ROW)
                                    IMAGE_OPS(DEV_ROW) TRAIN_OPS(TRAIN_ROW)};

/* An operation that is missing above. */
#define ONE(name, call) +1
_Static_assert(sizeof(struct bs_dev_ops) ==
                   (0 MEMORY_OPS(ONE) SHARED_OPS(ONE) IMAGE_OPS(ONE) + 1) *
                       sizeof(void *),
               "k-ops.c lists every operation of struct bs_dev_ops");
_Static_assert(sizeof(struct bs_train_ops) ==
                   (0 TRAIN_OPS(ONE)) * sizeof(void *),
               "k-ops.c lists every operation of struct bs_train_ops");

static bool
is_memory(const struct op *op)
{
    return op->train ? op->at == offsetof(struct bs_train_ops, host)
                     : op->at < offsetof(struct bs_dev_ops, weight);
}

/* ---- the tables ------------------------------------------------------------
 */

static bool
has(const struct bs_dev *d, const struct op *op)
{
    const void *table = op->train ? (const void *)d->ops->train : d->ops;
    const void *f = NULL;

    if (table != NULL)
        memcpy(&f, (const char *)table + op->at, sizeof f);
    return f != NULL;
}

/* ---- the tests -------------------------------------------------------------
 */

struct source {
    char name[40]; /* of the program */
    char *text;
};

#define SOURCES_MAX 64

struct sources {
    struct source at[SOURCES_MAX];
    size_t n;
};

static char *
read_text(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    long n = -1;

    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        n = ftell(f);
    if (n >= 0 && (text = bs_alloc((size_t)n + 1)) != NULL) {
        rewind(f);
        text[fread(text, 1, (size_t)n, f)] = '\0';
    }
    if (f != NULL)
        fclose(f);
    return text;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct source *)a)->name,
                  ((const struct source *)b)->name);
}

/* All case tables but this one, and that of injected failures. */
static void
find_sources(struct sources *s, const char *root)
{
    char path[4096];
    const struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof path, "%s/tests/kernels", root);
    dir = opendir(path);
    while (dir != NULL && (e = readdir(dir)) != NULL && s->n < SOURCES_MAX) {
        struct source *to = &s->at[s->n];
        const char *end = strrchr(e->d_name, '.');

        if (strncmp(e->d_name, "k-", 2) != 0 || end == NULL ||
            strcmp(end, ".c") != 0 || strcmp(e->d_name, "k-ops.c") == 0 ||
            strcmp(e->d_name, "k-cuda.c") == 0)
            continue;
        snprintf(to->name, sizeof to->name, "%.*s", (int)(end - e->d_name),
                 e->d_name);
        snprintf(path, sizeof path, "%s/tests/kernels/%s", root, e->d_name);
        to->text = read_text(path);
        s->n += to->text != NULL;
    }
    if (dir != NULL)
        closedir(dir);
    qsort(s->at, s->n, sizeof s->at[0], by_name);
}

/* Programs that call an operation; of those, how many do so on CUDA. */
static size_t
case_tables(const struct sources *s, const struct op *op, bool staged,
            char *names, size_t room, size_t *on_cuda)
{
    size_t i, n = 0, used = 0;

    *on_cuda = 0;
    names[0] = '\0';
    for (i = 0; i < s->n; i++) {
        const char *text = s->at[i].text;

        if (strstr(text, op->call) == NULL)
            continue;
        if (is_memory(op) ? strcmp(s->at[i].name, "k-dev") == 0
                          : staged && strstr(text, "devices_to_test(") != NULL)
            ++*on_cuda;
        used += (size_t)snprintf(names + used, room - used, "%s%s",
                                 n > 0 ? " " : "", s->at[i].name);
        if (used >= room)
            used = room - 1;
        n++;
    }
    return n;
}

/* ---- what is to be so ------------------------------------------------------
 */

/* The CPU, CUDA, and CUDA as the case tables see it; the latter NULL where they
 * cannot be opened. */
struct devices {
    struct bs_dev *cpu, *cuda, *staged;
};

/* What operations are run on: a name as case tables note it, and how it is
 * headed.  Where a processor lacks AVX-512, vectors of its length in portable C
 * take its place. */
static const struct column {
    const char *name, *head;
} columns[] = {
    {"portable", "portable"},
    {"avx2", "avx2"},
    {"avx512", "avx512"},
    {"avx512bf16", "avx512bf16"},
    {"wide", "wide"},
    {"cuda", "cuda"},
    {"cuda with libraries", "libraries"},
};

static bool
is_cuda(const struct column *c)
{
    return strncmp(c->name, "cuda", 4) == 0;
}

/* Whether a case table ran on it. */
static bool
noted(const char *program, const char *name)
{
    const char *folder = getenv("BS_OPS_LOG");
    char path[4096], line[64];
    bool found = false;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "", program);
    f = fopen(path, "r");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = strcmp(line, name) == 0;
    }
    if (f != NULL)
        fclose(f);
    return found;
}

/* Whether some case table ran an operation there. */
static bool
ran(const struct devices *d, const struct sources *s, const struct op *op,
    const struct column *c)
{
    const struct bs_dev *dev = is_cuda(c) ? d->cuda : d->cpu;
    size_t i;

    if (dev == NULL || !has(dev, op))
        return false;
    for (i = 0; i < s->n; i++)
        if (strstr(s->at[i].text, op->call) != NULL &&
            (!is_memory(op) || strcmp(s->at[i].name, "k-dev") == 0) &&
            noted(s->at[i].name, c->name))
            return true;
    return false;
}

static void
list(const struct devices *d, const struct sources *s)
{
    char names[400];
    size_t i, c, on_cuda;

    printf("# %s\n%-18s", bs_dev_features(), "operation");
    for (c = 0; c < BS_LEN(columns); c++)
        printf("%-*s", (int)strlen(columns[c].head) + 2, columns[c].head);
    puts("case tables");
    for (i = 0; i < BS_LEN(ops); i++) {
        case_tables(s, &ops[i], true, names, sizeof names, &on_cuda);
        printf("%-18s", ops[i].name);
        for (c = 0; c < BS_LEN(columns); c++)
            printf("%-*s", (int)strlen(columns[c].head) + 2,
                   ran(d, s, &ops[i], &columns[c]) ? "run" : "-");
        puts(names);
    }
}

static void
test_op(const struct devices *d, const struct sources *s, const struct op *op)
{
    char names[400];
    size_t on_cuda;
    bool staged = d->staged != NULL && has(d->staged, op);
    size_t n = case_tables(s, op, staged, names, sizeof names, &on_cuda);

    ok(has(d->cpu, op), "%s: the CPU has it", op->name);
    ok(n > 0, "%s: run by %s", op->name, n > 0 ? names : "no case table");
    if (d->cuda == NULL)
        return;
    ok(has(d->cuda, op), "%s: CUDA has it", op->name);
    ok(on_cuda > 0, "%s: %s there", op->name,
       on_cuda > 0 ? "a case table runs it" : "no case table runs it");
}

int
main(int argc, char **argv)
{
    const char *root = getenv("BS_SRC");
    struct sources sources = {.n = 0};
    struct devices d = {0};
    struct bs_err e = {0};
    bool there;
    size_t i;

    if (root == NULL || bs_cpu_open(&d.cpu, &bs_isa_portable, 1, &e) < 0)
        return ok(0, "BS_SRC names the sources, and the CPU opens"), 1;
    find_sources(&sources, root);
    staged_fake();
    if (!bs_cuda_built() || bs_cuda_open(&d.cuda, 0, 0, &there, &e) < 0 ||
        staged_open(&d.staged, &e) < 0)
        skip(bs_cuda_built() ? e.text : "built without GPU kernels");
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        list(&d, &sources);
    } else {
        ok(sources.n > 5, "%zu case tables", sources.n);
        for (i = 0; i < BS_LEN(ops); i++)
            test_op(&d, &sources, &ops[i]);
        tap_done();
    }
    bs_dev_close(d.staged);
    bs_dev_close(d.cuda);
    bs_dev_close(d.cpu);
    for (i = 0; i < sources.n; i++)
        bs_free(sources.at[i].text);
    return tap_failed > 0;
}
