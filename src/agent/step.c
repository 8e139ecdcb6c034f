/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts one step: user, directories, environment, pipes, script, program. server.c calls this, and service.c for a
 * program without a connection. A step gets nothing of the host's or the agent's environment, and no descriptors but
 * its own three. Whatever a job has put in the way must not make the agent wait. */

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/bash.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"

/* More than the default 64 KiB: fewer switches between a chatty step and the host. The kernel may refuse (pipe(7),
 * pipe-user-pages-soft), and then the default is as good. */
#define PIPE_SIZE_BYTES (256 * 1024)

static bool is_executable(int root_fd, const char *path) {
        struct stat st;

        _cleanup_close_ int fd = open_in_root(root_fd, path, O_PATH);
        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

static const char *default_shell(bool in_helper) {
        _cleanup_close_ int root_fd = open(in_helper ? HELPER_INSIDE : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        for (size_t i = 0; i < ELEMENTSOF(bash_paths); i++)
                if (is_executable(root_fd, bash_paths[i]))
                        return bash_paths[i];
        /* The helper's root has the container's /run. */
        return stat(TOOL_BASH, &st) >= 0 ? TOOL_BASH : "/bin/sh";
}

static int write_script(int source_fd, const Account *account, char *ret_path, size_t size) {
        static unsigned counter;
        char path[256];
        off_t offset = 0;
        struct stat st;

        if (fstat(source_fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;

        /* A job may have removed it, or put something else there. */
        (void) unlink(AGENT_DIR);
        if (mkdir(AGENT_DIR, 0700) < 0 && errno != EEXIST)
                return -errno;
        /* With the pid, because the container's systemd may have started this agent after another one. */
        snprintf(path, sizeof(path), "%s/script.%d.%u", AGENT_DIR, (int) getpid(), counter++);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
        /* A job may have made something with that name, such as a pipe, which we would wait for. */
        if (fd < 0 && errno == EEXIST && unlink(path) >= 0)
                fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
        if (fd < 0)
                return -errno;
        if (account->uid != 0 && (fchown(fd, account->uid, account->gid) < 0 || chmod(AGENT_DIR, 0711) < 0)) {
                int r = -errno;
                (void) unlink(path);
                return r;
        }
        while (offset < st.st_size) {
                ssize_t n = sendfile(fd, source_fd, &offset, (size_t) (st.st_size - offset));
                if (n <= 0) {
                        int r = n < 0 ? -errno : -EIO;
                        (void) unlink(path);
                        return r;
                }
        }
        snprintf(ret_path, size, "%s", path);
        return 0;
}

/* What a child of ours is to be. */
typedef struct Child {
        const Surroundings *surroundings;
        const char *program; /* path */
        char *const *argv, *const *environment;
        const Account *account;
        const char *directory; /* as asked for: "" for home */
        const char *project;   /* or this, if it is a directory of the user's; or NULL */
        char *const *shared;   /* its root is the helper's, with these paths shared; NULL: it is the container's */
        int stdin_fd;
        int stdout_fd, stderr_fd;
        bool terminal;         /* all three are a terminal, which becomes that of the session */
        StepStarted started;   /* without the pidfd */
        StepAnnounce announce; /* NULL: nobody is told */
        void *userdata;
} Child;

/* Where a child failed. */
typedef struct ChildError {
        WireCause cause;
        int error;
} ChildError;

static ChildError child_failed(WireCause cause) {
        return (ChildError){ .cause = cause, .error = errno };
}

/* When memory is short, the kernel must prefer to kill a step before what keeps the machine running
 * (machine/supervise.c). Best effort. */
static void take_equal_chances(const Surroundings *surroundings) {
        char path[64];

        snprintf(path, sizeof(path), "%d/oom_score_adj", (int) getpid());
        int fd = surroundings_open_proc(surroundings, path, O_WRONLY);

        if (fd >= 0) {
                (void) write(fd, "0", 1);
                close(fd);
        }
}

/* The host gets a pidfd, in case that we are killed. Where there is none, it has to do without. */
static void announce(const Child *child) {
        StepStarted started = child->started;
        int pid_fd = (int) syscall(SYS_pidfd_open, getpid(), 0);

        if (pid_fd >= 0)
                started.fds[started.n_fds++] = pid_fd;
        child->announce(&started, child->userdata);
}

/* In the child, which shares the parent's memory until it executes: becomes the program. Returns only on failure. */
static ChildError become(const Child *child) {
        const Account *account = child->account;
        sigset_t none;

        (void) setsid();
        take_equal_chances(child->surroundings);
        (void) signal(SIGPIPE, SIG_DFL); /* all others are so: server_run() */
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        if (dup2(child->stdin_fd, STDIN_FILENO) < 0 || dup2(child->stdout_fd, STDOUT_FILENO) < 0 ||
            dup2(child->stderr_fd, STDERR_FILENO) < 0)
                return child_failed(WIRE_CAUSE_AGENT);
        if (child->terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
                return child_failed(WIRE_CAUSE_AGENT);
        int r = child->shared ? root_enter_helper(child->surroundings->helper, child->shared, account) : 0;
        if (r < 0)
                return (ChildError){ .cause = WIRE_CAUSE_HELPER, .error = -r };
        if (account->uid != 0 || account->gid != 0) {
                if (setgroups(account->n_groups, account->groups) < 0 || setgid(account->gid) < 0 ||
                    setuid(account->uid) < 0)
                        return child_failed(WIRE_CAUSE_USER);
        }
        if (!isempty(child->directory)) {
                if (chdir(child->directory) < 0)
                        return child_failed(WIRE_CAUSE_DIRECTORY);
        } else if ((!child->project || chdir(child->project) < 0) && chdir(account->home) < 0) {
                (void) chdir("/");
        }
        if (child->announce)
                announce(child);
        execve(child->program, child->argv, child->environment);
        return child_failed(WIRE_CAUSE_AGENT);
}

/* vfork() takes a fraction of the time of fork(), and posix_spawn() can neither change users nor knows which few signals
 * have to be reset. */
static int spawn(const Child *child, pid_t *ret, WireCause *reterr_cause) {
        volatile ChildError failed = { 0 };
        sigset_t all, before;

        if (!isempty(child->directory))
                root_make_directory(child->directory, child->account);
        /* No handler may run in the child while it is on our stack. */
        sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, &before);
        pid_t pid = vfork();
        if (pid == 0) {
                ChildError error = become(child);

                failed.cause = error.cause;
                failed.error = error.error;
                _exit(127);
        }
        int r = pid < 0 ? -errno : 0;
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        if (r < 0)
                return r;
        if (failed.error != 0) {
                (void) waitpid(pid, NULL, 0);
                *reterr_cause = failed.cause;
                return -failed.error;
        }
        *ret = pid;
        return 0;
}

static int make_pipe(int ret[static 2]) {
        if (pipe2(ret, O_CLOEXEC) < 0)
                return -errno;
        (void) fcntl(ret[1], F_SETPIPE_SZ, PIPE_SIZE_BYTES);
        return 0;
}

static void close_pair(int (*fds)[2]) {
        closep(&(*fds)[0]);
        closep(&(*fds)[1]);
}

/* Is this an error of execve() about the file, and not about us? */
static bool is_exec_error(int error) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case EACCES:
        case EISDIR:
        case ENOEXEC:
        case ELOOP:
        case ELIBBAD:
        case ETXTBSY:
        case EINVAL:
        case ENAMETOOLONG:
        case EPERM:
                return true;
        default:
                return false;
        }
}

/* A program without a slash is looked for as execvp(3) does, in the PATH of the step. @ret_path is to be freed. */
static int find_program(const char *name, char *const *environment, char **ret_path) {
        const char *path = NULL;

        if (strchr(name, '/'))
                return string_replace(ret_path, name);
        for (; *environment && !path; environment++)
                path = startswith(*environment, "PATH=");
        int result = -ENOENT;
        while (path && *path) {
                _cleanup_free_ char *candidate = NULL;
                size_t n = strcspn(path, ":");
                struct stat st;

                if (string_printf(&candidate, "%.*s/%s", (int) n, path, name) < 0)
                        return -ENOMEM;
                path += n + (path[n] == ':');
                if (stat(candidate, &st) < 0 || !S_ISREG(st.st_mode))
                        continue;
                if (!(st.st_mode & 0111)) {
                        result = -EACCES;
                        continue;
                }
                *ret_path = TAKE_PTR(candidate);
                return 0;
        }
        return result;
}

/* Both ends of the step's stdin, stdout and stderr. With a terminal, only `in` is used. */
typedef struct Pipes {
        int in[2], out[2], err[2];
} Pipes;

static void pipes_done(Pipes *pipes) {
        close_pair(&pipes->in);
        close_pair(&pipes->out);
        close_pair(&pipes->err);
}

/* Gives an end to the step's user, and lets others use it, too: after su, a program can then open it again as
 * /dev/stderr. It has no name, so nobody else can open it. */
static int share_end(int fd, const Account *account, mode_t mode) {
        if (account->uid != 0 && fchown(fd, account->uid, account->gid) < 0)
                return -errno;
        return fchmod(fd, mode) < 0 ? -errno : 0;
}

static int make_pipes(bool with_input, const Account *account, Pipes *pipes) {
        int r = make_pipe(pipes->out);
        if (r < 0)
                return r;
        r = share_end(pipes->out[1], account, 0622);
        if (r < 0)
                return r;
        r = make_pipe(pipes->err);
        if (r < 0)
                return r;
        r = share_end(pipes->err[1], account, 0622);
        if (r < 0 || !with_input)
                return r;
        r = make_pipe(pipes->in);
        return r < 0 ? r : share_end(pipes->in[0], account, 0644);
}

static int find_account(const char *user, Account *ret) {
        static char root[] = "root", home[] = "/root";

        if (!isempty(user))
                return account_find(user, "/etc/passwd", "/etc/group", ret);
        Account account = { .name = strdup(root), .home = strdup(home) };
        if (!account.name || !account.home) {
                account_done(&account);
                return -ENOMEM;
        }
        *ret = account;
        return 0;
}

static int find_and_spawn(const WireExec *exec, Child *child, Step *step, WireCause *reterr_cause) {
        _cleanup_free_ char *program = NULL;

        int r = find_program(exec->argv[0], child->environment, &program);
        if (r < 0)
                return r;
        child->program = program;
        child->argv = exec->argv;
        r = spawn(child, &step->pid, reterr_cause);
        child->program = NULL;
        return r;
}

static int start_child(const WireExec *exec, Child *child, Step *step, WireCause *reterr_cause) {
        int r = find_and_spawn(exec, child, step, reterr_cause);
        if (r < 0 && *reterr_cause == WIRE_CAUSE_AGENT && is_exec_error(-r))
                *reterr_cause = WIRE_CAUSE_SHELL;
        return r;
}

static int find_user(const WireExec *exec, Account *ret, WireCause *reterr_cause) {
        int r = find_account(exec->user, ret);
        if (r == -ESRCH)
                *reterr_cause = WIRE_CAUSE_USER;
        return r;
}

static int open_streams(const WireExec *exec, const Account *account, Pipes *pipes, WireCause *reterr_cause) {
        int r = exec->wants_terminal ? terminal_open(account, exec->rows, exec->columns, pipes->in) :
                                       make_pipes(exec->wants_stdin, account, pipes);
        if (r == -EINVAL) /* a number that the user namespace does not have */
                *reterr_cause = WIRE_CAUSE_USER;
        return r;
}

/* Adds the script as the shell's last argument: wire_parse_exec() leaves room for it. */
static int add_script(const WireExec *exec, int script_fd, const Account *account, Step *step) {
        size_t n = strv_length(exec->argv);

        int r = write_script(script_fd, account, step->script_path, sizeof(step->script_path));
        if (r < 0)
                return r;
        exec->argv[n] = step->script_path;
        exec->argv[n + 1] = NULL;
        return 0;
}

int step_start(const Surroundings *surroundings, const WireExec *exec, int script_fd, StepAnnounce announce_step,
               void *userdata, Step *ret, WireCause *reterr_cause) {
        _cleanup_(pipes_done)
                Pipes pipes = { .in = { -EBADF, -EBADF }, .out = { -EBADF, -EBADF }, .err = { -EBADF, -EBADF } };
        _cleanup_account_ Account account = { 0 };
        _cleanup_strv_ char **environment = NULL;
        Step step = { .kill_timeout_usec = (uint64_t) exec->kill_timeout_msec * USEC_PER_MSEC };

        *reterr_cause = WIRE_CAUSE_AGENT;
        if (!exec->argv[0])
                return -EINVAL;
        if (exec->in_helper)
                root_look_helper(surroundings->helper, exec->shared);
        if (isempty(exec->argv[0]))
                exec->argv[0] = (char *) default_shell(exec->in_helper);

        int r = find_user(exec, &account, reterr_cause);
        if (r < 0)
                return r;
        for (char **path = exec->directories; *path; path++)
                root_make_directory(*path, &account);
        r = environment_build(surroundings->lang, script_fd >= 0 ? exec->argv[0] : default_shell(false), &account,
                              exec->environment, &environment);
        if (r < 0)
                return r;
        r = exec->wants_variables ?
                    environment_add_kept(surroundings->variables_fd, exec->wants_terminal, &environment) :
                    0;
        if (r < 0)
                return r;
        r = open_streams(exec, &account, &pipes, reterr_cause);
        if (r < 0)
                return r;
        r = script_fd >= 0 ? add_script(exec, script_fd, &account, &step) : 0;
        if (r < 0)
                return r;

        Child child = { .surroundings = surroundings,
                        .environment = environment,
                        .account = &account,
                        .directory = exec->directory,
                        .project = exec->wants_variables ? strv_value(environment, "CI_PROJECT_DIR") : NULL,
                        .shared = exec->in_helper ? exec->shared : NULL,
                        .stdin_fd = exec->wants_stdin ? pipes.in[0] : surroundings->null_fd,
                        .stdout_fd = pipes.out[1],
                        .stderr_fd = pipes.err[1],
                        .started = { .message = { .is_bash = endswith(exec->argv[0], "bash") != NULL },
                                     .fds = { pipes.out[0], pipes.err[0], pipes.in[1] },
                                     .n_fds = exec->wants_stdin ? 3 : 2 },
                        .announce = announce_step,
                        .userdata = userdata };
        if (exec->wants_terminal) {
                child.terminal = true;
                child.stdin_fd = child.stdout_fd = child.stderr_fd = pipes.in[0];
                child.started.fds[0] = pipes.in[1];
                child.started.n_fds = 1;
        }
        r = start_child(exec, &child, &step, reterr_cause);
        if (r < 0) {
                if (step.script_path[0])
                        (void) unlink(step.script_path);
                return r;
        }
        if (exec->in_helper)
                root_keep_helper(surroundings, step.pid);
        step.output_fds[0] = TAKE_FD(pipes.out[0]);
        step.output_fds[1] = TAKE_FD(pipes.err[0]);
        *ret = step;
        return 0;
}

int step_start_plain(const Surroundings *surroundings, const WireExec *exec, pid_t *ret, WireCause *reterr_cause) {
        _cleanup_account_ Account account = { 0 };
        _cleanup_strv_ char **environment = NULL;
        Step step = { 0 };

        *reterr_cause = WIRE_CAUSE_AGENT;
        int r = find_user(exec, &account, reterr_cause);
        if (r < 0)
                return r;
        for (char **path = exec->directories; *path; path++)
                root_make_directory(*path, &(Account){ 0 });
        r = environment_build(surroundings->lang, default_shell(false), &account, exec->environment, &environment);
        if (r < 0)
                return r;
        Child child = { .surroundings = surroundings,
                        .environment = environment,
                        .account = &account,
                        .directory = exec->directory,
                        .stdin_fd = surroundings->null_fd,
                        .stdout_fd = STDOUT_FILENO,
                        .stderr_fd = STDERR_FILENO };
        r = start_child(exec, &child, &step, reterr_cause);
        if (r < 0)
                return r;
        *ret = step.pid;
        return 0;
}

void step_done(Step *step) {
        free(step->cancelled);
        if (step->script_path[0])
                (void) unlink(step->script_path);
        close_pair(&step->output_fds);
}
