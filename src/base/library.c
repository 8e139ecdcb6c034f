/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Loads a library with dlopen(3) when a command first needs it. Each library has one file that calls this (seccomp.c,
 * bus.c, subvolume.c, table.c ...); `doctor` calls it to see whether the library is there. It calls nothing in a
 * library and never unloads one. The list of libraries is in the header, and nowhere else. */

#include "base/library.h"

#include <dlfcn.h>

#define SONAME(id, soname, package, needed_by, why) [LIBRARY_##id] = soname,
static const char *const sonames[] = { LIBRARIES(SONAME) };

const char *library_soname(Library library) {
        return sonames[library];
}

int library_load(Library library, const char *const names[], void **ret_functions) {
        void *handle = dlopen(sonames[library], RTLD_NOW | RTLD_NODELETE);

        if (!handle)
                return -ENOENT;
        for (size_t i = 0; names[i]; i++)
                if (!dlsym(handle, names[i]))
                        return -ELIBBAD;
        for (size_t i = 0; names[i]; i++)
                ret_functions[i] = dlsym(handle, names[i]);
        return 0;
}
