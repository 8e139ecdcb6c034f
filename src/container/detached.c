/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Supervisor for hosts whose PID 1 is not systemd: `supervise` runs as a process on its own, in control groups that
 * we make. Called through the struct at the end only. Nothing of the caller may go on to it: no environment, no
 * descriptors, no directory, for the caller has the job's secrets. */

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "container/cgroup.h"
#include "container/nspawn.h"
#include "container/supervisor.h"

#define POLL_USEC (500)
#define POLL_MAX_USEC (2 * USEC_PER_MSEC)

static bool detached_usable(void) {
        return true;
}

/* systemd raises kernel.pid_max to more than any machine needs. Without it, it may be 32768 for all together: no job
 * has more than half. See proc_sys_kernel(5). */
static uint64_t tasks_max(const Machine *machine) {
        return MIN(machine->settings.tasks_max, cgroup_host_tasks() / 2);
}

/* In the child: groups with the container's limits, a session of its own, then the program. */
static int child_start(const Machine *machine, const CgroupSet *groups, const Spawn *spawn) {
        CgroupLimits limits = {
                .memory_high_bytes = machine->settings.memory_high.bytes,
                .memory_max_bytes = machine->settings.memory_max.bytes,
                .tasks_max = tasks_max(machine),
                .cpu_weight = machine->settings.cpu_weight,
        };
        pid_t pid;

        /* The caller of `prepare` may have passed us descriptors and a working directory: they must not stay open as
         * long as the container runs. */
        int r = process_detach();
        if (r < 0)
                return r;
        r = cgroup_enter(groups);
        if (r < 0)
                return r;
        cgroup_delegate_to(groups);
        /* A host whose controllers are not ours to use runs jobs without limits; `prepare` and `doctor` say so. */
        (void) cgroup_limit(groups, &limits);
        return process_spawn(spawn, &pid, NULL);
}

static int detached_start(const Machine *machine, char *const argv[], int listen_fd) {
        /* Without our own environment: it has the secrets of the job, and the supervisor outlives this call. */
        char **envp = ARGV("PATH=" SEARCH_PATH, "LANG=C.UTF-8");
        Spawn spawn = { .argv = argv, .envp = envp, .stdin_fd = listen_fd, .stdout_fd = -EBADF, .stderr_fd = -EBADF };
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        int status;

        int r = cgroup_detached(machine->name, &groups);
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

static int detached_stop(const char *name, uint64_t timeout_usec) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        uint64_t deadline = clock_deadline(timeout_usec), wait_usec = POLL_USEC;

        int r = cgroup_detached(name, &groups);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        for (;;) {
                r = cgroup_kill(&groups);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = cgroup_remove(&groups);
                        if (r != -EBUSY)
                                return r;
                }
                if (clock_now_usec() >= deadline)
                        return -ETIMEDOUT;
                clock_sleep_usec(wait_usec);
                wait_usec = MIN(wait_usec * 2, POLL_MAX_USEC);
        }
}

static int detached_list(const char *prefix, char ***ids) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        int r = cgroup_detached(NULL, &groups);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        for (size_t i = 0; i < groups.n; i++) {
                _cleanup_closedir_ DIR *dir = opendir(groups.directories[i].path);
                struct dirent *entry;

                while (dir && (entry = readdir(dir))) {
                        const char *id = startswith(entry->d_name, prefix);

                        if (entry->d_type != DT_DIR || !id)
                                continue;
                        r = strv_extend(ids, id);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

const Supervisor supervisor_detached = {
        .name = "detached",
        .usable = detached_usable,
        .start = detached_start,
        .stop = detached_stop,
        .groups = cgroup_detached,
        .list = detached_list,
};
