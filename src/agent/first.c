/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the container's first process does before any code of the image runs: it drops capabilities, installs the
 * seccomp filter, writes the container's identity, and makes an image of a registry feel at home. main.c calls this. Files of
 * the image are written only where they are regular files or missing, because nothing may make us wait here. */

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/hosts.h"
#include "base/locale.h"
#include "base/string.h"
#include "wire/wire.h"

#define FILE_BYTES_MAX (1 << 20)

int first_install_seccomp(int filter_fd) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = fd_read_all(filter_fd, BPF_MAXINSNS * sizeof(struct sock_filter), &data, &size);
        if (r < 0)
                return r;
        if (size == 0 || size % sizeof(struct sock_filter) != 0)
                return -EBADMSG;

        /* Not through prctl(PR_SET_NO_NEW_PRIVS): sudo and the like have to work inside, and whoever has CAP_SYS_ADMIN
         * in its user namespace need not set it (seccomp(2)). */
        struct sock_fprog program = {
                .len = (unsigned short) (size / sizeof(struct sock_filter)),
                .filter = (struct sock_filter *) data,
        };
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

int first_clear_inheritable(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(data); i++)
                data[i].inheritable = 0;
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* Replaces a symlink by a copy of the file that it leads to. The file itself may be used elsewhere in the image, so
 * it is not changed; in a tree that stays, only the link is restored. Returns false when that is not possible. */
static bool replace_symlink(const char *path) {
        _cleanup_free_ char *data = NULL;
        size_t size = 0;

        _cleanup_close_ int old_fd = file_open_regular(path);
        if (old_fd >= 0 && fd_read_all(old_fd, FILE_BYTES_MAX, &data, &size) < 0)
                return false;
        if (unlink(path) < 0)
                return false;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        return fd >= 0 && fd_write_all(fd, data ? data : "", size) >= 0;
}

static void write_file(const char *path, const char *content, int flags) {
        struct stat st;

        /* Opening a pipe of the image would wait for ever. Nothing of the image runs yet that could put one there
         * after this look. */
        if (lstat(path, &st) >= 0 && !S_ISREG(st.st_mode) && (!S_ISLNK(st.st_mode) || !replace_symlink(path)))
                return;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | flags, 0644);

        if (fd >= 0)
                (void) fd_write_all(fd, content, strlen(content));
}

static void write_hosts(const char *lines) {
        _cleanup_free_ char *all = NULL;

        if (access("/etc/hosts", F_OK) >= 0)
                write_file("/etc/hosts", lines, O_APPEND);
        else if (string_printf(&all, HOSTS_LOCALHOST "%s", lines) >= 0)
                write_file("/etc/hosts", all, O_APPEND);
}

/* Mounts a directory or file on itself. */
static void make_mount_point(const char *path) {
        struct stat st;

        if (lstat(path, &st) >= 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
                (void) mount(path, path, NULL, MS_BIND, NULL);
}

/* With Docker, the project's directory is a volume, and the files that the container gets are mounts. Programs that make images
 * in a job, such as kaniko, remove all that is no mount point. What is in the directory stays where it was: in the layer. */
static void make_mount_points(const char *builds_dir) {
        static const char *const files[] = { "/etc/hosts", "/etc/hostname", "/etc/resolv.conf" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                make_mount_point(files[i]);
        if (builds_dir[0] != '/')
                return;
        if (access(builds_dir, F_OK) < 0) {
                root_make_directory(builds_dir, &(Account){ 0 });
                (void) chmod(builds_dir, 0777); /* for whoever the image's user is, as Docker's */
        }
        make_mount_point(builds_dir);
}

/* Scripts that are made for Docker's images look for this file, to find out whether they may change what they run in. */
static void write_dockerenv(void) {
        int fd = open("/.dockerenv", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0755);
        closep(&fd);
}

void first_write_identity(const char *hosts) {
        const char *uuid = getenv("container_uuid");
        char hostname[HOST_NAME_MAX + 1] = "", text[HOST_NAME_MAX + 256], id[33 + 1];
        size_t n = 0;

        /* machine-id(5) is the UUID without its dashes. */
        for (const char *p = uuid; p && *p && n < 32; p++)
                if (*p != '-')
                        id[n++] = *p;
        if (n == 32) {
                id[n] = '\n';
                id[n + 1] = 0;
                write_file("/etc/machine-id", id, O_TRUNC);
        }

        if (gethostname(hostname, sizeof(hostname) - 1) < 0 || !hostname[0])
                return;
        /* An image contains the host name of the machine that it was made on, and its systemd would use that one. */
        snprintf(text, sizeof(text), "%s\n", hostname);
        write_file("/etc/hostname", text, O_TRUNC);
        snprintf(text, sizeof(text), HOSTS_OWN_LINE, hostname);
        write_hosts(hosts ? hosts : text);
}

void first_be_like_docker(void) {
        const char *builds_dir = getenv(WIRE_OF_REGISTRY);

        if (!builds_dir)
                return;
        write_dockerenv();
        make_mount_points(builds_dir);
        (void) unsetenv(WIRE_OF_REGISTRY);
}

void first_set_locale(void) {
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        (void) setenv("LANG", locale_of_tree(root_fd), true);
}

int first_execute_init(const char *init, const char *target, int listen_fd) {
        char **argv = ARGV(init, "--unit=" UNITS_TARGET);

        int r = units_write(listen_fd, target, 0, 0);
        if (r < 0)
                return r;
        r = fd_set_cloexec(listen_fd, false);
        if (r < 0)
                return r;
        execv(init, argv);
        return -errno;
}
