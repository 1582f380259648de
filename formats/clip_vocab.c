/*
 * clip_vocab.c - the files of a CLIP tokenizer, checked and put in order.
 */
#include "formats/clip_bpe_own.h"
#include "formats/json.h"
#include "formats/unicode.h"
#include "formats/utf8.h"

enum {
    VOCAB_MAX = 1 << 20,
    SPECIALS_MAX = 1 << 12,
    LIMIT = 77,           /* where the files give none */
    LIMIT_MAX = 1 << 16,  /* a larger one means none */
    MERGES = 49152 - 258, /* lines that are read; CLIP's own file has more */
};

struct loader {
    struct bs_clip_bpe *t;
    const struct bs_json *vocab; /* object of ids */
    struct bs_json_doc *doc[4];
    const struct bs_json **sorted; /* vocab by token */
    bool listed;                   /* the added tokens stand in the config */
    struct bs_err *e;
};

/* ---- texts --------------------------------------------------------------- */

static int
parse(struct loader *l, size_t i, const char *name, const struct bs_buf *text,
      const struct bs_json **root)
{
    int r;

    *root = NULL;
    if (text->len == 0)
        return 0;
    r = bs_json_parse_max(&l->doc[i], (const char *)text->data, text->len, 0,
                          2 * VOCAB_MAX, l->e);
    if (r < 0)
        return bs_err_prefix(l->e, "'%s'", name);
    *root = bs_json_root(l->doc[i]);
    if ((*root)->type != BS_JSON_OBJECT)
        return bs_err_set(l->e, BS_EX_DATA, "'%s': no object", name);
    return 0;
}

/* ---- symbols ------------------------------------------------------------- */

/* The character that stands for a byte, so that none is a space: GPT-2's. */
static uint32_t
character_of(unsigned byte)
{
    unsigned i, gaps = 0;

    for (i = 0; i <= byte; i++) {
        bool plain =
            (i >= '!' && i <= '~') || (i >= 0xa1 && i <= 0xac) || i >= 0xae;

        if (i == byte && plain)
            return byte;
        gaps += !plain;
    }
    return 0x100 + gaps - 1;
}

static void
spell_byte(char out[16], unsigned byte, bool last)
{
    size_t n = bs_utf8_put(out, character_of(byte));

    snprintf(out + n, 16 - n, "%s", last ? "</w>" : "");
}

/* A list of strings on its way to be the symbols. */
struct list {
    const char **at;
    size_t len, room;
};

static int
list_put(struct loader *l, struct list *list, const char *s, size_t n)
{
    const char *copy = bs_arena_text(&l->t->arena, s, n);

    if (copy == NULL || list->len == list->room)
        return bs_err_memory(l->e, "symbols", n);
    list->at[list->len++] = copy;
    return 0;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint32_t
symbol_of(const struct bs_clip_bpe *t, const char *s)
{
    const char **at =
        bsearch(&s, t->symbol, t->symbols, sizeof *t->symbol, by_text);

    return at != NULL ? (uint32_t)(at - t->symbol) : UINT32_MAX;
}

/* ---- merges.txt ---------------------------------------------------------- */

static bool
blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One line "A B"; false if it is anything else. */
static bool
two_words(const char *s, const char *end, const char *word[2], size_t len[2])
{
    int i;

    for (i = 0; i < 2; i++) {
        while (s < end && blank(*s))
            s++;
        word[i] = s;
        while (s < end && !blank(*s))
            s++;
        len[i] = (size_t)(s - word[i]);
    }
    while (s < end && blank(*s))
        s++;
    return s == end && len[0] > 0 && len[1] > 0;
}

/* Three strings a line: what merges, and what it gives. */
static int
read_merges(struct loader *l, const struct bs_buf *file, struct list *list)
{
    const char *s = (const char *)file->data, *end = s + file->len;
    size_t line;
    int r = 0;

    while (end > s && blank(end[-1]))
        end--;
    while (s < end && blank(*s))
        s++;
    for (line = 1; s < end && line <= MERGES + 1 && r == 0; line++) {
        const char *stop = memchr(s, '\n', (size_t)(end - s)), *word[2];
        struct bs_buf whole = {0};
        size_t len[2];

        stop = stop != NULL ? stop : end;
        if (line > 1) { /* the first names the version */
            if (!two_words(s, stop, word, len) ||
                memchr(s, '\0', (size_t)(stop - s)) != NULL)
                return bs_err_set(l->e, BS_EX_DATA,
                                  "'merges.txt': line %zu: not two symbols",
                                  line);
            if ((r = list_put(l, list, word[0], len[0])) == 0 &&
                (r = list_put(l, list, word[1], len[1])) == 0 &&
                (r = bs_buf_add(&whole, word[0], len[0], l->e)) == 0 &&
                (r = bs_buf_add(&whole, word[1], len[1], l->e)) == 0)
                r = list_put(l, list, (const char *)whole.data, whole.len);
            bs_buf_release(&whole);
        }
        s = stop + (stop < end);
    }
    return r;
}

static int
by_pair(const void *x, const void *y)
{
    const struct bs_clip_merge *a = x, *b = y;

    if (a->a != b->a)
        return a->a < b->a ? -1 : 1;
    if (a->b != b->b)
        return a->b < b->b ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* The merges in the order of their pairs; of equal ones the last counts. */
static int
order_merges(struct loader *l, const char *const *at, size_t n)
{
    struct bs_clip_bpe *t = l->t;
    size_t i;

    t->merge = bs_alloc_array(n, sizeof *t->merge);
    if (t->merge == NULL)
        return bs_err_memory(l->e, "merges", n * sizeof *t->merge);
    for (i = 0; i < n; i++)
        t->merge[i] = (struct bs_clip_merge){
            .a = symbol_of(t, at[3 * i]),
            .b = symbol_of(t, at[3 * i + 1]),
            .rank = (uint32_t)i,
            .whole = symbol_of(t, at[3 * i + 2]),
        };
    qsort(t->merge, n, sizeof *t->merge, by_pair);
    for (i = 0; i < n; i++) {
        if (t->merges > 0 && t->merge[t->merges - 1].a == t->merge[i].a &&
            t->merge[t->merges - 1].b == t->merge[i].b)
            t->merges--;
        t->merge[t->merges++] = t->merge[i];
    }
    return 0;
}

/* ---- vocab.json ---------------------------------------------------------- */

/* The id of a token, or -1. */
static int32_t
id_of(const struct loader *l, const char *token)
{
    size_t low = 0, high = l->vocab->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(l->sorted[mid]->key, token);

        if (c == 0)
            return (int32_t)l->sorted[mid]->number;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

static int
read_vocab(struct loader *l, const struct bs_buf *file)
{
    const struct bs_json *c;
    uint64_t id;
    int r = parse(l, 0, "vocab.json", file, &l->vocab);

    if (r < 0)
        return r;
    if (l->vocab == NULL || l->vocab->count == 0)
        return bs_err_set(l->e, BS_EX_DATA, "'vocab.json' is empty");
    for (c = l->vocab->child; c != NULL; c = c->next) {
        if (!bs_json_u64(c, VOCAB_MAX - 1, &id))
            return bs_err_set(l->e, BS_EX_DATA,
                              "'vocab.json': the id of '%.40s' is no whole "
                              "number below %d",
                              c->key, VOCAB_MAX);
        if (id >= l->t->ids)
            l->t->ids = (size_t)id + 1;
    }
    l->sorted = bs_json_sorted(l->vocab);
    if (l->sorted == NULL)
        return bs_err_memory(l->e, "vocabulary", l->vocab->count);
    return 0;
}

static int
put_bytes(struct loader *l, struct list *list)
{
    char text[16];
    unsigned i;
    int r = 0;

    for (i = 0; i < 512 && r == 0; i++) {
        spell_byte(text, i & 255, i >> 8);
        r = list_put(l, list, text, strlen(text));
    }
    return r;
}

static void
find_bytes(struct bs_clip_bpe *t)
{
    char text[16];
    unsigned i;

    for (i = 0; i < 512; i++) {
        spell_byte(text, i & 255, i >> 8);
        t->byte[i >> 8][i & 255] = symbol_of(t, text);
    }
}

/* All symbols, each once, in order; the list keeps its own. */
static int
order_symbols(struct loader *l, const struct list *list)
{
    struct bs_clip_bpe *t = l->t;
    size_t i;

    t->symbol = bs_alloc_array(list->len, sizeof *t->symbol);
    if (t->symbol == NULL)
        return bs_err_memory(l->e, "symbols", list->len * sizeof *t->symbol);
    memcpy(t->symbol, list->at, list->len * sizeof *t->symbol);
    qsort(t->symbol, list->len, sizeof *t->symbol, by_text);
    for (i = 0; i < list->len; i++)
        if (i == 0 || strcmp(t->symbol[i], t->symbol[t->symbols - 1]) != 0)
            t->symbol[t->symbols++] = t->symbol[i];
    t->id = bs_alloc_array(t->symbols, sizeof *t->id);
    if (t->id == NULL)
        return bs_err_memory(l->e, "ids", t->symbols * sizeof *t->id);
    for (i = 0; i < t->symbols; i++)
        t->id[i] = id_of(l, t->symbol[i]);
    return 0;
}

static int
read_symbols(struct loader *l, const struct bs_buf *merges)
{
    struct list list = {.room = 512 + 3 * (size_t)MERGES};
    int r;

    list.at = bs_alloc_array(list.room, sizeof *list.at);
    if (list.at == NULL)
        return bs_err_memory(l->e, "symbols", list.room * sizeof *list.at);
    r = put_bytes(l, &list);
    if (r == 0)
        r = read_merges(l, merges, &list);
    if (r == 0)
        r = order_symbols(l, &list);
    if (r == 0)
        r = order_merges(l, list.at + 512, (list.len - 512) / 3);
    if (r == 0)
        find_bytes(l->t);
    bs_free(list.at);
    return r;
}

/* ---- special tokens ------------------------------------------------------ */

/* A token is a string, or an object with its `content`. */
static const char *
content_of(const struct bs_json *v)
{
    if (v == NULL)
        return NULL;
    return v->type == BS_JSON_STRING ? v->text
                                     : bs_json_get_string(v, "content");
}

static bool
truth(const struct bs_json *v, const char *key)
{
    const struct bs_json *b = bs_json_get(v, key);

    return b != NULL && b->type == BS_JSON_BOOL && b->truth;
}

/* The text of a token as it will be looked for. */
static int
put_special_text(struct loader *l, struct bs_clip_special *p)
{
    struct bs_text32 t = {0}, low = {0};
    uint32_t *copy;
    size_t i;
    int r = bs_text32_utf8(&t, p->name, strlen(p->name), l->e);

    if (r == 0 && l->t->rules == BS_CLIP_FAST && p->normalized) {
        r = bs_text32_nfc(&t, l->e);
        for (i = 0; i < t.len && r == 0; i++)
            r = bs_text32_put_lower(&low, t.at[i], l->e);
        bs_text32_release(&t);
        t = low;
    }
    if (r == 0) {
        copy = bs_arena_alloc(&l->t->arena, t.len * sizeof *copy);
        if (copy == NULL)
            r = bs_err_memory(l->e, "tokens", t.len * sizeof *copy);
        else
            memcpy(copy, t.at, t.len * sizeof *copy);
        p->text = copy;
        p->len = t.len;
    }
    bs_text32_release(&t);
    return r;
}

/* Add a special token, or say anew what it is. */
static int
put_special(struct loader *l, const char *name, int32_t id,
            const struct bs_json *v)
{
    struct bs_clip_bpe *t = l->t;
    struct bs_clip_special *p;
    size_t i;

    if (name[0] == '\0')
        return bs_err_set(l->e, BS_EX_DATA, "a special token is empty");
    if (truth(v, "single_word"))
        return bs_err_set(l->e, BS_EX_DATA,
                          "the token '%.40s' is for single words, which is "
                          "not supported",
                          name);
    for (i = 0; i < t->specials && strcmp(t->special[i].name, name) != 0; i++)
        ;
    if (i == SPECIALS_MAX)
        return bs_err_set(l->e, BS_EX_DATA, "more than %d special tokens",
                          SPECIALS_MAX);
    p = &t->special[i];
    p->name = bs_arena_text(&t->arena, name, strlen(name));
    if (p->name == NULL)
        return bs_err_memory(l->e, "tokens", strlen(name));
    p->id = id;
    p->normalized = truth(v, "normalized");
    t->specials += i == t->specials;
    if ((size_t)id >= t->ids)
        t->ids = (size_t)id + 1;
    return put_special_text(l, p);
}

static const struct bs_clip_special *
find_special(const struct bs_clip_bpe *t, const char *name)
{
    size_t i;

    for (i = 0; i < t->specials; i++)
        if (strcmp(t->special[i].name, name) == 0)
            return &t->special[i];
    return NULL;
}

/* added_tokens_decoder: ids with their tokens; added_tokens.json: tokens with
 * their ids. */
static int
read_added(struct loader *l, const struct bs_json *decoder,
           const struct bs_json *encoder)
{
    const struct bs_json *c;
    int r = 0;

    for (c = decoder != NULL ? decoder->child : NULL; c != NULL && r == 0;
         c = c->next) {
        const char *name = content_of(c);
        char *end = NULL;
        long id =
            c->key == NULL || c->key[0] == '\0' ? -1 : strtol(c->key, &end, 10);

        if (name == NULL || id < 0 || id >= VOCAB_MAX || *end != '\0')
            return bs_err_set(l->e, BS_EX_DATA,
                              "'added_tokens_decoder' is not tokens by id");
        r = put_special(l, name, (int32_t)id, c);
    }
    for (c = encoder != NULL ? encoder->child : NULL; c != NULL && r == 0;
         c = c->next) {
        uint64_t id;

        if (!bs_json_u64(c, VOCAB_MAX - 1, &id))
            return bs_err_set(l->e, BS_EX_DATA,
                              "'added_tokens.json': the id of '%.40s' is no "
                              "whole number below %d",
                              c->key, VOCAB_MAX);
        r = put_special(l, c->key, (int32_t)id, NULL);
    }
    return r;
}

/* A token with a part to play; it counts as special from then on. */
static int
name_special(struct loader *l, const char *role, const struct bs_json *v,
             const char *otherwise, int32_t *id)
{
    const char *name = v != NULL ? content_of(v) : otherwise;
    const struct bs_clip_special *p;

    if (v != NULL && v->type == BS_JSON_NULL)
        name = otherwise;
    if (name == NULL)
        return bs_err_set(l->e, BS_EX_DATA, "'%s' is no token", role);
    *id = id_of(l, name);
    p = find_special(l->t, name);
    if (*id < 0 && p != NULL)
        *id = p->id;
    if (*id < 0)
        return bs_err_set(l->e, BS_EX_DATA,
                          "'%s' '%.40s' is not in the vocabulary", role, name);
    return l->listed && p != NULL ? 0 : put_special(l, name, *id, v);
}

/* What special_tokens_map.json says goes before tokenizer_config.json, which
 * is alone where it lists the added tokens itself. */
static int
read_specials(struct loader *l, const struct bs_clip_bpe_files *files)
{
    static const char *const roles[] = {"bos_token", "eos_token", "unk_token",
                                        "pad_token"};
    struct bs_clip_bpe *t = l->t;
    int32_t *const ids[] = {&t->start, &t->end, &t->unknown, &t->pad};
    const struct bs_json *config, *special, *added, *decoder, *limit, *c;
    size_t i;
    uint64_t n;
    int r;

    if ((r = parse(l, 1, "tokenizer_config.json", &files->config, &config)) <
            0 ||
        (r = parse(l, 2, "special_tokens_map.json", &files->special,
                   &special)) < 0 ||
        (r = parse(l, 3, "added_tokens.json", &files->added, &added)) < 0)
        return r;
    decoder = bs_json_get(config, "added_tokens_decoder");
    l->listed = decoder != NULL && decoder->count > 0;
    if (l->listed)
        special = NULL;
    r = read_added(l, decoder, added);
    for (i = 0; i < BS_LEN(roles) && r == 0; i++) {
        const struct bs_json *v = bs_json_get(special, roles[i]);

        r = name_special(l, roles[i],
                         v != NULL ? v : bs_json_get(config, roles[i]),
                         i == 0 ? "<|startoftext|>" : "<|endoftext|>", ids[i]);
    }
    c = bs_json_get(special, "additional_special_tokens");
    for (c = c != NULL ? c->child : NULL; c != NULL && r == 0; c = c->next) {
        int32_t id;

        r = name_special(l, "additional_special_tokens", c, NULL, &id);
    }
    limit = bs_json_get(config, "model_max_length");
    t->limit = bs_json_u64(limit, LIMIT_MAX, &n) ? (size_t)n : LIMIT;
    if (r == 0 && t->limit < 2)
        r = bs_err_set(l->e, BS_EX_DATA, "'model_max_length' is below 2");
    return r;
}

/* ---- open and close ------------------------------------------------------ */

/* A symbol without an id of its own has the unknown token's. */
static void
fill_unknown(struct loader *l)
{
    struct bs_clip_bpe *t = l->t;
    size_t i;

    for (i = 0; i < t->symbols; i++)
        if (t->id[i] < 0)
            t->id[i] = t->unknown;
    t->start_literal = id_of(l, "<|startoftext|>");
    t->end_literal = id_of(l, "<|endoftext|>");
    if (t->start_literal < 0)
        t->start_literal = t->unknown;
    if (t->end_literal < 0)
        t->end_literal = t->unknown;
}

int
bs_clip_bpe_open(struct bs_clip_bpe **out,
                 const struct bs_clip_bpe_files *files,
                 enum bs_clip_rules rules, struct bs_err *e)
{
    struct bs_clip_bpe *t = bs_alloc_array(1, sizeof *t);
    struct loader l = {.t = t, .e = e};
    size_t i;
    int r;

    *out = NULL;
    if (t == NULL)
        return bs_err_memory(e, "tokenizer", sizeof *t);
    t->rules = rules;
    t->special = bs_alloc_array(SPECIALS_MAX, sizeof *t->special);
    r = t->special == NULL ? bs_err_memory(e, "tokens", SPECIALS_MAX)
                           : read_vocab(&l, &files->vocab);
    if (r == 0)
        r = read_symbols(&l, &files->merges);
    if (r == 0)
        r = read_specials(&l, files);
    if (r == 0)
        fill_unknown(&l);
    bs_free(l.sorted);
    for (i = 0; i < BS_LEN(l.doc); i++)
        bs_json_free(l.doc[i]);
    if (r < 0) {
        bs_clip_bpe_close(t);
        return r;
    }
    *out = t;
    return 0;
}

void
bs_clip_bpe_close(struct bs_clip_bpe *t)
{
    if (t == NULL)
        return;
    bs_arena_release(&t->arena);
    bs_free(t->symbol);
    bs_free(t->id);
    bs_free(t->merge);
    bs_free(t->special);
    bs_free(t);
}

size_t
bs_clip_bpe_limit(const struct bs_clip_bpe *t)
{
    return t->limit;
}

size_t
bs_clip_bpe_ids(const struct bs_clip_bpe *t)
{
    return t->ids;
}

int32_t
bs_clip_bpe_end(const struct bs_clip_bpe *t)
{
    return t->end;
}
