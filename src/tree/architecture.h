/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Returns the name of the processor that the programs of @tree_fd are for, if it is another one than this program's
 * (static text); NULL: it is the same, or cannot be found out. Use it only to explain why a program could not be
 * executed: hosts with binfmt_misc can run foreign programs. */
const char *tree_foreign_architecture(int tree_fd);
