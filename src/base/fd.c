/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads and writes descriptors and whole files, for everybody, the agent included. Opens nothing through a symlink at
 * the end of a path, and replaces a file so that a reader finds the old content or the new one, even after a
 * crash. */

#include "base/fd.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/string.h"

#define NUMBER_MAX_BYTES 64

FILE *file_stream(int fd, const char *mode) {
        FILE *file = fd < 0 ? NULL : fdopen(fd, mode);

        if (!file)
                closep(&fd);
        return file;
}

int fd_write_all(int fd, const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno != EAGAIN)
                                return -errno;

                        struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
                        if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
                                return -errno;
                        continue;
                }
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int fd_read_all(int fd, size_t max_bytes, char **ret_data, size_t *ret_size) {
        _cleanup_free_ char *data = NULL;
        size_t size = 0, allocated = 0;
        struct stat st;

        /* One byte beyond the expected size shows the end of the file without growing the buffer. */
        size_t step = fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t) st.st_size + 1 : 4096;
        if (step > max_bytes)
                step = max_bytes + 1;

        for (;;) {
                if (size == allocated) {
                        char *grown = realloc(data, allocated + step + 1);
                        if (!grown)
                                return -ENOMEM;
                        data = grown;
                        allocated += step;
                        step = MAX(allocated, (size_t) 4096);
                }

                ssize_t n = read(fd, data + size, allocated - size);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > max_bytes)
                        return -EFBIG;
        }

        data[size] = 0;
        *ret_data = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int file_read_at(int dir_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        int r = file_check_regular(fd);
        return r < 0 ? r : fd_read_all(fd, max_bytes, ret_data, ret_size);
}

int file_read_number_at(int dir_fd, const char *path, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;

        int r = file_read_at(dir_fd, path, NUMBER_MAX_BYTES, &text, NULL);
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = 0;
        return parse_uint64(text, ret);
}

int fd_reopen(int fd, int flags) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int opened = open(path, flags | O_CLOEXEC | O_NOCTTY);
        return opened < 0 ? -errno : opened;
}

int file_check_regular(int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        bool is_null = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
        if (S_ISREG(st.st_mode) || is_null)
                return 0;
        return S_ISDIR(st.st_mode) ? -EISDIR : -ENOTSUP;
}

int file_open_regular(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        int r = file_check_regular(fd);
        return r < 0 ? r : TAKE_FD(fd);
}

int file_open_given(const char *path) {
        struct statfs fs;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        int r = file_check_regular(fd);
        if (r != -ENOTSUP)
                return r < 0 ? r : TAKE_FD(fd);
        /* A pipe without a name, in a file system of its own. Its other end is somebody whom the same person started. */
        if (fstatfs(fd, &fs) < 0)
                return -errno;
        if (fs.f_type != PIPEFS_MAGIC)
                return -ENOTSUP;
        r = fd_set_nonblock(fd, false);
        return r < 0 ? r : TAKE_FD(fd);
}

const char *file_error_text(int r) {
        return r == -ENOTSUP ? "it is no regular file" : strerror(-r);
}

int file_write_string_at(int dir_fd, const char *path, const char *value) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        ssize_t n = write(fd, value, strlen(value));
        if (n < 0)
                return -errno;
        return (size_t) n == strlen(value) ? 0 : -EIO;
}

/* Writes the content of a file that has no name yet that anybody knows. */
static int fill(int fd, const void *data, size_t size, mode_t mode, bool synced) {
        int r = fd_write_all(fd, data, size);
        if (r < 0)
                return r;
        if (fchmod(fd, mode) < 0)
                return -errno;
        /* Before it gets its name, or a power failure may leave an empty file under it. */
        return synced && fsync(fd) < 0 ? -errno : 0;
}

static int replace(int dir_fd, const char *name, const void *data, size_t size, mode_t mode, bool synced) {
        char temporary[256];

        /* Not a file without a name: linkat() cannot replace. The fixed name means that a crash leaves one file at most, which
         * the next try removes; callers hold the lock of the directory. What an image has under that name is not
         * opened: it may be the node of a disk, or a pipe. */
        if (snprintf(temporary, sizeof(temporary), ".%s.new", name) >= (int) sizeof(temporary))
                return -ENAMETOOLONG;
        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;

        _cleanup_close_ int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return -errno;

        int r = fill(fd, data, size, mode, synced);
        if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dir_fd, temporary, 0);
        return r;
}

int file_replace_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode) {
        return replace(dir_fd, name, data, size, mode, true);
}

int file_replace_unsynced_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode) {
        return replace(dir_fd, name, data, size, mode, false);
}

int memfd_new_sealed(const char *name, const void *data, size_t size) {
        _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;

        int r = fd_write_all(fd, data, size);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ||
            lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int memfd_read_sealed(int fd, size_t max_bytes, char **ret_data, size_t *ret_size) {
        const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        size_t size = 0;
        struct stat st;

        /* Only memory files can have these seals. */
        int seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & needed) != needed)
                return -EPERM;
        if (fstat(fd, &st) < 0)
                return -errno;
        if ((uintmax_t) st.st_size > max_bytes)
                return -EFBIG;
        _cleanup_free_ char *data = malloc((size_t) st.st_size + 1);
        if (!data)
                return -ENOMEM;
        /* The offset belongs to everybody who has the file. */
        while (size < (size_t) st.st_size) {
                ssize_t n = pread(fd, data + size, (size_t) st.st_size - size, (off_t) size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                size += (size_t) n;
        }
        data[size] = 0;
        *ret_data = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}

int fd_duplicate(int fd) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return copy < 0 ? -errno : copy;
}

bool fds_take(struct msghdr *header, int *fds, size_t max, size_t *ret_n) {
        bool fine = !(header->msg_flags & MSG_CTRUNC);

        *ret_n = 0;
        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
                if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
                        fine = false;
                        continue;
                }
                size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
                        if (*ret_n < max) {
                                fds[(*ret_n)++] = fd;
                        } else {
                                close(fd);
                                fine = false;
                        }
                }
        }
        return fine;
}

int fd_move_to(int fd, int target) {
        if (fd == target) {
                int r = fd_set_cloexec(fd, false);
                return r < 0 ? r : target;
        }
        int r = dup2(fd, target) < 0 ? -errno : target;
        close(fd);
        return r;
}

int fd_set_cloexec(int fd, bool cloexec) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0)
                return -errno;
        flags = cloexec ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
        return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

int fd_set_nonblock(int fd, bool nonblock) {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -errno;
        flags = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}
