/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which cache and which working copy a job gets, for `prepare`, and gives them back, for `cleanup`. Only what
 * GitLab itself says about the job counts, and never what the job chooses. */

#include "job/volumes.h"

#include <string.h>

#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "config/binds.h"
#include "container/bind.h"
#include "container/volume.h"
#include "machine/directory.h"
#include "machine/remove.h"

_Static_assert(__builtin_strcmp(PLACE_HOLDER, VOLUME_HOLDER) == 0, "supervise looks for the holder there");

void job_volumes_done(JobVolumes *volumes) {
        place_done(&volumes->cache);
        place_done(&volumes->builds);
        strv_free(volumes->removed);
        free(volumes->in_the_way);
}

static StoreOwner owner_of(const JobSpec *job) {
        if (!job->trusted)
                return (StoreOwner){ 0 };
        return (StoreOwner){
                .repository = job->repository,
                .project_id = job->project_id,
                .ref_protected = job->ref_protected,
        };
}

bool job_volume_is_taken(const Machine *machine, const char *directory, char **ret_target) {
        _cleanup_strv_ char **targets = NULL;

        if (bind_targets(machine, &targets) < 0)
                return true;
        for (char **target = targets; target && *target; target++)
                if (streq(*target, directory) || path_is_below(*target, directory) ||
                    path_is_below(directory, *target)) {
                        if (ret_target)
                                (void) string_replace(ret_target, *target);
                        return true;
                }
        return false;
}

static int add_volume(Machine *machine, const Place *place, const char *target, const char *holder) {
        _cleanup_free_ char *source = NULL;

        int r = string_printf(&source, "%s/" PLACE_DATA, place->path);
        if (r < 0)
                return r;
        return volume_add(&machine->volumes, source, target, true, holder);
}

static void make_room(const Settings *settings, const PlaceKind *kind, uint64_t max_bytes, const char *keep,
                      JobVolumes *volumes) {
        size_t n = strv_length(volumes->removed);

        int r = store_shrink(settings->root_dir, kind, max_bytes, keep, false, &volumes->removed);
        if (strv_length(volumes->removed) > n)
                machine_empty_trash_behind(settings->root_dir);
        if (r < 0) {
                volumes->room_kind = kind;
                volumes->room_error = r;
        }
}

static int take_cache(const Settings *settings, const StoreOwner *owner, Machine *machine, JobVolumes *ret) {
        const bool shared = settings->cache == CACHE_SHARED;
        _cleanup_free_ char *name = NULL;

        int r = store_cache_name(owner, shared, &name);
        if (r < 0)
                return r;
        make_room(settings, &place_caches, settings->cache_size, name, ret);
        r = store_hold_cache(settings->root_dir, owner, shared, &ret->cache);
        if (r < 0) {
                ret->cache_error = r;
                return r == -ENOMEM ? r : 0;
        }
        return add_volume(machine, &ret->cache, settings->cache_dir, NULL);
}

/* A user other than root cannot change files of others, so each such user gets working copies of their own. Which
 * user a name means is up to the image. */
static int name_user(const Machine *machine, char **ret) {
        const char *user = machine->user;
        const size_t n = user ? strcspn(user, ":") : 0;

        if (n == 0 || (n == 4 && strncmp(user, "root", 4) == 0) || strspn(user, "0") == n)
                return 0;
        return string_printf(ret, "%s\n%s", machine->image, user);
}

static int take_builds(const Settings *settings, const StoreOwner *owner, Machine *machine, JobVolumes *ret) {
        _cleanup_free_ char *user = NULL;

        int r = name_user(machine, &user);
        if (r < 0)
                return r;
        r = store_hold_builds(settings->root_dir, owner, user, machine->uuid, &ret->builds, &ret->builds_replaced);
        if (r < 0) {
                ret->builds_error = r;
                return r == -ENOMEM ? r : 0;
        }
        if (ret->builds_replaced)
                machine_empty_trash_behind(settings->root_dir);
        make_room(settings, &place_builds, settings->builds_size, NULL, ret);
        return add_volume(machine, &ret->builds, settings->builds_dir, machine->uuid);
}

int job_volumes_take(const Settings *settings, const JobSpec *job, Machine *machine, JobVolumes *ret) {
        const StoreOwner owner = owner_of(job);
        const bool known = store_owner_is_known(&owner);
        bool wants_builds = settings->builds == BUILDS_PERSISTENT && settings->builds_dir;
        bool wants_cache = settings->cache != CACHE_NONE && settings->cache_dir;

        if (!known && (wants_builds || (wants_cache && settings->cache == CACHE_PROJECT))) {
                ret->no_owner = true;
                wants_builds = false;
                wants_cache = wants_cache && settings->cache == CACHE_SHARED;
        }
        if (wants_builds && !job_volume_is_taken(machine, settings->builds_dir, &ret->in_the_way)) {
                int r = take_builds(settings, &owner, machine, ret);
                if (r < 0)
                        return r;
        }
        if (wants_cache && !job_volume_is_taken(machine, settings->cache_dir, &ret->in_the_way))
                return take_cache(settings, &owner, machine, ret);
        return 0;
}

void job_volumes_find(const Settings *settings, const char *id, char ***places) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;

        if (machine_directory_open(settings->runtime_dir, id, false, &directory) < 0 ||
            machine_load(&directory, &machine) < 0)
                return;
        for (char **text = machine->volumes; text && *text; text++) {
                _cleanup_volume_ Volume volume = { 0 };

                if (volume_parse(*text, &volume) < 0 || !volume.locked)
                        continue;
                *strrchr(volume.source, '/') = 0;
                (void) strv_extend(places, volume.source);
        }
}

void job_volumes_release(const Settings *settings, char *const *places) {
        bool complete = true;

        for (; places && *places; places++)
                complete = store_release(*places) && complete;
        /* In the background: GitLab Runner waits for this command, and need not wait for that. */
        if (!complete)
                process_spawn_own(ARGV("measure-kept", settings->root_dir));
}
