/*
 * head.h - what the heads of analyses (energy, cooc) and of their parts say:
 * numbers, choices, labels, the dictionary.  Errors name the field.
 */
#ifndef BS_MODELS_HEAD_H
#define BS_MODELS_HEAD_H

#include "cmd/models/codes.h"
#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

enum { BS_LABELS_MAX = 64, BS_LABEL_SIZE = 81 };

/* A label names a stream: 1 to 80 of [A-Za-z0-9_-]. */
bool bs_label_valid(const char *label);

/* A number in lo..hi; of a record's metadata, too. */
int bs_head_number(const struct bs_doc *head, const char *name, uint64_t lo,
                   uint64_t hi, uint64_t *to, struct bs_err *e) BS_CHECKED;
/* The index of the value in the NULL-ended list of names. */
int bs_head_choice(const struct bs_doc *head, const char *name,
                   const char *const *names, int *to,
                   struct bs_err *e) BS_CHECKED;
/* A JSON array of labels: into an empty list (*count 0), or the same as those
 * in it. */
int bs_head_labels(const struct bs_doc *head, const char *name,
                   char (*label)[BS_LABEL_SIZE], size_t *count,
                   struct bs_err *e) BS_CHECKED;
int bs_head_set_labels(struct bs_doc *head, const char *name,
                       const char (*label)[BS_LABEL_SIZE], size_t count,
                       struct bs_err *e) BS_CHECKED;

/* Of which codes an analysis is: all its inputs must agree. */
struct bs_origin {
    struct bs_codes_head head;
    char *model; /* bs.model of the first that has one, or NULL */
};
/* `head` is what `doc` says of its codes.  1: it is the first; 0; or
 * -BS_EX_DATA as bs_codes_same. */
int bs_origin_agree(struct bs_origin *o, const struct bs_codes_head *head,
                    const struct bs_doc *doc, struct bs_err *e) BS_CHECKED;
/* Set `concepts`, `dictionary` and bs.model; and read what was set. */
int bs_origin_describe(const struct bs_origin *o, struct bs_doc *head,
                       struct bs_err *e) BS_CHECKED;
int bs_origin_read(struct bs_codes_head *h, const struct bs_doc *head,
                   struct bs_err *e) BS_CHECKED;
void bs_origin_release(struct bs_origin *o);

/* A record's tensor [n] of this type. */
int bs_record_tensor(const struct bs_doc *rec, const char *name,
                     enum bs_dtype dtype, const struct bs_tensor **t,
                     struct bs_err *e) BS_CHECKED;

#endif
