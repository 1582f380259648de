/*
 * cuda_library.c - see cuda_library.h.
 */
#include "kernels/cuda_library.h"

#include <dlfcn.h>

void *
bs_library_open(const char *const *files, char *why, size_t room)
{
    void *library = NULL;
    size_t i;

    for (i = 0; library == NULL && files[i] != NULL; i++) {
        library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL && i == 0)
            snprintf(why, room, "%s", dlerror());
    }
    return library;
}

const char *
bs_library_find(void *library, const char *const *names, size_t n, void *table)
{
    size_t i;

    for (i = 0; i < n; i++) {
        void *function = dlsym(library, names[i]);

        if (function == NULL)
            return names[i];
        memcpy((char *)table + i * sizeof function, &function, sizeof function);
    }
    return NULL;
}
