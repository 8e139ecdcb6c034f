/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lets the program that started a running machine continue a command about it, so that jobs survive an upgrade,
 * whatever the versions changed. `run` and others that talk to the agent call this first. It executes a file as root
 * that it finds through a process: this must be the very file that was noted, and never another. */

#include "machine/program.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define PROGRAM_FILE "program"
#define ARGUMENTS_MAX_BYTES (1024 * 1024)

/* Identifies a file for as long as somebody has it open: until then, its inode is not used again. */
#define IDENTITY_MAX 128

/* The program of a job may be on a file system (FUSE) that never answers, so only what the kernel knows already is
 * asked for. */
static int identify(int fd, const char *path, char ret[static IDENTITY_MAX]) {
        struct statx stx;

        if (statx(fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &stx) < 0)
                return -errno;
        snprintf(ret, IDENTITY_MAX, "%u:%u %llu %llu %lld.%09u", stx.stx_dev_major, stx.stx_dev_minor,
                 (unsigned long long) stx.stx_ino, (unsigned long long) stx.stx_size, (long long) stx.stx_mtime.tv_sec,
                 stx.stx_mtime.tv_nsec);
        return 0;
}

int program_note(const MachineDirectory *directory) {
        char identity[IDENTITY_MAX];

        int r = identify(AT_FDCWD, "/proc/self/exe", identity);
        return r < 0 ? r : machine_file_write(directory, PROGRAM_FILE, identity);
}

/* Is it a process of root, and none of a container? When nobody executes the noted file any more, its inode is free: a job, or
 * a user of the host, could get it for a file of their own, with the same size and times. */
static bool is_trusted(int process_fd) {
        struct stat owner, its, ours;

        return fstat(process_fd, &owner) >= 0 && owner.st_uid == 0 && fstatat(process_fd, "ns/pid", &its, 0) >= 0 &&
               stat("/proc/self/ns/pid", &ours) >= 0 && its.st_ino == ours.st_ino && its.st_dev == ours.st_dev;
}

/* A descriptor of the file @wanted, if a trusted process executes it; or -ENOENT; or another -errno. */
static int find_executed(const char *wanted) {
        _cleanup_closedir_ DIR *processes = opendir("/proc");

        if (!processes)
                return -errno;
        for (;;) {
                char identity[IDENTITY_MAX];

                struct dirent *entry = directory_next(processes);
                if (!entry)
                        return errno != 0 ? -errno : -ENOENT;
                if (!isdigit((unsigned char) entry->d_name[0]))
                        continue;
                /* What is opened below this descriptor belongs to this process, or fails once the process has ended. */
                _cleanup_close_ int process_fd = openat(dirfd(processes), entry->d_name,
                                                        O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (process_fd < 0 || !is_trusted(process_fd))
                        continue;
                _cleanup_close_ int fd = openat(process_fd, "exe", O_PATH | O_CLOEXEC);
                if (fd >= 0 && identify(fd, "", identity) >= 0 && streq(identity, wanted))
                        return TAKE_FD(fd);
        }
}

/* What we were called with. */
static int own_arguments(char ***ret) {
        _cleanup_strv_ char **arguments = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;

        _cleanup_close_ int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
        int r = fd < 0 ? -errno : fd_read_all(fd, ARGUMENTS_MAX_BYTES, &text, &size);
        if (r < 0)
                return r;
        for (const char *p = text; p < text + size; p += strlen(p) + 1) {
                r = strv_extend(&arguments, p);
                if (r < 0)
                        return r;
        }
        if (!arguments)
                return -ENODATA;
        *ret = TAKE_PTR(arguments);
        return 0;
}

int program_hand_over(const MachineDirectory *directory) {
        _cleanup_free_ char *noted = machine_file_read(directory, PROGRAM_FILE);
        _cleanup_strv_ char **arguments = NULL;
        char own[IDENTITY_MAX];

        if (!noted)
                return 0;
        int r = identify(AT_FDCWD, "/proc/self/exe", own);
        if (r < 0)
                return r;
        if (streq(own, noted))
                return 0;
        _cleanup_close_ int fd = find_executed(noted);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        r = own_arguments(&arguments);
        if (r < 0)
                return r;
        fexecve(fd, arguments, environ);
        return -errno;
}
