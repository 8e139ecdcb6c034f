/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Control groups, on hosts with the unified hierarchy (v2), the legacy ones (v1), or both (systemd.io,
 * CGROUP_DELEGATION). A CgroupSet is one group's directory in each hierarchy that is mounted. */

/* A booted machine with a user's session and a hundred containers in it has some 500, ten deep. */
#define CGROUP_DESCENDANTS_MAX 2048
#define CGROUP_DEPTH_MAX 32

typedef enum CgroupFlags {
        CGROUP_UNIFIED = 1 << 0, /* v2 */
        CGROUP_SYSTEMD = 1 << 1, /* v1 without controllers: name=systemd */
        CGROUP_MEMORY = 1 << 2,  /* v1 controllers */
        CGROUP_PIDS = 1 << 3,
        CGROUP_CPU = 1 << 4,
} CgroupFlags;

typedef struct CgroupDirectory {
        char *path;
        unsigned flags;
} CgroupDirectory;

typedef struct CgroupSet {
        CgroupDirectory directories[8];
        size_t n;
} CgroupSet;

void cgroup_set_done(CgroupSet *set);
#define _cleanup_cgroup_set_ _cleanup_(cgroup_set_done)

typedef struct CgroupLimits {
        uint64_t memory_high_bytes, memory_max_bytes, tasks_max; /* UINT64_MAX: no limit */
        uint64_t cpu_weight;                                     /* 1 to 10000, 100 is the kernel's default */
} CgroupLimits;

/* The parents of all groups of containers: where systemd manages the groups, and where nobody else does. */
#define CGROUP_MACHINES "machine.slice"
#define CGROUP_DETACHED "nspawn-runner"

/* Below the group of a container: of `supervise`, and what systemd-nspawn starts in. */
#define CGROUP_SUPERVISE "supervise"
#define CGROUP_CONTAINER "container"

/* The directories of group `PARENT/NAME`, or of @parent if @name is NULL, whether they exist or not. 0; -EOPNOTSUPP: no
 * hierarchy is mounted; or another -errno. After 0, call cgroup_set_done(). */
int cgroup_below(const char *parent, const char *name, CgroupSet *ret);

/* The same for the group of a container: `PARENT/SLICE/NAME` if there is that slice (container/slice.h), else
 * `PARENT/NAME`. */
int cgroup_of_container(const char *parent, const char *slice, const char *name, CgroupSet *ret);

/* Does the group exist, in one hierarchy at least? */
bool cgroup_exists(const CgroupSet *set);

/* The directories of the groups that @pid is in (0: this process). 0 or -errno (-ESRCH: no such process). */
int cgroup_of_process(pid_t pid, CgroupSet *ret);

/* Makes the groups, and the parent of each if need be. 0; -errno if that fails where groups are needed for more than limits. */
int cgroup_make(const CgroupSet *set);

/* Makes the groups and moves this process into them, but into that of v2 only unless @born: it is or will be born there
 * (process_fork_into()). The process must have one thread only. 0 or -errno. */
int cgroup_enter(const CgroupSet *set, bool born);

/* Sets what the hierarchies at hand support; returns 0, or -EOPNOTSUPP if one of the limits could not be set. */
int cgroup_limit(const CgroupSet *set, const CgroupLimits *limits);

/* How many processes and threads the host can have, all together: the smaller of kernel.pid_max and kernel.threads-max,
 * see proc_sys_kernel(5). UINT64_MAX where that cannot be read. */
uint64_t cgroup_host_tasks(void);

/* Those of CGROUP_MEMORY, CGROUP_PIDS and CGROUP_CPU whose limits bind the groups: their controller is at work in one. */
unsigned cgroup_limited(const CgroupSet *set);

/* Limits how many groups there can be below these, and how deep: the kernel's memory for a group is counted for nobody.
 * Version 2 only, with or without controllers; version 1 has no such limit. 0 or -errno. */
int cgroup_bound(const CgroupSet *set);

/* Makes subgroup @name where processes of their own are wanted (v2 and name=systemd) and moves this process there: in
 * v2, a group with members cannot hand controllers down. @born as above. 0 or -errno. */
int cgroup_enter_subgroup(const CgroupSet *set, const char *name, bool born);

/* Makes subgroup @name of the v2 group and opens it, for process_fork_into(): descriptor, or -errno (-ENOENT: there is no
 * v2 here). */
int cgroup_open_subgroup(const CgroupSet *set, const char *name);

/* If the v2 group is subgroup @name of container @machine, makes it that of the container. Was it? */
bool cgroup_leave_out(CgroupSet *set, const char *machine, const char *name);

/* Enables for a v2 group of a job what the hierarchy above hands down, which it does not by itself: best effort. */
void cgroup_delegate_to(const CgroupSet *set);

/* Enables for the children of a v2 group all controllers that it has: best effort. */
void cgroup_delegate_controllers(const CgroupSet *set);

/* Has the kernel kill everything in the v2 group and below, this process too. False: it cannot, as before Linux 5.14, or
 * there is no such group. */
bool cgroup_kill_at_once(const CgroupSet *set);
/* Sends SIGKILL to everything in the groups and below but this process. Returns how many processes were seen; or -errno,
 * when there may be others. */
int cgroup_kill(const CgroupSet *set);
/* Waits until nobody is in the groups and below. True: nobody is. False: somebody was after @timeout_usec, or that cannot
 * be told without asking again, as with version 1. The kernel tells it by cgroup.events (cgroups(7)); by then, processes
 * have given their files and locks back. */
bool cgroup_wait_empty(const CgroupSet *set, uint64_t timeout_usec);
/* Is nobody in the groups and below? False also where that cannot be told. */
bool cgroup_is_empty(const CgroupSet *set);

/* Calls @visit for every process in the groups and below; a process may be seen more than once. Returns how many; or -errno,
 * when some may have been left out: a group that cannot be opened or listed, unless it is gone. */
int cgroup_visit(const CgroupSet *set, void (*visit)(pid_t pid, void *userdata), void *userdata);

/* Removes the groups and those below, which must be empty. Missing is success. 0 or -errno. */
int cgroup_remove(const CgroupSet *set);

/* Memory that the group uses now, and how many of its processes the kernel killed for want of memory: 0, or -ENODATA. */
int cgroup_memory_bytes(const CgroupSet *set, uint64_t *ret);
int cgroup_oom_kills(const CgroupSet *set, uint64_t *ret);

/* How often the groups reached their limit of memory, with version 2 so that something had to be killed: *ret_all with
 * those below, *ret_own without. With version 1 both are the group's own. 0, or -ENODATA. */
int cgroup_memory_exceeded(const CgroupSet *set, uint64_t *ret_all, uint64_t *ret_own);

/* How often the groups' limit kept a process from being made: 0, or -ENODATA. */
int cgroup_tasks_refused(const CgroupSet *set, uint64_t *ret);
/* The same without the limits of groups below. Until Linux 6.10, nothing tells this apart (-ENODATA). */
int cgroup_tasks_refused_own(const CgroupSet *set, uint64_t *ret);

/* CPU time of all processes that are or were in the groups, the most memory that they used at a time, and what they wrote
 * to the disk that they wrote most to: a device that stands on others counts like them. 0, or -ENODATA. */
int cgroup_cpu_usec(const CgroupSet *set, uint64_t *ret);
int cgroup_memory_peak_bytes(const CgroupSet *set, uint64_t *ret);
int cgroup_written_bytes(const CgroupSet *set, uint64_t *ret);
