/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One directory that outlives jobs, and what is known of it. Called by store.c and by the commands that list places.
 * What is in PLACE_DATA belongs to jobs: nothing here follows a path into it. */

#include "store/place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/new-file.h"
#include "base/record.h"
#include "base/string.h"
#include "storage/storage.h"
#include "storage/trash.h"
#include "tree/remove.h"
#include "tree/size.h"
#include "tree/subvolume.h"

#define RECORD_FILE "place.json"
#define USED_FILE "used"
#define SIZE_FILE "size"
#define BUSY_FILE "busy"

/* A place that is being removed stays beside the others, with a name that no job uses. */
#define DISCARDED_PREFIX ".discarded-"

#define RECORD_MAX_BYTES (64 * 1024)
/* As Docker's volumes have it: the image says who its user is. */
#define DATA_MODE 0777
/* Of "BYTES+", filled up with blanks: written in one piece. */
#define SIZE_TEXT_BYTES 32

const PlaceKind place_caches = { "cache", PLACE_CACHES };
const PlaceKind place_builds = { "builds", PLACE_BUILDS };

void place_done(Place *place) {
        free(place->name);
        free(place->path);
        closep(&place->fd);
        *place = PLACE_NONE;
}

int place_open_kind(const char *root_dir, const PlaceKind *kind, bool create) {
        _cleanup_free_ char *path = NULL;

        int r = string_printf(&path, "%s/%s", root_dir, kind->directory);
        return r < 0 ? r : open_directory_at(AT_FDCWD, path, create, 0700);
}

/* The place with the path @path in full, which it consumes; it is not open yet. */
static int name_place(char *path, Place *ret) {
        char *name = strdup(strrchr(path, '/') + 1);

        if (!name) {
                free(path);
                return -ENOMEM;
        }
        *ret = (Place){ .path = path, .name = name, .fd = -EBADF };
        return 0;
}

static int name_place_of(const char *root_dir, const PlaceKind *kind, const char *name, Place *ret) {
        char *path = NULL;

        int r = string_printf(&path, "%s/%s/%s", root_dir, kind->directory, name);
        return r < 0 ? r : name_place(path, ret);
}

/* Gives @ret what @place is, with the descriptor @fd, or returns that if it is -errno. */
static int open_place(Place *place, int fd, Place *ret) {
        if (fd < 0)
                return fd;
        *ret = *place;
        ret->fd = fd;
        *place = PLACE_NONE;
        return 0;
}

int place_take(const char *root_dir, const PlaceKind *kind, const char *name, bool create, int operation,
               uint64_t timeout_usec, Place *ret) {
        _cleanup_place_ Place place = PLACE_NONE;

        _cleanup_close_ int kind_fd = place_open_kind(root_dir, kind, create);
        if (kind_fd < 0)
                return kind_fd;
        int r = name_place_of(root_dir, kind, name, &place);
        return r < 0 ? r : open_place(&place, directory_lock(kind_fd, name, create, operation, timeout_usec), ret);
}

int place_share(const char *root_dir, const PlaceKind *kind, Place *place) {
        _cleanup_close_ int kind_fd = place_open_kind(root_dir, kind, false);

        if (kind_fd < 0)
                return kind_fd;
        /* The kernel gives the old lock back before it takes the new one. */
        int r = lock_try(place->fd, LOCK_SH);
        if (r < 0)
                return r;
        r = file_is_at(place->fd, kind_fd, place->name);
        return r == 0 ? -ESTALE : MIN(r, 0);
}

int place_list(const char *root_dir, const PlaceKind *kind, char ***names) {
        _cleanup_close_ int kind_fd = place_open_kind(root_dir, kind, false);

        if (kind_fd < 0)
                return kind_fd == -ENOENT ? 0 : kind_fd;
        return directory_names(kind_fd, names);
}

int place_open(const char *root_dir, const PlaceKind *kind, const char *name, Place *ret) {
        _cleanup_place_ Place place = PLACE_NONE;

        _cleanup_close_ int kind_fd = place_open_kind(root_dir, kind, false);
        if (kind_fd < 0)
                return kind_fd;
        int r = name_place_of(root_dir, kind, name, &place);
        return r < 0 ? r : open_place(&place, open_directory_at(kind_fd, name, false, 0), ret);
}

int place_open_path(const char *path, Place *ret) {
        _cleanup_place_ Place place = PLACE_NONE;
        char *copy = NULL;

        if (!strchr(path, '/'))
                return -EINVAL;
        int r = string_replace(&copy, path);
        if (r < 0)
                return r;
        r = name_place(copy, &place);
        return r < 0 ? r : open_place(&place, open_directory_at(AT_FDCWD, path, false, 0), ret);
}

bool place_is_discarded(const char *name) {
        return startswith(name, DISCARDED_PREFIX);
}

int place_make_data(const Place *place) {
        struct stat st;

        /* A job can make subvolumes in a subvolume: these are only removed with it. */
        if (btrfs_is(place->fd) && btrfs_load_library() >= 0) {
                int r = btrfs_subvolume_create(place->fd, PLACE_DATA);
                if (r < 0 && r != -EEXIST)
                        return r;
        }
        _cleanup_close_ int fd = open_directory_at(place->fd, PLACE_DATA, true, DATA_MODE);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        /* Our umask, or an earlier job, may have removed some of these bits. */
        if ((st.st_mode & DATA_MODE) == DATA_MODE)
                return 0;
        return fchmod(fd, (st.st_mode & 07777) | DATA_MODE) < 0 ? -errno : 0;
}

int place_touch(const Place *place) {
        _cleanup_close_ int fd = openat(place->fd, USED_FILE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        return fd < 0 || futimens(fd, NULL) < 0 ? -errno : 0;
}

static uint64_t modified_usec(const Place *place, const char *name) {
        struct stat st;

        if (fstatat(place->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        return stat_modified_usec(&st);
}

uint64_t place_used_usec(const Place *place) {
        return modified_usec(place, USED_FILE);
}

static int boot_id(char **ret) {
        return file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, ret, NULL);
}

int place_set_busy(const Place *place, bool busy) {
        _cleanup_free_ char *id = NULL;

        if (!busy)
                return unlinkat(place->fd, BUSY_FILE, 0) < 0 && errno != ENOENT ? -errno : 0;
        int r = boot_id(&id);
        if (r < 0)
                return r;
        /* If the host crashes before this is on the disk, so is nothing that the job did. */
        return file_replace_unsynced_at(place->fd, BUSY_FILE, id, strlen(id), 0600);
}

int place_set_holder(const Place *place, const char *holder) {
        return file_replace_unsynced_at(place->fd, PLACE_HOLDER, holder, strlen(holder), 0600);
}

int place_was_cut_off(const Place *place) {
        _cleanup_free_ char *then = NULL, *now = NULL;

        int r = file_read_at(place->fd, BUSY_FILE, 64, &then, NULL);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return error_is_want(r) || r == -EIO ? r : 1;
        r = boot_id(&now);
        return r < 0 ? r : !streq(then, now);
}

PlaceSize place_size(const Place *place) {
        _cleanup_free_ char *text = NULL;
        PlaceSize size = { 0 };
        char more;

        if (file_read_at(place->fd, SIZE_FILE, SIZE_TEXT_BYTES, &text, NULL) < 0 ||
            sscanf(text, "%" SCNu64 "%c", &size.bytes, &more) != 2)
                return (PlaceSize){ 0 };
        size.complete = more != '+';
        size.is_up_to_date = modified_usec(place, SIZE_FILE) >= place_used_usec(place);
        return size;
}

static int save_size(const Place *place, const PlaceSize *size) {
        char number[24], text[SIZE_TEXT_BYTES + 1];

        snprintf(number, sizeof(number), "%" PRIu64 "%s", size->bytes, size->complete ? "" : "+");
        snprintf(text, sizeof(text), "%-*s\n", SIZE_TEXT_BYTES - 1, number);
        _cleanup_close_ int fd = openat(place->fd, SIZE_FILE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd_write_all(fd, text, SIZE_TEXT_BYTES);
}

int place_measure(const Place *place, uint64_t deadline, PlaceSize *ret) {
        PlaceSize size = { .complete = true, .is_up_to_date = true };

        _cleanup_close_ int fd = open_directory_at(place->fd, PLACE_DATA, false, 0);
        int r = fd == -ENOENT ? 0 : fd < 0 ? fd : tree_size_until(fd, deadline, &size.bytes);
        if (r < 0 && r != -ETIME)
                return r;
        size.complete = r != -ETIME;
        /* The size that is known already is the better guess. */
        if (!size.complete)
                size.bytes = MAX(size.bytes, place_size(place).bytes);
        r = save_size(place, &size);
        if (r < 0)
                return r;
        if (ret)
                *ret = size;
        return 0;
}

/* The place is a file system of its own, without a trash. */
static int discard_here(int kind_fd, const Place *place) {
        char target[64], random[RANDOM_NAME_BYTES];

        int r = random_name(random);
        if (r < 0)
                return r;
        snprintf(target, sizeof(target), DISCARDED_PREFIX "%s", random);
        if (renameat2(kind_fd, place->name, kind_fd, target, RENAME_NOREPLACE) < 0)
                return -errno;
        r = storage_remove_any(place->fd, USEC_INFINITY);
        return r < 0 ? r : remove_tree_at(kind_fd, target);
}

int place_discard(const char *root_dir, const PlaceKind *kind, const Place *place) {
        _cleanup_close_ int kind_fd = place_open_kind(root_dir, kind, false);
        if (kind_fd < 0)
                return kind_fd;
        _cleanup_close_ int trash_fd = trash_open(root_dir, true);
        if (trash_fd < 0)
                return trash_fd;
        int r = trash_take(trash_fd, kind_fd, place->name);
        return r == -EXDEV ? discard_here(kind_fd, place) : r;
}

#define FIELD(field, kind) \
        { #field, kind, offsetof(PlaceRecord, field), false, .absent = UINT64_MAX }

static const RecordField fields[] = {
        FIELD(repository, RECORD_STRING),
        FIELD(project_id, RECORD_NUMBER),
        FIELD(ref_protected, RECORD_BOOL),
        FIELD(slot, RECORD_NUMBER),
        { 0 },
};

void place_record_done(PlaceRecord *record) {
        free(record->repository);
        *record = (PlaceRecord){ 0 };
}

int place_save_record(const Place *place, const PlaceRecord *record) {
        _cleanup_free_ char *text = NULL;

        if (exists_at(place->fd, RECORD_FILE))
                return 0;
        int r = record_format(fields, record, &text);
        return r < 0 ? r : file_publish_at(place->fd, RECORD_FILE, text, strlen(text), 0600);
}

int place_load_record(const Place *place, PlaceRecord *ret) {
        _cleanup_place_record_ PlaceRecord record = { 0 };
        _cleanup_free_ char *text = NULL;
        size_t size;

        int r = file_read_at(place->fd, RECORD_FILE, RECORD_MAX_BYTES, &text, &size);
        if (r < 0)
                return r;
        r = record_parse(fields, text, size, &record);
        if (r < 0)
                return r;
        *ret = record;
        record = (PlaceRecord){ 0 };
        return 0;
}
