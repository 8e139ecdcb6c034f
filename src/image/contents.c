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

static bool has_file(int tree_fd, const char *path, mode_t mode) {
        struct stat st;

        _cleanup_close_ int fd = open_in_root(tree_fd, path, O_PATH);
        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && (st.st_mode & mode) && st.st_size > 0;
}

bool image_has_program(int tree_fd, const char *path, const char *name) {
        char file[PATH_MAX];

        for (path = path ? path : SEARCH_PATH; *path;) {
                size_t n = strcspn(path, ":");

                if (n > 0 && snprintf(file, sizeof(file), "%.*s/%s", (int) n, path, name) < (int) sizeof(file) &&
                    has_file(tree_fd, file, 0111))
                        return true;
                path += n + (path[n] == ':');
        }
        return false;
}

bool image_has_bash(int tree_fd) {
        for (size_t i = 0; i < ELEMENTSOF(bash_paths); i++)
                if (has_file(tree_fd, bash_paths[i], 0111))
                        return true;
        return false;
}

/* The files of Debian, Fedora, openSUSE and Alpine, where Go's crypto/x509 (root_linux.go) and git's libraries look. */
static const char *const certificates[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
};

bool image_has_certificates(int tree_fd) {
        for (size_t i = 0; i < ELEMENTSOF(certificates); i++)
                if (has_file(tree_fd, certificates[i], 0444))
                        return true;
        return false;
}

const char *image_lacks(int tree_fd, char *const *environment) {
        const char *path = strv_value(environment, "PATH");

        if (!image_has_program(tree_fd, path, "git"))
                return "git";
        if (!image_has_bash(tree_fd))
                return "bash";
        return image_has_certificates(tree_fd) ? NULL : "certificates";
}
