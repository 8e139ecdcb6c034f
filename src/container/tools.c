/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Mounts programs of the host for a job's container. `supervise` calls this once, before systemd-nspawn starts, whose
 * arguments are made from the same list. Nothing is opened by a path that a symlink could lead elsewhere. */

#include "container/tools.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "wire/wire.h"

const Tool tools[] = {
        { "bash", "bash_program", TOOL_BASH, offsetof(Machine, bash_path) },
        { "gitlab-runner", "runner_program", TOOLS_PATH "/gitlab-runner", offsetof(Machine, runner_path) },
        { 0 },
};

const char *tool_source(const Tool *tool, const Machine *machine) {
        return *(char *const *) ((const char *) machine + tool->offset);
}

/* A read-only mount of the file that is attached nowhere yet. */
static int clone_file(const char *path) {
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
        struct stat st;

        _cleanup_close_ int fd = open_without_symlinks(AT_FDCWD, path, O_PATH);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        _cleanup_close_ int mount_fd = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        if (mount_fd < 0 || mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                return -errno;
        return TAKE_FD(mount_fd);
}

static int mount_tool(const Tool *tool, const char *source, int tools_fd) {
        _cleanup_close_ int mount_fd = clone_file(source);
        if (mount_fd < 0)
                return mount_fd;
        _cleanup_close_ int fd = openat(tools_fd, tool->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        return move_mount(mount_fd, "", tools_fd, tool->name, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Opened by its path: a descriptor from before the mount namespace was made belongs to the host's mounts. */
static int make_directory(const Machine *machine) {
        _cleanup_close_ int job_fd = open_directory_at(AT_FDCWD, machine->directory, false, 0);

        return job_fd < 0 ? job_fd : open_directory_at(job_fd, TOOLS_DIRECTORY, true, 0700);
}

int tools_mount(const Machine *machine, Problem *reterr_problem) {
        _cleanup_close_ int tools_fd = -EBADF;

        for (const Tool *tool = tools; tool->name; tool++) {
                const char *source = tool_source(tool, machine);

                if (!source)
                        continue;
                if (tools_fd < 0)
                        tools_fd = make_directory(machine);
                int r = tools_fd < 0 ? tools_fd : mount_tool(tool, source, tools_fd);
                if (r < 0)
                        return problem_set(reterr_problem, r, "cannot bind '%s' (setting %s): %m", source,
                                           tool->setting);
        }
        return 0;
}
