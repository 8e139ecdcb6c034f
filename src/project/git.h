/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Runs git in @directory with @arguments (NULL-terminated). Returns its exit status with what it printed in
 * *ret_output, to be freed, without a newline at its end; -ENOENT: git is not installed; or -errno. */
int git_run(const char *directory, char *const *arguments, char **ret_output);

/* The same where only success counts: 0, -ENOENT for a failure of git's, or -errno. */
int git_ask(const char *directory, char *const *arguments, char **ret_output);

/* Splits output whose items end with NUL bytes, as -z makes it; @output is what git_list() read. */
int git_list(const char *directory, char *const *arguments, char ***ret_items);
