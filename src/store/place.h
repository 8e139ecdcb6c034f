/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"
#include "storage/storage.h"

/* What outlives a job is in places: `<root_dir>/<kind's directory>/<name>/`, all of mode 0700, each with
 *      root/        what jobs see. Jobs have filled it, so it is hostile. On btrfs it is a subvolume
 *      place.json   whose it is, for people
 *      used         its time of modification is when a job last used the place
 *      size         how much the data takes up, as of this file's time of modification
 *      busy         a job uses it, since the boot of the host with the id that is in this file
 *      holder       which job has it, if only one may: see PLACE_HOLDER
 * A shared flock on the place is held by who uses it, `supervise` and before that `prepare`; an exclusive one by who cleans or
 * removes it. Jobs cannot reach the place itself, only what is in root/. */
typedef struct PlaceKind {
        const char *name; /* for people */
        const char *directory;
} PlaceKind;

extern const PlaceKind place_caches, place_builds;
/* Their directories, in root_dir. */
#define PLACE_CACHES ".caches"
#define PLACE_BUILDS ".builds"
/* What removes a layer removes a place, too (storage_remove_any()). */
#define PLACE_DATA LAYER_ROOT
/* The same as VOLUME_HOLDER (container/volume.h), which job/volumes.c makes sure of. */
#define PLACE_HOLDER "holder"

typedef struct Place {
        char *name, *path;
        int fd;
} Place;

#define PLACE_NONE           \
        (Place) {            \
                .fd = -EBADF \
        }

void place_done(Place *place);
#define _cleanup_place_ _cleanup_(place_done)

/* The directory of all places of that kind: a descriptor, or -errno (-ENOENT: there is none, without @create). */
int place_open_kind(const char *root_dir, const PlaceKind *kind, bool create);

/* Opens a place, made first with @create, and locks it (@operation: LOCK_SH or LOCK_EX), waiting at most @timeout_usec for
 * others. The place is the one of that name when this returns. 0; -EBUSY: others have it; -ENOENT; or another -errno. */
int place_take(const char *root_dir, const PlaceKind *kind, const char *name, bool create, int operation,
               uint64_t timeout_usec, Place *ret);

/* The exclusive lock becomes a shared one. 0; -EBUSY or -ESTALE: somebody was faster, and the lock is lost; or another
 * -errno. */
int place_share(const char *root_dir, const PlaceKind *kind, Place *place);

/* The names of all places of that kind, appended to @names. 0 or -errno. */
int place_list(const char *root_dir, const PlaceKind *kind, char ***names);

/* Opens one without a lock, to look at it. 0 or -errno. */
int place_open(const char *root_dir, const PlaceKind *kind, const char *name, Place *ret);

/* The same by its path. */
int place_open_path(const char *path, Place *ret);

/* Is @name that of a place whose removal has begun? */
bool place_is_discarded(const char *name);

/* Makes PLACE_DATA if it is not there, and lets every user of a container write there. 0 or -errno. */
int place_make_data(const Place *place);

/* A job begins or ends to use it. 0 or -errno. */
int place_touch(const Place *place);
/* When that was last; 0: never. */
uint64_t place_used_usec(const Place *place);

/* Says that a job uses the place and may change it (a working copy), or that this job has ended in order. 0 or -errno. */
int place_set_busy(const Place *place, bool busy);
/* Says which job has it. The caller holds the lock exclusively. 0 or -errno. */
int place_set_holder(const Place *place, const char *holder);
/* Was the host switched off or did it crash while a job used the place? What a program wrote last may be lost then. 1, also
 * where nothing that we wrote says so; 0; or -errno: that could not be found out. */
int place_was_cut_off(const Place *place);

typedef struct PlaceSize {
        uint64_t bytes;
        bool complete;      /* otherwise there is more */
        bool is_up_to_date; /* nobody has used the place since */
} PlaceSize;

/* What was measured last; nothing measured: 0 bytes, not complete. */
PlaceSize place_size(const Place *place);
/* Measures until @deadline (clock_deadline()), and keeps the result. 0 or -errno. */
int place_measure(const Place *place, uint64_t deadline, PlaceSize *ret);

/* Moves the place, which the caller has locked exclusively, to the trash of @root_dir (storage/trash.h); where that is on
 * another file system, removes it. 0 or -errno. */
int place_discard(const char *root_dir, const PlaceKind *kind, const Place *place);

/* For people, in place.json. */
typedef struct PlaceRecord {
        char *repository;    /* URL; NULL: no project's */
        uint64_t project_id; /* 0: no project's */
        bool ref_protected;
        uint64_t slot; /* UINT64_MAX: none */
} PlaceRecord;

void place_record_done(PlaceRecord *record);
#define _cleanup_place_record_ _cleanup_(place_record_done)

/* Writes it unless there is one. 0 or -errno. */
int place_save_record(const Place *place, const PlaceRecord *record);
/* 0; -ENOENT; -EBADMSG; or another -errno. */
int place_load_record(const Place *place, PlaceRecord *ret);
