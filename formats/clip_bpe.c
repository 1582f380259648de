/*
 * clip_bpe.c - captions to ids: clean up, cut into words, merge; clip_bpe.h.
 */
#include "formats/clip_bpe_own.h"
#include "formats/unicode.h"
#include "formats/utf8.h"

enum {
    REPLACEMENT = 0xfffd,
    LONG_S = 0x17f, /* an s where case is ignored */
    IOTA_BELOW = 0x345
};

/* One call of encode. */
struct run {
    const struct bs_clip_bpe *t;
    int32_t *ids;
    size_t room, tokens;
    struct bs_buf bytes; /* of a word */
    struct bs_buf work;  /* of its merges */
    struct bs_err *e;
};

static void
put_id(struct run *u, int32_t id)
{
    if (u->tokens < u->room)
        u->ids[u->tokens] = id;
    u->tokens++;
}

/* ---- merges -------------------------------------------------------------- */

/* Where two symbols of a word meet and a merge applies. */
struct meeting {
    uint32_t merge; /* place in t->merge */
    uint32_t at;
};

/* A word as a list of symbols; what is merged away is UINT32_MAX. */
struct word {
    const struct bs_clip_bpe *t;
    uint32_t *symbol, *before, *behind;
    struct meeting *heap, *merged;
    size_t len, meetings;
};

static const struct bs_clip_merge *
find_merge(const struct bs_clip_bpe *t, uint32_t a, uint32_t b)
{
    size_t low = 0, high = t->merges;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct bs_clip_merge *m = &t->merge[mid];

        if (m->a == a && m->b == b)
            return m;
        if (m->a < a || (m->a == a && m->b < b))
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* By rank, then from left to right. */
static bool
sooner(const struct word *w, struct meeting x, struct meeting y)
{
    uint32_t a = w->t->merge[x.merge].rank, b = w->t->merge[y.merge].rank;

    return a != b ? a < b : x.at < y.at;
}

static void
push(struct word *w, uint32_t at)
{
    const struct bs_clip_merge *m;
    struct meeting x;
    size_t i;

    if (at >= w->len || w->behind[at] >= w->len)
        return;
    m = find_merge(w->t, w->symbol[at], w->symbol[w->behind[at]]);
    if (m == NULL)
        return;
    x = (struct meeting){(uint32_t)(m - w->t->merge), at};
    for (i = w->meetings++; i > 0 && sooner(w, x, w->heap[(i - 1) / 2]);
         i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static struct meeting
pop(struct word *w)
{
    struct meeting top = w->heap[0], x = w->heap[--w->meetings];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < w->meetings) {
        if (child + 1 < w->meetings &&
            sooner(w, w->heap[child + 1], w->heap[child]))
            child++;
        if (!sooner(w, w->heap[child], x))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = x;
    return top;
}

/* Merge where it still applies: an earlier merge may have taken a part. */
static bool
merge(struct word *w, struct meeting x)
{
    const struct bs_clip_merge *m = &w->t->merge[x.merge];
    uint32_t b = w->behind[x.at];

    if (w->symbol[x.at] != m->a || b >= w->len || w->symbol[b] != m->b)
        return false;
    w->symbol[x.at] = m->whole;
    w->symbol[b] = UINT32_MAX;
    w->behind[x.at] = w->behind[b];
    if (w->behind[b] < w->len)
        w->before[w->behind[b]] = x.at;
    return true;
}

/* All places of the merge of lowest rank, from left to right, again and
 * again. */
static void
merge_all(struct word *w)
{
    while (w->meetings > 0) {
        uint32_t rank = w->t->merge[w->heap[0].merge].rank;
        size_t n = 0, i;

        while (w->meetings > 0 && w->t->merge[w->heap[0].merge].rank == rank) {
            struct meeting x = pop(w);

            if (merge(w, x))
                w->merged[n++] = x;
        }
        for (i = 0; i < n; i++) {
            push(w, w->before[w->merged[i].at]);
            push(w, w->merged[i].at);
        }
    }
}

/* Lay a word of n symbols out in u->work. */
static int
lay_out(struct run *u, struct word *w, size_t n)
{
    size_t bytes;
    uint8_t *p;
    int r;

    /* a meeting for each neighbour at first, and two for each merge */
    if (!bs_mul(n, 3 * sizeof(uint32_t) + 4 * sizeof(struct meeting), &bytes) ||
        n >= UINT32_MAX)
        return bs_err_memory(u->e, "word", n);
    u->work.len = 0;
    r = bs_buf_reserve(&u->work, bytes, u->e);
    if (r < 0)
        return r;
    p = u->work.data;
    *w = (struct word){.t = u->t, .len = n};
    w->heap = (struct meeting *)(void *)p;
    w->merged = w->heap + 3 * n;
    w->symbol = (uint32_t *)(void *)(w->merged + n);
    w->before = w->symbol + n;
    w->behind = w->before + n;
    return 0;
}

/* The tokens of one word of UTF-8. */
static int
put_word(struct run *u, const uint8_t *s, size_t n)
{
    const struct bs_clip_bpe *t = u->t;
    struct word w;
    size_t i;
    int r = lay_out(u, &w, n);

    if (r < 0)
        return r;
    for (i = 0; i < n; i++) {
        w.symbol[i] = t->byte[i + 1 == n][s[i]];
        w.before[i] = i > 0 ? (uint32_t)i - 1 : UINT32_MAX;
        w.behind[i] = (uint32_t)i + 1;
    }
    for (i = 0; i + 1 < n; i++)
        push(&w, (uint32_t)i);
    merge_all(&w);
    for (i = 0; i < n; i = w.behind[i])
        put_id(u, t->id[w.symbol[i]]);
    return 0;
}

/* ---- words --------------------------------------------------------------- */

/* Characters at s that spell the ASCII word, or 0. */
static size_t
spells(const struct run *u, const uint32_t *s, size_t len, const char *word)
{
    size_t n = strlen(word), i;

    if (n > len)
        return 0;
    for (i = 0; i < n; i++) {
        uint32_t c = s[i] == LONG_S && u->t->rules == BS_CLIP_SLOW ? 's' : s[i];

        if (c != (unsigned char)word[i])
            return 0;
    }
    return n;
}

/* Neither letter, number nor space.  The slow pattern ignores case, which makes
 * a letter of the iota below, but only where letters are excluded. */
static bool
other(const struct run *u, uint32_t c)
{
    if (c == IOTA_BELOW && u->t->rules == BS_CLIP_SLOW)
        return false;
    return !bs_unicode_white(c) &&
           !(bs_unicode_of(c) & (BS_UNICODE_LETTER | BS_UNICODE_NUMBER));
}

/* Length of a bracketed word at s, or 0. */
static size_t
bracketed(const struct run *u, const uint32_t *s, size_t len)
{
    size_t n = spells(u, s, len, "<|startoftext|>");

    return n > 0 ? n : spells(u, s, len, "<|endoftext|>");
}

/* Length of another word at s; 0: what stands between words. */
static size_t
word_length(const struct run *u, const uint32_t *s, size_t len)
{
    static const char *const endings[] = {"'s", "'t",  "'re", "'ve",
                                          "'m", "'ll", "'d"};
    size_t n, i;

    for (i = 0; i < BS_LEN(endings); i++)
        if ((n = spells(u, s, len, endings[i])) > 0)
            return n;
    for (n = 0; n < len && (bs_unicode_of(s[n]) & BS_UNICODE_LETTER); n++)
        ;
    if (n == 0 && (bs_unicode_of(s[0]) & BS_UNICODE_NUMBER))
        return 1;
    if (n == 0)
        while (n < len && other(u, s[n]))
            n++;
    return n;
}

static int
put_characters(struct run *u, const uint32_t *s, size_t len)
{
    size_t i;
    int r = 0;

    u->bytes.len = 0;
    for (i = 0; i < len && r == 0; i++) {
        char c[4];

        r = bs_buf_add(&u->bytes, c, bs_utf8_put(c, s[i]), u->e);
    }
    return r < 0 ? r : put_word(u, u->bytes.data, u->bytes.len);
}

/* Exactly this word, not one that spells like it. */
static bool
is(const uint32_t *s, size_t len, const char *word)
{
    size_t i;

    for (i = 0; i < len && word[i] != '\0'; i++)
        if (s[i] != (unsigned char)word[i])
            return false;
    return i == len && word[i] == '\0';
}

static int
put_bracketed(struct run *u, const uint32_t *s, size_t len)
{
    const struct bs_clip_bpe *t = u->t;
    int r;

    if (t->rules == BS_CLIP_SLOW) {
        if (!is(s, len, "<|startoftext|>") && !is(s, len, "<|endoftext|>"))
            return put_characters(u, s, len);
        put_id(u, s[2] == 's' ? t->start_literal : t->end_literal);
        return 0;
    }
    /* a second split, by GPT-2's pattern, sets the brackets apart */
    r = put_characters(u, s, 2);
    if (r == 0)
        r = put_characters(u, s + 2, len - 4);
    return r < 0 ? r : put_characters(u, s + len - 2, 2);
}

/* The words of clean text. */
static int
put_words(struct run *u, const uint32_t *s, size_t len)
{
    size_t i, n;
    int r = 0;

    for (i = 0; i < len && r == 0; i += n) {
        n = bracketed(u, s + i, len - i);
        if (n > 0) {
            r = put_bracketed(u, s + i, n);
            continue;
        }
        n = word_length(u, s + i, len - i);
        if (n > 0)
            r = put_characters(u, s + i, n);
        else
            n = 1;
    }
    return r;
}

/* ---- clean-up ------------------------------------------------------------ */

/* The blocks of ideographs that BERT knew. */
static bool
ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b820 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static int
put_apart(struct bs_text32 *out, uint32_t c, struct bs_err *e)
{
    int r = bs_text32_put(out, ' ', e);

    if (r == 0)
        r = bs_text32_put(out, c, e);
    return r < 0 ? r : bs_text32_put(out, ' ', e);
}

/* Slow, first half: spaces are spaces, what has no glyph goes. */
static int
drop(struct bs_text32 *out, const uint32_t *s, size_t len, struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < len && r == 0; i++) {
        unsigned p = bs_unicode_of(s[i]);

        if (s[i] == '\t' || s[i] == '\n' || s[i] == '\r' ||
            (p & BS_UNICODE_SPACE))
            r = bs_text32_put(out, ' ', e);
        else if (s[i] == REPLACEMENT || (p & BS_UNICODE_OTHER))
            continue;
        else
            r = ideograph(s[i]) ? put_apart(out, s[i], e)
                                : bs_text32_put(out, s[i], e);
    }
    return r;
}

/* Slow, second half: lower case, word by word. */
static int
lower_words(struct bs_text32 *out, const uint32_t *s, size_t len,
            struct bs_err *e)
{
    size_t i, n;
    int r = 0;

    for (i = 0; i < len && r == 0; i += n + 1) {
        for (n = 0; i + n < len && !bs_unicode_white(s[i + n]); n++)
            ;
        r = bs_text32_lower(out, s + i, n, e);
        if (r == 0)
            r = bs_text32_put(out, ' ', e);
    }
    return r;
}

static int
lower_letters(struct bs_text32 *out, const uint32_t *s, size_t len,
              struct bs_err *e)
{
    size_t i;
    int r = 0;

    for (i = 0; i < len && r == 0; i++)
        r = bs_text32_put_lower(out, s[i], e);
    return r;
}

static int
clean(const struct run *u, struct bs_text32 *out, const uint32_t *s, size_t len)
{
    bool slow = u->t->rules == BS_CLIP_SLOW;
    struct bs_text32 t = {0};
    size_t i;
    int r = 0;

    if (slow)
        r = drop(&t, s, len, u->e);
    else
        for (i = 0; i < len && r == 0; i++)
            r = bs_text32_put(&t, s[i], u->e);
    if (r == 0)
        r = bs_text32_nfc(&t, u->e);
    if (r == 0)
        r = slow ? lower_words(out, t.at, t.len, u->e)
                 : lower_letters(out, t.at, t.len, u->e);
    bs_text32_release(&t);
    return r;
}

/* ---- special tokens ------------------------------------------------------ */

typedef int put_text(struct run *u, const uint32_t *s, size_t len);

/* The longest special token at s; `normalized` or not, or any (slow). */
static const struct bs_clip_special *
special_at(const struct run *u, const uint32_t *s, size_t len, bool normalized)
{
    const struct bs_clip_special *best = NULL;
    size_t i;

    for (i = 0; i < u->t->specials; i++) {
        const struct bs_clip_special *p = &u->t->special[i];

        if (p->len > len || (best != NULL && p->len <= best->len) ||
            (u->t->rules == BS_CLIP_FAST && p->normalized != normalized))
            continue;
        if (memcmp(p->text, s, p->len * sizeof *s) == 0)
            best = p;
    }
    return best;
}

/* Put the special tokens of a text, and what lies between them by `put`. */
static int
split(struct run *u, const uint32_t *s, size_t len, bool normalized,
      put_text *put)
{
    size_t from = 0, i = 0;
    int r = 0;

    while (i < len && r == 0) {
        const struct bs_clip_special *p =
            special_at(u, s + i, len - i, normalized);

        if (p == NULL) {
            i++;
            continue;
        }
        if (from < i)
            r = put(u, s + from, i - from);
        put_id(u, p->id);
        i += p->len;
        from = i;
    }
    return r < 0 || from == len ? r : put(u, s + from, len - from);
}

static int
put_piece(struct run *u, const uint32_t *s, size_t len)
{
    struct bs_text32 t = {0};
    int r = clean(u, &t, s, len);

    if (r == 0)
        r = u->t->rules == BS_CLIP_FAST ? split(u, t.at, t.len, true, put_words)
                                        : put_words(u, t.at, t.len);
    bs_text32_release(&t);
    return r;
}

int
bs_clip_bpe_encode(const struct bs_clip_bpe *t, const char *text, size_t len,
                   int32_t *ids, size_t *tokens, struct bs_err *e)
{
    struct run u = {.t = t, .ids = ids + 1, .room = t->limit - 2, .e = e};
    struct bs_text32 s = {0};
    size_t i;
    int r = bs_text32_utf8(&s, text, len, e);

    if (r == 0)
        r = split(&u, s.at, s.len, false, put_piece);
    bs_text32_release(&s);
    bs_buf_release(&u.bytes);
    bs_buf_release(&u.work);
    if (r < 0)
        return r;
    ids[0] = t->start;
    i = 1 + (u.tokens < u.room ? u.tokens : u.room);
    ids[i++] = t->end;
    while (i < t->limit)
        ids[i++] = t->pad;
    *tokens = u.tokens;
    return 0;
}
