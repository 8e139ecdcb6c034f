/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The name of the processor that the programs of @tree_fd are for, if this program's is another one; NULL: it is the same, or
 * there is nothing to tell it by. Static text. To explain what could not be executed: hosts can run foreign programs, too
 * (binfmt_misc). */
const char *tree_foreign_architecture(int tree_fd);
