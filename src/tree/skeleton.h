/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Makes the directories that systemd-nspawn would make in a root that lacks them, such as /var and /proc.
 * systemd-nspawn would make them as root of the host, and a mapped mount does not map that user. Whatever exists stays.
 * @root_fd is the tree itself, not a mapped mount of it. 0 or -errno. */
int skeleton_complete(int root_fd);
