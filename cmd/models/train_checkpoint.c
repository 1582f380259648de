/*
 * train_checkpoint.c - see train_checkpoint.h.
 */
#include "cmd/models/train_checkpoint.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "formats/json.h"

#define VERSION "1"

static int
compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const struct bs_tensor *const *)a)->name,
                  (*(const struct bs_tensor *const *)b)->name);
}

static int
compare_pairs(const void *a, const void *b)
{
    return strcmp((*(const struct bs_pair *const *)a)->name,
                  (*(const struct bs_pair *const *)b)->name);
}

static void
hash_text(struct bs_xxh64 *h, const char *s)
{
    bs_xxh64_add(h, s, strlen(s) + 1);
}

/* XXH64 of metadata and tensors in the order of their names, whatever their
 * order in the document. */
static int
check_of(const struct bs_doc *doc, char hex[BS_HEX64_SIZE], struct bs_err *e)
{
    const struct bs_tensor **tensor =
        bs_alloc_array(doc->tensors, sizeof *tensor);
    const struct bs_pair **pair = bs_alloc_array(doc->metas, sizeof *pair);
    struct bs_xxh64 h;
    size_t i;
    int r = 0;

    bs_xxh64_init(&h, 0);
    if (tensor == NULL || pair == NULL) {
        r = bs_err_memory(e, "names", doc->tensors + doc->metas);
        goto end;
    }
    for (i = 0; i < doc->tensors; i++)
        tensor[i] = &doc->tensor[i];
    for (i = 0; i < doc->metas; i++)
        pair[i] = &doc->meta[i];
    qsort((void *)tensor, doc->tensors, sizeof *tensor, compare_tensors);
    qsort((void *)pair, doc->metas, sizeof *pair, compare_pairs);
    for (i = 0; i < doc->metas; i++)
        if (strcmp(pair[i]->name, "train.check") != 0) {
            hash_text(&h, pair[i]->name);
            hash_text(&h, pair[i]->value);
        }
    for (i = 0; i < doc->tensors; i++) {
        hash_text(&h, tensor[i]->name);
        bs_xxh64_add(&h, tensor[i]->data, tensor[i]->bytes);
    }
    bs_hex64(bs_xxh64_value(&h), hex);
end:
    bs_free((void *)tensor);
    bs_free((void *)pair);
    return r;
}

/* ---- the last metrics ------------------------------------------------------
 */

enum { METRICS = 11 };

static void
pack_metrics(double out[METRICS], const struct bs_trainer_metrics *m)
{
    const double all[METRICS] = {
        (double)m->step, (double)m->tokens, m->loss, m->rec,  m->aux,
        m->r2,           m->r2_all,         m->l0,   m->norm, m->rate,
        (double)m->dead};

    memcpy(out, all, sizeof all);
}

static int
unpack_metrics(struct bs_trainer_metrics *m, const struct bs_tensor *t,
               struct bs_err *e)
{
    static const size_t counts[] = {0, 1, 10};
    const double *x;
    size_t i;

    if (t == NULL || t->dtype != BS_DTYPE_F64 || t->rank != 1 ||
        t->shape[0] != METRICS)
        return bs_err_set(e, BS_EX_DATA, "tensor 'train.last' is not F64 [%d]",
                          METRICS);
    x = t->data;
    for (i = 0; i < BS_LEN(counts); i++)
        if (!(x[counts[i]] >= 0 && x[counts[i]] <= 0x1p53))
            return bs_err_set(e, BS_EX_DATA, "tensor 'train.last' is wrong");
    *m = (struct bs_trainer_metrics){.step = (uint64_t)x[0],
                                     .tokens = (uint64_t)x[1],
                                     .loss = x[2],
                                     .rec = x[3],
                                     .aux = x[4],
                                     .r2 = x[5],
                                     .r2_all = x[6],
                                     .l0 = x[7],
                                     .norm = x[8],
                                     .rate = x[9],
                                     .dead = (uint64_t)x[10]};
    return 0;
}

/* ---- writing ---------------------------------------------------------------
 */

static int
set_config(struct bs_doc *doc, const struct bs_train_config *config,
           struct bs_err *e)
{
    struct bs_buf json = {0};
    int r = bs_train_config_json(config, &json, e);

    if (r == 0)
        r = bs_doc_set(doc, "train.config", (const char *)json.data, e);
    bs_buf_release(&json);
    return r;
}

static int
set_state(struct bs_doc *doc, const struct bs_train_state *s, struct bs_err *e)
{
    char hash[BS_HEX64_SIZE], log[BS_HEX64_SIZE], steps[24] = "null";

    bs_hex64(s->at.hash, hash);
    bs_hex64(s->log.hash, log);
    if (s->steps != UINT64_MAX)
        snprintf(steps, sizeof steps, "%ju", (uintmax_t)s->steps);
    return bs_doc_setf(
        doc, "train.state", e,
        "{\"done\":%ju,\"hash\":\"%s\",\"log_bytes\":%ju,\"log_hash\":\"%s\","
        "\"logged\":%ju,\"pass\":%ju,\"read\":%ju,\"steps\":%s,\"taken\":%ju,"
        "\"warmup\":%ju}",
        (uintmax_t)s->done, hash, (uintmax_t)s->log.bytes, log,
        (uintmax_t)s->logged, (uintmax_t)s->at.pass, (uintmax_t)s->at.read,
        steps, (uintmax_t)s->at.taken, (uintmax_t)s->warmup);
}

static int
set_inputs(struct bs_doc *doc, struct bs_token_source *source, size_t n,
           struct bs_err *e)
{
    struct bs_buf json = {0};
    int r = bs_token_source_list(source, n, &json, e);

    if (r == 0)
        r = bs_doc_set(doc, "train.inputs", (const char *)json.data, e);
    json.len = 0;
    if (r == 0)
        r = bs_token_source_parents(source, n, &json, e);
    if (r == 0)
        r = bs_doc_set(doc, "train.parents", (const char *)json.data, e);
    bs_buf_release(&json);
    return r;
}

static int
save(const struct bs_doc *doc, const char *path, struct bs_err *e)
{
    struct bs_out out;
    int r = bs_out_open(&out, path, e);

    if (r < 0)
        return r;
    r = bs_doc_save(doc, out.fd, e);
    r = r < 0 ? bs_err_prefix(e, "cannot write '%s'", path)
              : bs_out_commit(&out, e);
    if (r < 0)
        bs_out_abandon(&out);
    return r;
}

int
bs_train_checkpoint_write(const char *path, const struct bs_train_state *state,
                          struct bs_trainer *trainer,
                          struct bs_token_source *source, struct bs_err *e)
{
    const uint64_t metrics = METRICS;
    double last[METRICS];
    char check[BS_HEX64_SIZE];
    struct bs_sae model = {0};
    struct bs_doc doc = {0};
    int r = bs_trainer_model(trainer, &model, e);

    if (r == 0) {
        snprintf(model.name, sizeof model.name, "%s", state->config.name);
        r = bs_sae_document(&doc, &model, e);
    }
    if (r == 0)
        r = bs_trainer_save(trainer, &doc, e);
    if (r == 0)
        r = bs_doc_set(&doc, "train.version", VERSION, e);
    if (r == 0)
        r = set_config(&doc, &state->config, e);
    if (r == 0)
        r = set_state(&doc, state, e);
    if (r == 0)
        r = set_inputs(&doc, source, state->at.segments, e);
    pack_metrics(last, &state->last);
    if (r == 0)
        r = bs_doc_put(&doc, "train.last", BS_DTYPE_F64, 1, &metrics, last, e);
    if (r == 0)
        r = check_of(&doc, check, e);
    if (r == 0)
        r = bs_doc_set(&doc, "train.check", check, e);
    if (r == 0)
        r = save(&doc, path, e);
    bs_doc_release(&doc);
    bs_sae_release(&model);
    return r;
}

/* ---- reading ---------------------------------------------------------------
 */

static int
map_file(struct bs_train_checkpoint *c, const char *path, struct bs_err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
    struct stat st;

    if (fd < 0)
        return bs_err_errno(e, BS_EX_NOINPUT, "cannot open");
    if (fstat(fd, &st) < 0)
        r = bs_err_errno(e, BS_EX_IO, "read failed");
    else if (!S_ISREG(st.st_mode) || st.st_size == 0)
        r = bs_err_set(e, BS_EX_DATA, "not a checkpoint, but %s",
                       S_ISREG(st.st_mode) ? "empty" : "no file");
    if (r == 0) {
        c->bytes = (size_t)st.st_size;
        c->map = mmap(NULL, c->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (c->map == MAP_FAILED) {
            c->map = NULL;
            r = bs_err_errno(e, BS_EX_IO, "cannot map");
        }
    }
    close(fd);
    return r;
}

/* That the file is what was once written, and its tensors may be read where
 * they lie. */
static int
check_document(const struct bs_train_checkpoint *c, struct bs_err *e)
{
    const char *version = bs_doc_meta(&c->doc, "train.version");
    const char *check = bs_doc_meta(&c->doc, "train.check");
    char hex[BS_HEX64_SIZE];
    size_t i;
    int r;

    if (version == NULL || check == NULL)
        return bs_err_set(e, BS_EX_DATA, "not a checkpoint of a training");
    if (strcmp(version, VERSION) != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "a checkpoint of version '%.20s', not " VERSION,
                          version);
    r = check_of(&c->doc, hex, e);
    if (r == 0 && strcmp(hex, check) != 0)
        r = bs_err_set(e, BS_EX_DATA, "checksum mismatch");
    for (i = 0; i < c->doc.tensors && r == 0; i++) {
        const struct bs_tensor *t = &c->doc.tensor[i];

        if ((uintptr_t)t->data % bs_dtype_size(t->dtype) != 0)
            r = bs_err_set(e, BS_EX_DATA, "tensor '%s' is not aligned",
                           t->name);
    }
    return r;
}

static int
read_state(struct bs_train_state *s, const char *text, struct bs_err *e)
{
    struct bs_json_doc *json = NULL;
    const struct bs_json *v;
    const char *hash, *log;
    bool good;
    int r = bs_json_parse(&json, text, strlen(text), 0, e);

    if (r < 0)
        return bs_err_prefix(e, "train.state");
    v = bs_json_root(json);
    hash = bs_json_get_string(v, "hash");
    log = bs_json_get_string(v, "log_hash");
    good = bs_json_get_u64(v, "done", UINT64_MAX - 1, &s->done) &&
           bs_json_get_u64(v, "log_bytes", INT64_MAX, &s->log.bytes) &&
           bs_json_get_u64(v, "logged", UINT64_MAX, &s->logged) &&
           bs_json_get_u64(v, "pass", UINT64_MAX - 1, &s->at.pass) &&
           bs_json_get_u64(v, "read", UINT64_MAX, &s->at.read) &&
           bs_json_get_u64(v, "taken", UINT64_MAX, &s->at.taken) &&
           bs_json_get_u64(v, "warmup", UINT64_MAX, &s->warmup) &&
           hash != NULL && bs_hex64_parse(hash, &s->at.hash) && log != NULL &&
           bs_hex64_parse(log, &s->log.hash);
    if (!bs_json_get_u64(v, "steps", UINT64_MAX, &s->steps))
        s->steps = UINT64_MAX;
    bs_json_free(json);
    return good ? 0 : bs_err_set(e, BS_EX_DATA, "train.state is not complete");
}

static int
read_all(struct bs_train_checkpoint *c, const char *path, struct bs_err *e)
{
    const char *config, *state;
    int r = map_file(c, path, e);

    if (r == 0)
        r = bs_doc_parse(&c->doc, c->map, c->bytes, &bs_doc_limits_file, e);
    if (r == 0)
        r = check_document(c, e);
    if (r < 0)
        return r;
    config = bs_doc_meta(&c->doc, "train.config");
    state = bs_doc_meta(&c->doc, "train.state");
    c->inputs = bs_doc_meta(&c->doc, "train.inputs");
    c->parents = bs_doc_meta(&c->doc, "train.parents");
    if (config == NULL || state == NULL || c->inputs == NULL ||
        c->parents == NULL)
        return bs_err_set(e, BS_EX_DATA, "a checkpoint without its state");
    r = bs_train_config_parse(&c->state.config, config, e);
    if (r < 0)
        return bs_err_prefix(e, "train.config");
    r = read_state(&c->state, state, e);
    return r < 0 ? r
                 : unpack_metrics(&c->state.last,
                                  bs_doc_tensor(&c->doc, "train.last"), e);
}

int
bs_train_checkpoint_read(struct bs_train_checkpoint *c, const char *path,
                         struct bs_err *e)
{
    int r;

    *c = (struct bs_train_checkpoint){.path = path};
    r = read_all(c, path, e);
    if (r < 0)
        r = bs_err_prefix(e, "cannot use '%s'", path);
    else
        r = bs_sae_load(&c->model, path, e);
    if (r < 0)
        bs_train_checkpoint_release(c);
    return r;
}

void
bs_train_checkpoint_release(struct bs_train_checkpoint *c)
{
    bs_sae_release(&c->model);
    bs_doc_release(&c->doc);
    if (c->map != NULL)
        munmap(c->map, c->bytes);
    *c = (struct bs_train_checkpoint){0};
}
