/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/value.h"
#include "pipeline/variables.h"

#define EXEC_VARIABLES_BYTES_MAX ((size_t) 1024 * 1024)

/* All of these add to @variables, over what is there. @path is for messages, and must live as long as they do. 0 or a
 * negative errno, logged. */

/* Of a mapping of names and values. */
int exec_variables_from(Variables *variables, const char *path, const Value *map);
/* Of what a file of that name has in it. */
int exec_variables_read(Variables *variables, const char *path, const char *data, size_t size);
/* Of the file itself. */
int exec_variables_read_path(Variables *variables, const char *path);

/* Reads the file @path of the project at @root_fd, which the project need not have. 1; 0: it has none; or a negative errno,
 * logged: something else has its name, or it cannot be read. */
int exec_own_file_read(int root_fd, const char *path, char **ret_data, size_t *ret_size);

/* Reads YAML; @data and @path must live as long as the value, which is in @arena. NULL in *ret: there is nothing in it. 0 or
 * -EINVAL, logged. */
int exec_yaml_read(Arena *arena, const char *path, const char *data, size_t size, const Value **ret);
