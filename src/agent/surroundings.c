/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Opens what the agent needs of the container for every step, before the first step runs. server.c and init.c call
 * this. A job may put a pipe in place of /dev/null, or mount something over /proc. That harms only itself, but must not
 * make the agent wait. */

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/locale.h"

static int open_proc(void) {
        struct statfs fs;

        _cleanup_close_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstatfs(fd, &fs) < 0)
                return -errno;
        /* The same on all architectures; the field's type is not. */
        return (uint64_t) fs.f_type == PROC_SUPER_MAGIC ? TAKE_FD(fd) : -ENOENT;
}

static int open_null(void) {
        struct stat st;

        _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)) {
                (void) fd_set_nonblock(fd, false);
                return TAKE_FD(fd);
        }
        return memfd_new_sealed("null", "", 0); /* reads the same */
}

void surroundings_open(Surroundings *ret) {
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        *ret = (Surroundings){
                .proc_fd = open_proc(), .null_fd = open_null(), .variables_fd = -EBADF, .lang = locale_of_tree(root_fd)
        };
}

void surroundings_done(Surroundings *surroundings) {
        closep(&surroundings->proc_fd);
        closep(&surroundings->null_fd);
        closep(&surroundings->variables_fd);
}

int surroundings_open_proc(const Surroundings *surroundings, const char *path, int flags) {
        /* Not through anything that was mounted over a part of /proc. */
        return surroundings->proc_fd < 0 ? -ENOENT :
                                           open_resolving(surroundings->proc_fd, path, flags | O_NOCTTY | O_NONBLOCK,
                                                          RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
}
