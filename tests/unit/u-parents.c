/*
 * u-parents.c - provenance: nested, folded, bounded.
 */
#include "formats/json.h"
#include "tests/unit/streams.h"
#include "tests/unit/tap.h"

static void
add(struct bs_doc *head, const struct bs_doc *parent, uint64_t hash)
{
    struct bs_err e = {0};

    need(bs_stream_parent(head, parent, hash, &e) == 0);
}

static void
test_one(void)
{
    struct bs_doc head = {0}, parent = {0};

    set(&parent, "bs.kind", "image");
    set(&parent, "bs.tool", "bs-fetch \"1\"");
    set(&parent, "bs.params", "{ \"b\":1, \"a\":[true] }");
    set(&parent, "bs.stream", "1");
    set(&parent, "bs.other", "x");
    add(&head, &parent, 0x12ab);
    ok(strcmp(bs_doc_meta(&head, "bs.parents"),
              "[{\"hash\":\"00000000000012ab\",\"kind\":\"image\","
              "\"params\":{\"a\":[true],\"b\":1},"
              "\"tool\":\"bs-fetch \\\"1\\\"\"}]") == 0,
       "one parent: %s", bs_doc_meta(&head, "bs.parents"));
    set(&parent, "bs.params", "{broken");
    set(&parent, "bs.tool", NULL);
    add(&head, &parent, 0);
    ok(strstr(bs_doc_meta(&head, "bs.parents"),
              "},{\"kind\":\"image\",\"params\":\"{broken\"}]") != NULL,
       "a second, without an id, with params that are no JSON");
    bs_doc_release(&head);
    bs_doc_release(&parent);
}

/* How deep entries are nested as objects. */
static unsigned
depth(const struct bs_json *list)
{
    const struct bs_json *c;
    unsigned most = 0, n;

    if (list == NULL || list->type != BS_JSON_ARRAY)
        return 0;
    for (c = list->child; c != NULL; c = c->next) {
        n = c->type == BS_JSON_OBJECT ? 1 + depth(bs_json_get(c, "parents"))
                                      : 0;
        most = n > most ? n : most;
    }
    return most;
}

static unsigned
depth_of(const struct bs_doc *head)
{
    const char *text = bs_doc_meta(head, "bs.parents");
    struct bs_json_doc *json;
    struct bs_err e = {0};
    unsigned n;

    need(bs_json_parse(&json, text, strlen(text), 0, &e) == 0);
    n = depth(bs_json_root(json));
    bs_json_free(json);
    return n;
}

/* 20 generations, each made from the one before. */
static void
test_deep(void)
{
    struct bs_doc parent = {0};
    bool good = true;
    unsigned i, n = 0;

    set(&parent, "bs.kind", "image");
    for (i = 1; i <= 20; i++) {
        struct bs_doc head = {0};

        set(&head, "bs.kind", "code");
        add(&head, &parent, i % 2 ? i : 0);
        n = depth_of(&head);
        good = good && n == (i < 8 ? i : 8);
        bs_doc_release(&parent);
        parent = head;
    }
    ok(good, "nested at most 8 deep");
    ok(strstr(bs_doc_meta(&parent, "bs.parents"), "\"parents\":[\"") != NULL,
       "what is deeper is a content id");
    bs_doc_release(&parent);
}

static void
test_long(void)
{
    struct bs_doc parent = {0}, head = {0}, again = {0};
    char note[2000];
    unsigned i;
    bool good = true;

    memset(note, 'n', sizeof note);
    note[sizeof note - 1] = '\0';
    set(&parent, "bs.kind", "image");
    set(&parent, "bs.seed", note);
    for (i = 1; i <= 400; i++) {
        add(&head, &parent, i);
        good = good && strlen(bs_doc_meta(&head, "bs.parents")) <= 256 << 10;
    }
    ok(good && depth_of(&head) <= 1, "at most 256 KiB");
    set(&again, "bs.parents", "[]");
    add(&again, &parent, 1);
    ok(depth_of(&again) == 1, "an empty list is a list");
    bs_doc_release(&again);
    bs_doc_release(&parent);
    bs_doc_release(&head);
}

static void
test_hostile(void)
{
    struct bs_doc parent = {0}, head = {0};
    struct bs_err e = {0};

    set(&parent, "bs.parents", "[1,\"a\",[[]],{\"parents\":7},null");
    add(&head, &parent, 1);
    ok(strstr(bs_doc_meta(&head, "bs.parents"), "\"parents\":\"[1,") != NULL,
       "a parent's list that is no JSON is text");
    set(&head, "bs.parents", "[1,2,]");
    ok(bs_stream_parent(&head, &parent, 1, &e) == -BS_EX_DATA,
       "a head's list that is no JSON: %s", e.text);
    bs_doc_release(&parent);
    bs_doc_release(&head);
}

int
main(void)
{
    test_one();
    test_deep();
    test_long();
    test_hostile();
    return tap_done();
}
