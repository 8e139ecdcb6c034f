/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Walks a tree and adds up what it occupies, or finds files whose owners do not exist in jobs. Called for
 * `chroot-list`, `prune`, maintenance, the cache of images and places that outlive jobs, and to limit what a source may
 * unpack. It must change nothing, and opens nothing itself. */

#include "tree/size.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/walk.h"

/* The number of entries between two looks at the clock. */
#define DEADLINE_TICKS 64

/* Of directories in a tree that somebody else made: no real tree is so deep, and what compares or exports trees goes no deeper
 * than this. */
#define DEPTH_MAX 256

typedef struct Sum {
        uint64_t bytes, max_bytes; /* -EDQUOT beyond */
        uint64_t least_bytes;      /* of each entry */
        size_t max_depth;          /* of a directory; -EDQUOT beyond; 0: none */
        uint64_t deadline;         /* -ETIME after it; USEC_INFINITY: none */
        unsigned ticks;
} Sum;

typedef struct Owners {
        int tree_fd;
        uint64_t limit;
        ForeignOwners found;
} Owners;

/* Makes the path of entry @name of @dir_fd, relative to the top of the tree. */
static int path_in_tree(int tree_fd, int dir_fd, const char *name, char **ret) {
        char link[64], root[PATH_MAX], directory[PATH_MAX];

        snprintf(link, sizeof(link), "/proc/self/fd/%d", tree_fd);
        ssize_t n_root = readlink(link, root, sizeof(root));
        snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
        ssize_t n = readlink(link, directory, sizeof(directory) - 1);
        /* If the path is too long, or the directory is moved meanwhile, only the name is given. */
        if (n_root < 0 || n <= n_root)
                return string_replace(ret, name);
        directory[n] = 0;
        return string_printf(ret, "%s/%s", directory + n_root + 1, name);
}

static int note_owner(int dir_fd, const char *name, const struct stat *st, size_t depth _unused_, void *userdata) {
        Owners *owners = userdata;
        ForeignOwners *found = &owners->found;

        if ((st->st_uid < owners->limit && st->st_gid < owners->limit) || found->n++ > 0)
                return 0;
        found->uid = st->st_uid;
        found->gid = st->st_gid;
        return path_in_tree(owners->tree_fd, dir_fd, name, &found->example);
}

int tree_foreign_owners(int tree_fd, uint64_t limit, ForeignOwners *ret) {
        Owners owners = { .tree_fd = tree_fd, .limit = limit };
        InodeTable counted = { 0 };

        int r = tree_walk(tree_fd, &counted, note_owner, &owners);
        inode_table_done(&counted);
        if (r < 0) {
                free(owners.found.example);
                return r;
        }
        *ret = owners.found;
        return 0;
}

static int add_entry(int dir_fd _unused_, const char *name _unused_, const struct stat *st, size_t depth,
                     void *userdata) {
        Sum *sum = userdata;

        if (++sum->ticks % DEADLINE_TICKS == 0 && clock_now_usec() >= sum->deadline)
                return -ETIME;
        if (sum->max_depth > 0 && depth > sum->max_depth && S_ISDIR(st->st_mode))
                return -EDQUOT;
        sum->bytes += MAX((uint64_t) st->st_blocks * 512, sum->least_bytes);
        return sum->bytes > sum->max_bytes ? -EDQUOT : 0;
}

/* As tree_walk(). */
static int add_up(int tree_fd, Sum *sum) {
        InodeTable counted = { 0 };

        int r = tree_walk(tree_fd, &counted, add_entry, sum);
        inode_table_done(&counted);
        return r;
}

int tree_size(int tree_fd, uint64_t *ret_bytes) {
        return tree_size_until(tree_fd, USEC_INFINITY, ret_bytes);
}

int tree_size_until(int tree_fd, uint64_t deadline, uint64_t *ret_bytes) {
        Sum sum = { .max_bytes = UINT64_MAX, .deadline = deadline };

        int r = add_up(tree_fd, &sum);
        if (r < 0 && r != -ETIME)
                return r;
        *ret_bytes = sum.bytes;
        return r;
}

int tree_is_larger(int tree_fd, uint64_t max_bytes) {
        Sum sum = { .max_bytes = max_bytes, .least_bytes = 4096, .max_depth = DEPTH_MAX, .deadline = USEC_INFINITY };

        int r = add_up(tree_fd, &sum);
        return r == -EDQUOT ? 1 : r;
}
