/*
 * token_source.c - see token_source.h.
 */
#include "cmd/models/token_source.h"

#include <pthread.h>
#include <sys/stat.h>

#include "cmd/models/features.h"
#include "common/mem.h"
#include "common/num.h"
#include "common/stop.h"
#include "formats/digest.h"
#include "formats/json.h"

const char *const bs_token_choice_names[] = {"all", "patch", "cls", NULL};

/* A segment, and its head where this process read it. */
struct known {
    struct bs_token_segment segment;
    struct bs_doc head;
};

struct bs_token_source {
    struct bs_token_options o;
    struct bs_source *in;
    size_t next;    /* path to open */
    size_t segment; /* of the pass */
    uint64_t records, tokens;
    size_t width;
    struct bs_doc head; /* of the segment being read */

    pthread_mutex_t lock; /* of what follows */
    struct known *known;
    size_t knowns, room;
    size_t expected; /* of these, what a checkpoint named */
    char *parents;   /* of those, bs.parents */
};

int
bs_token_source_open(struct bs_token_source **out,
                     const struct bs_token_options *o, struct bs_err *e)
{
    struct bs_token_source *s = bs_alloc_array(1, sizeof *s);

    *out = NULL;
    if (s == NULL)
        return bs_err_memory(e, "source of tokens", sizeof *s);
    s->o = *o;
    s->width = o->width;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        bs_free(s);
        return bs_err_set(e, BS_EX_OSERR, "cannot make a lock");
    }
    *out = s;
    return 0;
}

void
bs_token_source_close(struct bs_token_source *s)
{
    size_t i;

    if (s == NULL)
        return;
    bs_source_close(s->in);
    bs_doc_release(&s->head);
    for (i = 0; i < s->knowns; i++)
        bs_doc_release(&s->known[i].head);
    bs_free(s->known);
    bs_free(s->parents);
    pthread_mutex_destroy(&s->lock);
    bs_free(s);
}

const char *
bs_token_once(const char *const *path, size_t paths)
{
    struct stat st;
    size_t i;

    for (i = 0; i < paths; i++) {
        if (strcmp(path[i], "-") == 0)
            return "stdin";
        /* one that is not there says so when it is opened */
        if (stat(path[i], &st) == 0 && !S_ISREG(st.st_mode) &&
            !S_ISDIR(st.st_mode))
            return path[i];
    }
    return NULL;
}

void
bs_token_source_rewind(struct bs_token_source *s)
{
    bs_source_close(s->in);
    s->in = NULL;
    s->next = s->segment = 0;
    s->records = s->tokens = 0;
}

uint64_t
bs_token_source_tokens(const struct bs_token_source *s)
{
    return s->tokens;
}

size_t
bs_token_source_width(const struct bs_token_source *s)
{
    return s->width;
}

/* ---- segments --------------------------------------------------------------
 */

static int
copy_metadata(struct bs_doc *to, const struct bs_doc *from, struct bs_err *e)
{
    size_t i;
    int r = 0;

    bs_doc_release(to);
    for (i = 0; i < from->metas && r == 0; i++)
        r = bs_doc_set(to, from->meta[i].name, from->meta[i].value, e);
    return r;
}

static int
begin_segment(struct bs_token_source *s, const struct bs_doc *head,
              struct bs_err *e)
{
    const char *kind = bs_doc_meta(head, "bs.kind");

    if (kind != NULL && strcmp(kind, "feature") != 0)
        return bs_err_set(e, BS_EX_DATA,
                          "holds records of kind '%s', not 'feature'", kind);
    return copy_metadata(&s->head, head, e);
}

/* Append a segment; the lock is held. */
static int
add_known(struct bs_token_source *s, const struct bs_token_segment *segment,
          struct bs_err *e)
{
    if (s->knowns == s->room) {
        size_t room = s->room > 0 ? 2 * s->room : 16;
        struct known *grown = bs_alloc_array(room, sizeof *grown);

        if (grown == NULL)
            return bs_err_memory(e, "segments", room * sizeof *grown);
        if (s->knowns > 0)
            memcpy(grown, s->known, s->knowns * sizeof *grown);
        bs_free(s->known);
        s->known = grown;
        s->room = room;
    }
    s->known[s->knowns++] = (struct known){.segment = *segment};
    return 0;
}

/* A segment ended: it must be the one that stood here before, or is new. */
static int
end_segment(struct bs_token_source *s, struct bs_err *e)
{
    struct bs_token_segment segment = {bs_source_hash(s->in),
                                       bs_source_records(s->in)};
    size_t number = s->segment++;
    char is[BS_HEX64_SIZE], was[BS_HEX64_SIZE];
    int r = 0;

    pthread_mutex_lock(&s->lock);
    if (number == s->knowns) {
        r = add_known(s, &segment, e);
        if (r == 0)
            r = copy_metadata(&s->known[number].head, &s->head, e);
    } else if (segment.hash != s->known[number].segment.hash) {
        bs_hex64(segment.hash, is);
        bs_hex64(s->known[number].segment.hash, was);
        r = bs_err_set(e, BS_EX_DATA,
                       "its content is not what %s (content id %s, not %s)",
                       number < s->expected ? "the checkpoint was made with"
                                            : "it was in the pass before",
                       is, was);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* The inputs are at their end. */
static int
end_pass(struct bs_token_source *s, struct bs_err *e)
{
    if (s->segment < s->knowns)
        return bs_err_set(
            e, BS_EX_DATA, "the input has %zu segments, not the %zu of %s",
            s->segment, s->knowns,
            s->segment < s->expected ? "the checkpoint" : "the pass before");
    return BS_TOKENS_END;
}

/* ---- records ---------------------------------------------------------------
 */

/* The rows that are wanted: from *first, *n of them. */
static int
choose_rows(const struct bs_token_source *s, const struct bs_doc *rec,
            size_t rows, size_t *first, size_t *n, struct bs_err *e)
{
    const char *text = bs_doc_meta(rec, "prefix"), *why;
    uint64_t prefix = 0;

    *first = 0;
    *n = rows;
    if (s->o.choice == BS_TOKENS_ALL)
        return 0;
    why = text != NULL ? bs_num_u64(text, 0, rows, &prefix) : "is missing";
    if (why != NULL)
        return bs_err_set(
            e, BS_EX_DATA,
            "its metadata 'prefix', which tells patches from others, %s",
            text != NULL ? "is not a number of its tokens" : why);
    if (s->o.choice == BS_TOKENS_PATCH) {
        *first = (size_t)prefix;
        *n = rows - *first;
    } else if (prefix == 0) {
        return bs_err_set(e, BS_EX_DATA,
                          "no CLS token: its prefix is 0 tokens long");
    } else {
        *n = 1;
    }
    return 0;
}

/* True where one of n values has all bits of its exponent set: no early end, so
 * that the compiler makes vectors of it. */
static bool
any_nonfinite(enum bs_dtype dtype, const void *data, size_t n)
{
    const uint16_t *half = data, mask = dtype == BS_DTYPE_F16 ? 0x7c00 : 0x7f80;
    const uint32_t *word = data;
    unsigned found = 0;
    size_t i;

    if (dtype == BS_DTYPE_F32)
        for (i = 0; i < n; i++)
            found |= (word[i] & 0x7f800000) == 0x7f800000;
    else
        for (i = 0; i < n; i++)
            found |= (half[i] & mask) == mask;
    return found != 0;
}

static int
check_finite(const struct bs_token_run *run, size_t first, struct bs_err *e)
{
    size_t row = run->width * bs_dtype_size(run->dtype), i;
    const char *data = run->data;

    if (!any_nonfinite(run->dtype, data, run->tokens * run->width))
        return 0;
    for (i = 0; !any_nonfinite(run->dtype, data + i * row, run->width); i++)
        ;
    return bs_err_set(e, BS_EX_DATA,
                      "token %zu holds a value that is not finite", first + i);
}

static int
take_record(struct bs_token_source *s, const struct bs_doc *rec,
            struct bs_token_run *run, struct bs_err *e)
{
    const struct bs_tensor *x;
    size_t first = 0, n = 0;
    int r = bs_features_find(&x, rec, s->width,
                             s->o.width > 0 ? "the model's" : "that so far", e);

    if (r == 0)
        r = choose_rows(s, rec, (size_t)x->shape[0], &first, &n, e);
    if (r == 0) {
        size_t width = (size_t)x->shape[1];

        *run = (struct bs_token_run){
            (const char *)x->data + first * width * bs_dtype_size(x->dtype),
            x->dtype, n, width};
        r = check_finite(run, first, e);
    }
    if (r < 0)
        return bs_err_prefix(e, "record '%s'", bs_doc_meta(rec, "key"));
    s->width = run->width;
    s->tokens += n;
    s->records++;
    return 0;
}

/* ---- the pass --------------------------------------------------------------
 */

static int
open_next(struct bs_token_source *s, struct bs_err *e)
{
    unsigned flags =
        BS_READER_STOP | (s->o.allow_partial ? BS_READER_PARTIAL : 0);

    return bs_source_open(&s->in, s->o.path[s->next++], flags, s->o.max_record,
                          e);
}

/* One item of the open input: an enum bs_token_item where there is something
 * to lend, -1 to go on, or < -1 for an error. */
enum { GO_ON = -1 };

static int
take_item(struct bs_token_source *s, struct bs_token_run *run, struct bs_err *e)
{
    const struct bs_doc *doc;
    int item = bs_source_next(s->in, &doc), r = 0;

    switch (item) {
    case BS_ITEM_EOF:
        bs_source_close(s->in);
        s->in = NULL;
        return GO_ON;
    case BS_ITEM_HEAD:
        r = begin_segment(s, doc, e);
        break;
    case BS_ITEM_RECORD:
        if (s->o.wanted != NULL &&
            !s->o.wanted(s->o.command, bs_doc_meta(doc, "key")))
            return GO_ON;
        r = take_record(s, doc, run, e);
        if (r == 0)
            return run->tokens > 0 ? BS_TOKENS_RUN : GO_ON;
        break;
    case BS_ITEM_END:
        r = end_segment(s, e);
        break;
    case BS_ITEM_STOP:
        return BS_TOKENS_STOP;
    default:
        *e = *bs_source_error(s->in);
        return bs_err_prefix(e, "cannot read '%s'", bs_source_name(s->in));
    }
    return r < 0 ? bs_err_prefix(e, "'%s'", bs_source_name(s->in)) : GO_ON;
}

int
bs_token_source_next(struct bs_token_source *s, struct bs_token_run *run,
                     struct bs_err *e)
{
    int r = GO_ON;

    while (r == GO_ON) {
        if (bs_stop_wanted())
            return BS_TOKENS_STOP;
        if (s->records >= s->o.limit)
            return BS_TOKENS_END;
        if (s->in != NULL)
            r = take_item(s, run, e);
        else if (s->next == s->o.paths)
            return end_pass(s, e);
        else if ((r = open_next(s, e)) == 0)
            r = GO_ON;
    }
    return r;
}

/* ---- what was read ---------------------------------------------------------
 */

size_t
bs_token_source_segments(struct bs_token_source *s)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = s->knowns;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int
bs_token_source_parents(struct bs_token_source *s, size_t n,
                        struct bs_buf *json, struct bs_err *e)
{
    struct bs_doc doc = {0};
    const char *parents;
    size_t i;
    int r = 0;

    pthread_mutex_lock(&s->lock);
    if (s->parents != NULL)
        r = bs_doc_set(&doc, "bs.parents", s->parents, e);
    for (i = s->expected; i < n && r == 0; i++)
        r = bs_stream_parent(&doc, &s->known[i].head, s->known[i].segment.hash,
                             e);
    pthread_mutex_unlock(&s->lock);
    parents = bs_doc_meta(&doc, "bs.parents");
    if (parents == NULL)
        parents = "[]";
    if (r == 0)
        r = bs_buf_add(json, parents, strlen(parents) + 1, e);
    bs_doc_release(&doc);
    return r;
}

int
bs_token_source_list(struct bs_token_source *s, size_t n, struct bs_buf *json,
                     struct bs_err *e)
{
    char hex[BS_HEX64_SIZE];
    size_t i;
    int r = bs_buf_str(json, "[", e);

    pthread_mutex_lock(&s->lock);
    for (i = 0; i < n && r == 0; i++) {
        bs_hex64(s->known[i].segment.hash, hex);
        r = bs_buf_printf(json, e, "%s{\"hash\":\"%s\",\"records\":%ju}",
                          i > 0 ? "," : "", hex,
                          (uintmax_t)s->known[i].segment.records);
    }
    pthread_mutex_unlock(&s->lock);
    return r < 0 ? r : bs_buf_add(json, "]", 2, e);
}

static int
expect_one(struct bs_token_source *s, const struct bs_json *v, struct bs_err *e)
{
    const char *hash = bs_json_get_string(v, "hash");
    struct bs_token_segment segment;

    if (hash == NULL || !bs_hex64_parse(hash, &segment.hash) ||
        !bs_json_get_u64(v, "records", UINT64_MAX, &segment.records))
        return bs_err_set(e, BS_EX_DATA, "not a list of segments");
    return add_known(s, &segment, e);
}

int
bs_token_source_expect(struct bs_token_source *s, const char *list,
                       const char *parents, struct bs_err *e)
{
    struct bs_json_doc *json;
    const struct bs_json *root, *v;
    int r = bs_json_parse(&json, list, strlen(list), 0, e);

    if (r < 0)
        return r;
    root = bs_json_root(json);
    if (root->type != BS_JSON_ARRAY)
        r = bs_err_set(e, BS_EX_DATA, "not a list of segments");
    for (v = root->child; r == 0 && v != NULL; v = v->next)
        r = expect_one(s, v, e);
    bs_json_free(json);
    s->expected = s->knowns;
    if (r == 0 && s->expected > 0) {
        s->parents = bs_strdup(parents);
        if (s->parents == NULL)
            r = bs_err_memory(e, "parents", strlen(parents));
    }
    return r;
}
