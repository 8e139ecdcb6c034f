/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions that fail when a test wants it: the programs of the tests have them in place of libc's, which they call
 * otherwise. */

#include "failing.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

static struct {
        unsigned entries;
        int error;
} readdir_fails;

static struct {
        unsigned times;
        int error;
} openat2_fails;

void failing_readdir(unsigned entries, int error) {
        readdir_fails.entries = entries;
        readdir_fails.error = error;
}

void failing_openat2(unsigned times, int error) {
        openat2_fails.times = times;
        openat2_fails.error = error;
}

struct dirent *readdir(DIR *dir) {
        static struct dirent *(*next)(DIR *);

        if (readdir_fails.error != 0 && readdir_fails.entries == 0) {
                errno = readdir_fails.error;
                return NULL;
        }
        if (readdir_fails.error != 0)
                readdir_fails.entries--;
        if (!next)
                next = (struct dirent * (*) (DIR *) ) dlsym(RTLD_NEXT, "readdir64"); /* see _FILE_OFFSET_BITS */
        return next(dir);
}

/* As libc's, which takes what is not passed from where it would be: the kernel does not look at it. A function with "..." may
 * not. So <unistd.h>, which declares it as one, is not included here. */
long syscall(long number, long a, long b, long c, long d, long e, long f);

long syscall(long number, long a, long b, long c, long d, long e, long f) {
        static long (*next)(long, ...);

        if (number == SYS_openat2 && openat2_fails.times > 0) {
                openat2_fails.times--;
                errno = openat2_fails.error;
                return -1;
        }
        if (!next)
                next = (long (*)(long, ...)) dlsym(RTLD_NEXT, "syscall");
        return next(number, a, b, c, d, e, f);
}
