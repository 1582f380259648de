/*
 * naming - what the concepts of codes are in the painter's world
 *
 *     naming codes truth >concepts.tsv
 *
 * `truth` is what painter --truth wrote of the pictures that the codes are of.
 * For each concept that fires a line: its number, the factor that it goes along
 * with best, and how well: Pearson's r, over the pictures, of the concept's
 * energy (the sum of its codes, as bs-energy(1) has it) and whether the picture
 * has the factor.  A pair of factors is named where its r is clearly larger
 * than that of any single one.
 */
#include "cmd/models/energy_set.h"
#include "cmd/models/source.h"
#include "common/io.h"
#include "common/opt.h"
#include "formats/archive.h"
#include "formats/table.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { FACTORS_MAX = 128, FIRST = 2 }; /* behind key and faults */

/* By how much r of a pair is larger than that of a single factor. */
static const double clearly = 0.05;

/* Sums over pictures. */
struct match {
    size_t pictures, factors;
    uint32_t concepts;
    char *name[FACTORS_MAX];
    uint64_t having[FACTORS_MAX]; /* pictures that have it */
    double *sum, *squares;        /* [concepts]: energies */
    double *shared; /* [concepts, factors]: energies where it is */
};

static void
check(int r, const char *name, const struct bs_err *e)
{
    if (r < 0)
        bs_die_err(e, "cannot read '%s'", name);
}

/* ---- codes --------------------------------------------------------------- */

/* Energies of the records of `path`. */
static void
read_codes(const char *path, struct bs_energy_set *set, uint32_t *concepts)
{
    struct bs_pooler pooler = {0};
    struct bs_source *source;
    struct bs_codes_head head;
    const struct bs_doc *doc;
    struct bs_err e = {0};
    int item;

    check(bs_source_open(&source, path, 0, 0, &e), path, &e);
    while ((item = bs_source_next(source, &doc)) > BS_ITEM_EOF) {
        if (item == BS_ITEM_HEAD && *concepts == 0) {
            check(bs_codes_head(&head, doc, &e), path, &e);
            *concepts = head.concepts;
            check(bs_pooler_open(&pooler, BS_POOL_SUM, BS_SCOPE_ALL, *concepts,
                                 &e),
                  path, &e);
        }
        if (item == BS_ITEM_RECORD)
            check(bs_pooler_add(&pooler, set, doc, &e), path, &e);
    }
    if (item < 0)
        bs_die_err(bs_source_error(source), "cannot read '%s'", path);
    bs_pooler_close(&pooler);
    bs_source_close(source);
}

/* ---- truth --------------------------------------------------------------- */

static void
add_picture(struct match *m, const struct bs_energies *energies,
            const struct bs_row *row)
{
    bool has[FACTORS_MAX];
    size_t f, i;

    for (f = 0; f < m->factors; f++) {
        has[f] = strcmp(row->cell[FIRST + f].value, "1") == 0;
        m->having[f] += has[f];
    }
    for (i = 0; i < energies->n; i++) {
        size_t k = energies->concept[i];
        double energy = (double)energies->energy[i];

        m->sum[k] += energy;
        m->squares[k] += energy * energy;
        for (f = 0; f < m->factors; f++)
            m->shared[k * m->factors + f] += has[f] ? energy : 0;
    }
    m->pictures++;
}

static void
name_factors(struct match *m, const struct bs_row *row, const char *path)
{
    size_t f;

    if (row->cells <= FIRST || row->cells > FIRST + FACTORS_MAX)
        bs_die(BS_EX_DATA, "'%s' is no truth of the painter", path);
    m->factors = row->cells - FIRST;
    for (f = 0; f < m->factors; f++) {
        m->name[f] = bs_strdup(row->cell[FIRST + f].name);
        if (m->name[f] == NULL)
            bs_die(BS_EX_OSERR, "out of memory");
    }
    m->sum = bs_alloc_array(m->concepts, sizeof *m->sum);
    m->squares = bs_alloc_array(m->concepts, sizeof *m->squares);
    m->shared = bs_alloc_array(m->concepts, m->factors * sizeof *m->shared);
    if (m->sum == NULL || m->squares == NULL || m->shared == NULL)
        bs_die(BS_EX_OSERR, "out of memory");
}

static void
read_truth(struct match *m, const struct bs_energy_set *set, const char *path)
{
    static const char *const known[] = {"key", NULL};
    struct bs_plain *plain;
    struct bs_table *table;
    const struct bs_row *row;
    struct bs_err e = {0};
    uint64_t number;
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0)
        bs_die(BS_EX_NOINPUT, "cannot open '%s'", path);
    check(bs_plain_open(&plain, fd, NULL, 0, &e), path, &e);
    check(bs_table_open(&table, plain, BS_TABLE_TSV, known, &e), path, &e);
    while ((r = bs_table_next(table, &row, &e)) > 0) {
        struct bs_energies energies;

        if (m->factors == 0)
            name_factors(m, row, path);
        if (!bs_keyset_find(&set->keys, row->cell[0].value, &number))
            bs_die(BS_EX_DATA, "no codes of '%s'", row->cell[0].value);
        energies = bs_energy_set_get(set, (size_t)number);
        add_picture(m, &energies, row);
    }
    check(r, path, &e);
    if (m->pictures != set->records)
        bs_die(BS_EX_DATA, "'%s' tells of %zu pictures, the codes of %zu", path,
               m->pictures, set->records);
    bs_table_close(table);
    bs_plain_close(plain);
    close(fd);
}

/* ---- the match ----------------------------------------------------------- */

static double
correlation(const struct match *m, size_t k, size_t f)
{
    double n = (double)m->pictures, have = (double)m->having[f];
    double spread =
        (n * m->squares[k] - m->sum[k] * m->sum[k]) * have * (n - have);

    return spread > 0 ? (n * m->shared[k * m->factors + f] - m->sum[k] * have) /
                            sqrt(spread)
                      : 0;
}

/* r, but for pairs less what they need to be better. */
static double
merit(const struct match *m, size_t k, size_t f)
{
    return correlation(m, k, f) - (strchr(m->name[f], '+') ? clearly : 0);
}

static void
print(const struct match *m)
{
    size_t k, f;

    printf("concept\tfactor\tr\n");
    for (k = 0; k < m->concepts; k++) {
        size_t best = 0;

        if (m->sum[k] == 0)
            continue;
        for (f = 1; f < m->factors; f++)
            if (merit(m, k, f) > merit(m, k, best))
                best = f;
        printf("%zu\t%s\t%.3f\n", k, m->name[best], correlation(m, k, best));
    }
}

int
main(int argc, char *argv[])
{
    const struct bs_opt opt[] = {OPT_DONE};
    const struct bs_cmd cmd = {.name = "naming",
                               .synopsis = "codes truth",
                               .brief = "what concepts are in a little world",
                               .opt = opt};
    struct bs_energy_set set = {0};
    struct match m = {0};
    int first;
    size_t f;

    bs_prog_init("naming");
    first = bs_opt_parse(&cmd, argc, argv);
    if (argc - first != 2)
        bs_opt_misuse(&cmd, "codes and a truth are wanted");
    read_codes(argv[first], &set, &m.concepts);
    read_truth(&m, &set, argv[first + 1]);
    print(&m);
    for (f = 0; f < m.factors; f++)
        bs_free(m.name[f]);
    bs_free(m.sum);
    bs_free(m.squares);
    bs_free(m.shared);
    bs_energy_set_release(&set);
    return bs_finish(BS_EX_OK);
}
