/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Moves the agent into a control group of its own, so that stopping units in the container does not stop it. main.c
 * calls this when the agent is a service of the container's systemd. A container without control groups must work all
 * the same. */

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/agent.h"
#include "base/fd.h"

/* systemd moves what it finds in the container's top group to init.scope when it starts, and leaves groups alone that it
 * has not made. The name is that of no unit: who asks for the unit of a process in it is told that there is none. */
#define GROUP "nspawn-runner"

/* Where the hierarchies are that systemd tells units apart by: version 2, both together, version 1. */
static const char *const hierarchies[] = {
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/systemd",
};

static void enter(const char *hierarchy) {
        struct statfs fs;

        /* A job may have put something else there, before we were started again. */
        _cleanup_close_ int top_fd = open(hierarchy, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (top_fd < 0 || fstatfs(top_fd, &fs) < 0 ||
            ((uint64_t) fs.f_type != CGROUP2_SUPER_MAGIC && (uint64_t) fs.f_type != CGROUP_SUPER_MAGIC))
                return;
        if (mkdirat(top_fd, GROUP, 0755) < 0 && errno != EEXIST)
                return;
        _cleanup_close_ int fd = openat(top_fd, GROUP "/cgroup.procs", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0)
                (void) write(fd, "0", 1); /* the writer */
}

void group_enter_own(void) {
        for (size_t i = 0; i < ELEMENTSOF(hierarchies); i++)
                enter(hierarchies[i]);
}
