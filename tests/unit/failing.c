/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A readdir() that fails when a test wants it: the programs of the tests have it in place of libc's, which it calls
 * otherwise. */

#include "failing.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

static unsigned entries_left;
static int error_then;

void failing_readdir(unsigned entries, int error) {
        entries_left = entries;
        error_then = error;
}

struct dirent *readdir(DIR *dir) {
        static struct dirent *(*next)(DIR * dir);

        if (error_then != 0 && entries_left-- == 0) {
                entries_left = 0;
                errno = error_then;
                return NULL;
        }
        if (!next)
                next = (struct dirent * (*) (DIR *) ) dlsym(RTLD_NEXT, "readdir64"); /* see _FILE_OFFSET_BITS */
        return next(dir);
}
