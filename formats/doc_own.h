/*
 * doc_own.h - what a document keeps to itself; for doc*.c and the reader.
 *
 * Ownership: all of it belongs to the document.
 */
#ifndef BS_FORMATS_DOC_OWN_H
#define BS_FORMATS_DOC_OWN_H

#include "formats/arena.h"
#include "formats/doc.h"
#include "formats/json.h"

enum { BS_DOC_KEY_MAX = 200 };

struct bs_doc_own {
    struct bs_json_doc *json; /* strings of a parsed document */
    struct bs_arena arena;    /* strings that were set */
    size_t tensor_room, meta_room;
    bool sorted; /* the metadata, by name */
};

/* Point the tensors of a parsed document at its data, which starts at `data`:
 * in the order that they have, one behind the other. */
void bs_doc_place(struct bs_doc *doc, const uint8_t *data);

#endif
