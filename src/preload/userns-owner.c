/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A library that is loaded into systemd-nspawn (LD_PRELOAD). A user namespace belongs to the user who makes it, and
 * what the kernel counts for users (inotify instances, namespaces) is counted for that owner, too. systemd-nspawn
 * makes its namespaces as root, so all containers and the host's root would share one count, and one job could use it
 * up. Here, the one clone(2) that makes the user namespace is done with the effective user USERNS_OWNER_VARIABLE,
 * with unchanged capabilities. systemd-nspawn makes it by syscall(2). If it ever does it otherwise, or the variable
 * is not set, all is as without this library. */

#include <dlfcn.h>
#include <errno.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/userns-owner.h"

typedef long (*SystemCall)(long number, ...);

/* For the calling thread, which setresuid(3) would not do. */
#ifdef SYS_setresuid32
#define SYS_SETRESUID SYS_setresuid32
#else
#define SYS_SETRESUID SYS_setresuid
#endif

#if defined(__s390__) || defined(__CRIS__)
#define CLONE_FLAGS_INDEX 1
#else
#define CLONE_FLAGS_INDEX 0
#endif

static long forward(SystemCall next, long number, const long args[static 6]) {
        return next(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* Zero: none. */
static long wanted_owner(void) {
        const char *text = getenv(USERNS_OWNER_VARIABLE);
        return text ? strtol(text, NULL, 10) : 0;
}

static long clone_as(SystemCall next, long owner, long number, const long args[static 6]) {
        int death_signal = 0;
        int bits = prctl(PR_GET_SECUREBITS), dumpable = prctl(PR_GET_DUMPABLE);

        /* Otherwise the capabilities went with the effective user. */
        if (bits < 0 || prctl(PR_GET_PDEATHSIG, &death_signal) < 0 ||
            prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP) < 0)
                return forward(next, number, args);
        (void) next(SYS_SETRESUID, -1L, owner, -1L);

        long pid = forward(next, number, args);
        if (pid == 0) /* systemd-nspawn sets all of it in the child */
                return 0;
        int error = errno;
        (void) next(SYS_SETRESUID, -1L, 0L, -1L);
        (void) prctl(PR_SET_SECUREBITS, bits);
        /* Both are lost when the effective user changes. */
        (void) prctl(PR_SET_PDEATHSIG, death_signal);
        if (dumpable == 1)
                (void) prctl(PR_SET_DUMPABLE, 1);
        errno = error;
        return pid;
}

/* In place of libc's. There, too, six arguments are passed on whatever the number. */
__attribute__((visibility("default"))) long syscall(long number, ...) {
        static SystemCall next;
        long args[6];
        va_list ap;

        va_start(ap, number);
        for (unsigned i = 0; i < 6; i++)
                args[i] = va_arg(ap, long);
        va_end(ap);
        if (!next)
                *(void **) &next = dlsym(RTLD_NEXT, "syscall");
        if (!next) {
                errno = ENOSYS;
                return -1;
        }

        long owner = number == SYS_clone && args[CLONE_FLAGS_INDEX] & CLONE_NEWUSER ? wanted_owner() : 0;
        return owner > 0 ? clone_as(next, owner, number, args) : forward(next, number, args);
}
