/*
 * arrayfile.h - one safetensors or npy file as records; for source.h, which
 * says what becomes of them.
 *
 * Ownership: what is lent is valid until the next call.
 */
#ifndef BS_MODELS_ARRAYFILE_H
#define BS_MODELS_ARRAYFILE_H

#include "common/bs.h"
#include "common/err.h"
#include "formats/doc.h"

struct bs_arrayfile;

struct bs_arrayfile_input {
    int fd;
    const char *name;    /* its last component becomes the key; borrowed */
    const uint8_t *seen; /* bytes that were already taken from fd; borrowed */
    size_t seen_len;
    size_t max_record; /* bytes */
};

int bs_npyfile_open(struct bs_arrayfile **out,
                    const struct bs_arrayfile_input *input,
                    struct bs_err *e) BS_CHECKED;
int bs_safetensorsfile_open(struct bs_arrayfile **out,
                            const struct bs_arrayfile_input *input,
                            struct bs_err *e) BS_CHECKED;

/* 1 with a record that was built, 0 at the proven end of the file, < 0. */
int bs_arrayfile_next(struct bs_arrayfile *a, struct bs_doc **doc,
                      struct bs_err *e) BS_CHECKED;
void bs_arrayfile_close(struct bs_arrayfile *a);

#endif
