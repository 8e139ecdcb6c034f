/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Makes what systemd-nspawn would make in a root that lacks it, such as /var and /proc. It does so as a user of the host,
 * whom a mapped mount does not have: there, the directories must be there before. What is there, whatever it is, stays.
 * @root_fd is the tree itself, not a mapped mount of it. 0 or -errno. */
int skeleton_complete(int root_fd);
