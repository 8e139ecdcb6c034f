/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Paths of files below a directory. Called by what moves files into and out of the container. It never opens anything
 * outside of that directory, whatever a job has put there. */

#include "agent/beneath.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "wire/bundle.h"

int open_parent_beneath(int dir_fd, const char *path) {
        char parent[BUNDLE_PATH_MAX + 1];
        const char *slash = strrchr(path, '/');

        if (!slash)
                return fd_duplicate(dir_fd);
        memcpy(parent, path, (size_t) (slash - path));
        parent[slash - path] = 0;
        return open_beneath(dir_fd, parent, O_RDONLY | O_DIRECTORY);
}

const char *last_part(const char *path) {
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

int path_failed(int error, const char *path) {
        fprintf(stderr, "%s: %s\n", path, strerror(error < 0 ? -error : error));
        return EXIT_FAILURE;
}
