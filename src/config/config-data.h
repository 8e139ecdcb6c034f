/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* Larger files are refused with -EFBIG. */
#define CONFIG_FILE_MAX_BYTES ((size_t) 256 * 1024)

/* Reads a whole file that the administrator wrote. @what is its kind for messages, such as "configuration file".
 * *ret_data is to be freed. 0; or -EFBIG beyond CONFIG_FILE_MAX_BYTES, -EISDIR or another -errno, with @reterr_problem
 * filled in. */
int config_data_read(const char *what, const char *path, char **ret_data, size_t *ret_size, Problem *reterr_problem);
