/*
 * caption_list.h - the rows of a list (table.h) as records of captions.
 *
 * A record has no tensors; its metadata are the caption, and of lists whose
 * columns have names the other columns.
 *
 *   lines        the caption
 *   TSV, CSV     by the header; without one the first column is the key and the
 *                second the caption (of a single column: the caption)
 *   JSON lines   by each object's members
 *
 * The caption is the column caption, text or prompt, the key the column key or
 * id, made valid and unique; without one it is the number of the row from 0, in
 * six digits.  Bytes that are no UTF-8 become U+FFFD.
 */
#ifndef BS_MODELS_CAPTION_LIST_H
#define BS_MODELS_CAPTION_LIST_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"
#include "formats/table.h"

enum { BS_CAPTION_ROW_MAX = 256 << 10 }; /* bytes of a caption */

/* All zero: what is said above. */
struct bs_caption_columns {
    enum bs_table_format format;
    const char *caption, *key; /* names of columns, or NULL */
};

struct bs_caption_list;

/* Whether the len bytes that an input begins with may be text: any, and no
 * control characters but white space. */
bool bs_caption_list_sniff(const uint8_t *data, size_t len);

/* Read `plain`, which is taken over, also on failure.  -BS_EX_DATA where a
 * column that was named, or the caption's, is not there. */
int bs_caption_list_open(struct bs_caption_list **out, struct bs_plain *plain,
                         const struct bs_caption_columns *columns,
                         struct bs_err *e) BS_CHECKED;

/* 1 with the next record lent until the next call, 0 at the end, < 0. */
int bs_caption_list_next(struct bs_caption_list *l, struct bs_doc **doc,
                         struct bs_err *e) BS_CHECKED;

void bs_caption_list_close(struct bs_caption_list *l);

#endif
