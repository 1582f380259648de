/*
 * safetensors.h - the files of a model: mapped weights, looked up by name.
 *
 * A model is one .safetensors file, or a folder as the Hugging Face hub lays
 * it out: model.safetensors, or model.safetensors.index.json and the shards
 * that it names; config.json and other small texts lie beside them.  Weights
 * are mapped read-only and checked before anything is lent; nothing is copied.
 *
 * Ownership: what is lent lives until bs_safetensors_close.
 */
#ifndef BS_FORMATS_SAFETENSORS_H
#define BS_FORMATS_SAFETENSORS_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/digest.h"
#include "formats/doc.h"

struct bs_safetensors;

/*
 * Open a file or a folder.  -BS_EX_NOINPUT where there is none, -BS_EX_DATA for
 * a file that is cut or damaged, a shard that is missing, a tensor that the
 * index names and its shard lacks, and a tensor that two shards hold.
 */
int bs_safetensors_open(struct bs_safetensors **out, const char *path,
                        struct bs_err *e) BS_CHECKED;
/*
 * The same for a folder whose weights have another name than "model":
 * STEM.safetensors, or STEM.safetensors.index.json and its shards.  Where a
 * variant ("fp16") is named, STEM.VARIANT.safetensors or its index goes first.
 */
int bs_safetensors_open_as(struct bs_safetensors **out, const char *path,
                           const char *stem, const char *variant,
                           struct bs_err *e) BS_CHECKED;
void bs_safetensors_close(struct bs_safetensors *s);

/* The path that was opened. */
const char *bs_safetensors_path(const struct bs_safetensors *s);

/* Tensors by name (NULL if there is none), and all of them in the order of
 * their names.  Data has no alignment beyond a byte. */
const struct bs_tensor *bs_safetensors_find(const struct bs_safetensors *s,
                                            const char *name);
size_t bs_safetensors_count(const struct bs_safetensors *s);
const struct bs_tensor *bs_safetensors_at(const struct bs_safetensors *s,
                                          size_t i);

/* Its data is not needed for now: it leaves the process's memory, and comes
 * back from the file where it is read again. */
void bs_safetensors_forget(const struct bs_tensor *t);

/* A metadata value of the (first) file, or NULL. */
const char *bs_safetensors_meta(const struct bs_safetensors *s,
                                const char *name);

/*
 * Append the small file `name` of the folder to `text`; it counts as part of
 * the model from then on.  Returns 1, or 0 if there is no such file.
 */
int bs_safetensors_text(struct bs_safetensors *s, const char *name,
                        struct bs_buf *text, struct bs_err *e) BS_CHECKED;

/*
 * SHA-256 of the model's content, as hexadecimal digits and a NUL: of the lines
 * "SHA256  NAME\n" (what sha256sum prints) of the weight files and of the texts
 * that were read, in the order of their names.  May run on another thread than
 * the one that looks tensors up.
 */
int bs_safetensors_digest(const struct bs_safetensors *s,
                          char hex[BS_SHA256_HEX_SIZE],
                          struct bs_err *e) BS_CHECKED;

#endif
