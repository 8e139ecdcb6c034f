/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Gives jobs the caches and working copies of their projects, and removes what was not used for longest. Called by
 * `prepare`, `cleanup`, `gc` and `cache`. Never decides by anything that a job may choose, and never touches what a
 * job holds. */

#include "store/store.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/string.h"
#include "storage/trash.h"
#include "store/working-copy.h"

/* How long to wait for a place: whoever removes it or looks at it holds its lock for a moment. */
#define CACHE_TIMEOUT_USEC (5 * USEC_PER_SEC)
/* Shorter, because another job may hold the lock for long. */
#define SLOT_TIMEOUT_USEC (5 * USEC_PER_MSEC)
#define SLOTS_MAX 10000
#define TRIES_MAX 100
#define MEASURE_USEC (20 * USEC_PER_MSEC)

bool store_owner_is_known(const StoreOwner *owner) {
        const char *host = owner->repository ? strstr(owner->repository, "://") : NULL;

        return owner->project_id > 0 && host && host[3] && host[3] != '/';
}

/* Projects of two servers may have the same number. Nobody has to be kept from seeing what is hashed. */
static uint64_t hash_of(const char *text) {
        static const uint8_t key[16];
        Hash hash;

        hash_init(&hash, key);
        hash_string(&hash, text);
        return hash_finish(&hash);
}

static const char *protection(const StoreOwner *owner) {
        return owner->ref_protected ? "protected" : "other";
}

int store_cache_name(const StoreOwner *owner, bool shared, char **ret) {
        if (shared)
                return string_printf(ret, "shared-%s", protection(owner));
        return string_printf(ret, "%016" PRIx64 "-%" PRIu64 "-%s", hash_of(owner->repository), owner->project_id,
                             protection(owner));
}

static int builds_name(const StoreOwner *owner, const char *user, uint64_t slot, char **ret) {
        _cleanup_free_ char *project = NULL;

        int r = store_cache_name(owner, false, &project);
        if (r < 0)
                return r;
        if (!user)
                return string_printf(ret, "%s-%" PRIu64, project, slot);
        return string_printf(ret, "%s-user%016" PRIx64 "-%" PRIu64, project, hash_of(user), slot);
}

static PlaceRecord record_of(const StoreOwner *owner, uint64_t slot) {
        return (PlaceRecord){
                .repository = (char *) owner->repository,
                .project_id = owner->project_id,
                .ref_protected = owner->ref_protected,
                .slot = slot,
        };
}

/* Prepares a place before a job gets it. */
static int set_up(const Place *place, const PlaceRecord *record) {
        int r = place_make_data(place);
        if (r < 0)
                return r;
        r = place_save_record(place, record);
        return r < 0 ? r : place_touch(place);
}

int store_hold_cache(const char *root_dir, const StoreOwner *owner, bool shared, Place *ret) {
        _cleanup_place_ Place place = PLACE_NONE;
        PlaceRecord record = record_of(owner, UINT64_MAX);
        _cleanup_free_ char *name = NULL;

        if (shared)
                record = (PlaceRecord){ .ref_protected = owner->ref_protected, .slot = UINT64_MAX };
        int r = store_cache_name(owner, shared, &name);
        if (r < 0)
                return r;
        r = place_take(root_dir, &place_caches, name, true, LOCK_SH, CACHE_TIMEOUT_USEC, &place);
        if (r < 0)
                return r;
        r = set_up(&place, &record);
        if (r < 0)
                return r;
        *ret = place;
        place = PLACE_NONE;
        return 0;
}

/* Can the next job use what an earlier one left? 1; 0; or -errno: that could not be found out. */
static int is_usable(const Place *place, const StoreOwner *owner) {
        int r = place_was_cut_off(place);
        if (r != 0)
                return MIN(r, 0);
        r = working_copy_clean(place->fd, PLACE_DATA, owner->repository);
        return error_is_want(r) || r == -EIO ? r : r >= 0;
}

/* 0; -EBUSY: another job has this slot; -ESTALE: to be tried again; or another -errno. */
static int try_slot(const char *root_dir, const StoreOwner *owner, const char *user, const char *holder, uint64_t slot,
                    Place *ret, bool *replaced) {
        const PlaceRecord record = record_of(owner, slot);
        _cleanup_place_ Place place = PLACE_NONE;
        _cleanup_free_ char *name = NULL;

        int r = builds_name(owner, user, slot, &name);
        if (r < 0)
                return r;
        r = place_take(root_dir, &place_builds, name, true, LOCK_EX, SLOT_TIMEOUT_USEC, &place);
        if (r < 0)
                return r;
        r = is_usable(&place, owner);
        if (r < 0)
                return r;
        if (r == 0) {
                *replaced = true;
                r = place_discard(root_dir, &place_builds, &place);
                return r < 0 ? r : -ESTALE;
        }
        r = set_up(&place, &record);
        if (r < 0)
                return r;
        r = place_set_busy(&place, true);
        if (r < 0)
                return r;
        r = place_set_holder(&place, holder);
        if (r < 0)
                return r;
        r = place_share(root_dir, &place_builds, &place);
        if (r < 0)
                return r;
        *ret = place;
        place = PLACE_NONE;
        return 0;
}

int store_hold_builds(const char *root_dir, const StoreOwner *owner, const char *user, const char *holder, Place *ret,
                      bool *ret_replaced) {
        bool replaced = false;
        unsigned tries = 0;

        for (uint64_t slot = 0; slot < SLOTS_MAX;) {
                int r = try_slot(root_dir, owner, user, holder, slot, ret, &replaced);
                if (r == -EBUSY) {
                        slot++;
                        continue;
                }
                if (r == -ESTALE && tries++ < TRIES_MAX)
                        continue;
                if (r < 0)
                        return r;
                *ret_replaced = replaced;
                return 0;
        }
        return -EBUSY;
}

bool store_release(const char *path) {
        _cleanup_place_ Place place = PLACE_NONE;
        PlaceSize size = { .complete = true };

        if (place_open_path(path, &place) < 0)
                return true;
        (void) place_touch(&place);
        /* Of a job that has the place already, the mark stays: it has the lock. */
        if (lock_try(place.fd, LOCK_EX) == 0)
                (void) place_set_busy(&place, false);
        if (lock_try(place.fd, LOCK_UN) == 0)
                (void) place_measure(&place, clock_deadline(MEASURE_USEC), &size);
        return size.complete;
}

/* A place, as eviction sees it. It is not open: there may be more places than a process may have open. */
typedef struct Candidate {
        const char *name;
        uint64_t used_usec, bytes;
} Candidate;

typedef struct Candidates {
        char **names;
        Candidate *items;
        size_t n;
        uint64_t bytes;
} Candidates;

static void candidates_done(Candidates *candidates) {
        strv_free(candidates->names);
        free(candidates->items);
}

static int by_use(const void *a, const void *b) {
        const Candidate *first = a, *second = b;

        return first->used_usec < second->used_usec ? -1 : first->used_usec > second->used_usec;
}

static int find_candidates(const char *root_dir, const PlaceKind *kind, const char *keep, Candidates *ret) {
        int r = place_list(root_dir, kind, &ret->names);
        if (r < 0)
                return r;
        ret->items = calloc(strv_length(ret->names) + 1, sizeof(Candidate));
        if (!ret->items)
                return -ENOMEM;
        for (char **name = ret->names; name && *name; name++) {
                _cleanup_place_ Place place = PLACE_NONE;
                Candidate *candidate = ret->items + ret->n;

                r = place_open(root_dir, kind, *name, &place);
                if (error_is_want(r))
                        return r;
                if (r < 0)
                        continue; /* it has gone, or is broken: then it is for a person to remove */
                candidate->name = *name;
                candidate->bytes = place_size(&place).bytes;
                candidate->used_usec = keep && streq(*name, keep) ? UINT64_MAX : place_used_usec(&place);
                ret->bytes += candidate->bytes;
                ret->n++;
        }
        qsort(ret->items, ret->n, sizeof(Candidate), by_use);
        return 0;
}

int store_remove(const char *root_dir, const PlaceKind *kind, const char *name) {
        _cleanup_place_ Place place = PLACE_NONE;

        int r = place_take(root_dir, kind, name, false, LOCK_EX, 0, &place);
        return r < 0 ? r : place_discard(root_dir, kind, &place);
}

/* As store_remove(), or with @dry_run only whether that could be. */
static int remove_candidate(const char *root_dir, const PlaceKind *kind, const Candidate *candidate, bool dry_run) {
        _cleanup_place_ Place place = PLACE_NONE;

        if (!dry_run)
                return store_remove(root_dir, kind, candidate->name);
        int r = place_open(root_dir, kind, candidate->name, &place);
        return r < 0 ? r : lock_try(place.fd, LOCK_EX);
}

/* No job ever had it, or its removal was cut short. */
static bool is_left_over(const Candidate *candidate) {
        return candidate->used_usec == 0 || place_is_discarded(candidate->name);
}

int store_shrink(const char *root_dir, const PlaceKind *kind, uint64_t max_bytes, const char *keep, bool dry_run,
                 char ***removed) {
        _cleanup_(candidates_done) Candidates candidates = { 0 };

        int r = find_candidates(root_dir, kind, keep, &candidates);
        if (r < 0)
                return r;
        int result = 0;
        for (size_t i = 0; i < candidates.n; i++) {
                const Candidate *candidate = candidates.items + i;

                if (candidates.bytes <= max_bytes && !is_left_over(candidate))
                        continue;
                r = remove_candidate(root_dir, kind, candidate, dry_run);
                if (r == -EBUSY || r == -ENOENT)
                        continue;
                if (r < 0) {
                        result = result < 0 ? result : r;
                        continue;
                }
                candidates.bytes -= candidate->bytes;
                if (removed && strv_extend(removed, candidate->name) < 0)
                        return -ENOMEM;
        }
        return result;
}

/* An open directory keeps nothing that was in it. */
static int remove_for_good(const char *root_dir, const PlaceKind *kind, const char *name) {
        int r = store_remove(root_dir, kind, name);
        if (r < 0)
                return r;
        _cleanup_close_ int trash_fd = trash_open(root_dir, false);
        r = trash_fd < 0 ? trash_fd : trash_empty(trash_fd, USEC_INFINITY, NULL);
        return MIN(r, 0);
}

int store_give_way(const char *root_dir, const PlaceKind *kind,
                   bool (*is_enough)(void *userdata, uint64_t removed_bytes), void *userdata) {
        _cleanup_(candidates_done) Candidates candidates = { 0 };
        uint64_t removed_bytes = 0;

        int r = find_candidates(root_dir, kind, NULL, &candidates);
        if (r < 0)
                return r;
        int result = 0;
        for (size_t i = 0; i < candidates.n; i++) {
                r = remove_for_good(root_dir, kind, candidates.items[i].name);
                if (r == -EBUSY || r == -ENOENT)
                        continue;
                if (r < 0) {
                        result = result < 0 ? result : r;
                        continue;
                }
                removed_bytes += candidates.items[i].bytes;
                if (is_enough(userdata, removed_bytes))
                        return 0;
        }
        return result;
}

/* Measures the place, unless its size is known. */
static int measure(const char *root_dir, const PlaceKind *kind, const char *name) {
        _cleanup_place_ Place place = PLACE_NONE;

        int r = place_open(root_dir, kind, name, &place);
        if (r < 0)
                return r;
        const PlaceSize size = place_size(&place);
        return size.complete && size.is_up_to_date ? 0 : place_measure(&place, USEC_INFINITY, NULL);
}

int store_measure(const char *root_dir, const PlaceKind *kind) {
        _cleanup_strv_ char **names = NULL;
        int result = 0;

        int r = place_list(root_dir, kind, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                r = measure(root_dir, kind, *name);
                if (r < 0 && r != -ENOENT && result == 0)
                        result = r;
        }
        return result;
}

int store_measure_alone(const char *root_dir, const PlaceKind *kind) {
        _cleanup_close_ int fd = place_open_kind(root_dir, kind, false);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        int r = lock_try(fd, LOCK_EX);
        if (r < 0)
                return r == -EBUSY ? 0 : r;
        return store_measure(root_dir, kind);
}
