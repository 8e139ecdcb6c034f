/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Removes trees that hostile programs have filled: layers of jobs, staging trees, and single files of an image. Called
 * by everything that removes or replaces something in a tree. However deep the tree is, this must come to an end with a
 * limited number of descriptors, and it must never remove anything outside of the tree. */

#include "tree/remove.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

/* Opens directory @name of @dir_fd unless something is mounted on it: -EXDEV then. A nested btrfs subvolume is no
 * mount. */
static int open_to_remove(int dir_fd, const char *name) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct statx st;

        if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, 0, &st) < 0)
                return -errno;
        if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return -EXDEV;
        return TAKE_FD(fd);
}

bool tree_clear_protection(int fd) {
        const int protecting = FS_IMMUTABLE_FL | FS_APPEND_FL;
        int flags;

        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & protecting))
                return false;
        flags &= ~protecting;
        return ioctl(fd, FS_IOC_SETFLAGS, &flags) >= 0;
}

/* Undoes the protection of @name in @dir_fd and of the directory itself. Opens only files and directories. */
static bool unprotect(int dir_fd, const char *name) {
        struct stat st;
        bool cleared = tree_clear_protection(dir_fd);

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
                return cleared;
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd >= 0 && tree_clear_protection(fd))
                cleared = true;
        return cleared;
}

/* As unlinkat(), but also removes protected entries. 0 or -errno. */
static int unlink_entry(int dir_fd, const char *name, int flags) {
        if (unlinkat(dir_fd, name, flags) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EPERM)
                return -errno;
        if (!unprotect(dir_fd, name))
                return -EPERM;
        return unlinkat(dir_fd, name, flags) < 0 ? -errno : 0;
}

/* How deep remove_content() goes. Directories that are nested deeper are moved to the top and removed there, so that a
 * hostile tree exhausts neither the stack nor the descriptors. */
#define REMOVE_DEPTH 128

typedef struct Removal {
        int top_fd;
        unsigned moved;    /* number of directories moved to the top */
        uint64_t deadline; /* USEC_INFINITY: none */
} Removal;

/* Moves directory @name to the top of the tree. -EAGAIN: it was moved. */
static int move_to_top(Removal *removal, int dir_fd, const char *name) {
        for (unsigned tries = 0; tries < 1000; tries++) {
                char target[64];

                snprintf(target, sizeof(target), ".remove-%u-%d", removal->moved++, (int) getpid());
                if (renameat2(dir_fd, name, removal->top_fd, target, RENAME_NOREPLACE) >= 0)
                        return -EAGAIN;
                /* Moving a directory changes its "..", so the flags of the directory and of its parent count. */
                if (errno == EPERM && (unprotect(dir_fd, name) || tree_clear_protection(removal->top_fd)))
                        continue;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

static int remove_content(Removal *removal, int fd, unsigned depth);

/* Removes directory @name of @dir_fd: 0; -EAGAIN: a part of it was moved to the top; or another -errno. */
static int remove_directory(Removal *removal, int dir_fd, const char *name, unsigned depth) {
        int r = unlink_entry(dir_fd, name, AT_REMOVEDIR);
        if (r != -ENOTEMPTY && r != -EEXIST)
                return r;
        if (depth == 0)
                return move_to_top(removal, dir_fd, name);

        int fd = open_to_remove(dir_fd, name);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        r = remove_content(removal, fd, depth - 1);
        return r < 0 ? r : unlink_entry(dir_fd, name, AT_REMOVEDIR);
}

/* Removes the content of the directory @fd, and closes @fd. */
static int remove_content(Removal *removal, int fd, unsigned depth) {
        int result = 0;

        _cleanup_closedir_ DIR *dir = directory_stream(fd);
        if (!dir)
                return -errno;

        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return errno != 0 && result == 0 ? -errno : result;
                if (clock_now_usec() >= removal->deadline)
                        return -ETIME;

                int r = entry->d_type == DT_DIR ? -EISDIR : unlink_entry(dirfd(dir), entry->d_name, 0);
                if (r == -EISDIR)
                        r = remove_directory(removal, dirfd(dir), entry->d_name, depth);
                if (r == -ETIME)
                        return r;
                if (r < 0 && (result == 0 || r == -EAGAIN))
                        result = r;
        }
}

int remove_tree_at(int dir_fd, const char *name) {
        return remove_tree_until(dir_fd, name, USEC_INFINITY);
}

static int remove_once(Removal *removal, int dir_fd, const char *name) {
        _cleanup_close_ int top_fd = open_to_remove(dir_fd, name);
        if (top_fd < 0)
                return top_fd == -ENOENT ? 0 : top_fd;
        int fd = fd_duplicate(top_fd);
        if (fd < 0)
                return fd;
        removal->top_fd = top_fd;
        int r = remove_content(removal, fd, REMOVE_DEPTH);
        return r < 0 ? r : unlink_entry(dir_fd, name, AT_REMOVEDIR);
}

int remove_tree_until(int dir_fd, const char *name, uint64_t deadline) {
        Removal removal = { .top_fd = -EBADF, .deadline = deadline };
        int r = unlink_entry(dir_fd, name, 0);

        /* Try again while something was moved to the top (-EAGAIN), or a dying process made something new. */
        for (unsigned tries = 0; r == -EISDIR || (r == -EAGAIN && tries < 10000) || (r == -ENOTEMPTY && tries < 100);
             tries++)
                r = remove_once(&removal, dir_fd, name);
        return r;
}
