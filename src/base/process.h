/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <signal.h>
#include <string.h>
#include <sys/types.h>

#include "base/macro.h"

/* The PATH to find systemd-nspawn, and the PATH of steps. */
#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The environment, as items of ARGV(), of programs that must get nothing of ours: it may have secrets. */
#define ENVIRONMENT_PLAIN ("PATH=" SEARCH_PATH), "LANG=C.UTF-8"

/* How to start a program. Descriptors are the child's stdin, stdout and stderr; negative stands for /dev/null. */
typedef struct Spawn {
        char *const *argv; /* argv[0] without a slash is looked up in PATH */
        char *const *envp; /* NULL: ours */
        int stdin_fd, stdout_fd, stderr_fd;
        bool die_with_parent;    /* SIGKILL to the child when the calling thread ends */
        bool own_group;          /* it leads a process group of its own */
        int cgroup_fd;           /* as for process_fork_into(); 0: the child stays in the caller's group */
        uint64_t file_bytes_max; /* no file that it or its children write may become larger; 0: no limit */
} Spawn;

#define SPAWN_INHERIT                                                                      \
        (Spawn) {                                                                          \
                .stdin_fd = -EBADF, .stdout_fd = STDOUT_FILENO, .stderr_fd = STDERR_FILENO \
        }

/* Starts the program with default signal dispositions and an empty signal mask. A failed exec is an error here, not an exit
 * status. @ret_pidfd may be NULL. 0; -ENOENT: there is no such program; or another -errno. */
int process_spawn(const Spawn *spawn, pid_t *ret_pid, int *ret_pidfd);

/* As fork(2), with the child in the control group of version 2 that @cgroup_fd is a directory of (negative: the caller's). It
 * is born there if the kernel can do that, for a move may have to wait (container/cgroup-warm.h). The caller must have one
 * thread only. In the child, *ret_error is 0, or -errno if it could not get there. The child's number, 0 in the child, or
 * negative with errno set. */
pid_t process_fork_into(int cgroup_fd, int *ret_error);

/* Detaches this process from its parent: a session of its own, the root directory as its directory, and all descriptors but
 * stdio closed at the next exec. 0 or -errno. */
int process_detach(void);

/* Starts our own program with @arguments (without its name), detached from this process, which it outlives as nobody's child:
 * with ENVIRONMENT_PLAIN, and without a descriptor of this process. Best effort. */
void process_spawn_own(char *const *arguments);

/* From now on this process has the lowest priority: behind everybody else, but not after everybody else, or on a host that is
 * always busy it would never be done. Best effort. */
void process_step_back(void);

/* Waits for @pid to end. @ret_status gets the wait status as of waitpid(2). 0 or -errno. */
int process_wait(pid_t pid, int *ret_status);

/* The exit status for a wait status as of waitpid(2): as a shell has it, 128 + N for signal N. */
int process_exit_status(int status);

/* Runs a program to its end. Returns its exit status (>= 0), 128 + N for signal N, or -errno when it could not be
 * started. */
int process_run(const Spawn *spawn);

/* The same for at most @timeout_usec. -ETIMEDOUT: it took longer, and was killed. */
int process_run_within(const Spawn *spawn, uint64_t timeout_usec);

/* The same with the program's stdout in *ret_output, to be freed, which is set if an exit status is returned. -EFBIG: it
 * printed more than @max_bytes, and was killed. */
int process_capture(const Spawn *spawn, size_t max_bytes, char **ret_output);

/* Waits until @pidfd's process ended: 0, -ETIMEDOUT, or -errno. */
int pidfd_wait(int pidfd, uint64_t timeout_usec);

/* A descriptor of process @pid, with close-on-exec; -ESRCH: there is no such process; or another -errno. */
int pidfd_open_cloexec(pid_t pid);
/* 0; -ESRCH: it has ended and was waited for; or another -errno. */
int pidfd_signal(int pidfd, int signal);
/* Is @fd a pidfd? Asks /proc, so a hostile file cannot make us wait. */
bool fd_is_pidfd(int fd);
/* How a process that is not our child ended, as a status of waitpid(2), once its parent has waited for it, within
 * @timeout_usec. 0; -ENODATA: the kernel does not tell (Linux before 6.15), or the parent did not wait in time. */
int pidfd_exit_status(int pidfd, uint64_t timeout_usec, int *ret_status);

/* Gives back clean pages of program and libraries before a long sleep: the kernel maps them again when they are needed. Best
 * effort. */
void process_release_pages(void);

/* When a process started, from the content of its /proc/PID/stat (proc_pid_stat(5)): in the kernel's ticks since boot. For
 * the agent, too, which must do without sscanf(). */
static inline bool process_parse_start(const char *stat, uint64_t *ret) {
        /* The second field, in parentheses, can hold anything; the start is the 22nd. */
        const char *p = strrchr(stat, ')');
        char *end;

        for (unsigned field = 2; p && field < 22; field++)
                p = strchr(p + 1, ' ');
        unsigned long long start = p ? strtoull(p, &end, 10) : 0;
        if (!p || end == p)
                return false;
        *ret = start;
        return true;
}

/* When @pid started, in the kernel's ticks since boot. It tells a process from a later one with the same number. 0, -ESRCH
 * or another -errno. */
int process_start_time(pid_t pid, uint64_t *ret);

/* Looks a program up in the directories of @path, in which ':' separates them. *ret, NULL or a string before, is freed and
 * replaced. 0; -ENOENT: it is missing, no regular file or not executable; or -ENOMEM. */
int program_find_in(const char *path, const char *name, char **ret);

/* The same in PATH; a name with a slash is a path already. */
int program_find(const char *name, char **ret);

/* True if program_find() finds it. */
bool program_exists(const char *name);

/* Blocks the signals that ask a command to end (TERM, INT, HUP, QUIT). Returns a non-blocking descriptor to read them from
 * (signalfd(2)), or -errno. */
int signals_open(void);

/* "SIGTERM" for 15; "signal 77" in a static buffer for what has no name. */
const char *signal_name(int signal);
