/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the machines of this configuration, and removes those that nobody owns any more. Called by `gc`, `prune` and
 * `end-kept`, before a machine is started, and by the commands that list machines or look for one. Locks say what is
 * alive: a machine whose lock is held must stay, and nothing here judges by processes. */

#include "machine/collect.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/string.h"
#include "container/supervisor.h"
#include "machine/directory.h"
#include "machine/kept.h"
#include "machine/remove.h"

/* How long `prepare` may spend on what other jobs left. */
#define COLLECT_SOME_USEC (10 * USEC_PER_SEC)
/* How many machines `prepare` looks at: its time must not grow with the number of jobs that run. */
#define LOOK_AT_MAX 32
/* How long the last words of an ended machine are kept: its job may have a step that still reports them. */
#define EXPLAINED_USEC (600 * USEC_PER_SEC)

/* Is there a unit or a control group of the machine? */
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

/* A service lives as long as its job does: what is left of one is dead with the job, also when it still runs. */
static MachineState state_of_service(const Settings *settings, const char *job, MachineState state) {
        MachineState owner = machine_state(settings, job);

        if (owner == MACHINE_DEAD || owner == MACHINE_GONE)
                return MACHINE_DEAD;
        return state == MACHINE_DEAD ? MACHINE_ENDED : state;
}

/* The state of a machine that runs: does it run for its job, is it kept after its job failed, or was it kept long
 * enough? */
static MachineState state_of_kept(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        uint64_t until_usec;

        if (machine_directory_open(settings->runtime_dir, id, false, &directory) < 0 ||
            !kept_until(&directory, &until_usec))
                return MACHINE_RUNNING;
        return clock_now_usec() < until_usec ? MACHINE_KEPT : MACHINE_DEAD;
}

static MachineState state_alone(const Settings *settings, const char *id) {
        if (machine_directory_is_locked(settings->runtime_dir, id))
                return MACHINE_BUSY;
        int held = machine_layer_is_held(settings, id);
        if (held < 0)
                return MACHINE_BUSY; /* it may run */
        if (held > 0)
                return state_of_kept(settings, id);
        return machine_exists(settings, id) || has_unit_or_group(settings, id) ? MACHINE_DEAD : MACHINE_GONE;
}

MachineState machine_state(const Settings *settings, const char *id) {
        MachineState state = state_alone(settings, id);
        size_t length;

        if (id_service_number(id, &length) == 0 || state == MACHINE_GONE || state == MACHINE_BUSY)
                return state;
        _cleanup_free_ char *job = strndup(id, length);
        return job ? state_of_service(settings, job, state) : state;
}

const char *machine_state_name(MachineState state) {
        static const char *const names[] = {
                [MACHINE_BUSY] = "preparing", [MACHINE_RUNNING] = "running", [MACHINE_KEPT] = "kept",
                [MACHINE_ENDED] = "ended",    [MACHINE_DEAD] = "dead",       [MACHINE_GONE] = "gone",
        };
        return names[state];
}

/* Sorts and removes duplicates and what cannot be a job's id. */
static void tidy_ids(char **ids) {
        size_t kept = 0;

        strv_sort_unique(ids);
        for (size_t i = 0; ids && ids[i]; i++)
                if (id_problem(ids[i]))
                        free(ids[i]);
                else
                        ids[kept++] = ids[i];
        if (ids)
                ids[kept] = NULL;
}

int machine_list(const Settings *settings, bool thorough, char ***ret) {
        _cleanup_strv_ char **ids = NULL;
        char prefix[MACHINE_PREFIX_BYTES];

        machine_prefix(settings->runtime_dir, prefix);
        int r = machine_directory_list(settings->runtime_dir, &ids);
        if (r < 0)
                return r;
        r = layers_list(settings->root_dir, prefix, &ids);
        if (r < 0)
                return r;
        if (thorough) {
                r = supervisor_pick()->list(prefix, &ids);
                if (r < 0)
                        return r;
        }
        tidy_ids(ids);
        *ret = TAKE_PTR(ids);
        return 0;
}

/* The services of a job that is dead, too, are removed with it. */
static bool goes_with_job(const Settings *settings, const char *id) {
        size_t length;

        if (id_service_number(id, &length) == 0)
                return false;
        _cleanup_free_ char *job = strndup(id, length);
        return job && machine_state(settings, job) != MACHINE_GONE;
}

static bool is_dead(const Settings *settings, const char *id) {
        return machine_state(settings, id) == MACHINE_DEAD && !goes_with_job(settings, id);
}

int machine_list_dead(const Settings *settings, bool thorough, char ***ret) {
        _cleanup_strv_ char **ids = NULL, **dead = NULL;

        int r = machine_list(settings, thorough, &ids);
        if (r < 0)
                return r;
        for (char **id = ids; id && *id; id++) {
                if (!is_dead(settings, *id))
                        continue;
                r = strv_extend(&dead, *id);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(dead);
        return 0;
}

/* Removes a machine, unless another process has taken it over since we looked. */
static int remove_dead(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        /* Made if it is missing: the lock keeps a `prepare` of the same job out while we remove its layer. */
        int r = machine_directory_lock(settings->runtime_dir, id, false, 0, &directory);
        bool made = r == -ENOENT;
        if (made)
                r = machine_directory_lock(settings->runtime_dir, id, true, 0, &directory);
        if (r < 0)
                return r;
        /* A service may still run although its job is gone, and is removed all the same. */
        int held = machine_layer_is_held(settings, id);
        bool runs = held > 0 && id_service_number(id, NULL) == 0 && state_of_kept(settings, id) != MACHINE_DEAD;
        r = held < 0 ? held : runs ? -EBUSY : machine_discard_locked(settings, id);
        /* It runs, and its directory was missing before we locked it: we made it, so we remove it again. */
        if (r == -EBUSY && made)
                (void) machine_directory_remove(settings->runtime_dir, id);
        return r;
}

int machine_collect(const Settings *settings, bool thorough, char ***ret_removed) {
        _cleanup_strv_ char **dead = NULL, **removed = NULL;
        int result = 0;

        int r = machine_list_dead(settings, thorough, &dead);
        if (r < 0)
                return r;
        for (char **id = dead; id && *id; id++) {
                r = remove_dead(settings, *id);
                if (r == 0)
                        r = strv_extend(&removed, *id);
                if (r < 0 && r != -EBUSY && result == 0)
                        result = r;
        }
        if (ret_removed)
                *ret_removed = TAKE_PTR(removed);
        return result;
}

/* Did the machine end so recently that a step of its job may still read why? */
static bool ended_just_now(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        struct stat st;

        return machine_directory_open(settings->runtime_dir, id, false, &directory) >= 0 &&
               fstatat(directory.fd, MACHINE_FILE_ENDED, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
               stat_modified_usec(&st) + EXPLAINED_USEC > clock_realtime_usec();
}

void machine_collect_some(const Settings *settings, int cancel_fd) {
        _cleanup_strv_ char **ids = NULL;
        uint64_t deadline = clock_deadline(COLLECT_SOME_USEC);
        struct pollfd cancelled = { .fd = cancel_fd, .events = POLLIN };

        if (machine_list(settings, false, &ids) < 0)
                return;
        /* Where there are many, each call begins at another one. */
        const size_t n = strv_length(ids), first = n > 0 ? clock_now_usec() % n : 0;
        for (size_t i = 0; i < MIN(n, (size_t) LOOK_AT_MAX); i++) {
                const char *id = ids[(first + i) % n];

                if (clock_now_usec() >= deadline || poll(&cancelled, 1, 0) != 0)
                        return;
                if (is_dead(settings, id) && !ended_just_now(settings, id))
                        (void) remove_dead(settings, id);
        }
        machine_empty_trash_behind(settings->root_dir);
}
