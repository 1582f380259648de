/*
 * rank.c - see rank.h.
 */
#include "cmd/models/rank.h"

#include <stdlib.h>

#include "cmd/models/sheet_pairs.h"
#include "common/num.h"

/* ---- what is listed ------------------------------------------------------
 */

/* "sd15,sd21" as marks; all models where nothing is said. */
static int
mark_models(bool **out, const struct bs_rank_energy *en, const char *names,
            struct bs_err *e)
{
    bool *mark = bs_alloc_array(en->models, sizeof *mark);
    size_t m, len;

    *out = mark;
    if (mark == NULL)
        return bs_err_memory(e, "models", en->models);
    for (m = 0; m < en->models; m++)
        mark[m] = names == NULL;
    for (; names != NULL; names = names[len] == ',' ? names + len + 1 : NULL) {
        len = strcspn(names, ",");
        for (m = 0; m < en->models; m++)
            if (strlen(en->model[m].label) == len &&
                memcmp(en->model[m].label, names, len) == 0)
                break;
        if (m == en->models)
            return bs_err_set(e, BS_EX_DATA,
                              "no model '%.*s' among the energies; the first "
                              "is '%.60s'",
                              (int)(len < 60 ? len : 60), names,
                              en->model[0].label);
        mark[m] = true;
    }
    return 0;
}

/* "3,17326" as marks; NULL where nothing is said. */
static int
mark_concepts(bool **out, uint32_t concepts, const char *text, struct bs_err *e)
{
    char number[24];
    uint64_t k;
    size_t len;

    *out = text != NULL ? bs_alloc_array(concepts, sizeof **out) : NULL;
    if (text != NULL && *out == NULL)
        return bs_err_memory(e, "concepts", concepts);
    for (; text != NULL; text = text[len] == ',' ? text + len + 1 : NULL) {
        len = strcspn(text, ",");
        snprintf(number, sizeof number, "%.*s",
                 (int)(len < sizeof number ? len : sizeof number - 1), text);
        if (len >= sizeof number ||
            bs_num_u64(number, 0, concepts - 1, &k) != NULL)
            return bs_err_set(e, BS_EX_USAGE,
                              "option '--concepts': '%s' is no number of a "
                              "concept, 0 to %ju",
                              number, (uintmax_t)(concepts - 1));
        (*out)[k] = true;
    }
    return 0;
}

/* ---- images --------------------------------------------------------------
 */

static int
scan_codes(struct bs_tops *t, const struct bs_rank_run *run, bool heat,
           struct bs_err *e)
{
    int side, r = 0;

    for (side = 0; side < BS_SIDES && r == 0; side++)
        r = bs_tops_scan(t, (enum bs_side)side, run->codes[side], &run->input,
                         e);
    for (side = 0; side < BS_SIDES && r == 0; side++)
        r = bs_tops_pair(t, (enum bs_side)side, run->codes[side], &run->input,
                         heat, e);
    return r;
}

static int
by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* The concepts of a list, ascending. */
static uint32_t *
numbers_of(const struct bs_rank_list *list, struct bs_err *e)
{
    uint32_t *k = bs_alloc_array(list->rows, sizeof *k);
    size_t i;

    if (k == NULL) {
        (void)bs_err_memory(e, "list", list->rows);
        return NULL;
    }
    for (i = 0; i < list->rows; i++)
    k[i] = list->row[i].concept;
    qsort(k, list->rows, sizeof *k, by_number);
    return k;
}

static int
find_images(struct bs_tops *t, const struct bs_rank_run *run,
            const struct bs_rank_energy *en, const struct bs_rank_list *list,
            struct bs_err *e)
{
    uint32_t *k = numbers_of(list, e);
    size_t i;
    int r = k == NULL
                ? -e->code
                : bs_tops_init(t, en->concepts, k, list->rows, run->places, e);

    bs_free(k);
    t->head.concepts = en->concepts;
    memcpy(t->head.model, en->dictionary, sizeof t->head.model);
    if (r == 0 && run->parts == 0)
        r = scan_codes(t, run, run->sheet.heat, e);
    for (i = 0; i < run->parts && r == 0; i++)
        r = bs_tops_merge(t, run->part[i], &run->input, e);
    return r;
}

/* Codes and images are of one model, and so is what is looked up in them. */
static int
need_one_model(const struct bs_rank_energy *en, const bool *models,
               struct bs_err *e)
{
    size_t m, n = 0;

    for (m = 0; m < en->models; m++)
        n += models[m];
    return n == 1 ? 0
                  : bs_err_set(e, BS_EX_USAGE,
                               "codes and images are of one model, and the "
                               "energies of %zu: say which with '--model'",
                               n);
}

/* ---- the run -------------------------------------------------------------
 */

static int
report_concepts(struct bs_rank_run *run, const struct bs_rank_energy *en,
                struct bs_err *e)
{
    bool images = run->what == BS_RANK_TOPS || run->sheet.folder != NULL;
    struct bs_rank_list list = {0};
    struct bs_tops tops = {0};
    int r = images ? need_one_model(en, run->options.models, e) : 0;

    if (r == 0)
        r = bs_rank_select(&list, en, &run->options, e);
    if (r == 0 && images)
        r = find_images(&tops, run, en, &list, e);
    if (r == 0 && run->sheet.folder != NULL)
        r = bs_sheets_write(&run->sheet, en, &list, &run->options, &tops,
                            &run->input, &run->counts, e);
    if (r == 0)
        r = run->what == BS_RANK_TOPS
                ? bs_rank_print_tops(&run->output, en, &list, &tops, e)
                : bs_rank_print_concepts(&run->output, en, &list, &run->options,
                                         e);
    bs_tops_release(&tops);
    bs_free(list.row);
    return r;
}

static int
report_pairs(struct bs_rank_run *run, const struct bs_rank_energy *en,
             bool identical, struct bs_err *e)
{
    bool sheet = run->sheet.folder != NULL;
    int r = sheet ? need_one_model(en, run->options.models, e) : 0;

    if (r == 0 && sheet)
        r = bs_sheet_pairs_write(&run->sheet, en, &run->options, identical,
                                 &run->input, &run->counts, e);
    return r < 0 ? r
                 : bs_rank_print_pairs(&run->output, en, &run->options,
                                       identical, e);
}

static int
report(struct bs_rank_run *run, const struct bs_rank_energy *en,
       struct bs_err *e)
{
    switch (run->what) {
    case BS_RANK_DIVERGENT:
    case BS_RANK_IDENTICAL:
        return report_pairs(run, en, run->what == BS_RANK_IDENTICAL, e);
    case BS_RANK_CORRELATE:
        if (en->models < 2)
            return bs_err_set(e, BS_EX_DATA,
                              "'--correlate' compares models, and there is "
                              "one only");
        return bs_rank_print_correlations(&run->output, en, &run->options, e);
    default:
        return report_concepts(run, en, e);
    }
}

int
bs_rank_run(struct bs_rank_run *run, struct bs_err *e)
{
    bool pairs =
        run->what == BS_RANK_DIVERGENT || run->what == BS_RANK_IDENTICAL;
    struct bs_rank_energy en = {0};
    bool *models = NULL, *concepts = NULL;
    int r = run->sheet.folder != NULL ? bs_sheet_check(&run->sheet, e) : 0;

    if (r == 0)
        r = bs_rank_energy_read(&en, run->energy, &run->input, pairs, e);
    if (r == 0)
        r = mark_models(&models, &en, run->models, e);
    if (r == 0)
        r = mark_concepts(&concepts, en.concepts, run->concepts, e);
    run->options.models = models;
    run->options.concepts = concepts;
    if (r == 0)
        r = report(run, &en, e);
    bs_free(models);
    bs_free(concepts);
    bs_rank_energy_release(&en);
    return r;
}

/* ---- parts ---------------------------------------------------------------
 */

/* How many concepts the codes of a file are of. */
static int
read_concepts(uint32_t *concepts, const char *path,
              const struct bs_rank_input *in, struct bs_err *e)
{
    struct bs_codes_head head = {0};
    const struct bs_doc *doc;
    struct bs_source *s;
    int item, r = bs_source_open(&s, path, in->flags, in->max_record, e);

    if (r < 0)
        return r;
    item = bs_source_next(s, &doc);
    if (item < 0) {
        *e = *bs_source_error(s);
        r = bs_err_prefix(e, "cannot read '%s'", bs_source_name(s));
    } else {
        r = bs_codes_head(&head, doc, e);
        if (r < 0)
            r = bs_err_prefix(e, "'%s'", bs_source_name(s));
    }
    *concepts = head.concepts;
    bs_source_close(s);
    return r;
}

/* Lists of all concepts, however many a head says there are. */
static int
check_room(uint32_t concepts, const struct bs_rank_run *run, struct bs_err *e)
{
    size_t bytes;

    if (!bs_mul(concepts, BS_SIDES * run->places * sizeof(struct bs_top),
                &bytes))
        bytes = SIZE_MAX;
    return bytes <= run->input.max_record
               ? 0
               : bs_err_set(e, BS_EX_USAGE,
                            "the top %zu of %ju concepts take %zu bytes, more "
                            "than '--memory'",
                            run->places, (uintmax_t)concepts, bytes);
}

int
bs_rank_part(struct bs_tops *tops, const struct bs_rank_run *run,
             struct bs_err *e)
{
    uint32_t concepts;
    int r = read_concepts(&concepts, run->codes[BS_SIDE_REAL], &run->input, e);

    if (r == 0)
        r = check_room(concepts, run, e);
    if (r == 0)
        r = bs_tops_init(tops, concepts, NULL, 0, run->places, e);
    return r < 0 ? r : scan_codes(tops, run, false, e);
}
