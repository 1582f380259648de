/*
 * members.c - candidates from the members of an archive: see candidate.h.
 *
 * A picture and its caption files are neighbours, in any order, that share
 * their name up to the last dot, as WebDataset has it: a group is complete when
 * a member of another name comes.  Captions that stand elsewhere are counted.
 */
#include <strings.h>

#include "cmd/models/candidate.h"

enum { GROUP_MAX = 8 }; /* pictures of one name */

struct bs_members {
    struct bs_candidates *all;
    struct bs_archive *archive;
    size_t limit; /* bytes of a picture that are worth keeping */
    bool captions;
    struct bs_buf stem; /* of the group */
    struct bs_buf next; /* name of the member that starts the next group */
    bool at_end;
    struct bs_candidate *picture[GROUP_MAX];
    size_t pictures; /* wanted ones */
    size_t out;      /* of these, already handed out */
    bool seen;       /* the group had a picture, wanted or not */
    struct bs_buf text, json;
    bool has_text, has_json, too_long;
    struct bs_tally bare; /* stems of pictures without a caption file */
    struct bs_tally lone; /* stems of caption files without a picture */
    uint64_t strays;
};

int
bs_members_open(struct bs_members **out, struct bs_candidates *all,
                struct bs_plain *plain, const struct bs_gather_options *options,
                struct bs_err *e)
{
    struct bs_members *m = bs_alloc_array(1, sizeof *m);
    int r;

    *out = NULL;
    if (m == NULL) {
        bs_plain_close(plain);
        return bs_err_memory(e, "archive", sizeof *m);
    }
    m->all = all;
    m->limit = options->max_bytes;
    m->captions = !options->no_captions;
    r = bs_archive_open(&m->archive, plain, e);
    if (r < 0) {
        bs_members_close(m);
        return r;
    }
    *out = m;
    return 0;
}

/* A component that starts with a dot, but for "." and "..". */
static bool
is_hidden(const char *path)
{
    size_t n;

    for (; *path != '\0'; path += n + (path[n] == '/')) {
        n = strcspn(path, "/");
        if (*path == '.' && n > 1 && (n > 2 || path[1] != '.'))
            return true;
    }
    return false;
}

/* Length of a name up to its last dot. */
static size_t
stem_length(const char *name)
{
    const char *dot = strrchr(name, '.'), *slash = strrchr(name, '/');

    return dot != NULL && (slash == NULL || dot > slash) ? (size_t)(dot - name)
                                                         : strlen(name);
}

/* A caption file and a picture of one name that are no neighbours: the pictures
 * went out without it. */
static int
note_stray(struct bs_members *m, struct bs_err *e)
{
    struct bs_identity id = bs_identity_of(m->stem.data, m->stem.len);
    bool caption = m->has_text || m->has_json;

    if (m->seen == caption)
        return 0;
    if (bs_tally_count(m->seen ? &m->lone : &m->bare, id) > 0)
        m->strays++;
    return bs_tally_set(m->seen ? &m->bare : &m->lone, id, 1, e);
}

static int
hand_over(struct bs_buf *to, const struct bs_buf *from, bool has,
          struct bs_err *e)
{
    return has ? bs_buf_add(to, from->data, from->len, e) : 0;
}

/* Give every picture of the group its captions. */
static int
complete(struct bs_members *m, struct bs_err *e)
{
    struct bs_candidate *c;
    size_t i;
    int r = m->captions && m->stem.len > 0 ? note_stray(m, e) : 0;

    for (i = 0; i < m->pictures && r == 0; i++) {
        c = m->picture[i];
        c->has_text = m->has_text;
        c->has_json = m->has_json;
        r = hand_over(&c->text, &m->text, m->has_text, e);
        if (r == 0)
            r = hand_over(&c->json, &m->json, m->has_json, e);
        if (r == 0 && m->too_long && c->status == BS_GATHER_OK)
            r = bs_candidate_refuse(c, BS_GATHER_BAD_METADATA,
                                    "caption file is longer than 64 KiB", e);
    }
    return r;
}

static int
take_picture(struct bs_members *m, const char *name, struct bs_err *e)
{
    struct bs_candidate *c = NULL;
    int r =
        bs_candidates_admit(m->all, name, bs_stem_length(name), name, &c, e);

    m->seen = true;
    if (r <= 0)
        return r;
    m->picture[m->pictures++] = c;
    r = bs_archive_data(m->archive, m->limit, &c->bytes, e);
    return r <= 0 ? r
                  : bs_candidate_refuse(c, BS_GATHER_TOO_LARGE,
                                        "more bytes than the limit", e);
}

static int
take_caption(struct bs_members *m, bool text, struct bs_err *e)
{
    struct bs_buf *b = text ? &m->text : &m->json;
    int r;

    b->len = 0;
    *(text ? &m->has_text : &m->has_json) = true;
    r = bs_archive_data(m->archive, BS_CAPTION_MAX, b, e);
    m->too_long = m->too_long || r > 0;
    return r < 0 ? r : 0;
}

static int
take_member(struct bs_members *m, const char *name, struct bs_err *e)
{
    const char *extension = name + stem_length(name);
    int r = 0;

    if (bs_is_picture_name(name))
        r = take_picture(m, name, e);
    else if (m->captions && strcasecmp(extension, ".txt") == 0)
        r = take_caption(m, true, e);
    else if (m->captions && strcasecmp(extension, ".json") == 0)
        r = take_caption(m, false, e);
    return r;
}

/* Start a group with the member whose name is in `next`. */
static int
start_group(struct bs_members *m, struct bs_err *e)
{
    const char *name = (const char *)m->next.data;
    int r;

    m->seen = m->has_text = m->has_json = m->too_long = false;
    m->pictures = m->out = 0;
    m->text.len = m->json.len = m->stem.len = 0;
    r = bs_buf_add(&m->stem, name, stem_length(name), e);
    return r == 0 ? take_member(m, name, e) : r;
}

static bool
is_of_group(const struct bs_members *m, const char *name)
{
    size_t len = stem_length(name);

    return len == m->stem.len && m->pictures < GROUP_MAX &&
           memcmp(name, m->stem.data, len) == 0;
}

/* Read members until the group in hand is complete. */
static int
read_group(struct bs_members *m, struct bs_err *e)
{
    struct bs_member member;
    int r = m->next.len > 0 ? start_group(m, e) : 0;

    while (r == 0) {
        r = bs_archive_next(m->archive, &member, e);
        if (r <= 0)
            break;
        r = 0;
        if (is_hidden(member.name))
            continue;
        m->next.len = 0;
        if (!is_of_group(m, member.name)) {
            r = bs_buf_add(&m->next, member.name, strlen(member.name) + 1, e);
            return r == 0 ? complete(m, e) : r;
        }
        r = take_member(m, member.name, e);
    }
    m->at_end = true;
    return r == 0 ? complete(m, e) : r;
}

int
bs_members_next(struct bs_members *m, struct bs_candidate **out,
                struct bs_err *e)
{
    int r;

    while (m->out == m->pictures) {
        if (m->at_end)
            return 0;
        r = read_group(m, e);
        if (r < 0)
            return r;
    }
    *out = m->picture[m->out++];
    return 1;
}

uint64_t
bs_members_strays(const struct bs_members *m)
{
    return m->strays;
}

bool
bs_members_ended(const struct bs_members *m)
{
    return bs_archive_ended(m->archive);
}

void
bs_members_close(struct bs_members *m)
{
    if (m == NULL)
        return;
    for (; m->out < m->pictures; m->out++)
        bs_candidate_free(m->picture[m->out]);
    bs_archive_close(m->archive);
    bs_buf_release(&m->stem);
    bs_buf_release(&m->next);
    bs_buf_release(&m->text);
    bs_buf_release(&m->json);
    bs_tally_release(&m->bare);
    bs_tally_release(&m->lone);
    bs_free(m);
}
