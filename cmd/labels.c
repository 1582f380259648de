/*
 * labels.c - see labels.h.
 */
#include "cmd/labels.h"

#include <stdio.h>
#include <string.h>

static bool
taken(char (*label)[BS_LABEL_SIZE], size_t n, const char *name)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (strcmp(label[i], name) == 0)
            return true;
    return false;
}

static void
of_path(char (*label)[BS_LABEL_SIZE], size_t n, const char *path,
        const char *unnamed)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    char stem[60];
    size_t i, len = strcspn(base, ".");
    unsigned again;

    if (strcmp(path, "-") == 0 || len == 0) {
        base = unnamed;
        len = strlen(unnamed);
    }
    if (len > sizeof stem - 1)
        len = sizeof stem - 1;
    for (i = 0; i < len; i++) {
        stem[i] = base[i];
        stem[i + 1] = '\0';
        if (!bs_label_valid(stem + i))
            stem[i] = '_';
    }
    snprintf(label[n], BS_LABEL_SIZE, "%s", stem);
    for (again = 2; taken(label, n, label[n]); again++)
        snprintf(label[n], BS_LABEL_SIZE, "%s-%u", stem, again);
}

void
bs_labels_set(const struct bs_cmd *cmd, char (*label)[BS_LABEL_SIZE], size_t n,
              const char *given, char *const *path, const char *unnamed,
              const char *streams)
{
    size_t i;

    for (i = 0; i < n && given == NULL; i++)
        of_path(label, i, path[i], unnamed);
    for (i = 0; i < n && given != NULL; i++) {
        size_t len = strcspn(given, ",");

        if (len < BS_LABEL_SIZE)
            snprintf(label[i], BS_LABEL_SIZE, "%.*s", (int)len, given);
        if (len >= BS_LABEL_SIZE || !bs_label_valid(label[i]))
            bs_opt_misuse(cmd,
                          "label '%.*s' is not of 1 to 80 letters, digits, "
                          "'_' and '-'",
                          (int)len, given);
        if (taken(label, i, label[i]))
            bs_opt_misuse(cmd, "label '%s' comes twice", label[i]);
        if ((given[len] == '\0') != (i + 1 == n))
            bs_opt_misuse(cmd, "'--label' needs a label for each of %zu %s", n,
                          streams);
        given += len + 1;
    }
}
