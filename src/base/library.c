/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Loads a library with dlopen(3) when a command first needs it. Each library has one file that calls this (seccomp.c,
 * unit.c, subvolume.c, table.c); `doctor` calls it to see whether the library is there. */

#include "base/library.h"

#include <dlfcn.h>

int library_load(const char *soname, const char *const names[], void **ret_functions) {
        void *library = dlopen(soname, RTLD_NOW | RTLD_NODELETE);

        if (!library)
                return -ENOENT;
        for (size_t i = 0; names[i]; i++)
                if (!dlsym(library, names[i]))
                        return -ELIBBAD;
        for (size_t i = 0; names[i]; i++)
                ret_functions[i] = dlsym(library, names[i]);
        return 0;
}
