/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes user namespaces for id-mapped mounts: of a container's root, of binds, and for trying whether a file system
 * can be mapped. No process of a container ever runs in them; systemd-nspawn makes its own. */

#include "container/userns.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/process.h"

/* A child that is the first process of a new user namespace and does nothing: the namespace has no other handle
 * until we opened it. It never returns to libc, so the bare system call is enough. */
static pid_t spawn_holder(void) {
        pid_t parent = getpid();
        pid_t pid = (pid_t) syscall(SYS_clone, (unsigned long) (CLONE_NEWUSER | SIGCHLD), NULL, NULL, NULL, NULL);

        if (pid != 0)
                return pid < 0 ? -errno : pid;

        /* The child has all descriptors of its parent: locks, and the socket on which others wait for an answer. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent) /* or that died before we could ask */
                pause();
        _exit(EXIT_FAILURE);
}

/* What is @inside in the namespace is @base outside, and so on for @range of them. */
typedef struct IdMap {
        uid_t inside, base, range;
} IdMap;

static int write_map(int proc_fd, const char *name, const IdMap *ids) {
        char map[64];

        snprintf(map, sizeof(map), "%u %u %u\n", ids->inside, ids->base, ids->range);
        return file_write_string_at(proc_fd, name, map);
}

static int map_and_open(pid_t pid, const IdMap *users, const IdMap *groups) {
        char path[32];

        snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        _cleanup_close_ int proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (proc_fd < 0)
                return -errno;

        int r = write_map(proc_fd, "uid_map", users);
        if (r < 0)
                return r;
        r = write_map(proc_fd, "gid_map", groups);
        if (r < 0)
                return r;

        int fd = openat(proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int open_mapped(const IdMap *users, const IdMap *groups) {
        pid_t pid = spawn_holder();
        if (pid < 0)
                return (int) pid;

        int fd = map_and_open(pid, users, groups);

        (void) kill(pid, SIGKILL);
        (void) process_wait(pid, &(int){ 0 });
        return fd;
}

int userns_open(uid_t base, uid_t range) {
        const IdMap ids = { .inside = 0, .base = base, .range = range };

        return open_mapped(&ids, &ids);
}

int userns_open_owner(uid_t uid, gid_t gid, uid_t base) {
        const IdMap users = { .inside = uid, .base = base, .range = 1 };
        const IdMap groups = { .inside = gid, .base = base, .range = 1 };

        return open_mapped(&users, &groups);
}
