/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Visits everything in a tree, for those who add something up: size.c and usage.c. It changes nothing and opens only
 * directories: trees are hostile, and others could act on being opened. However deep a tree is, nothing in it is left out, or
 * jobs could hide there what they have written; and it takes neither stack nor descriptors for that. */

#include "tree/walk.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/subvolume.h"

/* How many directories, one in the other, are open at once: hardly a tree is deeper. Those above are opened again when their
 * turn comes. */
#define OPEN_MAX 64

/* A directory on the way from the top of the tree to where the walk is. */
typedef struct Level {
        DIR *dir;   /* NULL: closed, with all levels above */
        off_t next; /* where its next entry is */
        dev_t device;
        ino_t inode;
        char *name; /* in the level above; NULL: the top */
} Level;

typedef struct Walk {
        TreeVisit *visit;
        void *userdata;
        InodeTable *counted;
        int tree_fd;
        bool btrfs;
        Level *levels; /* the top first */
        size_t n, allocated;
} Walk;

static void leave(Walk *walk) {
        Level *level = &walk->levels[--walk->n];

        closedirp(&level->dir);
        free(level->name);
}

static void walk_done(Walk *walk) {
        while (walk->n > 0)
                leave(walk);
        free(walk->levels);
}

static int make_room(Walk *walk) {
        if (walk->n < walk->allocated)
                return 0;
        size_t allocated = MAX(walk->allocated * 2, (size_t) OPEN_MAX);
        Level *levels = reallocarray(walk->levels, allocated, sizeof(*levels));
        if (!levels)
                return -ENOMEM;
        walk->levels = levels;
        walk->allocated = allocated;
        return 0;
}

/* Goes on with what is in the directory @fd, which it consumes. */
static int enter(Walk *walk, int fd, const char *name, const struct stat *st) {
        _cleanup_close_ int directory_fd = fd;
        _cleanup_free_ char *copy = name ? strdup(name) : NULL;

        int r = (name && !copy) ? -ENOMEM : make_room(walk);
        if (r < 0)
                return r;
        DIR *dir = directory_stream(TAKE_FD(directory_fd));
        if (!dir)
                return -errno;
        if (walk->n >= OPEN_MAX) {
                Level *farthest = &walk->levels[walk->n - OPEN_MAX];

                closedirp(&farthest->dir);
                farthest->dir = NULL;
        }
        walk->levels[walk->n++] = (Level){
                .dir = dir,
                .device = st->st_dev,
                .inode = st->st_ino,
                .name = TAKE_PTR(copy),
        };
        return 0;
}

static bool is_level(const Level *level, const struct stat *st) {
        return st->st_dev == level->device && st->st_ino == level->inode;
}

/* Goes on with @level, which is closed, in its directory @fd, which it consumes. 0; -ESTALE: @fd is another one, or was
 * removed; or another -errno. */
static int resume(Level *level, int fd) {
        _cleanup_close_ int directory_fd = fd;
        struct stat st;

        /* The kernel's positions are those of the directory, not of a descriptor. */
        int r = lseek(directory_fd, level->next, SEEK_SET) < 0 ? -errno : 0;
        if (fstat(directory_fd, &st) < 0)
                return -errno;
        if (!is_level(level, &st) || st.st_nlink == 0)
                return -ESTALE;
        if (r < 0)
                return r;
        level->dir = directory_stream(TAKE_FD(directory_fd));
        return level->dir ? 0 : -errno;
}

/* Somebody has moved or removed directories that the walk is in: leaves what is not where it was. All levels are closed; the
 * last one is open then. 0; -ESTALE: there are fewer levels now, but the last one has gone since; or another -errno. */
static int find_again(Walk *walk) {
        _cleanup_close_ int fd = openat(walk->tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        size_t n = 1;

        if (fd < 0)
                return -errno;
        for (; n < walk->n; n++) {
                const Level *level = &walk->levels[n];
                struct stat st;

                _cleanup_close_ int next_fd = openat(fd, level->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (next_fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
                        return -errno;
                if (next_fd < 0 || fstat(next_fd, &st) < 0 || !is_level(level, &st))
                        break;
                closep(&fd);
                fd = TAKE_FD(next_fd);
        }
        while (walk->n > n)
                leave(walk);
        int r = resume(&walk->levels[n - 1], TAKE_FD(fd));
        if (r < 0)
                leave(walk);
        return r;
}

/* Opens the directory above the last one again. 0; -ESTALE: that has been moved or removed; or another -errno. */
static int resume_above(Walk *walk) {
        int fd = openat(dirfd(walk->levels[walk->n - 1].dir), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? -ESTALE : -errno;
        return resume(&walk->levels[walk->n - 2], fd);
}

/* Goes on in the directory above. */
static int go_up(Walk *walk) {
        int r = walk->n > 1 && !walk->levels[walk->n - 2].dir ? resume_above(walk) : 0;

        leave(walk);
        while (r == -ESTALE && walk->n > 0)
                r = find_again(walk);
        return r == -ESTALE ? 0 : r;
}

/* Nobody knows which links of the file were there already. */
static int visit_part(Walk *walk, int dir_fd, const char *name, const struct stat *st) {
        struct stat part = *st;

        part.st_blocks = (blkcnt_t) (((uint64_t) st->st_blocks + st->st_nlink - 1) / st->st_nlink);
        return walk->visit(dir_fd, name, &part, walk->n, walk->userdata);
}

static int visit_file(Walk *walk, int dir_fd, const char *name, const struct stat *st) {
        if (st->st_nlink > 1) {
                if (inode_table_find(walk->counted, st))
                        return 0;
                if (walk->counted->n >= (walk->counted->max > 0 ? walk->counted->max : TREE_COUNTED_MAX))
                        return visit_part(walk, dir_fd, name, st);
                int r = inode_table_add(walk->counted, st, "");
                if (r < 0)
                        return r;
        }
        return walk->visit(dir_fd, name, st, walk->n, walk->userdata);
}

static int walk_entry(Walk *walk, int dir_fd, dev_t device, const char *name) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISDIR(st.st_mode))
                return visit_file(walk, dir_fd, name, &st);
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        /* Each subvolume has a device number of its own. */
        if (st.st_dev != device && !(walk->btrfs && btrfs_is_subvolume(fd)))
                return 0;
        int r = walk->visit(dir_fd, name, &st, walk->n, walk->userdata);
        return r < 0 ? r : enter(walk, TAKE_FD(fd), name, &st);
}

static int walk_levels(Walk *walk) {
        while (walk->n > 0) {
                Level *level = &walk->levels[walk->n - 1];

                struct dirent *entry = directory_next(level->dir);
                if (!entry && errno != 0)
                        return -errno;
                if (entry)
                        level->next = entry->d_off;
                int r = entry ? walk_entry(walk, dirfd(level->dir), level->device, entry->d_name) : go_up(walk);
                if (r < 0)
                        return r;
        }
        return 0;
}

int tree_walk(int tree_fd, InodeTable *counted, TreeVisit *visit, void *userdata) {
        Walk walk = {
                .visit = visit,
                .userdata = userdata,
                .counted = counted,
                .tree_fd = tree_fd,
                .btrfs = btrfs_is(tree_fd),
        };
        struct stat st;

        if (fstat(tree_fd, &st) < 0)
                return -errno;
        int r = visit(tree_fd, ".", &st, 0, userdata);
        if (r < 0 || !S_ISDIR(st.st_mode))
                return r;
        int fd = openat(tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = enter(&walk, fd, NULL, &st);
        if (r == 0)
                r = walk_levels(&walk);
        walk_done(&walk);
        return r;
}
