/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Does playbook @path begin with a play that gathers facts before any task runs, which needs python? False also for a
 * file that cannot be read: ansible will say what is wrong with it. */
bool playbook_begins_with_facts(const char *path);

/* Does the tree have python where ansible looks for it? 1, 0; or -errno where that could not be found out. */
int tree_has_python(int tree_fd);
