/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps room free on the images' disk, so that no job fills it up and makes other jobs fail in the middle of their
 * work. `prepare` calls this; `cleanup`, `doctor` and `metrics` only look. It must remove nothing that is in use or is
 * to be kept. */

#include "maintain/space.h"

#include <fcntl.h>
#include <poll.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "machine/kept.h"
#include "maintain/image-cache.h"
#include "maintain/image-roots.h"
#include "storage/trash.h"
#include "store/store.h"
#include "tree/subvolume.h"

/* How long to wait for trash that other processes are removing. */
#define TRASH_TIMEOUT_USEC (60 * USEC_PER_SEC)
/* How often to check meanwhile whether there is enough room. */
#define TRASH_ROUND_USEC (100 * USEC_PER_MSEC)

static int look(const Settings *settings, int root_fd, Space *ret) {
        int r = file_system_space(root_fd, &ret->now);
        if (r < 0)
                return r;
        ret->reserve_bytes = memory_size_of(settings->disk_reserve, ret->now.total_bytes);
        /* Reserve the same share of the file system's files (inodes). */
        ret->reserve_files = ret->now.total_bytes == 0 ?
                                     0 :
                                     (uint64_t) ((unsigned __int128) ret->now.total_files *
                                                 MIN(ret->reserve_bytes, ret->now.total_bytes) / ret->now.total_bytes);
        return ret->now.free_bytes >= ret->reserve_bytes && ret->now.free_files >= ret->reserve_files;
}

int space_look(const Settings *settings, Space *ret) {
        _cleanup_close_ int root_fd = open(settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return root_fd < 0 ? -errno : look(settings, root_fd, ret);
}

/* One search for room. */
typedef struct Search {
        const Settings *settings;
        int root_fd, cancel_fd;
        bool is_btrfs, is_coming; /* enough was removed, but btrfs has not given the room back yet */
        Space *now;
} Search;

static bool is_cancelled(const Search *search) {
        struct pollfd cancelled = { .fd = search->cancel_fd, .events = POLLIN };

        return poll(&cancelled, 1, 0) != 0;
}

/* What space_make() would return if it ended now. */
static int ask(const Search *search) {
        return is_cancelled(search) ? -ECANCELED : look(search->settings, search->root_fd, search->now);
}

static int empty_trash(const Search *search) {
        uint64_t deadline = clock_deadline(TRASH_TIMEOUT_USEC);

        _cleanup_close_ int trash_fd = trash_open(search->settings->root_dir, false);
        if (trash_fd == -ENOENT)
                return 0;
        if (trash_fd < 0)
                return trash_fd;
        while (clock_now_usec() < deadline) {
                _cleanup_strv_ char **names = NULL;

                int r = trash_empty(trash_fd, clock_deadline(TRASH_ROUND_USEC), NULL);
                int enough = ask(search);
                if (enough != 0 || (r < 0 && r != -ETIME))
                        return enough; /* do not wait for trash that cannot be removed */
                if (r == -ETIME)
                        continue;
                if (trash_list(trash_fd, &names) < 0 || !names)
                        return 0;
                clock_sleep_usec(TRASH_ROUND_USEC); /* other processes are removing it */
        }
        return 0;
}

static int collect(const Search *search) {
        for (ImageRootId id = 0; id < IMAGE_ROOTS; id++) {
                _cleanup_strv_ char **names = NULL;
                _cleanup_free_ char *path = NULL;

                int r = image_root_path(search->settings->root_dir, id, &path);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < IMAGE_LEFTOVERS; i++)
                        (void) image_leftovers[i].collect(path, false, &names);
        }
        return ask(search);
}

static bool has_room(void *userdata) {
        return ask(userdata) != 0;
}

/* Is there enough room, or will there be? On btrfs the removed bytes count at once, because btrfs gives room back only
 * a while after a subvolume is gone. */
static bool is_enough(void *userdata, uint64_t removed_bytes) {
        Search *search = userdata;

        if (ask(search) != 0)
                return true;
        search->is_coming = search->is_btrfs &&
                            removed_bytes >= search->now->reserve_bytes - search->now->now.free_bytes;
        return search->is_coming;
}

/* Ends containers of failed jobs, which are kept only for people to look at. */
static int end_kept(Search *search) {
        (void) kept_give_way(search->settings, has_room, search);
        return ask(search);
}

/* Removes caches and working copies of projects: their content can be made again. */
static int shrink_store(Search *search) {
        const PlaceKind *const kinds[] = { &place_caches, &place_builds };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                (void) store_give_way(search->settings->root_dir, kinds[i], is_enough, search);
                int r = ask(search);
                if (r != 0 || search->is_coming)
                        return r == 0 ? 1 : r;
        }
        return 0;
}

static int shrink_cache(Search *search, const char *spare) {
        int r = image_cache_give_way(search->settings->root_dir, spare, is_enough, search);
        if (r < 0)
                return r;
        r = ask(search);
        return r == 0 ? search->is_coming : r;
}

int space_make(const Settings *settings, const char *spare, int cancel_fd, Space *ret) {
        _cleanup_close_ int root_fd = open(settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        Search search = {
                .settings = settings,
                .root_fd = root_fd,
                .cancel_fd = cancel_fd,
                .is_btrfs = btrfs_is(root_fd),
                .now = ret,
        };

        int r = ask(&search);
        if (r == 0)
                r = empty_trash(&search);
        if (r == 0)
                r = end_kept(&search);
        if (r == 0)
                r = collect(&search);
        if (r == 0)
                r = shrink_store(&search);
        /* The cache of images is the last place to find room in. */
        return r == 0 ? shrink_cache(&search, spare) : r;
}
