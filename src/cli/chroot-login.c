/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-login`: a shell for the administrator in a copy of an image, which then becomes its next
 * generation. The image itself is never changed, and a copy that was not wanted, or whose shell was killed, is
 * removed. */

#include <fcntl.h>
#include <inttypes.h>
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
#include "base/locale.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "config/image-reference.h"
#include "container/cgroup.h"
#include "container/nspawn.h"
#include "container/supervisor.h"
#include "container/uid-range.h"
#include "container/userns.h"
#include "image/generation-collect.h"
#include "image/publish.h"
#include "storage/root-mount.h"
#include "tree/check.h"
#include "tree/compare.h"
#include "tree/skeleton.h"

#define HOST_NAME_BYTES_MAX 63
/* From our SIGTERM to SIGKILL */
#define STOP_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* The shell works on a copy of the image, which becomes its next generation: jobs see it whole or not at all. With
 * `private_users` the copy is seen through an id-mapped mount: root in there is not root of the host, and what it writes
 * belongs, on disk, to the image's own users. */
typedef struct Login {
        const Settings *settings;
        const Image *image; /* that a copy was made of */
        Staging staging;
        int tree_fd; /* the copy */
        int signal;  /* that ended us, or 0 */
        bool terminal;
        UidRange users;
        char key[17];     /* stands for the image in names of the system */
        char machine[64]; /* name */
        CgroupSet groups; /* on hosts without systemd: those of the container, */
        CgroupSet home;   /* and our own */
        int signal_fd;
} Login;

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

static const char *find_shell(int tree_fd) {
        static const char *const shells[] = { "/bin/bash", "/bin/sh" };

        for (size_t i = 0; i < ELEMENTSOF(shells); i++) {
                _cleanup_close_ int fd = open_in_root(tree_fd, shells[i], O_PATH);
                struct stat st;

                if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
                        return shells[i];
        }
        return NULL;
}

/* Where a symlink /etc/resolv.conf leads into /run, which is empty in a container that is not booted (systemd-resolved
 * makes it so): that path, else NULL. */
static char *resolver_in_run(int tree_fd) {
        char target[256];
        _cleanup_close_ int etc_fd = open_in_root(tree_fd, "etc", O_PATH | O_DIRECTORY);

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
        _cleanup_free_ char *in_run = resolver_in_run(login->tree_fd);

        if (access("/etc/resolv.conf", R_OK) < 0)
                return strv_extend(arguments, "--resolv-conf=off");
        if (in_run) {
                int r = strv_extend(arguments, "--resolv-conf=off");
                return r < 0 ? r : strv_extendf(arguments, "--bind-ro=/etc/resolv.conf:%s", in_run);
        }

        /* A place to mount on. nspawn could not make it through a mapped mount, where the host's root has no user. */
        _cleanup_close_ int etc_fd = open_in_root(login->tree_fd, "etc", O_RDONLY | O_DIRECTORY);
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
                /* What an administrator typed is not for the jobs to read. */
                "--setenv=HISTFILE=/dev/null",
                /* A reboot would have systemd-nspawn set up the same root once more, which by then may be another's work. */
                "--drop-capability=CAP_SYS_BOOT",
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
                r = strv_extendf(&arguments, "--directory=%s", login->staging.root_path);
        if (r >= 0)
                r = strv_extendf(&arguments, "--machine=%s", login->machine);
        if (r >= 0)
                r = strv_extendf(&arguments, "--hostname=%s", name);
        if (r >= 0)
                r = strv_extendf(&arguments, "--setenv=LANG=%s", locale_of_tree(login->tree_fd));
        if (r >= 0)
                r = strv_extendf(&arguments, "--setenv=SHELL=%s", shell);
        if (r >= 0 && login->settings->private_users) {
                r = strv_extendf(&arguments, "--private-users=%u:%u", login->users.base, login->users.width);
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

/* Nothing has looked at the tree since it was mounted. */
static int check_tree(const Login *login) {
        _cleanup_free_ char *in_run = resolver_in_run(login->tree_fd), *problem = NULL;
        char *const targets[] = { in_run, NULL };

        _cleanup_close_ int root_fd = open_directory_at(AT_FDCWD, login->staging.root_path, false, 0);
        int r = root_fd < 0 ? root_fd : tree_check_root(root_fd, targets, &problem);
        if (r > 0) {
                log_error("Image '%s' cannot be used: %s", login->image->name, problem);
                return -EUCLEAN;
        }
        return r < 0 ? log_error_errno(r, "Cannot look at '%s': %m", login->staging.root_path) : 0;
}

/* Puts the tree, mapped if users are, over itself, in a mount namespace of our own, which goes when the last process of it
 * goes. */
static int mount_tree(const Login *login) {
        _cleanup_close_ int userns_fd = -EBADF, mount_fd = -EBADF;
        const char *path = login->staging.root_path;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return log_error_errno(errno, "Cannot make a mount namespace: %m");

        int r = skeleton_complete(login->tree_fd);
        if (r < 0)
                return log_error_errno(r, "Cannot complete '%s': %m", path);
        if (login->settings->private_users && (userns_fd = userns_open(login->users.base, login->users.width)) < 0)
                return log_error_errno(userns_fd, "Cannot make a user namespace: %m");
        mount_fd = mount_clone(AT_FDCWD, path, userns_fd);
        if (mount_fd == -EOPNOTSUPP) {
                log_error("The file system of '%s' does not support id-mapped mounts: 'private_users: no' does without",
                          path);
                return mount_fd;
        }
        r = mount_fd < 0 ? mount_fd : mount_attach(mount_fd, path);
        return r < 0 ? log_error_errno(r, "Cannot mount '%s': %m", path) : check_tree(login);
}

static void make_key(const Image *image, char ret[static 17]) {
        static const uint8_t hash_key[16] = "chroot-login";
        Hash hash;

        hash_init(&hash, hash_key);
        hash_string(&hash, image->current_path);
        snprintf(ret, 17, "%016llx", (unsigned long long) hash_finish(&hash));
}

static void remove_groups(const Login *login) {
        /* nspawn has ended, the kernel may still be about to take its processes off the groups. */
        uint64_t deadline = clock_deadline(USEC_PER_SEC);

        while (login->groups.n > 0 && cgroup_remove(&login->groups) == -EBUSY && clock_now_usec() < deadline)
                clock_sleep_usec(USEC_PER_MSEC);
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
        /* Where a killed login left groups in some hierarchies, nspawn makes none in the others. */
        remove_groups(login);
        if (r >= 0)
                r = cgroup_of_process(0, &login->home);
        /* A host without any is for nspawn to judge. */
        return r == -EOPNOTSUPP ? 0 : r;
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
static int run_shell(Login *login, char *const *argv) {
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
        if (ended_by > 0) {
                login->signal = ended_by;
                return 128 + ended_by;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int login_locked(Login *login) {
        _cleanup_strv_ char **argv = NULL;

        const char *shell = find_shell(login->tree_fd);
        if (!shell) {
                log_error("Image '%s' has no shell (/bin/bash or /bin/sh)", login->image->name);
                return -ENOEXEC;
        }
        if (login->settings->private_users) {
                int r = uid_range_acquire(login->staging.root_path, login->settings->uid_range, &login->users);
                if (r < 0)
                        return log_error_errno(r, "Cannot get a range of user IDs: %m");
        }
        int r = login_arguments(login, shell, &argv);
        if (r < 0)
                return log_oom();
        r = find_groups(login);
        if (r < 0)
                return log_error_errno(r, "Cannot find this process's control groups: %m");
        r = mount_tree(login);
        if (r < 0) {
                (void) umount2(login->staging.root_path, MNT_DETACH);
                return r;
        }

        /* Ours is the lock that counts: by inode it would be in the way of jobs on snapshots. */
        /* From version 256 on, to tint the background, systemd-nspawn asks the terminal for its colour, and takes what is
         * typed meanwhile for the answer. */
        if (setenv("SYSTEMD_TINT_BACKGROUND", "0", 1) < 0)
                return log_oom();
        if (setenv("SYSTEMD_NSPAWN_LOCK", "0", 1) < 0)
                return log_oom();
        r = run_shell(login, argv);
        nspawn_remove_leftovers(login->machine);
        remove_groups(login);
        /* What is mounted on cannot change places. */
        if (umount2(login->staging.root_path, MNT_DETACH) < 0)
                return log_error_errno(errno, "Cannot unmount '%s': %m", login->staging.root_path);
        return r;
}

static int on_difference(_unused_ void *userdata, _unused_ const Difference *difference) {
        return -ECANCELED; /* one is enough */
}

/* Is what the shell left to be published? */
static bool is_wanted(Login *login, const Invocation *invocation, int status) {
        char question[512];

        if (login->signal > 0 || invocation_has(invocation, "discard"))
                return false;
        if (invocation_has(invocation, "publish") || !login->terminal)
                return status == 0;
        if (status == 0)
                snprintf(question, sizeof(question), "Make this the next generation of image '%s'? [Y/n] ",
                         login->image->name);
        else
                snprintf(question, sizeof(question),
                         "The shell ended with exit status %d. Make this the next generation of image '%s' anyway? "
                         "[y/N] ",
                         status, login->image->name);
        return ask_yes_or_no(question, status == 0, login->signal_fd, &login->signal);
}

/* 0 or -errno. */
static int publish_tree(Login *login) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_free_ char *problem = NULL;
        const char *name = login->image->name;
        uint64_t number;

        int r = generation_load_of(login->image, &about);
        if (r >= 0) {
                about->updated_usec = 0; /* now */
                r = publish(&login->staging, about, &number);
        }
        if (r == -EOPNOTSUPP)
                log_error("The file system of '%s' cannot exchange two directories", login->settings->root_dir);
        else if (r == -EXDEV)
                log_error("Image '%s' is a mount point: nothing can take its place", name);
        else if (r == -EUCLEAN && (problem = publish_problem(&login->staging)))
                log_error("Cannot publish the next generation of image '%s': %s", name, problem);
        else if (r < 0)
                log_error_errno(r, "Cannot publish the next generation of image '%s': %m", name);
        if (r < 0)
                return r;
        log_notice("Image '%s' is generation %" PRIu64 " now", name, number);
        r = generations_collect_locked(&login->staging, NULL);
        if (r < 0)
                log_warning_errno(r, "Not all old generations could be removed ('nspawn-runner gc' will): %m");
        return 0;
}

/* The shell's exit status, or -errno. */
static int login_and_publish(Login *login, const Invocation *invocation) {
        login->tree_fd = staging_tree(&login->staging);
        if (login->tree_fd < 0)
                return log_error_errno(login->tree_fd, "Cannot open the copy of the image: %m");
        int status = login_locked(login);
        if (status < 0)
                return status;
        /* A look around is no reason for an older generation to go. */
        if (!invocation_has(invocation, "publish") &&
            compare_trees(login->image->fd, login->tree_fd, on_difference, NULL) == 0) {
                log_notice("Nothing was changed: image '%s' is as it was", login->image->name);
                return login->signal > 0 ? 128 + login->signal : status;
        }
        if (!is_wanted(login, invocation, status)) {
                log_notice("Image '%s' is as it was", login->image->name);
                return login->signal > 0 ? 128 + login->signal : status;
        }
        int r = publish_tree(login);
        return r < 0 ? r : status;
}

/* A copy of the image. -ESTALE: it was changed before we had the lock of what changes it, and what is published after
 * a generation that somebody else has published meanwhile would take that back. */
static int open_copy(Login *login, const Invocation *invocation, bool by_number) {
        const char *name = login->image->name;
        struct signalfd_siginfo info;

        ImageTurn turn;

        image_turn_init(invocation, name, login->signal_fd, &turn);
        int r = staging_open_copy(login->settings->root_dir, name, &turn.turn, login->image, login->signal_fd,
                                  &login->staging);
        if (r == -EBUSY)
                log_busy(&turn);
        else if (r == -ECANCELED && read(login->signal_fd, &info, sizeof(info)) == sizeof(info))
                return 128 + (int) info.ssi_signo;
        else if (r < 0)
                log_error_errno(r, "Cannot copy image '%s': %m", name);
        if (r < 0)
                return r;
        if (by_number || image_is_still(login->settings->root_dir, name, login->image) > 0)
                return 0;
        (void) staging_discard(&login->staging);
        staging_done(&login->staging);
        return -ESTALE;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings, *image_settings;
        _cleanup_(settings_done) Settings storage = { 0 };
        _cleanup_image_ Image *image = NULL;

        if (invocation_has(invocation, "discard") && invocation_has(invocation, "publish")) {
                log_error("Either --discard or --publish");
                return COMMAND_MISUSED;
        }
        if (geteuid() != 0) {
                log_error("Only root can log in to images");
                return -EPERM;
        }
        const char *name = invocation_argument(invocation, 0);
        if (image_reference_is(name)) {
                log_error(
                        "'%s' is an image of a registry, which nobody changes here: try it with chroot-run, or make an "
                        "image of your own of it (nspawn_runner_oci)",
                        name);
                return -EINVAL;
        }
        int r = hold_image_logged(settings, name, &image);
        if (r >= 0)
                r = image_settings_logged(settings, image->name, &storage, &image_settings);
        if (r >= 0 && !invocation_has(invocation, "discard"))
                r = warn_of_definition(settings, image->name);
        if (r < 0)
                return r;

        Login login = {
                .settings = image_settings,
                .image = image,
                .staging = STAGING_NONE,
                .tree_fd = -EBADF,
                .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
        };
        make_key(image, login.key);
        /* machined may not have noticed yet that the machine of one that was killed has ended. */
        (void) nspawn_collect_leftovers(LOGIN_MACHINE_PREFIX, false);
        snprintf(login.machine, sizeof(login.machine), LOGIN_MACHINE_PREFIX "%s-%d", login.key, (int) getpid());
        login.signal_fd = signals_open();
        if (login.signal_fd < 0)
                return log_error_errno(login.signal_fd, "Cannot set up signals: %m");

        while ((r = open_copy(&login, invocation, !streq(name, image->name))) == -ESTALE) {
                image_free(TAKE_PTR(image));
                r = hold_image_logged(settings, name, &image);
                if (r < 0)
                        break;
                login.image = image;
        }
        if (r == 0) {
                r = login_and_publish(&login, invocation);
                closep(&login.tree_fd);
                int q = staging_discard(&login.staging);
                if (q < 0)
                        log_warning_errno(q, "Not all of the copy could be removed ('nspawn-runner gc' will): %m");
                staging_done(&login.staging);
        }

        close(login.signal_fd);
        uid_range_release(&login.users);
        cgroup_set_done(&login.groups);
        cgroup_set_done(&login.home);
        return r;
}

static const CommandOption options[] = {
        { "publish", NULL, "make the copy the next generation when the shell ends with 0, without asking", 0 },
        { "discard", NULL, "throw the copy away", 0 },
        NO_WAIT_OPTION,
        { 0 },
};

const Command command_chroot_login = {
        .name = "chroot-login",
        .synopsis = "NAME",
        .min_arguments = 1,
        .max_arguments = 1,
        .options = options,
        .flags = COMMAND_STATUS,
        .run = run,
        .help = "Open a shell in a copy of an image, to change it",
};
