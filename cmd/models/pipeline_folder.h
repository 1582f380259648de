/*
 * pipeline_folder.h - a text-to-image model as the Hugging Face hub lays it
 * out: model_index.json and a folder for each component.
 *
 * model_index.json names the pipeline's class and, for each component, the
 * library and class that load it.  A component's weights are model.safetensors
 * (transformers) or diffusion_pytorch_model.safetensors (diffusers), whole or
 * in shards, plain or of a variant; pickles are never read.
 *
 * Ownership: what is lent lives until bs_pipeline_folder_close, opened weights
 * until bs_safetensors_close.
 */
#ifndef BS_MODELS_PIPELINE_FOLDER_H
#define BS_MODELS_PIPELINE_FOLDER_H

#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/json.h"
#include "formats/safetensors.h"

struct bs_pipeline_folder;

/*
 * Open a folder.  `unet` replaces the component "unet": a folder of its own
 * weights and config.json, or one that has it as "unet"; NULL: the folder's.
 * -BS_EX_NOINPUT where there is no such folder or no model_index.json.
 */
int bs_pipeline_folder_open(struct bs_pipeline_folder **out, const char *path,
                            const char *unet, const char *variant,
                            struct bs_err *e) BS_CHECKED;
void bs_pipeline_folder_close(struct bs_pipeline_folder *p);

/* The class of the pipeline, and of a component: NULL where it is absent or
 * null in model_index.json. */
const char *bs_pipeline_folder_class(const struct bs_pipeline_folder *p);
const char *bs_pipeline_folder_component(const struct bs_pipeline_folder *p,
                                         const char *name);

/* -BS_EX_DATA unless the component is of one of the classes, which end with a
 * NULL. */
int bs_pipeline_folder_expect(const struct bs_pipeline_folder *p,
                              const char *name, const char *const *classes,
                              struct bs_err *e) BS_CHECKED;

/* Open a component's weights, its texts beside them. */
int bs_pipeline_folder_weights(struct bs_pipeline_folder *p, const char *name,
                               struct bs_safetensors **out,
                               struct bs_err *e) BS_CHECKED;

/* Append a text of a component, 16 MiB at most, which counts as part of the
 * model from then on: 1, or 0 where it is not there. */
int bs_pipeline_folder_text(struct bs_pipeline_folder *p, const char *component,
                            const char *name, struct bs_buf *text,
                            struct bs_err *e) BS_CHECKED;
/* The same, parsed; one that is not there is -BS_EX_NOINPUT. */
int bs_pipeline_folder_json(struct bs_pipeline_folder *p, const char *component,
                            const char *name, struct bs_json_doc **json,
                            struct bs_err *e) BS_CHECKED;

/*
 * SHA-256 of the model, as 64 hexadecimal digits: of a line "DIGEST  NAME\n"
 * for each of the `count` opened components (bs_safetensors_digest) and each
 * text that was read ("scheduler/scheduler_config.json"), in the order of their
 * names.
 */
int bs_pipeline_folder_digest(const struct bs_pipeline_folder *p,
                              struct bs_safetensors *const *opened,
                              const char *const *names, size_t count,
                              char hex[BS_SHA256_HEX_SIZE],
                              struct bs_err *e) BS_CHECKED;

#endif
