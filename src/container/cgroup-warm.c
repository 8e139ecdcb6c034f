/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lets the kernel prepare for moving processes between control groups while we do other things. Called by `prepare` and by
 * whoever waits for a container to start. It moves nothing: if it fails, moves only take longer. */

#include "container/cgroup-warm.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "base/fd.h"
#include "container/cgroup.h"

int cgroup_warm_open(void) {
        _cleanup_cgroup_set_ CgroupSet own = { 0 };
        char path[4096];

        int r = cgroup_of_process(0, &own);
        if (r < 0)
                return r;
        /* The lock is the same for all hierarchies. */
        snprintf(path, sizeof(path), "%s/cgroup.procs", own.directories[0].path);
        int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

void cgroup_warm(int fd) {
        char pid[16];

        int n = snprintf(pid, sizeof(pid), "%d", (int) getpid());
        (void) pwrite(fd, pid, (size_t) n, 0);
}

static void *warm(_unused_ void *argument) {
        _cleanup_close_ int fd = cgroup_warm_open();

        if (fd >= 0)
                cgroup_warm(fd);
        return NULL;
}

void cgroup_warm_behind(void) {
        pthread_attr_t attributes;
        sigset_t all, before;
        pthread_t thread;

        if (pthread_attr_init(&attributes) != 0)
                return;
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        (void) sigfillset(&all);
        if (pthread_sigmask(SIG_SETMASK, &all, &before) == 0) {
                (void) pthread_create(&thread, &attributes, warm, NULL);
                (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
        (void) pthread_attr_destroy(&attributes);
}
