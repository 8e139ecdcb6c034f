/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts programs, waits for them, and asks what became of them, through pidfds where that is possible. Called by
 * whatever runs another program on the host. Never uses a shell: a program gets its arguments one by one. */

#include "base/process.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

/* libc's fork() does more, for programs with several threads. */
static pid_t clone_into(int cgroup_fd) {
        const struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t) cgroup_fd,
        };

        return (pid_t) syscall(SYS_clone3, &args, sizeof(args));
}

pid_t process_fork_into(int cgroup_fd, int *ret_error) {
        pid_t pid = cgroup_fd < 0 ? -1 : clone_into(cgroup_fd);

        *ret_error = 0;
        if (pid >= 0)
                return pid;
        /* A sandbox may not know clone3(2), and who cannot be born there cannot move there either. */
        pid = fork();
        if (pid == 0 && cgroup_fd >= 0)
                *ret_error = file_write_string_at(cgroup_fd, "cgroup.procs", "0");
        return pid;
}

static int child_stdio(int fd, int target, int null_fd) {
        if (fd < 0)
                fd = null_fd;
        if (fd == target)
                return fd_set_cloexec(fd, false);
        return dup2(fd, target) < 0 ? -errno : 0;
}

static void reset_signals(void) {
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                if (i != SIGKILL && i != SIGSTOP)
                        (void) signal(i, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: everything until exec. Returns only with -errno. */
static int child_exec(const Spawn *spawn, pid_t parent) {
        if (spawn->die_with_parent) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                        return -errno;
                if (getppid() != parent) /* it died before we could ask */
                        return -ESRCH;
        }

        if (spawn->own_group && setpgid(0, 0) < 0)
                return -errno;
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
                return -errno;

        /* A source that sits on one of the targets would be overwritten before its turn: move it out of the way. */
        int fds[3] = { spawn->stdin_fd, spawn->stdout_fd, spawn->stderr_fd };
        for (int i = 0; i < 3; i++)
                if (fds[i] >= 0 && fds[i] < 3 && fds[i] != i && (fds[i] = fd_duplicate(fds[i])) < 0)
                        return fds[i];
        for (int i = 0; i < 3; i++) {
                int r = child_stdio(fds[i], i, null_fd);
                if (r < 0)
                        return r;
        }

        const struct rlimit limit = { spawn->file_bytes_max, spawn->file_bytes_max };
        if (spawn->file_bytes_max > 0 && setrlimit(RLIMIT_FSIZE, &limit) < 0)
                return -errno;

        reset_signals();
        execvpe(spawn->argv[0], spawn->argv, spawn->envp ? spawn->envp : environ);
        return -errno;
}

int process_spawn(const Spawn *spawn, pid_t *ret_pid, int *ret_pidfd) {
        int error_pipe[2];
        pid_t parent = getpid();

        if (pipe2(error_pipe, O_CLOEXEC) < 0)
                return -errno;

        int error;
        pid_t pid = process_fork_into(spawn->cgroup_fd > 0 ? spawn->cgroup_fd : -EBADF, &error);
        if (pid < 0) {
                int r = -errno;
                close(error_pipe[0]);
                close(error_pipe[1]);
                return r;
        }
        if (pid == 0) {
                error = -(error < 0 ? error : child_exec(spawn, parent));
                (void) fd_write_all(error_pipe[1], &error, sizeof(error));
                _exit(127);
        }

        close(error_pipe[1]);
        ssize_t n;
        while ((n = read(error_pipe[0], &error, sizeof(error))) < 0 && errno == EINTR)
                ;
        close(error_pipe[0]);
        if (n > 0) {
                (void) process_wait(pid, &(int){ 0 });
                return -error;
        }

        if (ret_pidfd) {
                int pidfd = pidfd_open_cloexec(pid);
                if (pidfd < 0) {
                        (void) kill(pid, SIGKILL);
                        (void) process_wait(pid, &(int){ 0 });
                        return pidfd;
                }
                *ret_pidfd = pidfd;
        }
        *ret_pid = pid;
        return 0;
}

int process_detach(void) {
        if (setsid() < 0 || close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || chdir("/") < 0)
                return -errno;
        (void) umask(0022);
        return 0;
}

static int detach_and_spawn(const Spawn *spawn) {
        int r = process_detach();
        return r < 0 ? r : process_spawn(spawn, &(pid_t){ 0 }, NULL);
}

/* Starts a detached program that outlives this process; it is nobody's child, so nobody has to wait for it. 0 or -errno. */
static int spawn_detached(const Spawn *spawn) {
        int status;

        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(-detach_and_spawn(spawn));
        int r = process_wait(pid, &status);
        if (r < 0)
                return r;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

void process_spawn_own(char *const *arguments) {
        _cleanup_free_ char *self = NULL, *directory = NULL;
        _cleanup_strv_ char **argv = NULL;

        if (own_executable(&self, &directory) < 0 || strv_extend(&argv, self) < 0 ||
            strv_extend_strv(&argv, arguments) < 0)
                return;
        const Spawn spawn = {
                .argv = argv,
                .envp = ARGV(ENVIRONMENT_PLAIN),
                .stdin_fd = -EBADF,
                .stdout_fd = -EBADF,
                .stderr_fd = -EBADF,
        };
        (void) spawn_detached(&spawn);
}

void process_step_back(void) {
        (void) setpriority(PRIO_PROCESS, 0, 19);
        (void) syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7));
}

int process_wait(pid_t pid, int *ret_status) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        *ret_status = status;
        return 0;
}

int process_exit_status(int status) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits for a child, which is killed first if @r says that something failed. As process_run(), or @r. */
static int finish(pid_t pid, int r) {
        int status;

        if (r < 0)
                (void) kill(pid, SIGKILL);
        int q = process_wait(pid, &status);
        if (r < 0 || q < 0)
                return r < 0 ? r : q;
        return process_exit_status(status);
}

int process_run(const Spawn *spawn) {
        pid_t pid;

        int r = process_spawn(spawn, &pid, NULL);
        return r < 0 ? r : finish(pid, 0);
}

int process_run_within(const Spawn *spawn, uint64_t timeout_usec) {
        _cleanup_close_ int pidfd = -EBADF;
        pid_t pid;

        int r = process_spawn(spawn, &pid, &pidfd);
        return r < 0 ? r : finish(pid, pidfd_wait(pidfd, timeout_usec));
}

int process_capture(const Spawn *spawn, size_t max_bytes, char **ret_output) {
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        Spawn with_pipe = *spawn;
        with_pipe.stdout_fd = fds[1];

        int r = process_spawn(&with_pipe, &pid, NULL);
        close(fds[1]);
        if (r < 0) {
                close(fds[0]);
                return r;
        }

        _cleanup_free_ char *output = NULL;
        r = fd_read_all(fds[0], max_bytes, &output, NULL);
        close(fds[0]);
        r = finish(pid, r);
        if (r < 0)
                return r;
        *ret_output = TAKE_PTR(output);
        return r;
}

int pidfd_wait(int pidfd, uint64_t timeout_usec) {
        uint64_t deadline = clock_deadline(timeout_usec);

        for (;;) {
                struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };
                int n = poll(&pollfd, 1, clock_poll_timeout(deadline));

                if (n > 0)
                        return 0;
                if (n == 0)
                        return -ETIMEDOUT;
                if (errno != EINTR)
                        return -errno;
        }
}

int pidfd_open_cloexec(pid_t pid) {
        int fd = (int) syscall(SYS_pidfd_open, pid, 0); /* close-on-exec always: pidfd_open(2) */
        return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int signal) {
        return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

bool fd_is_pidfd(int fd) {
        char path[64], target[64];

        /* No file has a path like this: those begin with a slash. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return false;
        target[n] = 0;
        return streq(target, "anon_inode:[pidfd]");
}

/* <linux/pidfd.h> of Linux 6.15; the kernel accepts it from all later ones. */
typedef struct PidfdInfo {
        uint64_t mask;
        uint64_t cgroup_id;
        uint32_t ids[11];
        int32_t exit_code;
} PidfdInfo;

#define GET_PIDFD_INFO _IOWR(0xff, 11, PidfdInfo)
#define PIDFD_INFO_HAS_EXIT (UINT64_C(1) << 3)

int pidfd_exit_status(int pidfd, uint64_t timeout_usec, int *ret_status) {
        uint64_t deadline = clock_deadline(timeout_usec);

        for (;;) {
                PidfdInfo info = { .mask = PIDFD_INFO_HAS_EXIT };
                struct pollfd pollfd = { .fd = pidfd }; /* POLLHUP: it was waited for */

                /* ENOTTY: Linux before 6.13; ESRCH: before 6.15, after it was waited for */
                if (ioctl(pidfd, GET_PIDFD_INFO, &info) < 0)
                        return -ENODATA;
                if (info.mask & PIDFD_INFO_HAS_EXIT) {
                        *ret_status = info.exit_code;
                        return 0;
                }
                int n = poll(&pollfd, 1, clock_poll_timeout(deadline));
                if (n == 0)
                        return -ENODATA;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

/* The next mapping that @smaps (proc_pid_smaps(5)) describes: is it of a file, read-only, and without a page of our own, as
 * relocations make them? Returns false at the end. */
static bool next_mapping(FILE *smaps, unsigned long *ret_begin, unsigned long *ret_end, bool *ret_clean) {
        bool of_file = false;
        char line[PATH_MAX + 128];

        while (fgets(line, sizeof(line), smaps)) {
                unsigned long begin, end, kib;
                char mode[8], path = 0;

                if (sscanf(line, "%lx-%lx %7s %*x %*s %*u %c", &begin, &end, mode, &path) >= 3) {
                        *ret_begin = begin;
                        *ret_end = end;
                        of_file = path == '/' && mode[1] == '-';
                } else if (sscanf(line, "Anonymous: %lu kB", &kib) == 1) {
                        *ret_clean = of_file && kib == 0;
                        return true;
                }
        }
        return false;
}

void process_release_pages(void) {
        struct {
                unsigned long begin, end;
        } ranges[32];
        size_t n = 0;
        bool clean;

        FILE *smaps = fopen("/proc/self/smaps", "re");
        if (!smaps)
                return;
        while (n < ELEMENTSOF(ranges) && next_mapping(smaps, &ranges[n].begin, &ranges[n].end, &clean))
                n += clean;
        fclose(smaps);
        /* All at once: whatever runs in between would bring its pages back. */
        for (size_t i = 0; i < n; i++)
                (void) madvise((void *) ranges[i].begin, ranges[i].end - ranges[i].begin, MADV_DONTNEED);
}

int process_start_time(pid_t pid, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        int r = file_read_at(AT_FDCWD, path, 4096, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        return process_parse_start(text, ret) ? 0 : -EBADMSG;
}

static bool is_program(const char *path) {
        struct stat st;

        return stat(path, &st) >= 0 && S_ISREG(st.st_mode) && access(path, X_OK) >= 0;
}

int program_find_in(const char *path, const char *name, char **ret) {
        while (*path) {
                size_t n = strcspn(path, ":");
                char candidate[4096];

                if (snprintf(candidate, sizeof(candidate), "%.*s/%s", (int) n, path, name) < (int) sizeof(candidate) &&
                    is_program(candidate))
                        return string_replace(ret, candidate);
                path += n + (path[n] == ':');
        }
        return -ENOENT;
}

int program_find(const char *name, char **ret) {
        if (strchr(name, '/'))
                return is_program(name) ? string_replace(ret, name) : -ENOENT;

        const char *path = getenv("PATH");
        return program_find_in(isempty(path) ? SEARCH_PATH : path, name, ret);
}

bool program_exists(const char *name) {
        _cleanup_free_ char *path = NULL;

        return program_find(name, &path) >= 0;
}

int signals_open(void) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGQUIT);
        sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

const char *signal_name(int signal) {
        static char buffer[32];
        const char *abbreviation = sigabbrev_np(signal);

        if (abbreviation)
                snprintf(buffer, sizeof(buffer), "SIG%s", abbreviation);
        else
                snprintf(buffer, sizeof(buffer), "signal %d", signal);
        return buffer;
}
