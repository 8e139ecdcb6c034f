/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "base/macro.h"

/* Where programs are looked for by who has no PATH of the user's: systemd-nspawn is, and it is what steps get. */
#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* How to start a program. Descriptors are the child's stdin, stdout and stderr; negative stands for /dev/null. */
typedef struct Spawn {
        char *const *argv; /* argv[0] without a slash is looked up in PATH */
        char *const *envp; /* NULL: ours */
        int stdin_fd, stdout_fd, stderr_fd;
        bool die_with_parent; /* SIGKILL to the child when the calling thread ends */
} Spawn;

#define SPAWN_INHERIT                                                                      \
        (Spawn) {                                                                          \
                .stdin_fd = -EBADF, .stdout_fd = STDOUT_FILENO, .stderr_fd = STDERR_FILENO \
        }

/* Starts the program with default signal dispositions and an empty signal mask; a failed exec is reported here, not
 * as an exit status. @ret_pidfd may be NULL. Returns 0 or -errno (-ENOENT: no such program). */
int process_spawn(const Spawn *spawn, pid_t *ret_pid, int *ret_pidfd);

/* Makes this process, a child, one of its own: a session and directory of its own, and no descriptors of whoever started
 * it beyond stdio after the next exec. 0 or -errno. */
int process_detach(void);

/* Starts a program that outlives this process: detached, and nobody's child, so that it needs nobody to wait for it. 0
 * or -errno. */
int process_spawn_detached(const Spawn *spawn);

/* Waits for @pid to end. @ret_status gets the wait status as of waitpid(2). 0 or -errno. */
int process_wait(pid_t pid, int *ret_status);

/* Runs a program to its end. Returns its exit status (>= 0), 128 + N for signal N, or -errno when it could not be
 * started. */
int process_run(const Spawn *spawn);

/* process_run() with stdout collected in *ret_output, to be freed (at most @max_bytes; beyond, the program is killed,
 * and -EFBIG returned). *ret_output is set whenever an exit status is returned. */
int process_capture(const Spawn *spawn, size_t max_bytes, char **ret_output);

/* Waits until @pidfd's process ended: 0, -ETIMEDOUT, or -errno. */
int pidfd_wait(int pidfd, uint64_t timeout_usec);

/* A descriptor of process @pid, with close-on-exec; -ESRCH: there is no such process; or another -errno. */
int pidfd_open_cloexec(pid_t pid);
/* 0; -ESRCH: it has ended and was waited for; or another -errno. */
int pidfd_signal(int pidfd, int signal);
/* Whether @fd is one. Asks the kernel by name, and nothing of a file that could make us wait. */
bool fd_is_pidfd(int fd);
/* How a process has ended that is not our child, as the status of waitpid(2), once its parent has waited for it, for which
 * there is @timeout_usec. 0; -ENODATA: the kernel does not tell (Linux before 6.15), or it was not waited for in time. */
int pidfd_exit_status(int pidfd, uint64_t timeout_usec, int *ret_status);

/* Gives back the pages of program and libraries that nothing was written to, for a process that is about to sleep for
 * long: what it needs on waking is mapped again from the page cache. Best effort. */
void process_release_pages(void);

/* When @pid started, in the kernel's ticks since boot: with it, a process that got an old one's number is told from
 * that. 0, -ESRCH, or -errno. */
int process_start_time(pid_t pid, uint64_t *ret);

/* Where the program is, as it is looked up in PATH; a name with a slash is a path already. *ret is freed and replaced,
 * so it has to be NULL or a string before. 0; -ENOENT when it is not there or not executable; or -ENOMEM. */
int program_find(const char *name, char **ret);

/* True if program_find() finds it. */
bool program_exists(const char *name);

/* Blocks the signals that ask a command to end (TERM, INT, HUP, QUIT): a descriptor to read them from, that never waits
 * (signalfd(2)). Or -errno. */
int signals_open(void);

/* "SIGTERM" for 15; "signal 77" in a static buffer for what has no name. */
const char *signal_name(int signal);
