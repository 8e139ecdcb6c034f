/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Measures how much room several trees take up together, for `df`, and for what a job has written (machine/disk.c). It
 * opens files only to ask the file system where their data is, and must open only regular files: others could act on
 * being opened. */

#include "tree/usage.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/fd.h"
#include "tree/walk.h"

#define EXTENTS_AT_ONCE 64

/* The number of entries between two looks at the clock. */
#define DEADLINE_TICKS 64

typedef struct Sum {
        Usage *usage;
        UsageOfTree tree;
        bool shares_data;  /* files can share extents */
        uint64_t deadline; /* -ETIME after it; USEC_INFINITY: none */
        unsigned ticks;
} Sum;

void usage_done(Usage *usage) {
        extent_set_done(&usage->shared);
        inode_table_done(&usage->counted);
        *usage = (Usage){ 0 };
}

/* Adds the shared extents of a file. Returns 0 with their size, or -ENOMEM. Extents that the file system does not tell
 * about, or that are too many, count as not shared. */
static int add_extents(Usage *usage, int fd, uint64_t *ret_bytes) {
        union {
                struct fiemap map;
                char space[sizeof(struct fiemap) + EXTENTS_AT_ONCE * sizeof(struct fiemap_extent)];
        } buffer;
        struct fiemap *map = &buffer.map;
        uint64_t from = 0;

        *ret_bytes = 0;
        for (;;) {
                *map = (struct fiemap){
                        .fm_start = from,
                        .fm_length = FIEMAP_MAX_OFFSET - from,
                        .fm_extent_count = EXTENTS_AT_ONCE,
                };
                if (ioctl(fd, FS_IOC_FIEMAP, map) < 0 || map->fm_mapped_extents == 0)
                        return 0;
                for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
                        const struct fiemap_extent *extent = &map->fm_extents[i];

                        from = extent->fe_logical + extent->fe_length;
                        if (extent->fe_flags & FIEMAP_EXTENT_SHARED) {
                                int r = extent_set_add(&usage->shared, extent->fe_physical, extent->fe_length);
                                if (r < 0)
                                        return r;
                                *ret_bytes += r > 0 ? extent->fe_length : 0;
                        }
                        if (extent->fe_flags & FIEMAP_EXTENT_LAST)
                                return 0;
                }
        }
}

/* Adds the shared extents of the regular file @name. It is opened for reading only after its type was checked. */
static int add_file_extents(Usage *usage, int dir_fd, const char *name, uint64_t *ret_bytes) {
        _cleanup_close_ int place = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        *ret_bytes = 0;
        if (place < 0 || fstat(place, &st) < 0 || !S_ISREG(st.st_mode))
                return 0;
        _cleanup_close_ int fd = fd_reopen(place, O_RDONLY | O_NOATIME);
        return fd < 0 ? 0 : add_extents(usage, fd, ret_bytes);
}

static int add_entry(int dir_fd, const char *name, const struct stat *st, size_t depth _unused_, void *userdata) {
        Sum *sum = userdata;
        uint64_t bytes = (uint64_t) st->st_blocks * 512, shared_bytes = 0;

        if (++sum->ticks % DEADLINE_TICKS == 0 && clock_now_usec() >= sum->deadline)
                return -ETIME;
        /* Of a file that comes with each of its links (tree/walk.h), nobody knows how much of a part is shared. */
        bool whole = st->st_nlink <= 1 || inode_table_find(&sum->usage->counted, st);
        if (sum->shares_data && S_ISREG(st->st_mode) && bytes > 0 && whole &&
            add_file_extents(sum->usage, dir_fd, name, &shared_bytes) < 0)
                return -ENOMEM;
        /* The sizes of compressed extents are those of the uncompressed data. */
        shared_bytes = MIN(shared_bytes, bytes);
        sum->tree.bytes += bytes;
        sum->tree.own_bytes += bytes - shared_bytes;
        sum->usage->bytes += bytes - shared_bytes;
        return 0;
}

int usage_add(Usage *usage, int tree_fd, uint64_t deadline, UsageOfTree *ret) {
        Sum sum = { .usage = usage, .deadline = deadline };
        struct statfs system;

        if (fstatfs(tree_fd, &system) < 0)
                return -errno;
        /* These file systems never share data, and to ask for each file takes time. */
        sum.shares_data = system.f_type != EXT4_SUPER_MAGIC && system.f_type != TMPFS_MAGIC;
        int r = tree_walk(tree_fd, &usage->counted, add_entry, &sum);
        if (r < 0 && r != -ETIME)
                return r;
        *ret = sum.tree;
        return r;
}

uint64_t usage_total(Usage *usage) {
        return usage->bytes + extent_set_bytes(&usage->shared);
}
