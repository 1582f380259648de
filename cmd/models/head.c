/*
 * head.c - see head.h.
 */
#include "cmd/models/head.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/num.h"
#include "formats/json.h"

bool
bs_label_valid(const char *label)
{
    size_t n = strlen(label);

    return n >= 1 && n < BS_LABEL_SIZE &&
           label[strspn(label, "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789_-")] == '\0';
}

int
bs_head_number(const struct bs_doc *head, const char *name, uint64_t lo,
               uint64_t hi, uint64_t *to, struct bs_err *e)
{
    const char *text = bs_doc_meta(head, name);
    const char *why =
        text != NULL ? bs_num_u64(text, lo, hi, to) : "is missing";

    return why != NULL ? bs_err_set(e, BS_EX_DATA, "%s '%.40s': %s", name,
                                    text != NULL ? text : "", why)
                       : 0;
}

int
bs_head_choice(const struct bs_doc *head, const char *name,
               const char *const *names, int *to, struct bs_err *e)
{
    const char *text = bs_doc_meta(head, name);

    for (*to = 0; text != NULL && names[*to] != NULL; ++*to)
        if (strcmp(text, names[*to]) == 0)
            return 0;
    return bs_err_set(e, BS_EX_DATA, "its head has no known '%s'", name);
}

int
bs_head_labels(const struct bs_doc *head, const char *name,
               char (*label)[BS_LABEL_SIZE], size_t *count, struct bs_err *e)
{
    const char *text = bs_doc_meta(head, name);
    const struct bs_json *list, *at;
    struct bs_json_doc *json = NULL;
    bool first = *count == 0, good;
    size_t i = 0;
    int r;

    if (text == NULL)
        return bs_err_set(e, BS_EX_DATA, "its head does not say '%s'", name);
    r = bs_json_parse(&json, text, strlen(text), 0, e);
    if (r < 0)
        return bs_err_prefix(e, "%s", name);
    list = bs_json_root(json);
    good = list->type == BS_JSON_ARRAY && list->count >= 1 &&
           list->count <= BS_LABELS_MAX && (first || list->count == *count);
    for (at = list->child; good && at != NULL; at = at->next, i++) {
        good = at->type == BS_JSON_STRING && bs_label_valid(at->text) &&
               (first || strcmp(label[i], at->text) == 0);
        if (good)
            snprintf(label[i], BS_LABEL_SIZE, "%s", at->text);
    }
    if (good)
        *count = list->count;
    else
        r = bs_err_set(e, BS_EX_DATA, "its %s, %.200s, are not %s", name, text,
                       first ? "labels" : "those of the first partial");
    bs_json_free(json);
    return r;
}

int
bs_head_set_labels(struct bs_doc *head, const char *name,
                   const char (*label)[BS_LABEL_SIZE], size_t count,
                   struct bs_err *e)
{
    struct bs_buf labels = {0};
    size_t i;
    int r = bs_buf_str(&labels, "[", e);

    for (i = 0; i < count && r == 0; i++)
        r = bs_buf_printf(&labels, e, "%s\"%s\"", i > 0 ? "," : "", label[i]);
    if (r == 0)
        r = bs_buf_add(&labels, "]", 2, e);
    if (r == 0)
        r = bs_doc_set(head, name, (const char *)labels.data, e);
    bs_buf_release(&labels);
    return r;
}

/* ---- origin --------------------------------------------------------------
 */

int
bs_origin_agree(struct bs_origin *o, const struct bs_codes_head *head,
                const struct bs_doc *doc, struct bs_err *e)
{
    const char *model = bs_doc_meta(doc, "bs.model");
    bool first = o->head.concepts == 0;
    int r = first ? 0 : bs_codes_same(&o->head, head, e);

    if (r < 0)
        return r;
    if (first)
        o->head = *head;
    if (o->head.model[0] == '\0')
        memcpy(o->head.model, head->model, sizeof head->model);
    if (o->model == NULL && model != NULL) {
        o->model = bs_strdup(model);
        if (o->model == NULL)
            return bs_err_memory(e, "head", strlen(model));
    }
    return first;
}

int
bs_origin_describe(const struct bs_origin *o, struct bs_doc *head,
                   struct bs_err *e)
{
    int r =
        bs_doc_setf(head, "concepts", e, "%ju", (uintmax_t)o->head.concepts);

    if (r == 0 && o->model != NULL)
        r = bs_doc_set(head, "bs.model", o->model, e);
    if (r == 0 && o->head.model[0] != '\0')
        r = bs_doc_set(head, "dictionary", o->head.model, e);
    return r;
}

int
bs_origin_read(struct bs_codes_head *h, const struct bs_doc *head,
               struct bs_err *e)
{
    const char *dictionary = bs_doc_meta(head, "dictionary");
    uint64_t concepts = 0;
    int r = bs_head_number(head, "concepts", 1, BS_CODES_CONCEPTS_MAX,
                           &concepts, e);

    *h = (struct bs_codes_head){.concepts = (uint32_t)concepts};
    snprintf(h->model, sizeof h->model, "%s",
             dictionary != NULL ? dictionary : "");
    return r;
}

void
bs_origin_release(struct bs_origin *o)
{
    bs_free(o->model);
    *o = (struct bs_origin){0};
}

int
bs_record_tensor(const struct bs_doc *rec, const char *name,
                 enum bs_dtype dtype, const struct bs_tensor **t,
                 struct bs_err *e)
{
    *t = bs_doc_tensor(rec, name);
    if (*t == NULL || (*t)->dtype != dtype || (*t)->rank != 1)
        return bs_err_set(e, BS_EX_DATA, "no tensor '%s' %s [n]", name,
                          bs_dtype_name(dtype));
    return 0;
}
