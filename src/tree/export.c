/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies files out of a hostile tree, for job-copy. The owner of the tree chooses names, links and mounts, and may
 * change all of them while we read. So this must open only directories and regular files, and no file system that the
 * kernel makes up: it could show us, as root, more than the tree's owner may see. */

#include "tree/export.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/copy-content.h"

/* No real tree is deeper, and each level holds descriptors. */
#define DEPTH_MAX 200

#define MQUEUE_MAGIC 0x19800202 /* of the kernel's ipc/mqueue.c */

typedef struct Export {
        ContentCopy content;
        ExportResult *result;
} Export;

/* Is this a file system that the kernel makes up: one that a user namespace may mount, or that systemd-nspawn
 * mounts? */
static bool is_made_up(int fd) {
        static const uint32_t magics[] = {
                PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC,
                MQUEUE_MAGIC,     BPF_FS_MAGIC,  FUSE_SUPER_MAGIC,   BINFMTFS_MAGIC,      SECURITYFS_MAGIC,
                DEBUGFS_MAGIC,    TRACEFS_MAGIC, EFIVARFS_MAGIC,     NSFS_MAGIC,
        };
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(magics); i++)
                if ((uint32_t) fs.f_type == magics[i])
                        return true;
        return false;
}

/* Sets mode and times as they were in the tree, without the set-user-ID and set-group-ID bits. */
static int finish(int target_fd, const struct stat *st) {
        if (fchmod(target_fd, st->st_mode & 0777) < 0)
                return -errno;
        return futimens(target_fd, (const struct timespec[]){ st->st_atim, st->st_mtim }) < 0 ? -errno : 0;
}

static int export_file(Export *export, int fd, const struct stat *st, int target_fd, const char *name) {
        _cleanup_close_ int source_fd = fd_reopen(fd, O_RDONLY | O_NONBLOCK);
        if (source_fd < 0)
                return source_fd;
        _cleanup_close_ int file_fd = openat(target_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                             0600);
        if (file_fd < 0)
                return -errno;
        /* A file that becomes shorter meanwhile is copied as far as it went: the tree is in use. */
        int r = content_copy(&export->content, source_fd, file_fd, st);
        return r < 0 ? r : finish(file_fd, st);
}

static int export_link(int fd, int target_fd, const char *name) {
        char text[PATH_MAX];
        ssize_t n = readlinkat(fd, "", text, sizeof(text) - 1);

        if (n < 0)
                return -errno;
        text[n] = 0;
        return symlinkat(text, target_fd, name) < 0 ? -errno : 0;
}

static int export_entry(Export *export, int fd, int target_fd, const char *name, unsigned depth);

static int export_directory(Export *export, int fd, const struct stat *st, int target_fd, const char *name,
                            unsigned depth) {
        _cleanup_strv_ char **names = NULL;

        if (mkdirat(target_fd, name, 0700) < 0)
                return -errno;
        _cleanup_close_ int directory_fd = open_directory_at(target_fd, name, false, 0);
        if (directory_fd < 0)
                return directory_fd;
        _cleanup_close_ int source_fd = fd_reopen(fd, O_RDONLY | O_DIRECTORY);
        if (source_fd < 0)
                return source_fd;
        int r = directory_names(source_fd, &names);
        if (r < 0)
                return r;
        for (char **child = names; child && *child; child++) {
                _cleanup_close_ int child_fd = openat(source_fd, *child, O_PATH | O_NOFOLLOW | O_CLOEXEC);

                if (child_fd < 0 && errno == ENOENT) /* removed meanwhile */
                        continue;
                r = child_fd < 0 ? -errno : export_entry(export, child_fd, directory_fd, *child, depth - 1);
                if (r < 0)
                        return r;
        }
        return finish(directory_fd, st);
}

static int export_entry(Export *export, int fd, int target_fd, const char *name, unsigned depth) {
        struct stat st;
        int r;

        /* Asked first: a FUSE file system of the container does not even tell us types. */
        bool made_up = is_made_up(fd);
        if (!made_up && fstat(fd, &st) < 0)
                return -errno;
        if (made_up || !(S_ISREG(st.st_mode) || (S_ISDIR(st.st_mode) && depth > 0) || S_ISLNK(st.st_mode))) {
                export->result->n_left_out++;
                return 0;
        }
        if (S_ISREG(st.st_mode))
                r = export_file(export, fd, &st, target_fd, name);
        else if (S_ISDIR(st.st_mode))
                r = export_directory(export, fd, &st, target_fd, name, depth);
        else
                r = export_link(fd, target_fd, name);
        export->result->n_copied += r >= 0;
        return r;
}

int export_tree(int root_fd, const char *path, int target_fd, const char *name, ExportResult *ret) {
        Export export = { .result = ret };

        *ret = (ExportResult){ 0 };
        _cleanup_close_ int fd = open_in_root(root_fd, path, O_PATH);
        if (fd < 0)
                return fd;
        int r = content_copy_init(&export.content);
        if (r < 0)
                return r;
        r = export_entry(&export, fd, target_fd, name, DEPTH_MAX);
        content_copy_done(&export.content);
        return r < 0 ? r : ret->n_copied == 0 ? -ENOTSUP : 0;
}
