/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Runs git in @directory with @arguments (NULL-terminated). Returns its exit status with what it printed in
 * *ret_output, to be freed, without a newline at its end; -ENOENT: git is not installed; or -errno. */
int git_run(const char *directory, char *const *arguments, char **ret_output);

/* The same for callers that need success: 0; -ENOENT: git failed, or is not installed; or another -errno. */
int git_ask(const char *directory, char *const *arguments, char **ret_output);

/* Runs git and splits its output, whose items end with NUL bytes, as -z makes it. *ret_items is for strv_free().
 * Returns as git_ask(). */
int git_list(const char *directory, char *const *arguments, char ***ret_items);
