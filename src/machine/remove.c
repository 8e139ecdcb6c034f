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

/* How long to wait for a lock before what its holder may have started meanwhile is killed again. */
#define LOCK_ROUND_USEC (10 * USEC_PER_MSEC)

/* For how long somebody may hold the directory of a new layer, and how often we look. */
#define LAYER_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define LAYER_POLL_USEC (2 * USEC_PER_MSEC)

/* How long a unit or a control group may have no process before it is dead. */
#define SECOND_LOOK_USEC USEC_PER_SEC

/* What `prepare` spends on the leftovers of others. */
#define COLLECT_SOME_USEC (10 * USEC_PER_SEC)
/* For how long what a machine said at its end is kept for a step of its job that may still come. */
#define EXPLAINED_USEC (600 * USEC_PER_SEC)

/* Makes the layer's directory and locks it: descriptor or -errno. Another configuration with the same images may take the
 * directory for a dead job's, and lock or remove it, as long as we do not have the lock. */
static int make_layer(const char *path) {
        uint64_t deadline = clock_deadline(LAYER_TIMEOUT_USEC);

        for (;;) {
                _cleanup_close_ int fd = open_directory_at(AT_FDCWD, path, true, 0700);
                struct stat st;

                if (fd < 0 && fd != -ENOENT)
                        return fd;
                if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) >= 0) {
                        if (fstat(fd, &st) < 0)
                                return -errno;
                        if (st.st_nlink > 0)
                                return TAKE_FD(fd);
                } else if (fd >= 0 && errno != EWOULDBLOCK) {
                        return -errno;
                }
                if (clock_now_usec() >= deadline)
                        return -EBUSY;
                clock_sleep_usec(LAYER_POLL_USEC);
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

/* The names of units and control groups are the host's, the directories are a configuration's: whose is a process that is
 * in the groups of a job? */
typedef struct OwnerSearch {
        const char *our_directory;
        struct stat pid_namespace; /* the host's: the processes of a job are in one of their own */
        bool ours, foreign;
        bool unknown; /* what is about to become a supervise, for instance in systemd's hands */
} OwnerSearch;

static void look_for_owner(pid_t pid, void *userdata) {
        /* The commands that start machines: between its fork and the start of supervise, a process looks like those. */
        static const char *const starters[] = { "prepare", "chroot-create", "chroot-maintenance", "chroot-run" };
        _cleanup_free_ char *arguments = NULL;
        OwnerSearch *search = userdata;
        bool known = false;
        struct stat st;
        char path[64];
        size_t size;

        /* What a process of the job has for a command line is the job's to choose. */
        snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int) pid);
        if (stat(path, &st) < 0 || st.st_ino != search->pid_namespace.st_ino ||
            st.st_dev != search->pid_namespace.st_dev)
                return;
        snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
        if (file_read_at(AT_FDCWD, path, 64 * 1024, &arguments, &size) < 0 || size == 0) /* it has ended */
                return;
        for (char *p = arguments; p < arguments + size && !known; p += strlen(p) + 1) {
                /* It says nothing of its own, and does not live without a supervise. */
                known = p == arguments && endswith(p, "systemd-nspawn");
                if (streq(p, "supervise") && p + strlen(p) + 1 < arguments + size) {
                        known = true;
                        *(streq(p + strlen(p) + 1, search->our_directory) ? &search->ours : &search->foreign) = true;
                }
                for (size_t i = 0; i < ELEMENTSOF(starters) && !known; i++)
                        search->foreign |= known = streq(p, starters[i]);
        }
        search->unknown |= !known;
}

static OwnerSearch find_owner(const char *directory, const char *id) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        OwnerSearch search = { .our_directory = directory };

        if (stat("/proc/self/ns/pid", &search.pid_namespace) >= 0 && supervisor_pick()->groups(id, &groups) >= 0)
                (void) cgroup_visit(&groups, look_for_owner, &search);
        return search;
}

static bool is_planned(const Settings *settings, const char *id) {
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;

        return job_directory_open(settings->runtime_dir, id, false, &directory) >= 0 &&
               machine_load(&directory, &machine) >= 0;
}

/* Of another configuration, as far as can be told: what is not known is ours where we have a plan for a job of that
 * name. */
static bool is_foreign(const Settings *settings, const char *id) {
        _cleanup_free_ char *directory = NULL;

        if (string_printf(&directory, "%s/jobs/%s", settings->runtime_dir, id) < 0)
                return false;
        OwnerSearch search = find_owner(directory, id);
        return search.foreign || (search.unknown && !search.ours && !is_planned(settings, id));
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

        *ret_step = START_LAYER;
        r = start_layer(machine, image_fd, &layer_fd);
        if (r < 0)
                return r;

        *ret_step = START_SUPERVISOR;
        r = supervisor->start(machine, supervise_argv, listen_fd);
        /* Somebody removed the state of a machine that still runs. */
        if (r == -EEXIST && !find_owner(machine->directory, machine->id).foreign) {
                r = supervisor->stop(machine->id, JOB_STOP_TIMEOUT_USEC);
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
        return string_printf(ret, "%s/.layers/%s", settings->root_dir, id);
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
        /* Whatever was stopped, a layer that a supervisor still holds is in use. */
        if (flock(layer_fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        r = storage_remove_any(layer_fd);
        if (r < 0)
                return r;
        return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int job_remove_locked(const Settings *settings, const char *id) {
        int r = is_foreign(settings, id) ? 0 : supervisor_pick()->stop(id, JOB_STOP_TIMEOUT_USEC);
        if (r < 0)
                return r;
        _cleanup_free_ char *name = NULL;
        if (string_printf(&name, MACHINE_NAME_PREFIX "%s", id) >= 0)
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

        for (;;) {
                int r = job_directory_lock(settings->runtime_dir, id, false, LOCK_ROUND_USEC, &directory);
                if (r == -ENOENT || r >= 0)
                        break;
                if (r != -EBUSY)
                        return r;
                /* A `prepare` or another `cleanup` is at it. Without its machine, prepare gives up and unlocks. */
                r = is_foreign(settings, id) ? 0 : supervisor_pick()->stop(id, JOB_STOP_TIMEOUT_USEC);
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

JobState job_state(const Settings *settings, const char *id) {
        if (job_directory_is_locked(settings->runtime_dir, id))
                return JOB_BUSY;
        if (is_layer_held(settings, id))
                return JOB_RUNNING;
        return !job_exists(settings, id) && is_foreign(settings, id) ? JOB_FOREIGN : JOB_DEAD;
}

const char *job_state_name(JobState state) {
        static const char *const names[] = {
                [JOB_FOREIGN] = "foreign",
                [JOB_BUSY] = "preparing",
                [JOB_RUNNING] = "running",
                [JOB_DEAD] = "dead",
        };
        return names[state];
}

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Sorts and removes duplicates and what cannot be a job's id. */
static void tidy_ids(char **ids) {
        size_t n = strv_length(ids), kept = 0;

        if (n == 0)
                return;
        qsort(ids, n, sizeof(char *), compare_strings);
        for (size_t i = 0; i < n; i++)
                if (job_id_problem(ids[i]) || (kept > 0 && streq(ids[kept - 1], ids[i])))
                        free(ids[i]);
                else
                        ids[kept++] = ids[i];
        ids[kept] = NULL;
}

int job_list(const Settings *settings, bool thorough, char ***ret) {
        _cleanup_strv_ char **ids = NULL;

        int r = job_directory_list(settings->runtime_dir, &ids);
        if (r >= 0)
                r = layers_list(settings->root_dir, &ids);
        if (r >= 0 && thorough)
                r = supervisor_pick()->list(&ids);
        if (r < 0)
                return r;
        tidy_ids(ids);
        *ret = TAKE_PTR(ids);
        return 0;
}

/* Those of @ids that are dead. @stateless gets those of which there is but a unit or a group. */
static int sort_out(const Settings *settings, char *const *ids, char ***dead, char ***stateless) {
        int r = 0;

        for (; r >= 0 && ids && *ids; ids++)
                if (job_state(settings, *ids) == JOB_DEAD)
                        r = strv_extend(stateless && !job_exists(settings, *ids) ? stateless : dead, *ids);
        return r;
}

int job_list_dead(const Settings *settings, bool thorough, char ***ret) {
        _cleanup_strv_ char **ids = NULL, **dead = NULL, **stateless = NULL;

        int r = job_list(settings, thorough, &ids);
        if (r >= 0)
                r = sort_out(settings, ids, &dead, &stateless);
        /* That may be of another configuration, and just about to get its first process. */
        if (r >= 0 && stateless) {
                clock_sleep_usec(SECOND_LOOK_USEC);
                r = sort_out(settings, stateless, &dead, NULL);
        }
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
        /* The layer is that of a job of another configuration, which is just being started. */
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
