/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the directories that every root needs and that minimal images lack. Called by storage drivers, before a tree or
 * a btrfs layer is mounted for a container, and by source.c for the tree of a new image. It must change nothing that
 * exists already. */

#include "tree/skeleton.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

static const struct {
        const char *name;
        mode_t mode;
} directories[] = {
        { "usr", 0755 }, { "etc", 0755 }, { "var", 0755 }, { "root", 0700 }, { "proc", 0555 },
        { "sys", 0555 }, { "dev", 0755 }, { "run", 0755 }, { "tmp", 01777 },
};

/* Links that are made if their target exists: trees with all programs in usr may lack them. */
static const struct {
        const char *name, *target;
} links[] = {
        { "bin", "usr/bin" },
        { "sbin", "usr/sbin" },
        { "lib", "usr/lib" },
        { "lib64", "usr/lib64" },
};

static int make_directory(int root_fd, const char *name, mode_t mode) {
        if (mkdirat(root_fd, name, 0700) < 0)
                return errno == EEXIST ? 0 : -errno;
        /* The mode of mkdirat() depends on the umask. */
        return fchmodat(root_fd, name, mode, 0) < 0 ? -errno : 0;
}

static int make_link(int root_fd, const char *name, const char *target) {
        _cleanup_close_ int target_fd = open_in_root(root_fd, target, O_PATH | O_DIRECTORY);

        if (target_fd < 0)
                return 0;
        return symlinkat(target, root_fd, name) < 0 && errno != EEXIST ? -errno : 0;
}

int skeleton_complete(int root_fd) {
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                int r = make_directory(root_fd, directories[i].name, directories[i].mode);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(links); i++) {
                int r = make_link(root_fd, links[i].name, links[i].target);
                if (r < 0)
                        return r;
        }
        return 0;
}
