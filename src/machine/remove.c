/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/remove.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/channel.h"
#include "container/nspawn.h"
#include "container/supervisor.h"
#include "container/uid-range.h"
#include "image/lock.h"
#include "job/identity.h"
#include "storage/storage.h"
#include "tree/check.h"

/* How long to wait for a lock before what its holder may have started meanwhile is killed again. */
#define LOCK_ROUND_USEC (10 * USEC_PER_MSEC)

/* How often we look whether a layer is still locked. */
#define LAYER_POLL_USEC (2 * USEC_PER_MSEC)

/* What `prepare` spends on the leftovers of others. */
#define COLLECT_SOME_USEC (10 * USEC_PER_SEC)
/* For how long what a machine said at its end is kept for a step of its job that may still come. */
#define EXPLAINED_USEC (600 * USEC_PER_SEC)

/* Locks a layer, waiting for whoever removes or looks at it, also for one that was killed and is not yet dead. 0, -EBUSY
 * when somebody still has it, or -errno. */
static int lock_layer(int layer_fd, int operation) {
        uint64_t deadline = clock_deadline(JOB_STOP_TIMEOUT_USEC);

        while (flock(layer_fd, operation | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (clock_now_usec() >= deadline)
                        return -EBUSY;
                clock_sleep_usec(LAYER_POLL_USEC);
        }
        return 0;
}

/* Makes a layer and locks it: descriptor or -errno. */
static int make_layer(const char *path) {
        for (;;) {
                _cleanup_close_ int fd = open_directory_at(AT_FDCWD, path, true, 0700);
                struct stat st;

                if (fd < 0 && fd != -ENOENT)
                        return fd;
                int r = fd < 0 ? 0 : lock_layer(fd, LOCK_SH);
                if (r < 0)
                        return r;
                /* Or was it removed, as the last thing that a dying process did? */
                if (fd >= 0 && fstat(fd, &st) >= 0 && st.st_nlink > 0)
                        return TAKE_FD(fd);
        }
}

static int start_layer(const Machine *machine, int image_fd, int *ret_layer_fd) {
        const StorageDriver *driver = storage_of_machine(machine->storage);
        _cleanup_free_ char *layers = strdup(machine->layer);

        if (!layers)
                return -ENOMEM;
        *strrchr(layers, '/') = 0;
        if (mkdir(layers, 0700) < 0 && errno != EEXIST)
                return -errno;
        _cleanup_close_ int layer_fd = make_layer(machine->layer);
        if (layer_fd < 0)
                return layer_fd;
        /* Nobody may remove the image while it is copied, or before the supervisor has it: the lock stays as long as the
         * caller has the image open. */
        int r = image_lock_shared(image_fd);
        if (r >= 0)
                r = driver->create(image_fd, layer_fd);
        if (r < 0)
                return r;
        *ret_layer_fd = TAKE_FD(layer_fd);
        return 0;
}

/* Before anything is made for the job: what the image has, the job's root will have. */
static int check_tree(const Machine *machine, const JobDirectory *directory, int image_fd) {
        _cleanup_strv_ char **targets = NULL;
        _cleanup_free_ char *problem = NULL;

        int r = nspawn_bind_targets(machine, &targets);
        if (r >= 0)
                r = tree_check(image_fd, targets, &problem);
        if (r > 0) {
                (void) job_file_write(directory, JOB_FILE_ENDED, problem);
                return -EUCLEAN;
        }
        return r;
}

int job_start(const Machine *machine, const JobDirectory *directory, char *const supervise_argv[], int image_fd,
              uint64_t timeout_usec, int signal_fd, StartStep *ret_step) {
        const Supervisor *supervisor = supervisor_pick();
        _cleanup_close_ int layer_fd = -EBADF, listen_fd = -EBADF, socket_fd = -EBADF;

        *ret_step = START_STATE;
        int r = machine_save(machine, directory);
        if (r < 0)
                return r;
        listen_fd = channel_listen(directory->path);
        if (listen_fd < 0)
                return listen_fd;
        socket_fd = channel_connect(directory->path);
        if (socket_fd < 0)
                return socket_fd;

        *ret_step = START_TREE;
        r = check_tree(machine, directory, image_fd);
        if (r < 0)
                return r;

        *ret_step = START_LAYER;
        r = start_layer(machine, image_fd, &layer_fd);
        if (r < 0)
                return r;

        *ret_step = START_SUPERVISOR;
        r = supervisor->start(machine, supervise_argv, listen_fd);
        /* Somebody removed the state of a machine that still runs. */
        if (r == -EEXIST) {
                r = supervisor->stop(machine->name, JOB_STOP_TIMEOUT_USEC);
                if (r >= 0)
                        r = supervisor->start(machine, supervise_argv, listen_fd);
        }
        if (r < 0)
                return r;

        /* Without our own descriptor, the connection breaks as soon as the machine ends. */
        *ret_step = START_READY;
        closep(&listen_fd);
        listen_fd = -EBADF;
        return channel_wait_ready(socket_fd, signal_fd, timeout_usec);
}

/* The layer of a job: as its plan says, for a job belongs to the runtime directory, and `--root` may differ between two
 * calls; without a plan, where it would be. */
static int layer_path(const Settings *settings, const char *id, char **ret) {
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;

        if (job_directory_open(settings->runtime_dir, id, false, &directory) >= 0 &&
            machine_load(&directory, &machine) >= 0)
                return string_replace(ret, machine->layer);
        char prefix[MACHINE_PREFIX_BYTES];
        machine_prefix(settings->runtime_dir, prefix);
        return string_printf(ret, "%s/.layers/%s%s", settings->root_dir, prefix, id);
}

static int layer_of_job(const Settings *settings, const char *id) {
        _cleanup_free_ char *path = NULL;

        int r = layer_path(settings, id, &path);
        return r < 0 ? r : open_directory_at(AT_FDCWD, path, false, 0);
}

static int remove_layer(const Settings *settings, const char *id) {
        _cleanup_free_ char *path = NULL;

        int r = layer_path(settings, id, &path);
        if (r < 0)
                return r;
        _cleanup_close_ int layer_fd = open_directory_at(AT_FDCWD, path, false, 0);
        if (layer_fd < 0)
                return layer_fd == -ENOENT ? 0 : layer_fd;
        r = lock_layer(layer_fd, LOCK_EX);
        if (r < 0)
                return r;
        r = storage_remove_any(layer_fd);
        if (r < 0)
                return r;
        return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int job_remove_locked(const Settings *settings, const char *id) {
        _cleanup_free_ char *name = NULL;

        int r = machine_name(settings->runtime_dir, id, &name);
        if (r >= 0)
                r = supervisor_pick()->stop(name, JOB_STOP_TIMEOUT_USEC);
        if (r < 0)
                return r;
        nspawn_remove_leftovers(name);
        (void) uid_range_collect(false); /* of a supervisor that was killed */
        r = remove_layer(settings, id);
        if (r < 0)
                return r;
        return job_directory_remove(settings->runtime_dir, id);
}

int job_remove(const Settings *settings, const char *id) {
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;
        uint64_t deadline = clock_deadline(JOB_STOP_TIMEOUT_USEC);
        _cleanup_free_ char *name = NULL;

        int r = machine_name(settings->runtime_dir, id, &name);
        if (r < 0)
                return r;
        for (;;) {
                r = job_directory_lock(settings->runtime_dir, id, false, LOCK_ROUND_USEC, &directory);
                if (r == -ENOENT || r >= 0)
                        break;
                if (r != -EBUSY)
                        return r;
                /* A `prepare` or another `cleanup` is at it. Without its machine, prepare gives up and unlocks. */
                r = supervisor_pick()->stop(name, JOB_STOP_TIMEOUT_USEC);
                if (r < 0)
                        return r;
                if (clock_now_usec() >= deadline)
                        return -EBUSY;
        }
        return job_remove_locked(settings, id);
}

bool job_exists(const Settings *settings, const char *id) {
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;

        if (job_directory_open(settings->runtime_dir, id, false, &directory) != -ENOENT)
                return true;
        _cleanup_close_ int layer_fd = layer_of_job(settings, id);
        return layer_fd != -ENOENT;
}

/* By the supervisor of a machine that runs, or by a `prepare`. */
static bool is_layer_held(const Settings *settings, const char *id) {
        _cleanup_close_ int layer_fd = layer_of_job(settings, id);

        return layer_fd >= 0 && flock(layer_fd, LOCK_EX | LOCK_NB) < 0;
}

/* Is there a unit or a control group of the job? */
static bool has_unit_or_group(const Settings *settings, const char *id) {
        _cleanup_strv_ char **rest = NULL; /* of names that begin like this one */
        _cleanup_free_ char *name = NULL;

        if (machine_name(settings->runtime_dir, id, &name) < 0 || supervisor_pick()->list(name, &rest) < 0)
                return false;
        for (char **s = rest; s && *s; s++)
                if (streq(*s, ""))
                        return true;
        return false;
}

JobState job_state(const Settings *settings, const char *id) {
        if (job_directory_is_locked(settings->runtime_dir, id))
                return JOB_BUSY;
        if (is_layer_held(settings, id))
                return JOB_RUNNING;
        return job_exists(settings, id) || has_unit_or_group(settings, id) ? JOB_DEAD : JOB_GONE;
}

const char *job_state_name(JobState state) {
        static const char *const names[] = {
                [JOB_BUSY] = "preparing",
                [JOB_RUNNING] = "running",
                [JOB_DEAD] = "dead",
                [JOB_GONE] = "gone",
        };
        return names[state];
}

/* Sorts and removes duplicates and what cannot be a job's id. */
static void tidy_ids(char **ids) {
        size_t kept = 0;

        strv_sort_unique(ids);
        for (size_t i = 0; ids && ids[i]; i++)
                if (job_id_problem(ids[i]))
                        free(ids[i]);
                else
                        ids[kept++] = ids[i];
        if (ids)
                ids[kept] = NULL;
}

int job_list(const Settings *settings, bool thorough, char ***ret) {
        _cleanup_strv_ char **ids = NULL;
        char prefix[MACHINE_PREFIX_BYTES];

        machine_prefix(settings->runtime_dir, prefix);
        int r = job_directory_list(settings->runtime_dir, &ids);
        if (r >= 0)
                r = layers_list(settings->root_dir, prefix, &ids);
        if (r >= 0 && thorough)
                r = supervisor_pick()->list(prefix, &ids);
        if (r < 0)
                return r;
        tidy_ids(ids);
        *ret = TAKE_PTR(ids);
        return 0;
}

int job_list_dead(const Settings *settings, bool thorough, char ***ret) {
        _cleanup_strv_ char **ids = NULL, **dead = NULL;

        int r = job_list(settings, thorough, &ids);
        for (char **id = ids; r >= 0 && id && *id; id++)
                if (job_state(settings, *id) == JOB_DEAD)
                        r = strv_extend(&dead, *id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(dead);
        return 0;
}

/* Removes a job unless somebody took it up since we looked. */
static int remove_dead(const Settings *settings, const char *id) {
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;

        /* Made if it is missing: the lock keeps a `prepare` of the same job out while we remove its layer. */
        int r = job_directory_lock(settings->runtime_dir, id, false, 0, &directory);
        bool made = r == -ENOENT;
        if (made)
                r = job_directory_lock(settings->runtime_dir, id, true, 0, &directory);
        if (r < 0)
                return r;
        r = is_layer_held(settings, id) ? -EBUSY : job_remove_locked(settings, id);
        /* It runs, and somebody removed its directory, which it was not for us to make. */
        if (r == -EBUSY && made)
                (void) job_directory_remove(settings->runtime_dir, id);
        return r;
}

int job_collect(const Settings *settings, bool thorough, char ***ret_removed) {
        _cleanup_strv_ char **dead = NULL, **removed = NULL;
        int result = 0;

        int r = job_list_dead(settings, thorough, &dead);
        if (r < 0)
                return r;
        for (char **id = dead; id && *id; id++) {
                r = remove_dead(settings, *id);
                if (r == -EBUSY)
                        continue;
                if (r >= 0)
                        r = strv_extend(&removed, *id);
                if (r < 0 && result == 0)
                        result = r;
        }
        if (ret_removed)
                *ret_removed = TAKE_PTR(removed);
        return result;
}

/* Did the machine write that it ended, and when, so that somebody may still want to read it? */
static bool ended_just_now(const Settings *settings, const char *id) {
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;
        struct stat st;

        return job_directory_open(settings->runtime_dir, id, false, &directory) >= 0 &&
               fstatat(directory.fd, JOB_FILE_ENDED, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
               (uint64_t) st.st_mtim.tv_sec * USEC_PER_SEC + EXPLAINED_USEC > clock_realtime_usec();
}

void job_collect_some(const Settings *settings, int cancel_fd) {
        _cleanup_strv_ char **dead = NULL;
        uint64_t deadline = clock_deadline(COLLECT_SOME_USEC);
        struct pollfd cancelled = { .fd = cancel_fd, .events = POLLIN };

        if (job_list_dead(settings, false, &dead) < 0)
                return;
        for (char **id = dead; id && *id && clock_now_usec() < deadline && poll(&cancelled, 1, 0) == 0; id++)
                if (!ended_just_now(settings, *id))
                        (void) remove_dead(settings, *id);
}
