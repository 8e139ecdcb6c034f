/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Programs that move files out of a container (wire/bundle.h), executed as steps: `agent list DIR [PATH...]`, `agent pack
 * DIR`. They have the rights of the step's user, and print errors on stderr. */

/* Prints the files at and below each PATH in DIR (none: all), without their content. Symlinks are not followed. What is not
 * there, or this user may not read, is left out. An exit status; after an error, the bundle has no end. */
int agent_list(const char *directory, char *const *paths);
/* Prints the files whose paths, each with a NUL behind it, come on stdin. What is not there, or this
 * user may not read, is left out. An exit status; after an error, the bundle has no end. */
int agent_pack(const char *directory);
