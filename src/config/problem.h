/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Larger files are refused. */
#define CONFIG_FILE_MAX_BYTES ((size_t) 256 * 1024)

/* Where and why reading a file of the administrator's stopped. */
typedef struct ConfigProblem {
        unsigned line, column; /* from 1; 0 where the whole file is meant */
        char text[512];
} ConfigProblem;

/* Reads the file whole into *ret_data, to be freed: 0, -EFBIG beyond CONFIG_FILE_MAX_BYTES, -EISDIR or another
 * -errno. */
int config_data_read(const char *path, char **ret_data, size_t *ret_size);

/* Says in one sentence that @path (a @what, as in "configuration file") could not be used: what @problem says for an
 * @error of -EINVAL, else what the error means. */
void config_problem_format(const char *what, const char *path, int error, const ConfigProblem *problem, char *buffer,
                           size_t size);
