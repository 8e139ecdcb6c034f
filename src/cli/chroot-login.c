/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/command.h"
#include "cli/image-common.h"
#include "container/cgroup.h"
#include "container/supervisor.h"
#include "container/uid-range.h"
#include "container/userns.h"
#include "image/image.h"
#include "image/lock.h"
#include "job/state.h"
#include "storage/root-mount.h"

#define HOST_NAME_BYTES_MAX 63
/* From our SIGTERM to SIGKILL */
#define STOP_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* The shell works on the image itself, so that what it changes stays. With `private_users` it is seen through an
 * id-mapped mount: root in there is not root of the host, and what it writes belongs, on disk, to the image's own users. */
typedef struct Login {
        const Settings *settings;
        const Image *image;
        bool terminal;
        UidRange users;
        char key[17];     /* stands for the image in names of the system */
        CgroupSet groups; /* on hosts without systemd: those of the container, */
        CgroupSet home;   /* and our own */
        int signal_fd;
} Login;

/* The jobs whose root reads from the image: best effort, for a message. */
static char *jobs_of_image(const Settings *settings, const Image *image) {
        _cleanup_strv_ char **ids = NULL;
        char *list = NULL;

        if (job_directory_list(settings->runtime_dir, &ids) < 0)
                return NULL;
        for (char **id = ids; id && *id; id++) {
                _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;
                _cleanup_machine_ Machine *machine = NULL;
                char *longer;

                if (job_directory_open(settings->runtime_dir, *id, false, &directory) < 0 ||
                    machine_load(&directory, &machine) < 0 || !streq(machine->image_path, image->path))
                        continue;
                if (string_printf(&longer, "%s%s%s", list ? list : "", list ? ", " : "", *id) < 0)
                        break;
                free(list);
                list = longer;
        }
        return list;
}

static int explain_busy(const Settings *settings, const Image *image) {
        _cleanup_free_ char *jobs = jobs_of_image(settings, image);

        if (jobs)
                log_error(
                        "Image '%s' is in use, and its file system has no snapshots: changing it would change it under "
                        "the jobs %s. Try again when they have ended.",
                        image->name, jobs);
        else
                log_error("Image '%s' is in use: somebody is logged in to it, or a job is just starting or ending",
                          image->name);
        return -EBUSY;
}

/* The image's name as a host name, for the prompt. */
static void host_name(const char *image, char ret[static HOST_NAME_BYTES_MAX + 1]) {
        size_t n = 0;

        for (; *image && n < HOST_NAME_BYTES_MAX; image++) {
                bool letter = (*image >= 'a' && *image <= 'z') || (*image >= 'A' && *image <= 'Z') ||
                              (*image >= '0' && *image <= '9');
                if (letter)
                        ret[n++] = *image;
                else if (n > 0 && ret[n - 1] != '-')
                        ret[n++] = '-';
        }
        while (n > 0 && ret[n - 1] == '-')
                n--;
        ret[n] = 0;
        if (n == 0)
                strcpy(ret, "image");
}

static const char *find_shell(const Image *image) {
        static const char *const shells[] = { "/bin/bash", "/bin/sh" };

        for (size_t i = 0; i < ELEMENTSOF(shells); i++) {
                _cleanup_close_ int fd = open_in_root(image->fd, shells[i], O_PATH);
                struct stat st;

                if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
                        return shells[i];
        }
        return NULL;
}

/* Where a symlink /etc/resolv.conf leads into /run, which is empty in a container that is not booted (systemd-resolved
 * makes it so): that path, else NULL. */
static char *resolver_in_run(const Image *image) {
        char target[256];
        _cleanup_close_ int etc_fd = open_in_root(image->fd, "etc", O_PATH | O_DIRECTORY);

        ssize_t n = etc_fd < 0 ? -1 : readlinkat(etc_fd, "resolv.conf", target, sizeof(target) - 1);
        if (n < 0)
                return NULL;
        target[n] = 0;

        const char *path = target;
        if (startswith(path, "../"))
                path += 2; /* of /etc */
        return startswith(path, "/run/") && !strstr(path, "/../") && !strchr(path, ':') ? strdup(path) : NULL;
}

/* The host's resolver, for apt. Bound, not copied: what is copied would stay in the image. */
static int add_resolver(const Login *login, char ***arguments) {
        _cleanup_free_ char *in_run = resolver_in_run(login->image);

        if (access("/etc/resolv.conf", R_OK) < 0)
                return strv_extend(arguments, "--resolv-conf=off");
        if (in_run) {
                int r = strv_extend(arguments, "--resolv-conf=off");
                return r < 0 ? r : strv_extendf(arguments, "--bind-ro=/etc/resolv.conf:%s", in_run);
        }

        /* A place to mount on. nspawn could not make it through a mapped mount, where the host's root has no user. */
        _cleanup_close_ int etc_fd = open_in_root(login->image->fd, "etc", O_RDONLY | O_DIRECTORY);
        if (etc_fd >= 0) {
                int fd = openat(etc_fd, "resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
                closep(&fd);
        }
        return strv_extend(arguments, "--resolv-conf=bind-host");
}

static int login_arguments(const Login *login, const char *shell, char ***ret) {
        _cleanup_strv_ char **arguments = NULL;
        char name[HOST_NAME_BYTES_MAX + 1];
        const char *const fixed[] = {
                "systemd-nspawn",
                "--quiet",
                "--link-journal=no",
                "--timezone=off",
                /* A minimal PID 1 that reaps what the shell leaves. */
                "--as-pid2",
                "--setenv=LANG=C.UTF-8",
                /* What an administrator typed is not for the jobs to read. */
                "--setenv=HISTFILE=/dev/null",
                login->terminal ? "--console=interactive" : "--console=pipe",
                /* Without systemd there is nobody to make a scope; the groups are ours then. */
                host_is_systemd() ? "--register=yes" : "--register=no",
                host_is_systemd() ? NULL : "--keep-unit",
        };
        int r = 0;

        host_name(login->image->name, name);
        for (size_t i = 0; i < ELEMENTSOF(fixed) && r >= 0; i++)
                if (fixed[i])
                        r = strv_extend(&arguments, fixed[i]);
        if (r >= 0)
                r = add_resolver(login, &arguments);
        if (r >= 0)
                r = strv_extendf(&arguments, "--directory=%s", login->image->path);
        if (r >= 0)
                r = strv_extendf(&arguments, "--machine=nspawn-runner-login-%s", login->key);
        if (r >= 0)
                r = strv_extendf(&arguments, "--hostname=%s", name);
        if (r >= 0)
                r = strv_extendf(&arguments, "--setenv=SHELL=%s", shell);
        if (r >= 0 && login->settings->private_users) {
                r = strv_extendf(&arguments, "--private-users=%u:%u", login->users.base, UID_RANGE);
                if (r >= 0)
                        r = strv_extend(&arguments, "--private-users-ownership=off");
        } else if (r >= 0) {
                r = strv_extend(&arguments, "--private-users=no");
        }
        if (r >= 0)
                r = strv_extend(&arguments, "--");
        if (r >= 0)
                r = strv_extend(&arguments, shell);
        if (r >= 0)
                r = strv_extend(&arguments, "-l");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}

/* Puts the mapped image over itself, in a mount namespace of our own, which goes when the last process of it goes. */
static int mount_image(const Login *login) {
        _cleanup_close_ int userns_fd = -EBADF, image_fd = -EBADF, mount_fd = -EBADF;
        const char *path = login->image->path;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return log_error_errno(errno, "Cannot make a mount namespace: %m");
        if (!login->settings->private_users)
                return 0;

        userns_fd = userns_open(login->users.base, UID_RANGE);
        if (userns_fd < 0)
                return log_error_errno(userns_fd, "Cannot make a user namespace: %m");
        mount_fd = mount_clone(AT_FDCWD, path, userns_fd);
        if (mount_fd == -EOPNOTSUPP) {
                log_error("The file system of '%s' does not support id-mapped mounts: 'private_users: no' does without",
                          path);
                return mount_fd;
        }
        int r = mount_fd < 0 ? mount_fd : mount_attach(mount_fd, path);
        return r < 0 ? log_error_errno(r, "Cannot mount image '%s': %m", path) : 0;
}

static void make_key(const Image *image, char ret[static 17]) {
        static const uint8_t hash_key[16] = "chroot-login";
        Hash hash;

        hash_init(&hash, hash_key);
        hash_string(&hash, image->path);
        snprintf(ret, 17, "%016llx", (unsigned long long) hash_finish(&hash));
}

/* Control groups for the container where no systemd makes them: nspawn makes others below those it is started in. Named
 * after the image, so that what a killed login leaves is found by the next one. */
static int find_groups(Login *login) {
        char name[64];

        if (host_is_systemd())
                return 0;
        /* The dot keeps it apart from jobs. */
        snprintf(name, sizeof(name), ".login-%s", login->key);
        int r = cgroup_detached(name, &login->groups);
        if (r >= 0)
                r = cgroup_of_process(0, &login->home);
        /* A host without any is for nspawn to judge. */
        return r == -EOPNOTSUPP ? 0 : r;
}

static void remove_groups(const Login *login) {
        /* nspawn has ended, the kernel may still be about to take its processes off the groups. */
        uint64_t deadline = clock_deadline(USEC_PER_SEC);

        while (login->groups.n > 0 && cgroup_remove(&login->groups) == -EBUSY && clock_now_usec() < deadline)
                clock_sleep_usec(USEC_PER_MSEC);
}

static int open_signals(void) {
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

/* Waits for the end of nspawn. Signals to us end it: it has the terminal in raw mode, so what is typed never comes as
 * one. Returns the signal that did, 0, or -errno. */
static int wait_for_end(const Login *login, int pidfd) {
        struct pollfd pollfds[] = { { .fd = pidfd, .events = POLLIN }, { .fd = login->signal_fd, .events = POLLIN } };
        uint64_t deadline = USEC_INFINITY;
        int ended_by = 0;

        for (;;) {
                int n = poll(pollfds, ELEMENTSOF(pollfds), clock_poll_timeout(deadline));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0 && pollfds[0].revents)
                        return ended_by;
                if (n > 0 && pollfds[1].revents) {
                        struct signalfd_siginfo info;

                        if (read(login->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                                ended_by = (int) info.ssi_signo;
                                (void) pidfd_signal(pidfd, SIGTERM);
                                if (deadline == USEC_INFINITY)
                                        deadline = clock_deadline(STOP_TIMEOUT_USEC);
                        }
                }
                if (deadline != USEC_INFINITY && clock_poll_timeout(deadline) == 0) {
                        (void) pidfd_signal(pidfd, SIGKILL);
                        deadline = USEC_INFINITY;
                }
        }
}

/* The shell's exit status, or -errno. */
static int run_shell(const Login *login, char *const *argv) {
        Spawn spawn = SPAWN_INHERIT;
        _cleanup_close_ int pidfd = -EBADF;
        struct termios termios;
        bool restore = login->terminal && tcgetattr(STDIN_FILENO, &termios) >= 0;
        int status;
        pid_t pid;

        spawn.argv = argv;
        spawn.stdin_fd = STDIN_FILENO;
        spawn.die_with_parent = true;
        /* The child inherits the groups. */
        int r = cgroup_enter(&login->groups);
        if (r < 0)
                return log_error_errno(r, "Cannot set up control groups: %m");
        r = process_spawn(&spawn, &pid, &pidfd);
        (void) cgroup_enter(&login->home);
        if (r == -ENOENT)
                log_error("systemd-nspawn is not installed (package systemd-container)");
        if (r < 0)
                return r == -ENOENT ? r : log_error_errno(r, "Cannot start systemd-nspawn: %m");

        int ended_by = wait_for_end(login, pidfd);
        r = process_wait(pid, &status);
        /* A killed nspawn leaves it raw. */
        if (restore)
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &termios);
        if (ended_by < 0 || r < 0)
                return log_error_errno(ended_by < 0 ? ended_by : r, "Cannot wait for systemd-nspawn: %m");
        if (ended_by > 0)
                return 128 + ended_by;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int login_locked(Login *login) {
        _cleanup_strv_ char **argv = NULL;

        const char *shell = find_shell(login->image);
        if (!shell) {
                log_error("Image '%s' has no shell (/bin/bash or /bin/sh)", login->image->name);
                return -ENOEXEC;
        }
        if (login->settings->private_users) {
                int r = uid_range_acquire(login->image->path, &login->users);
                if (r < 0)
                        return log_error_errno(r, "Cannot get a range of user IDs: %m");
        }
        int r = login_arguments(login, shell, &argv);
        if (r < 0)
                return log_oom();
        r = find_groups(login);
        if (r < 0)
                return log_error_errno(r, "Cannot find this process's control groups: %m");
        r = mount_image(login);
        if (r < 0)
                return r;

        /* Ours is the lock that counts: by inode it would be in the way of jobs on snapshots. */
        /* From version 256 on, to tint the background, systemd-nspawn asks the terminal for its colour, and takes what is
         * typed meanwhile for the answer. */
        if (setenv("SYSTEMD_TINT_BACKGROUND", "0", 1) < 0)
                return log_oom();
        if (setenv("SYSTEMD_NSPAWN_LOCK", "0", 1) < 0)
                return log_oom();
        r = run_shell(login, argv);
        remove_groups(login);
        return r;
}

int cmd_chroot_login(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *name = invocation_argument(invocation, 0);
        _cleanup_image_ Image *image = NULL;

        int r = open_image_logged(settings, name, &image);
        if (r < 0)
                return r;
        if (geteuid() != 0) {
                log_error("Only root can log in to images");
                return -EPERM;
        }

        Login login = {
                .settings = settings,
                .image = image,
                .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
                .users = UID_RANGE_NONE,
        };
        make_key(image, login.key);
        r = image_lock_exclusive(image->fd);
        if (r == -EBUSY)
                return explain_busy(settings, image);
        if (r < 0)
                return log_error_errno(r, "Cannot lock image '%s': %m", name);
        login.signal_fd = open_signals();
        if (login.signal_fd < 0)
                return log_error_errno(login.signal_fd, "Cannot set up signals: %m");

        r = login_locked(&login);

        close(login.signal_fd);
        uid_range_release(&login.users);
        cgroup_set_done(&login.groups);
        cgroup_set_done(&login.home);
        return r;
}
