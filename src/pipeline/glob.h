/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The globs of rules:changes and rules:exists: Ruby's File.fnmatch with FNM_PATHNAME, FNM_DOTMATCH and FNM_EXTGLOB. "*"
 * and "?" never match "/", a whole "**" followed by "/" matches any directories, braces hold alternatives. Both are
 * relative to the top of the repository. */
bool glob_match(const char *glob, const char *path);

/* The wildcards of include:local: "**" matches everything, "*" all but "/", and nothing else is special. */
bool wildcard_match(const char *pattern, const char *path);

/* True if @glob contains a character that means more than itself. */
bool glob_is_pattern(const char *glob);
