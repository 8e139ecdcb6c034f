/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Opens, locks, lists and removes the directories of machines, opens and locks their layers, and reads and writes the
 * short files in a directory. Called by whatever starts, looks at or removes a machine. A directory that is there
 * says that something of its machine may be left, so it must be removed last. */

#include "machine/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/lock.h"
#include "base/string.h"
#include "config/setting-check.h"
#include "container/channel.h"
#include "tree/remove.h"

/* In runtime_dir: the directories of all machines. */
#define JOBS "jobs"

_Static_assert(RUNTIME_DIR_MAX + sizeof("/" JOBS) + ID_MAX + sizeof("/" CHANNEL_SOCKET) ==
                       sizeof(((struct sockaddr_un *) NULL)->sun_path),
               "the longest path of a socket fills its address");

#define FILE_MAX_BYTES (64 * 1024)
#define FILE_POLL_USEC (2 * USEC_PER_MSEC)

void machine_directory_done(MachineDirectory *directory) {
        free(directory->path);
        closep(&directory->fd);
        *directory = MACHINE_DIRECTORY_NONE;
}

/* Opens `<base>/<name>`, making both when @create. */
static int open_below(const char *base, const char *name, bool create, mode_t mode) {
        _cleanup_free_ char *path = NULL;

        if (create) {
                int r = mkdir_parents(base, 0755);
                if (r < 0)
                        return r;
        }
        int r = string_printf(&path, "%s/%s", base, name);
        if (r < 0)
                return r;
        return open_directory_at(AT_FDCWD, path, create, mode);
}

int machine_directory_path(const char *runtime_dir, const char *id, char **ret) {
        return string_printf(ret, "%s/" JOBS "/%s", runtime_dir, id);
}

int machine_directory_open(const char *runtime_dir, const char *id, bool create, MachineDirectory *ret) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        if (id_problem(id))
                return -EINVAL;
        int r = machine_directory_path(runtime_dir, id, &directory.path);
        if (r < 0)
                return r;
        if (create) {
                _cleanup_close_ int jobs_fd = open_below(runtime_dir, JOBS, true, 0700);
                if (jobs_fd < 0)
                        return jobs_fd;
                directory.fd = open_directory_at(jobs_fd, id, true, 0700);
        } else {
                directory.fd = open_directory_at(AT_FDCWD, directory.path, false, 0);
        }
        if (directory.fd < 0)
                return directory.fd;
        *ret = directory;
        directory = MACHINE_DIRECTORY_NONE;
        return 0;
}

int machine_directory_lock(const char *runtime_dir, const char *id, bool create, uint64_t timeout_usec,
                           MachineDirectory *ret) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        if (id_problem(id))
                return -EINVAL;
        int r = machine_directory_path(runtime_dir, id, &directory.path);
        if (r < 0)
                return r;
        _cleanup_close_ int jobs_fd = open_below(runtime_dir, JOBS, create, 0700);
        if (jobs_fd < 0)
                return jobs_fd;
        directory.fd = directory_lock(jobs_fd, id, create, LOCK_EX, timeout_usec);
        if (directory.fd < 0)
                return directory.fd;
        *ret = directory;
        directory = MACHINE_DIRECTORY_NONE;
        return 0;
}

bool machine_directory_is_locked(const char *runtime_dir, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        int r = machine_directory_open(runtime_dir, id, false, &directory);
        if (r == -ENOENT || r == -EINVAL)
                return false; /* there is none, or can be none, of that id */
        return r < 0 || lock_try(directory.fd, LOCK_SH) < 0;
}

int machine_directory_remove(const char *runtime_dir, const char *id) {
        _cleanup_free_ char *path = NULL;

        int r = string_printf(&path, "%s/" JOBS, runtime_dir);
        if (r < 0)
                return r;
        _cleanup_close_ int jobs_fd = open_directory_at(AT_FDCWD, path, false, 0);
        if (jobs_fd < 0)
                return jobs_fd == -ENOENT ? 0 : jobs_fd;
        return remove_tree_at(jobs_fd, id);
}

/* Appends what the names of the directories in @fd (consumed) have after @prefix, where that is like a job's id. */
static int list_ids(int fd, const char *prefix, char ***ids) {
        _cleanup_closedir_ DIR *dir = directory_stream(fd);

        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                const char *id = startswith(entry->d_name, prefix);

                if (!id || id_problem(id))
                        continue;
                int r = strv_extend(ids, id);
                if (r < 0)
                        return r;
        }
}

int machine_directory_list(const char *runtime_dir, char ***ids) {
        int fd = open_below(runtime_dir, JOBS, false, 0);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        return list_ids(fd, "", ids);
}

int layer_open(const char *root_dir, const char *name, bool create) {
        _cleanup_close_ int layers_fd = open_below(root_dir, LAYERS_DIRECTORY, create, 0700);

        return layers_fd < 0 ? layers_fd : open_directory_at(layers_fd, name, create, 0700);
}

int layers_list(const char *root_dir, const char *prefix, char ***ids) {
        int fd = open_below(root_dir, LAYERS_DIRECTORY, false, 0700);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        return list_ids(fd, prefix, ids);
}

char *machine_file_read(const MachineDirectory *directory, const char *name) {
        char *text;

        if (file_read_at(directory->fd, name, FILE_MAX_BYTES, &text, NULL) < 0)
                return NULL;
        if (text[0])
                return text;
        free(text);
        return NULL;
}

void machine_file_wait(const MachineDirectory *directory, const char *name, uint64_t timeout_usec) {
        uint64_t deadline = clock_deadline(timeout_usec);

        while (faccessat(directory->fd, name, F_OK, 0) < 0 && clock_now_usec() < deadline)
                clock_sleep_usec(FILE_POLL_USEC);
}

int machine_file_write(const MachineDirectory *directory, const char *name, const char *text) {
        return file_replace_unsynced_at(directory->fd, name, text, strlen(text), 0600);
}
