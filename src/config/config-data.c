/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads a file that the administrator wrote: the configuration file or a definition. Their readers call this, and
 * `check`. The path is the administrator's own and may be a symlink; a file that is too large, or no regular file,
 * is refused. It must not be called for files that anybody else can replace, because it follows symlinks. */

#include "config/config-data.h"

#include "base/fd.h"

int config_data_read(const char *what, const char *path, char **ret_data, size_t *ret_size, Problem *reterr_problem) {
        _cleanup_close_ int fd = file_open_regular(path);

        int r = fd < 0 ? fd : fd_read_all(fd, CONFIG_FILE_MAX_BYTES, ret_data, ret_size);
        if (r == -EFBIG)
                return problem_set(reterr_problem, r, "%s: larger than %zu KiB", path, CONFIG_FILE_MAX_BYTES / 1024);
        return r < 0 ? problem_set(reterr_problem, r, "Cannot read %s '%s': %s", what, path, file_error_text(r)) : 0;
}
