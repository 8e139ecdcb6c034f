/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds and makes the directories that `exec` keeps caches, artifacts and logs in. Called by the processes without
 * rights, as the user who called. Names that a repository chose are never used as paths: hash_file_name() makes
 * harmless ones of them. */

#include "local/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/string.h"

#define RUN_LOCK "lock"

/* It has only files. */
static void remove_run(const char *path) {
        _cleanup_strv_ char **names = NULL;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || directory_names(fd, &names) < 0)
                return;
        for (char **name = names; name && *name; name++)
                (void) unlinkat(fd, *name, 0);
        (void) rmdir(path);
}

/* Opens the lock of a run. A file, because that can be locked on NFS for all hosts. */
static int open_lock(const char *run, char **ret_path) {
        int r = string_printf(ret_path, "%s/" RUN_LOCK, run);
        if (r < 0)
                return r;
        int fd = open(*ret_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : fd;
}

/* Removes what calls left that were killed. */
static void collect_runs(const char *runs) {
        _cleanup_strv_ char **names = NULL;

        _cleanup_close_ int fd = open(runs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || directory_names(fd, &names) < 0)
                return;
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *run = NULL, *lock = NULL;

                if (string_printf(&run, "%s/%s", runs, *name) < 0)
                        return;
                _cleanup_close_ int lock_fd = open_lock(run, &lock);
                if (lock_fd >= 0 && lock_try(lock_fd, LOCK_EX) == 0)
                        remove_run(run);
        }
}

/* Makes a directory for this call. Where nothing can be locked, nobody removes it but this call. */
static int begin_run(const char *runs, LocalStore *store) {
        for (unsigned tries = 0; tries < 10; tries++) {
                _cleanup_free_ char *run = NULL, *lock = NULL;

                int r = string_printf(&run, "%s/XXXXXX", runs);
                if (r < 0)
                        return r;
                if (!mkdtemp(run))
                        return -errno;
                _cleanup_close_ int fd = open_lock(run, &lock);
                if (fd < 0 && fd != -ENOENT)
                        return fd;
                if (fd < 0 || lock_try(fd, LOCK_EX) == -EBUSY || access(lock, F_OK) < 0)
                        continue; /* somebody has collected it already */
                store->run = TAKE_PTR(run);
                store->run_lock_fd = TAKE_FD(fd);
                return 0;
        }
        return -EBUSY;
}

void store_done(LocalStore *store) {
        free(store->path);
        free(store->caches);
        free(store->artifacts);
        free(store->sources);
        free(store->logs);
        if (store->run) {
                remove_run(store->run);
                closep(&store->run_lock_fd);
        }
        free(store->run);
        *store = (LocalStore){ 0 };
}

static int find_home(char **ret) {
        const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

        if (!isempty(state) && state[0] == '/')
                return string_printf(ret, "%s/nspawn-runner/exec", state);
        if (isempty(home) || home[0] != '/')
                return -ENOENT;
        return string_printf(ret, "%s/.local/state/nspawn-runner/exec", home);
}

static int add(const LocalStore *store, const char *name, char **ret) {
        int r = string_printf(ret, "%s/%s", store->path, name);
        return r < 0 ? r : mkdir_parents(*ret, 0700);
}

int store_open(const char *top, LocalStore *ret) {
        _cleanup_(store_done) LocalStore store = { 0 };
        _cleanup_free_ char *home = NULL, *runs = NULL;
        const char *slash = strrchr(top, '/');
        _cleanup_free_ char *readable = NULL;

        int r = find_home(&home);
        if (r < 0)
                return r;
        r = hash_file_name(top, "", &readable);
        if (r < 0)
                return r;
        /* The last part of the path is for people; the hash tells it from others of that name. */
        r = string_printf(&store.path, "%s/%.30s%s", home, slash && slash[1] ? slash + 1 : "root",
                          strrchr(readable, '-'));
        if (r < 0)
                return r;
        r = add(&store, "caches", &store.caches);
        if (r < 0)
                return r;
        r = add(&store, "artifacts", &store.artifacts);
        if (r < 0)
                return r;
        r = add(&store, "sources", &store.sources);
        if (r < 0)
                return r;
        r = add(&store, "logs", &store.logs);
        if (r < 0)
                return r;
        r = add(&store, "runs", &runs);
        if (r < 0)
                return r;
        collect_runs(runs);
        r = begin_run(runs, &store);
        if (r < 0)
                return r;
        *ret = store;
        store = (LocalStore){ 0 };
        return 0;
}

int store_enter(LocalStore *store, const char *parent) {
        _cleanup_free_ char *name = NULL, *path = NULL;

        int r = hash_file_name(parent, "", &name);
        if (r < 0)
                return r;
        r = string_printf(&path, "%s/%s", store->artifacts, name);
        if (r < 0)
                return r;
        r = mkdir_parents(path, 0700);
        if (r < 0)
                return r;
        free(store->artifacts);
        store->artifacts = TAKE_PTR(path);
        return 0;
}

uint64_t store_take_numbers(const LocalStore *store, uint64_t n) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        uint64_t last = 0;
        char number[32];

        if (string_printf(&path, "%s/number", store->path) < 0)
                return 1;
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || lock_wait(fd, LOCK_EX, USEC_INFINITY) < 0 || fd_read_all(fd, sizeof(number), &text, NULL) < 0)
                return 1;
        text[strcspn(text, "\n")] = 0;
        if (parse_uint64(text, &last) < 0 || last > INT32_MAX)
                last = 0;
        snprintf(number, sizeof(number), "%" PRIu64 "\n", last + n);
        if (lseek(fd, 0, SEEK_SET) < 0 || fd_write_all(fd, number, strlen(number)) < 0)
                return last + 1;
        return last + 1;
}
