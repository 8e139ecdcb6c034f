/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Ends a step before its time: SIGTERM to all that it started in the foreground, later SIGKILL. server.c calls this
 * when the host asks for it or has gone. What the job turned into a daemon earlier is not touched, and neither are
 * other steps. */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"

/* One process as far as ending a step is concerned. */
typedef struct Process {
        ProcessMark mark;
        pid_t parent, group, session;
        bool ours;
} Process;

/* Reads the fields that matter of /proc/PID/stat (proc_pid_stat(5)). The command's name, in parentheses, can hold
 * anything. Without sscanf(), which would be a tenth of the agent. 1; 0: it is gone; or -errno, which says nothing about it. */
static int read_process(const Surroundings *surroundings, const char *pid, Process *ret) {
        char path[64], data[512], *fields[22 + 1], *rest = NULL;

        snprintf(path, sizeof(path), "%s/stat", pid);
        _cleanup_close_ int fd = surroundings_open_proc(surroundings, path, O_RDONLY);
        if (fd < 0)
                return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ? fd : 0;
        ssize_t n = read(fd, data, sizeof(data) - 1);
        if (n <= 0)
                return n < 0 && errno == ENOMEM ? -ENOMEM : 0;
        data[n] = 0;
        char *p = strrchr(data, ')');
        if (!p)
                return 0;
        for (size_t i = 3; i < ELEMENTSOF(fields); i++) {
                fields[i] = strtok_r(i == 3 ? p + 1 : NULL, " \n", &rest);
                if (!fields[i])
                        return 0;
        }
        if (fields[3][0] == 'Z' || fields[3][0] == 'X')
                return 0; /* dead already; its parent's to reap */
        *ret = (Process){
                .mark = { atoi(pid), strtoull(fields[22], NULL, 10) },
                .parent = atoi(fields[4]),
                .group = atoi(fields[5]),
                .session = atoi(fields[6]),
        };
        return 1;
}

/* Lists the processes that there are, as far as that is possible. 0; or -errno: there may be more. */
static int list_processes(const Surroundings *surroundings, Process **processes, size_t *n) {
        int fd = surroundings_open_proc(surroundings, ".", O_RDONLY | O_DIRECTORY);
        size_t allocated = 0;
        int result = 0;

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd; /* there is no /proc */
        _cleanup_closedir_ DIR *dir = directory_stream(fd);
        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return errno != 0 ? -errno : result;
                if (!isdigit((unsigned char) entry->d_name[0]))
                        continue;
                if (*n == allocated) {
                        Process *grown = reallocarray(*processes, allocated + 64, sizeof(Process));
                        if (!grown)
                                return -ENOMEM;
                        *processes = grown;
                        allocated += 64;
                }
                int r = read_process(surroundings, entry->d_name, &(*processes)[*n]);
                result = MIN(result, r);
                *n += r > 0;
        }
}

static bool was_cancelled(const Step *step, const Process *process) {
        for (size_t i = 0; i < step->n_cancelled; i++)
                if (step->cancelled[i].pid == process->mark.pid && step->cancelled[i].started == process->mark.started)
                        return true;
        return false;
}

/* Marks the step's session, all descendants (sudo and script(1) put what they run into a session of its own), and
 * what an earlier search found: it may have lost its parent by now. A process that left both before is a daemon, and
 * not in the foreground. */
static void mark_foreground(const Step *step, Process *processes, size_t n) {
        bool grew = true;

        while (grew) {
                grew = false;
                for (size_t i = 0; i < n; i++) {
                        Process *process = &processes[i];

                        if (process->ours || process->mark.pid <= 1 || process->mark.pid == getpid())
                                continue;
                        process->ours = process->session == step->pid || process->mark.pid == step->pid ||
                                        was_cancelled(step, process);
                        for (size_t j = 0; !process->ours && j < n; j++)
                                process->ours = processes[j].ours && processes[j].mark.pid == process->parent;
                        grew |= process->ours;
                }
        }
}

/* Sends @signal to the step's first process group, all at once. Only this reaches processes that fork and exit faster
 * than they can be listed. */
static void signal_group(Step *step, int signal) {
        if (step->group_gone || kill(-step->pid, signal) >= 0)
                return;
        step->group_gone = step->shell_ended;
}

/* Sends @signal once to each process of the step's foreground. Was there none, and is that known? */
static bool signal_foreground(const Surroundings *surroundings, Step *step, int signal) {
        _cleanup_free_ Process *processes = NULL;
        size_t n = 0, found = 0;

        int r = list_processes(surroundings, &processes, &n);
        mark_foreground(step, processes, n);
        signal_group(step, signal);
        /* Without this memory, processes that lose their parent cannot be found again. A list that is not whole does not
         * replace it. */
        ProcessMark *marks = r < 0 ? NULL : reallocarray(step->cancelled, n + 1, sizeof(*marks));
        if (marks)
                step->cancelled = marks;
        for (size_t i = 0; i < n; i++) {
                if (!processes[i].ours)
                        continue;
                if (processes[i].group != step->pid)
                        (void) kill(processes[i].mark.pid, signal);
                if (marks)
                        marks[found] = processes[i].mark;
                found++;
        }
        if (marks)
                step->n_cancelled = found;
        return r >= 0 && found == 0;
}

void step_cancel(const Surroundings *surroundings, Step *step) {
        if (step->state != STEP_RUNNING)
                return;
        step->state = STEP_CANCELLED;
        step->kill_at_usec = clock_deadline(step->kill_timeout_usec);
        (void) signal_foreground(surroundings, step, SIGTERM);
        /* A stopped process gets its SIGTERM only when it goes on. */
        (void) signal_foreground(surroundings, step, SIGCONT);
}

bool step_cancel_progress(const Surroundings *surroundings, Step *step) {
        bool killed_before = step->state == STEP_KILLING;

        if (step->state == STEP_CANCELLED && clock_now_usec() >= step->kill_at_usec)
                step->state = STEP_KILLING;
        if (!signal_foreground(surroundings, step, step->state == STEP_KILLING ? SIGKILL : 0) || !step->shell_ended)
                return false;
        /* No process was seen, but the group can have members that were too fast, or dead ones that nobody reaps.
         * After SIGKILL to the group, none is too fast: they can have no more children. */
        return step->group_gone || killed_before;
}
