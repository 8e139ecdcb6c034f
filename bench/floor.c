/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The floor of the benchmark: what a job in a container costs when a program does what the kernel must and
 * nothing else. Mount, PID, UTS and IPC namespaces, an overlay over the image, pivot_root, an init that
 * sleeps; one bash per step, entered with setns. No user namespace, no seccomp, no limits, no protocol: not
 * something to run jobs with. Built static, so that not even the dynamic linker is in the way. */

#define _GNU_SOURCE 1

#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC)

static void check(int r, const char *what) {
        if (r < 0)
                err(2, "%s", what);
}

/* Turns the calling process into the sleeping init of the container. Tells @ready_fd when all is in place. */
static _Noreturn void become_init(const char *image, int ready_fd) {
        char options[4096];

        int n = snprintf(options, sizeof options, "lowerdir=%s,upperdir=upper,workdir=work", image);
        if (n >= (int) sizeof options)
                errx(2, "image path too long");

        check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
        check(mount("overlay", "root", "overlay", 0, options), "mount overlay");
        check(chdir("root"), "chdir root");
        check(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mount proc");
        check(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755"), "mount dev");
        umask(0);
        check(mknod("dev/null", S_IFCHR | 0666, makedev(1, 3)), "mknod null");
        check(mknod("dev/zero", S_IFCHR | 0666, makedev(1, 5)), "mknod zero");
        umask(022);
        check((int) syscall(SYS_pivot_root, ".", "."), "pivot_root");
        check(umount2(".", MNT_DETACH), "detach the host's root");
        check(sethostname("floor", 5), "sethostname");
        signal(SIGCHLD, SIG_IGN);

        if (write(ready_fd, "", 1) != 1)
                err(2, "write");
        check(close_range(0, ~0U, 0), "close_range");
        for (;;)
                pause();
}

static int prepare(const char *state, const char *image) {
        int fds[2];
        char byte;

        check(mkdir(state, 0700), state);
        check(chdir(state), state);
        check(mkdir("upper", 0755), "mkdir upper");
        check(mkdir("work", 0755), "mkdir work");
        check(mkdir("root", 0755), "mkdir root");
        check(pipe2(fds, O_CLOEXEC), "pipe");
        check(unshare(NAMESPACES), "unshare");

        pid_t pid = fork();
        check(pid, "fork");
        if (pid == 0)
                become_init(image, fds[1]);
        close(fds[1]);

        FILE *f = fopen("pid", "we");
        if (!f || fprintf(f, "%d", pid) < 0 || fclose(f) != 0)
                err(2, "write pid");
        return read(fds[0], &byte, 1) == 1 ? 0 : 2;
}

static int open_init(const char *state) {
        char path[4096];
        pid_t pid;

        snprintf(path, sizeof path, "%s/pid", state);
        FILE *f = fopen(path, "re");
        if (!f || fscanf(f, "%d", &pid) != 1)
                err(2, "%s", path);
        fclose(f);

        int fd = pidfd_open(pid, 0);
        check(fd, "pidfd_open");
        return fd;
}

static int run(const char *state, const char *script) {
        static const struct {
                const char *name, *value;
        } environment[] = {
                { "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
                { "HOME", "/root" },
                { "USER", "root" },
                { "LOGNAME", "root" },
                { "SHELL", "/bin/bash" },
                { "LANG", "C.UTF-8" },
        };
        char path[sizeof "/proc/self/fd/" + 10];
        int status;

        int script_fd = open(script, O_RDONLY);
        check(script_fd, script);
        check(setns(open_init(state), NAMESPACES), "setns");
        check(chdir("/"), "chdir");
        snprintf(path, sizeof path, "/proc/self/fd/%d", script_fd);

        clearenv();
        for (size_t i = 0; i < sizeof environment / sizeof environment[0]; i++)
                check(setenv(environment[i].name, environment[i].value, 1), "setenv");

        pid_t pid = vfork();
        check(pid, "vfork");
        if (pid == 0) {
                execl("/bin/bash", "bash", path, NULL);
                _exit(127);
        }
        check(waitpid(pid, &status, 0), "waitpid");
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st, (void) type, (void) ftw;
        return remove(path);
}

static int cleanup(const char *state, const char *unused) {
        (void) unused;
        struct pollfd init = { .fd = open_init(state), .events = POLLIN };

        /* The kernel ends everything in the PID namespace before it reports the end of its init. */
        check((int) syscall(SYS_pidfd_send_signal, init.fd, SIGKILL, NULL, 0), "kill");
        check(poll(&init, 1, -1), "poll");
        check(nftw(state, remove_one, 16, FTW_DEPTH | FTW_PHYS), state);
        return 0;
}

static int config(const char *unused, const char *unused2) {
        (void) unused, (void) unused2;
        puts("{\"builds_dir\":\"/builds\",\"cache_dir\":\"/cache\",\"driver\":{\"name\":\"floor\"}}");
        return 0;
}

static const struct {
        const char *name, *arguments;
        int n_arguments;
        int (*call)(const char *first, const char *second);
} commands[] = {
        { "config", "", 0, config },
        { "prepare", "STATE IMAGE", 2, prepare },
        { "run", "STATE SCRIPT", 2, run },
        { "cleanup", "STATE", 1, cleanup },
};

int main(int argc, char **argv) {
        for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++)
                if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 == commands[i].n_arguments)
                        return commands[i].call(argv[2], argc > 3 ? argv[3] : NULL);

        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
                fprintf(stderr, "usage: floor %s %s\n", commands[i].name, commands[i].arguments);
        return 2;
}
