/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Does @path match a glob of rules:changes or rules:exists? As Ruby's File.fnmatch with FNM_PATHNAME, FNM_DOTMATCH and
 * FNM_EXTGLOB. "*" and "?" never match "/", a whole "**" followed by "/" matches any directories, braces hold
 * alternatives. Both texts are relative to the top of the repository. A glob that is longer than 4095 bytes, or has more than
 * 128 braces, matches nothing; of one that stands for very many alternatives, not all are compared. */
bool glob_match(const char *glob, const char *path);

/* Does @path match a pattern of include:local? "**" matches everything, "*" everything but "/", and no other character
 * is special. */
bool wildcard_match(const char *pattern, const char *path);

/* Does @glob contain a character with a special meaning? */
bool glob_is_pattern(const char *glob);
