/*
 * schedules.c - what scheduler.py drives: each line of stdin is an object of a
 * "config", "steps", "eta", "pipeline" and "n"; the answer is the number of
 * evaluations (32 bits; 0 and a line of text for an error), the deviation of
 * the first sample, and for each evaluation the timestep and the sample.
 */
#include "tests/unit/fake_model.h"

static int
answer(const char *line, size_t len)
{
    struct bs_json_doc *doc;
    struct bs_scheduler *s = NULL;
    struct bs_err e = {0};
    const struct bs_json *root, *pipeline;
    struct bs_scheduler_options o = {0};
    double steps = 0, n = 0;
    uint32_t count = 0;
    float *trace = NULL, f;
    size_t k;
    int r = bs_json_parse(&doc, line, len, BS_JSON_NONFINITE, &e);

    if (r == 0) {
        root = bs_json_root(doc);
        pipeline = bs_json_get(root, "pipeline");
        bs_json_get_number(root, "steps", &steps);
        bs_json_get_number(root, "n", &n);
        bs_json_get_number(root, "eta", &o.eta);
        o.pipeline = pipeline != NULL && pipeline->truth;
        o.steps = (size_t)steps;
        r = bs_scheduler_open(&s, bs_json_get(root, "config"), &o, &e);
    }
    if (r == 0) {
        count = (uint32_t)bs_scheduler_count(s);
        trace = bs_alloc_array(count * (size_t)n, sizeof *trace);
        r = trace == NULL ? 1 : fake_run(s, (size_t)n, trace, &e);
    }
    count = r == 0 ? count : 0;
    fwrite(&count, sizeof count, 1, stdout);
    if (r != 0)
        printf("%s\n", e.text);
    if (r == 0) {
        f = bs_scheduler_start(s);
        fwrite(&f, sizeof f, 1, stdout);
    }
    for (k = 0; k < count; k++) {
        f = bs_scheduler_time(s, k);
        fwrite(&f, sizeof f, 1, stdout);
        fwrite(trace + k * (size_t)n, sizeof f, (size_t)n, stdout);
    }
    bs_free(trace);
    bs_scheduler_close(s);
    bs_json_free(doc);
    return 0;
}

int
main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while ((n = getline(&line, &room, stdin)) > 0)
        answer(line, (size_t)n);
    free(line);
    return 0;
}
