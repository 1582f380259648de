/*
 * rank_top.h - the images in which a concept is strongest.
 *
 * The score of an image is the mean of the concept's codes over its patches
 * (over its tokens where it has no patches); images without the concept have no
 * place.  Lists of the best are held for both sides, real and generated, and
 * with each image the score of its counterpart, the other side's image of the
 * same key.
 *
 * Lists of parts merge to the lists of the whole, exactly: a score depends on
 * its record only, equal scores are in the order of their keys, and parts by
 * key have both images of a pair.
 *
 * Memory: 32 bytes for each concept, side and place, 12 bytes a concept, and
 * keys and captions of images that had a place at some time.
 */
#ifndef BS_MODELS_RANK_TOP_H
#define BS_MODELS_RANK_TOP_H

#include "cmd/models/codes.h"
#include "cmd/models/preprocess.h"
#include "cmd/models/rank_scan.h"
#include "common/bs.h"
#include "common/err.h"
#include "common/mem.h"
#include "formats/keyset.h"

enum bs_side { BS_SIDE_REAL, BS_SIDE_GEN, BS_SIDES };
extern const char *const bs_side_names[BS_SIDES];

enum { BS_TOP_MAX = 100, BS_TOP_NO_HEAT = -1 };

/* An image's codes of one concept, patch by patch: in `heats` of the tops. */
struct bs_heat {
    size_t at; /* first value */
    uint32_t rows, columns;
};

/* A place in a list. */
struct bs_top {
    double score;
    double other;    /* of the counterpart; NaN: there is none */
    uint32_t image;  /* number of its key */
    int32_t heat[2]; /* own, counterpart's: number in `heat`, or NO_HEAT */
};

/* Zero-initialised means empty. */
struct bs_tops {
    uint32_t concepts;
    size_t places;                /* in each list */
    size_t lists;                 /* of each side */
    uint32_t *concept;            /* [lists] */
    uint32_t *list_of;            /* [concepts]; `lists`: none */
    struct bs_top *top[BS_SIDES]; /* [lists][places] */
    uint32_t *count[BS_SIDES];    /* [lists] */
    struct bs_codes_head head;    /* what the codes are of, once known */
    struct bs_preprocess sight[BS_SIDES]; /* what bs-embed saw of an image, by
                                             the codes' parents; 0: unknown */
    struct bs_doc parents;        /* bs.parents: the segments of codes */
    struct bs_buf heat;           /* struct bs_heat */
    struct bs_buf values;         /* float: of the heats */

    struct bs_keyset keys;  /* from here on private: numbers of images */
    struct bs_buf at, text; /* size_t [images][2] in text: key, caption */
    double *sum;            /* [concepts], all 0 between two records */
    struct bs_doc segment;  /* the head of the one being scanned */
    struct bs_codes codes;
};

/* Lists for the n concepts of `list`, ascending, or for all where it is NULL.
 * Release *t also where this fails. */
int bs_tops_init(struct bs_tops *t, uint32_t concepts, const uint32_t *list,
                 size_t n, size_t places, struct bs_err *e) BS_CHECKED;
void bs_tops_release(struct bs_tops *t);

/*
 * Two readings make the lists: bs_tops_scan of both sides finds the images,
 * then bs_tops_pair of both sides looks up what the lists ask of it: scores of
 * counterparts and, with `heat`, the patches of both.  Codes of another number
 * of concepts or another dictionary than those before (or than t->head says)
 * are -BS_EX_DATA.
 */
int bs_tops_scan(struct bs_tops *t, enum bs_side side, const char *path,
                 const struct bs_rank_input *in, struct bs_err *e) BS_CHECKED;
int bs_tops_pair(struct bs_tops *t, enum bs_side side, const char *path,
                 const struct bs_rank_input *in, bool heat,
                 struct bs_err *e) BS_CHECKED;

const char *bs_tops_key(const struct bs_tops *t, uint32_t image);
const char *bs_tops_caption(const struct bs_tops *t, uint32_t image);

/* ---- parts --------------------------------------------------------------- */

#define BS_TOPS_KIND "rank"

/* What the head of a part says besides bs.kind: its borrowed by the writer. */
int bs_tops_describe(const struct bs_tops *t, struct bs_doc *head,
                     struct bs_err *e) BS_CHECKED;

/* Take a record of one side's lists: 0 or < 0. */
typedef int bs_tops_record_fn(void *arg, const struct bs_doc *rec,
                              struct bs_err *e);
/* The lists of all concepts as records, one a side. */
int bs_tops_write(const struct bs_tops *t, bs_tops_record_fn *fn, void *arg,
                  struct bs_err *e) BS_CHECKED;
/* Add the lists of a part.  It must have as many places at least, and no image
 * that another part had. */
int bs_tops_merge(struct bs_tops *t, const char *path,
                  const struct bs_rank_input *in, struct bs_err *e) BS_CHECKED;

/* ---- for the files that make lists --------------------------------------- */

/* Offer an image to a list; its caption may be NULL. */
int bs_tops_offer(struct bs_tops *t, enum bs_side side, size_t list,
                  const char *key, const char *caption, double score,
                  double other, struct bs_err *e) BS_CHECKED;

#endif
