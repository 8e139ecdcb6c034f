/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Makes the directories that systemd-nspawn would make in a root that lacks them, such as /var and /proc.
 * systemd-nspawn would do so as root of the host, whom a mapped mount does not map. Whatever is there stays. @root_fd
 * is the tree itself, not a mapped mount of it. 0 or -errno. */
int skeleton_complete(int root_fd);
