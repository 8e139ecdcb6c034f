/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads a file of the administrator's, and says where and why it could not be used. Called for the configuration file
 * and for definitions. The path is the administrator's own and may be a symlink; a file that is too large is
 * refused. */

#include "config/problem.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

int config_data_read(const char *path, char **ret_data, size_t *ret_size) {
        /* The administrator's own path: it may well be a symlink. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        return fd < 0 ? -errno : fd_read_all(fd, CONFIG_FILE_MAX_BYTES, ret_data, ret_size);
}

void config_problem_format(const char *what, const char *path, int error, const ConfigProblem *problem, char *buffer,
                           size_t size) {
        if (error == -EINVAL && problem->line > 0)
                snprintf(buffer, size, "%s:%u:%u: %s", path, problem->line, problem->column, problem->text);
        else if (error == -EINVAL)
                snprintf(buffer, size, "%s: %s", path, problem->text);
        else if (error == -EFBIG)
                snprintf(buffer, size, "%s: larger than %zu KiB", path, CONFIG_FILE_MAX_BYTES / 1024);
        else
                snprintf(buffer, size, "Cannot read %s '%s': %s", what, path, strerror(-error));
}
