/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A process that the kernel killed because memory was short. */
typedef struct OomVictim {
        char name[16]; /* as of proc_pid_comm(5): the process can choose any bytes */
        uint64_t used_bytes;
} OomVictim;

/* One message of the kernel about it, of which there are two for each process, in this order (mm/oom_kill.c):
 *      oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/PATH,task_memcg=/PATH,task=NAME,pid=PID,uid=UID
 *      Memory cgroup out of memory: Killed process PID (NAME) total-vm:NkB, anon-rss:NkB, file-rss:NkB, shmem-rss:NkB, ...
 * *@ours is kept between the two: is the group whose memory was short that of machine @name, or the
 * slice of its job with the process in that machine? True when @message is the
 * second one of such a pair, with *ret. */
bool oom_victim_read(const char *message, const char *name, bool *ours, OomVictim *ret);

/* Finds the last process of machine @name that was killed; others of the same step may have been killed before. Reads
 * the kernel's log (/dev/kmsg, proc_kmsg(5)). False where there is none, or the log cannot be read. */
bool oom_victim_find(const char *name, OomVictim *ret);
