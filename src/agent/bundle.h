/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Programs that move files into and out of a container (wire/bundle.h), executed as steps: `agent list DIR
 * [PATH...]`, `agent pack DIR`, `agent unpack DIR`. They have the rights of the step's user, and print errors on
 * stderr. */

/* Prints the files at and below each PATH in DIR (none: all), without their content. Symlinks are not followed. What is not
 * there or cannot be read is left out. An exit status. */
int agent_list(const char *directory, char *const *paths);
/* Prints the files whose paths, each with a NUL behind it, come on stdin. What is not there is left out. An exit status. */
int agent_pack(const char *directory);
/* Makes the files that come on stdin. What is there of the same name is replaced; nothing is made outside of DIR, which is
 * made too. If an index of git is among them, it gets what git notes of the files that are as it says; of others, git finds out
 * whether they are, where there is git. An exit status. */
int agent_unpack(const char *directory);
