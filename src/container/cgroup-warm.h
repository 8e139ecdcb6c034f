/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* To move a process to another control group, the kernel takes a lock for which it first waits until all processors have
 * passed through its scheduler (a grace period of RCU), usually about ten milliseconds. If a process was moved shortly
 * before, it does not wait (cgroup_procs_write_start() in kernel/cgroup/cgroup.c, rcu_sync_enter() in kernel/rcu/sync.c).
 * Our own processes get to their groups without it (process_fork_into(), cgroup_enter()). systemd-nspawn and systemd move
 * theirs. While the kernel waits, nobody can make or enter a group. */

/* How long a move is quick after the one before, at least. */
#define CGROUP_WARM_USEC (4 * USEC_PER_MSEC)

/* The descriptor of a file for cgroup_warm(), or -errno. */
int cgroup_warm_open(void);

/* Moves this process to the group in which it is. Moves are quick for a while after that. Takes as long as a move. */
void cgroup_warm(int fd);

/* The same in a thread, which is not waited for. The process does not end before the kernel has let the thread go. */
void cgroup_warm_behind(void);
