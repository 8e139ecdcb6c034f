/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Moves the agent and its steps into a control group of their own, so that stopping units in the container does not
 * stop them. main.c calls this when the agent is a service of the container's systemd, init.c before it becomes
 * systemd, and relay.c. A container without control groups must work all the same. */

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"

/* systemd moves what it finds in the container's top group to init.scope when it starts, and leaves groups alone that it
 * has not made. The name is that of no unit: who asks for the unit of a process in it is told that there is none. */
#define GROUP "nspawn-runner"

/* Where the hierarchies are that systemd tells units apart by: version 2, both together, version 1. */
static const char *const hierarchies[] = {
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/systemd",
};

/* For the numbers of all processes of a container. */
#define PROCESSES_BYTES_MAX (1024 * 1024)

/* How often to look for more processes: a job that forks faster than they can be moved stays where it is. */
#define ROUNDS_MAX 16U

/* Opens the top group of a hierarchy, with our own group made in it: descriptor or -errno. */
static int open_top(const char *hierarchy) {
        struct statfs fs;

        /* A job may have put something else there. */
        _cleanup_close_ int top_fd = open(hierarchy, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (top_fd < 0 || fstatfs(top_fd, &fs) < 0)
                return -errno;
        if ((uint64_t) fs.f_type != CGROUP2_SUPER_MAGIC && (uint64_t) fs.f_type != CGROUP_SUPER_MAGIC)
                return -ENOENT;
        if (mkdirat(top_fd, GROUP, 0755) < 0 && errno != EEXIST)
                return -errno;
        return TAKE_FD(top_fd);
}

static int open_processes(int top_fd, const char *path, int flags) {
        int fd = openat(top_fd, path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static void enter(const char *hierarchy) {
        _cleanup_close_ int top_fd = open_top(hierarchy);
        _cleanup_close_ int fd = top_fd < 0 ? -EBADF : open_processes(top_fd, GROUP "/cgroup.procs", O_WRONLY);

        if (fd >= 0)
                (void) write(fd, "0", 1); /* the writer */
}

void group_enter_own(void) {
        for (size_t i = 0; i < ELEMENTSOF(hierarchies); i++)
                enter(hierarchies[i]);
}

/* Returns whether there was any process to move. */
static bool move_all(int top_fd, int target_fd) {
        _cleanup_close_ int fd = open_processes(top_fd, "cgroup.procs", O_RDONLY);
        _cleanup_free_ char *text = NULL;
        char *state = NULL;
        bool found = false;

        if (fd < 0 || fd_read_all(fd, PROCESSES_BYTES_MAX, &text, NULL) < 0)
                return false;
        for (char *pid = strtok_r(text, "\n", &state); pid; pid = strtok_r(NULL, "\n", &state)) {
                if (streq(pid, "1") || streq(pid, "0")) /* 0: of another PID namespace */
                        continue;
                found |= write(target_fd, pid, strlen(pid)) > 0;
        }
        return found;
}

static void gather(const char *hierarchy) {
        _cleanup_close_ int top_fd = open_top(hierarchy);
        _cleanup_close_ int fd = top_fd < 0 ? -EBADF : open_processes(top_fd, GROUP "/cgroup.procs", O_WRONLY);

        for (unsigned i = 0; fd >= 0 && i < ROUNDS_MAX && move_all(top_fd, fd); i++)
                ;
}

void group_gather(void) {
        for (size_t i = 0; i < ELEMENTSOF(hierarchies); i++)
                gather(hierarchies[i]);
}

/* What each hierarchy is called in /proc/PID/cgroup (cgroups(7)), after the number. */
static const struct {
        const char *name, *mount;
} named[] = {
        { "::", "/sys/fs/cgroup" },
        { "::", "/sys/fs/cgroup/unified" },
        { ":name=systemd:", "/sys/fs/cgroup/systemd" },
};

static void enter_path(const char *mount, const char *group) {
        char path[PATH_MAX];

        _cleanup_close_ int top_fd = open_top(mount);
        if (top_fd < 0 || snprintf(path, sizeof(path), "%s/cgroup.procs", group + strspn(group, "/")) >= PATH_MAX)
                return;
        _cleanup_close_ int fd = open_processes(top_fd, path + strspn(path, "/"), O_WRONLY);
        if (fd >= 0)
                (void) write(fd, "0", 1);
}

static void enter_line(const char *line) {
        const char *name = strchr(line, ':');

        for (size_t i = 0; name && i < ELEMENTSOF(named); i++) {
                const char *group = startswith(name, named[i].name);
                if (group)
                        enter_path(named[i].mount, group);
        }
}

static int read_groups(const Surroundings *surroundings, pid_t pid, char **ret) {
        char path[64];

        snprintf(path, sizeof(path), "%d/cgroup", (int) pid);
        _cleanup_close_ int fd = surroundings_open_proc(surroundings, path, O_RDONLY);
        return fd < 0 ? fd : fd_read_all(fd, PROCESSES_BYTES_MAX, ret, NULL);
}

void group_follow(const Surroundings *surroundings, pid_t pid) {
        _cleanup_free_ char *theirs = NULL, *ours = NULL;
        char *state = NULL;

        if (read_groups(surroundings, pid, &theirs) < 0 || read_groups(surroundings, getpid(), &ours) < 0 ||
            streq(theirs, ours))
                return;
        for (char *line = strtok_r(theirs, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
                enter_line(line);
}
