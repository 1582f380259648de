/*
 * cooc_list.h - a table of a stream of kind "cooc" as lines for people.
 */
#ifndef BS_MODELS_COOC_LIST_H
#define BS_MODELS_COOC_LIST_H

#include "cmd/models/cooc.h"
#include "cmd/models/rank_report.h"
#include "cmd/models/rank_scan.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/io.h"

enum bs_cooc_what {
    BS_COOC_LIST_PARTNERS,
    BS_COOC_LIST_CHANGES,
    BS_COOC_LIST_CURVE,
    BS_COOC_LIST_SPECTRUM,
    BS_COOC_LIST_ALIGNMENT,
    BS_COOC_LIST_CONCEPTS
};
extern const char *const bs_cooc_what_names[];

struct bs_cooc_list {
    enum bs_cooc_what what;
    enum bs_cooc_measure by; /* partners: the measure that ranks them */
    const char *streams;     /* "label,...", or NULL for all */
    const char *concepts;    /* "n,...", or NULL for all */
    uint64_t limit;          /* lines of a concept (partners) or a stream */
    enum bs_report_format format;
};

/* Read the stream of the path ("-": stdin) and write the lines. */
int bs_cooc_list(const struct bs_cooc_list *list, const char *path,
                 const struct bs_rank_input *in, const struct bs_out *out,
                 struct bs_err *e) BS_CHECKED;

#endif
