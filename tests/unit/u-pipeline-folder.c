/*
 * u-pipeline-folder.c - folders of whole text-to-image models: components,
 * variants, shards, another UNet, and what is missing.
 */
#include "cmd/models/pipeline_folder.h"
#include "tests/unit/scratch.h"

/* A weight file of one tensor with one value. */
static void
weights(const char *name, const char *tensor, float value)
{
    struct bs_buf buf = {0};
    uint64_t shape[1] = {1};
    struct bs_doc doc = {0};
    struct bs_err e = {0};

    if (bs_doc_put(&doc, tensor, BS_DTYPE_F32, 1, shape, &value, &e) < 0 ||
        bs_doc_write(&doc, &buf, &e) < 0)
        printf("# %s\n", e.text);
    write_bytes(name, buf.data, buf.len);
    bs_doc_release(&doc);
    bs_buf_release(&buf);
}

/* The one value of a component, or -1 with the message. */
static float
value_of(const char *component, const char *unet, const char *variant,
         char text[500])
{
    struct bs_pipeline_folder *p = NULL;
    struct bs_safetensors *s = NULL;
    struct bs_err e = {0};
    char path[300], other[300];
    float value = -1;

    if (bs_pipeline_folder_open(&p, at(path, "sd"),
                                unet != NULL ? at(other, unet) : NULL, variant,
                                &e) == 0 &&
        bs_pipeline_folder_weights(p, component, &s, &e) == 0 &&
        bs_safetensors_find(s, "x") != NULL)
        memcpy(&value, bs_safetensors_find(s, "x")->data, sizeof value);
    snprintf(text, 500, "%s", e.text);
    bs_safetensors_close(s);
    bs_pipeline_folder_close(p);
    return value;
}

static void
build(void)
{
    static const char *const folders[] = {
        "sd",           "sd/unet", "sd/vae",  "sd/text_encoder",
        "sd/scheduler", "dpo",     "dpo/unet"};
    char path[300];
    size_t i;

    for (i = 0; i < BS_LEN(folders); i++)
        ok(mkdir(at(path, folders[i]), 0700) == 0, "%s", folders[i]);
    write_text("sd/model_index.json",
               "{\"_class_name\":\"StableDiffusionPipeline\","
               "\"unet\":[\"diffusers\",\"UNet2DConditionModel\"],"
               "\"vae\":[\"diffusers\",\"AutoencoderKL\"],"
               "\"text_encoder\":[\"transformers\",\"CLIPTextModel\"],"
               "\"safety_checker\":[null,null],\"requires\":false}");
    write_text("sd/scheduler/scheduler_config.json", "{\"lambda\":-Infinity}");
    write_text("sd/unet/config.json", "{}");
    weights("sd/unet/diffusion_pytorch_model.safetensors", "x", 1);
    weights("sd/unet/diffusion_pytorch_model.fp16.safetensors", "x", 2);
    weights("sd/text_encoder/model.safetensors", "x", 3);
    weights("sd/vae/diffusion_pytorch_model-00001-of-00002.safetensors", "x",
            4);
    weights("sd/vae/diffusion_pytorch_model-00002-of-00002.safetensors", "y",
            5);
    write_text(
        "sd/vae/diffusion_pytorch_model.safetensors.index.json",
        "{\"weight_map\":{"
        "\"x\":\"diffusion_pytorch_model-00001-of-00002.safetensors\","
        "\"y\":\"diffusion_pytorch_model-00002-of-00002.safetensors\"}}");
    write_text("dpo/unet/config.json", "{}");
    weights("dpo/unet/diffusion_pytorch_model.safetensors", "x", 6);
}

static void
test_components(void)
{
    char text[500], path[300];

    ok(value_of("unet", NULL, NULL, text) == 1, "the UNet %s", text);
    ok(value_of("unet", NULL, "fp16", text) == 2, "its variant %s", text);
    ok(value_of("text_encoder", NULL, "fp16", text) == 3,
       "plain weights where the variant is not there %s", text);
    ok(value_of("vae", NULL, NULL, text) == 4, "shards %s", text);
    ok(value_of("unet", "dpo", NULL, text) == 6, "another UNet %s", text);
    ok(value_of("unet", "dpo/unet", NULL, text) == 6, "by its own folder %s",
       text);
    ok(value_of("vae", "dpo", NULL, text) == 4, "and no other component %s",
       text);
    write_text("sd/vae/diffusion_pytorch_model.safetensors.index.fp16.json",
               "{\"weight_map\":{\"x\":\"half.safetensors\"}}");
    weights("sd/vae/half.safetensors", "x", 7);
    ok(value_of("vae", NULL, "fp16", text) == 7, "an index of a variant %s",
       text);
    unlink(at(path, "sd/vae/half.safetensors"));
    ok(value_of("vae", NULL, "fp16", text) == -1 &&
           strstr(text, "half.safetensors") != NULL,
       "a shard that is missing: %s", text);
    unlink(at(path, "sd/unet/diffusion_pytorch_model.safetensors"));
    write_text("sd/unet/diffusion_pytorch_model.bin", "pickle");
    ok(value_of("unet", NULL, NULL, text) == -1 &&
           strstr(text, "no 'diffusion_pytorch_model.safetensors' in") !=
               NULL &&
           strstr(text, "'diffusion_pytorch_model.bin' is a pickle") != NULL,
       "only a pickle: %s", text);
    weights("sd/unet/diffusion_pytorch_model.safetensors", "x", 1);
    ok(value_of("unet", "sd/vae", NULL, text) == -1 &&
           strstr(text, "neither 'config.json' nor 'unet/config.json'") != NULL,
       "a folder without a UNet: %s", text);
}

static void
test_index(void)
{
    static const char *const unets[] = {"UNet2DConditionModel", NULL};
    static const char *const others[] = {"PixArtTransformer2DModel", NULL};
    struct bs_pipeline_folder *p = NULL;
    struct bs_json_doc *json = NULL;
    struct bs_err e = {0};
    char path[300];

    ok(bs_pipeline_folder_open(&p, at(path, "sd"), NULL, NULL, &e) == 0,
       "open %s", e.text);
    ok(strcmp(bs_pipeline_folder_class(p), "StableDiffusionPipeline") == 0 &&
           strcmp(bs_pipeline_folder_component(p, "vae"), "AutoencoderKL") ==
               0 &&
           bs_pipeline_folder_component(p, "safety_checker") == NULL &&
           bs_pipeline_folder_component(p, "requires") == NULL &&
           bs_pipeline_folder_component(p, "nothing") == NULL,
       "classes of components");
    ok(bs_pipeline_folder_expect(p, "unet", unets, &e) == 0, "as expected");
    ok(bs_pipeline_folder_expect(p, "unet", others, &e) == -BS_EX_DATA &&
           strstr(e.text, "component 'unet' is a 'UNet2DConditionModel', not "
                          "a 'PixArtTransformer2DModel'") != NULL,
       "%s", e.text);
    e = (struct bs_err){0};
    ok(bs_pipeline_folder_expect(p, "prior", unets, &e) == -BS_EX_DATA &&
           strstr(e.text, "has no component 'prior'") != NULL,
       "%s", e.text);
    e = (struct bs_err){0};
    ok(bs_pipeline_folder_json(p, "scheduler", "scheduler_config.json", &json,
                               &e) == 1 ||
           json != NULL,
       "an infinity in a configuration %s", e.text);
    bs_json_free(json);
    ok(bs_pipeline_folder_json(p, "scheduler", "nothing.json", &json, &e) ==
               -BS_EX_NOINPUT &&
           strstr(e.text, "no 'nothing.json' in") != NULL,
       "%s", e.text);
    bs_pipeline_folder_close(p);
    e = (struct bs_err){0};
    ok(bs_pipeline_folder_open(&p, at(path, "sd/vae"), NULL, NULL, &e) ==
               -BS_EX_NOINPUT &&
           p == NULL && strstr(e.text, "no 'model_index.json' in") != NULL,
       "%s", e.text);
}

/* The digest is that of what sha256sum would print of the parts. */
static void
digest(char hex[BS_SHA256_HEX_SIZE], bool scheduler)
{
    static const char *const names[] = {"unet"};
    struct bs_pipeline_folder *p = NULL;
    struct bs_safetensors *s = NULL;
    struct bs_json_doc *json = NULL;
    struct bs_err e = {0};
    char path[300];

    hex[0] = '\0';
    if (bs_pipeline_folder_open(&p, at(path, "sd"), NULL, NULL, &e) < 0 ||
        bs_pipeline_folder_weights(p, "unet", &s, &e) < 0 ||
        (scheduler &&
         bs_pipeline_folder_json(p, "scheduler", "scheduler_config.json", &json,
                                 &e) < 0) ||
        bs_pipeline_folder_digest(p, &s, names, 1, hex, &e) < 0)
        printf("# %s\n", e.text);
    bs_json_free(json);
    bs_safetensors_close(s);
    bs_pipeline_folder_close(p);
}

static void
test_digest(void)
{
    char a[BS_SHA256_HEX_SIZE], b[BS_SHA256_HEX_SIZE], c[BS_SHA256_HEX_SIZE];

    digest(a, true);
    digest(b, false);
    ok(strlen(a) == 64 && strlen(b) == 64 && strcmp(a, b) != 0,
       "a text that was read counts");
    write_text("sd/scheduler/scheduler_config.json", "{}");
    digest(c, true);
    ok(strcmp(a, c) != 0, "and what it says");
    digest(c, false);
    ok(strcmp(b, c) == 0, "what was not read does not");
    weights("sd/unet/diffusion_pytorch_model.safetensors", "x", 9);
    digest(c, false);
    ok(strcmp(b, c) != 0, "weights count");
}

int
main(void)
{
    scratch_open();
    build();
    test_components();
    test_index();
    test_digest();
    scratch_close();
    return tap_done();
}
