/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Supervisor for hosts whose PID 1 is not systemd: `supervise` runs as a process on its own, in control groups that we
 * make; the containers of a job with services are in one group, its slice. Called through the struct at the end only.
 * Nothing of the caller may go on to it: no environment, no descriptors, no directory, for the caller has the job's
 * secrets. */

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/process.h"
#include "base/string.h"
#include "container/cgroup.h"
#include "container/nspawn.h"
#include "container/slice.h"
#include "container/supervisor.h"

#define POLL_USEC (500)
#define POLL_MAX_USEC (2 * USEC_PER_MSEC)
/* How long the kernel is left alone with the killing. */
#define WAIT_USEC (20 * USEC_PER_MSEC)

static bool detached_usable(void) {
        return true;
}

/* systemd raises kernel.pid_max to more than any machine needs. Without it, it may be 32768 for all together: no job
 * has more than half. See proc_sys_kernel(5). A host whose controllers are not ours to use runs jobs without limits;
 * `prepare` and `doctor` say so. */
static void limit_groups(const CgroupSet *groups, CgroupLimits limits) {
        limits.tasks_max = MIN(limits.tasks_max, cgroup_host_tasks() / 2);
        cgroup_delegate_to(groups);
        (void) cgroup_limit(groups, &limits);
}

/* In the child: groups with the container's limits, a session of its own, then the program. It is born where it belongs, for
 * moves would take most of the time of a start. */
static int child_start(const Machine *machine, const CgroupSet *groups, const Spawn *spawn) {
        Spawn born = *spawn;
        pid_t pid;

        /* The caller of `prepare` may have passed us descriptors and a working directory: they must not stay open as
         * long as the container runs. */
        int r = process_detach();
        if (r < 0)
                return r;
        r = cgroup_make(groups);
        if (r < 0)
                return r;
        limit_groups(groups, machine_limits(machine));
        /* As long as nobody is in there: then, it would be a move, too. */
        cgroup_delegate_controllers(groups);
        r = cgroup_enter(groups, true);
        if (r < 0)
                return r;
        _cleanup_close_ int cgroup_fd = cgroup_open_subgroup(groups, CGROUP_SUPERVISE);
        if (cgroup_fd < 0 && cgroup_fd != -ENOENT)
                return cgroup_fd;
        born.cgroup_fd = cgroup_fd;
        return process_spawn(&born, &pid, NULL);
}

static int detached_slice(const char *name, CgroupSet *ret) {
        return slice_groups(CGROUP_DETACHED, name, ret);
}

static int detached_groups(const char *name, CgroupSet *ret) {
        _cleanup_free_ char *slice = NULL;

        int r = slice_name(name, &slice);
        return r < 0 ? r : cgroup_of_container(CGROUP_DETACHED, slice, name, ret);
}

/* Makes the slice of a job. 0, -EEXIST if somebody is in it, or another -errno. */
static int make_slice(const Machine *machine) {
        _cleanup_cgroup_set_ CgroupSet slice = { 0 };
        _cleanup_free_ char *name = NULL;

        int r = slice_name(machine->name, &name);
        if (r < 0)
                return r;
        r = cgroup_below(CGROUP_DETACHED, name, &slice);
        if (r < 0)
                return r;
        if (!cgroup_is_empty(&slice))
                return -EEXIST;
        r = cgroup_make(&slice);
        if (r < 0)
                return r;
        limit_groups(&slice, slice_limits(machine));
        return 0;
}

static int detached_start(const Machine *machine, char *const argv[], int listen_fd, _unused_ Problem *reterr_problem) {
        /* Without our own environment: it has the secrets of the job, and the supervisor outlives this call. */
        char **envp = ARGV(ENVIRONMENT_PLAIN);
        Spawn spawn = { .argv = argv, .envp = envp, .stdin_fd = listen_fd, .stdout_fd = -EBADF, .stderr_fd = -EBADF };
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        int status;

        int r = slice_is_of(machine) ? make_slice(machine) : 0;
        if (r < 0)
                return r;
        r = detached_groups(machine->name, &groups);
        if (r < 0)
                return r;

        if (!cgroup_is_empty(&groups))
                return -EEXIST;

        /* Forked twice, so that the supervisor is not our child and leaves no zombie, neither while we run nor
         * afterwards. */
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(-child_start(machine, &groups, &spawn));

        r = process_wait(pid, &status);
        if (r < 0)
                return r;
        if (!WIFEXITED(status))
                return -ECHILD;
        return -WEXITSTATUS(status);
}

/* Returns 0: nobody seems to be left; positive: somebody is; or -errno. */
static int kill_all(const CgroupSet *groups, bool one_by_one) {
        if (!one_by_one && cgroup_kill_at_once(groups) && cgroup_wait_empty(groups, WAIT_USEC))
                return 0;
        return cgroup_kill(groups);
}

/* Kills what is in the groups and removes them. 0, -ETIMEDOUT or another -errno. */
static int end_groups(const CgroupSet *groups, uint64_t deadline) {
        uint64_t wait_usec = POLL_USEC;

        for (bool again = false;; again = true) {
                int r = kill_all(groups, again);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = cgroup_remove(groups);
                        if (r != -EBUSY) /* somebody is left in another hierarchy */
                                return r;
                }
                if (clock_now_usec() >= deadline)
                        return -ETIMEDOUT;
                clock_sleep_usec(wait_usec);
                wait_usec = MIN(wait_usec * 2, POLL_MAX_USEC);
        }
}

static int end_slice(const char *name, uint64_t deadline) {
        _cleanup_cgroup_set_ CgroupSet slice = { 0 };

        int r = id_service_number(name, NULL) > 0 ? -ENOENT : detached_slice(name, &slice);
        return r == -ENOENT ? 0 : r < 0 ? r : end_groups(&slice, deadline);
}

static int detached_stop(const char *name, uint64_t timeout_usec) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        uint64_t deadline = clock_deadline(timeout_usec);

        int r = detached_groups(name, &groups);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        r = end_groups(&groups, deadline);
        return r < 0 ? r : end_slice(name, deadline);
}

/* Adds what follows @prefix in the name of group @name, of a container or a slice. */
static int add_id(const char *name, const char *prefix, char ***ids) {
        const char *id = startswith(name, prefix);
        _cleanup_free_ char *job = NULL;

        int r = id ? 0 : slice_job(name, prefix, &job);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return strv_extend(ids, id ? id : job);
}

/* Adds those of the groups in @dir_fd (consumed; -ENOENT: it is gone), and, @depth deeper, of those in slices. */
static int list_groups(int dir_fd, unsigned depth, const char *prefix, char ***ids) {
        if (dir_fd < 0)
                return dir_fd == -ENOENT ? 0 : dir_fd;
        _cleanup_closedir_ DIR *dir = directory_stream(dir_fd);
        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (entry->d_type != DT_DIR)
                        continue;
                int r = add_id(entry->d_name, prefix, ids);
                if (r < 0)
                        return r;
                if (depth == 0 || !slice_is_name(entry->d_name))
                        continue;
                r = list_groups(open_directory_at(dirfd(dir), entry->d_name, false, 0), depth - 1, prefix, ids);
                if (r < 0)
                        return r;
        }
}

static int detached_list(const char *prefix, char ***ids) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        int r = cgroup_below(CGROUP_DETACHED, NULL, &groups);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        for (size_t i = 0; i < groups.n; i++) {
                r = list_groups(open_directory_at(AT_FDCWD, groups.directories[i].path, false, 0), 1, prefix, ids);
                if (r < 0)
                        return r;
        }
        return 0;
}

const Supervisor supervisor_detached = {
        .name = "detached",
        .usable = detached_usable,
        .start = detached_start,
        .stop = detached_stop,
        .groups = detached_groups,
        .slice = detached_slice,
        .list = detached_list,
};
