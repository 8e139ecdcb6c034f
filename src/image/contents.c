/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out whether an image has what GitLab's own stages need. `prepare` asks for each job, `doctor` for each image.
 * It costs microseconds. It must open nothing for writing, and run nothing. */

#include "image/contents.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/bash.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"

/* 1, 0; or -errno, which says nothing about the image. */
static int has_file(int tree_fd, const char *path, mode_t mode) {
        struct stat st;

        _cleanup_close_ int fd = find_in_root(tree_fd, path, O_PATH);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        return S_ISREG(st.st_mode) && (st.st_mode & mode) && st.st_size > 0;
}

int image_has_program(int tree_fd, const char *path, const char *name) {
        char file[PATH_MAX];

        for (path = path ? path : SEARCH_PATH; *path;) {
                size_t n = strcspn(path, ":");

                if (n > 0 && snprintf(file, sizeof(file), "%.*s/%s", (int) n, path, name) < (int) sizeof(file)) {
                        int r = has_file(tree_fd, file, 0111);
                        if (r != 0)
                                return r;
                }
                path += n + (path[n] == ':');
        }
        return 0;
}

static int has_one(int tree_fd, const char *const *paths, size_t n, mode_t mode) {
        for (size_t i = 0; i < n; i++) {
                int r = has_file(tree_fd, paths[i], mode);
                if (r != 0)
                        return r;
        }
        return 0;
}

int image_has_bash(int tree_fd) {
        return has_one(tree_fd, bash_paths, ELEMENTSOF(bash_paths), 0111);
}

/* The files of Debian, Fedora, openSUSE and Alpine, where Go's crypto/x509 (root_linux.go) and git's libraries look. */
static const char *const certificates[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
};

int image_lacks(int tree_fd, char *const *environment, const char **ret) {
        *ret = "git";
        int has = image_has_program(tree_fd, strv_value(environment, "PATH"), *ret);
        if (has <= 0)
                return has;
        *ret = "bash";
        has = image_has_bash(tree_fd);
        if (has <= 0)
                return has;
        *ret = "certificates";
        has = has_one(tree_fd, certificates, ELEMENTSOF(certificates), 0444);
        if (has <= 0)
                return has;
        *ret = NULL;
        return 0;
}
