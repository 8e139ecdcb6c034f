/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Does playbook @path begin with a play that asks the image for facts, before any of its tasks can run? That takes
 * python. False also for what cannot be read: ansible says what is wrong with it. */
bool playbook_begins_with_facts(const char *path);

/* Is there a python in the image's tree, where ansible looks for one? */
bool tree_has_python(int tree_fd);
