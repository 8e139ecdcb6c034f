/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/string.h"
#include "descriptors.h"
#include "files.h"
#include "tree/extent-set.h"
#include "tree/size.h"
#include "tree/usage.h"
#include "tree/walk.h"

#define AT_BOTTOM (UINT64_C(1) << 20)

/* Every so many levels there are directories beside the next level: in whatever order they come, some come
 * after it. File systems sort by hashes of names, so no two levels have one name. */
#define SIBLINGS_EVERY 16
#define SIBLINGS 4
/* How many there are in that many levels from the top. */
#define SIBLINGS_IN(depth) (((depth) + SIBLINGS_EVERY - 1) / SIBLINGS_EVERY * SIBLINGS)

/* Some file systems take no room before. */
static int sync_file(int dir_fd, const char *name) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fsync(fd) < 0 ? -errno : 0;
}

/* Half of them. */
static void make_siblings(int fd, unsigned level, unsigned from) {
        for (unsigned i = from; level % SIBLINGS_EVERY == 0 && i < from + SIBLINGS / 2; i++) {
                char name[32];

                snprintf(name, sizeof(name), "sibling-%u-%u", level, i);
                assert_int_equal(mkdirat(fd, name, 0700), 0);
        }
}

/* Makes @depth directories, one in the other, in @top_fd. At the bottom are a file of AT_BOTTOM bytes and one with a link at
 * the top. Returns the number of all, with @top_fd. */
static uint64_t make_deep(int top_fd, unsigned depth) {
        _cleanup_free_ char *data = malloc(AT_BOTTOM);
        int fd = fcntl(top_fd, F_DUPFD_CLOEXEC, 3);

        assert_true(fd >= 0 && data);
        memset(data, 'x', AT_BOTTOM);
        for (unsigned i = 0; i < depth; i++) {
                char name[16];

                snprintf(name, sizeof(name), "%u", i);
                make_siblings(fd, i, 0);
                int child_fd = open_directory_at(fd, name, true, 0700);
                assert_true(child_fd >= 0);
                make_siblings(fd, i, SIBLINGS / 2);
                close(fd);
                fd = child_fd;
        }
        _cleanup_close_ int large_fd = openat(fd, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(fd_write_all(large_fd, data, AT_BOTTOM), 0);
        assert_int_equal(fsync(large_fd), 0); /* some file systems take no room before */
        make_file(fd, "linked", "x", 0600);
        assert_int_equal(linkat(fd, "linked", top_fd, "top", 0), 0);
        close(fd);
        return UINT64_C(3) + depth + SIBLINGS_IN(depth);
}

/* Everything counts once, as deep as no path reaches, and with fewer descriptors than there are levels. */
static void test_deep(void **state) {
        static const unsigned depths[] = { 0, 1, 63, 64, 65, 256, 257, 300, 2500 };
        struct rlimit before, few;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        few = (struct rlimit){ (rlim_t) count_descriptors(0) + 80, before.rlim_max };
        for (size_t i = 0; i < ELEMENTSOF(depths); i++) {
                _cleanup_usage_ Usage usage = { 0 };
                ForeignOwners found = { 0 };
                UsageOfTree tree = { 0 };
                uint64_t bytes = 0;
                char name[16];

                snprintf(name, sizeof(name), "%u", depths[i]);
                _cleanup_close_ int parent_fd = open_directory(state);
                _cleanup_close_ int fd = open_directory_at(parent_fd, name, true, 0700);
                const uint64_t n = make_deep(fd, depths[i]);

                assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
                int owners = tree_foreign_owners(fd, 0, &found), size = tree_size(fd, &bytes);
                int larger = tree_is_larger(fd, UINT64_MAX), small = tree_is_larger(fd, AT_BOTTOM);
                int used = usage_add(&usage, fd, USEC_INFINITY, &tree);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

                assert_row(owners == 0 && found.n == n, i, name);
                assert_row(size == 0 && bytes >= AT_BOTTOM, i, name);
                assert_row(larger == (depths[i] > 256) && small == 1, i, name);
                assert_row(used == 0 && tree.bytes == bytes, i, name);
                free(found.example);
        }
}

/* A deadline of 0 is one that has passed, and leaves a lower bound. */
static void test_deadline(void **state) {
        enum { DIRECTORIES = 200 };
        _cleanup_usage_ Usage usage = { 0 };
        uint64_t all = 0, bytes = 0, again = 0;
        UsageOfTree tree = { 0 };

        _cleanup_close_ int fd = open_directory(state);
        for (unsigned i = 0; i < DIRECTORIES; i++) {
                char name[16];

                snprintf(name, sizeof(name), "%u", i);
                assert_int_equal(mkdirat(fd, name, 0700), 0);
        }
        assert_int_equal(tree_size(fd, &all), 0);
        assert_int_equal(tree_size_until(fd, USEC_INFINITY, &again), 0);
        assert_true(again == all);
        assert_int_equal(tree_size_until(fd, 0, &bytes), -ETIME);
        assert_true(bytes <= all);
        assert_int_equal(usage_add(&usage, fd, 0, &tree), -ETIME);
        assert_true(tree.bytes <= all);
        assert_int_equal(usage_add(&usage, fd, USEC_INFINITY, &tree), 0);
        assert_true(tree.bytes == all);
}

enum { LINKED = 20, LINKS = 3, KNOWN = 5 };

/* Files of 4 KiB, each with LINKS names. Returns the bytes of all, with @fd. */
static uint64_t make_linked(int fd) {
        _cleanup_free_ char *data = calloc(1, 4097);
        struct stat st;

        assert_true(data && fstat(fd, &st) == 0);
        uint64_t bytes = (uint64_t) st.st_blocks * 512;
        memset(data, 'x', 4096);
        for (unsigned i = 0; i < LINKED; i++) {
                char name[32], link[32];

                snprintf(name, sizeof(name), "%u", i);
                make_file(fd, name, data, 0600);
                for (unsigned k = 1; k < LINKS; k++) {
                        snprintf(link, sizeof(link), "%u-%u", i, k);
                        assert_int_equal(linkat(fd, name, fd, link, 0), 0);
                }
                assert_int_equal(sync_file(fd, name), 0);
                assert_int_equal(fstatat(fd, name, &st, 0), 0);
                bytes += (uint64_t) st.st_blocks * 512;
        }
        return bytes;
}

/* Of more files with several links than may be known, each link counts for its part, and the table does not grow. */
static void test_many_links(void **state) {
        const uint64_t rounded = (LINKED - KNOWN) * LINKS * 512;
        static const size_t limits[] = { 0, LINKED, KNOWN };

        _cleanup_close_ int fd = open_directory(state);
        const uint64_t all = make_linked(fd);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                _cleanup_usage_ Usage usage = { .counted = { .max = limits[i] } };
                bool few = limits[i] == KNOWN;
                UsageOfTree tree = { 0 };

                assert_int_equal(usage_add(&usage, fd, USEC_INFINITY, &tree), 0);
                assert_row(tree.bytes >= all && tree.bytes <= all + (few ? rounded : 0), i, "bytes");
                assert_row(tree.own_bytes == tree.bytes && usage_total(&usage) == tree.bytes, i, "own");
                assert_row(usage.counted.n == (few ? KNOWN : LINKED), i, "known");
        }
}

/* The same extents take no more room, and those beyond the limit none. */
static void test_extents(_unused_ void **state) {
        enum { MAX_EXTENTS = 8 };
        ExtentSet set = { .max = MAX_EXTENTS };

        for (unsigned i = 0; i < 100; i++) {
                assert_int_equal(extent_set_add(&set, 4096 * (i % 3), 1000), 1);
                assert_true(set.n <= MAX_EXTENTS);
        }
        assert_int_equal(extent_set_bytes(&set), 3000);
        assert_int_equal(extent_set_add(&set, 500, 1000), 1); /* a part is known */
        assert_int_equal(extent_set_add(&set, 1500, 500), 1); /* it touches */
        assert_int_equal(extent_set_bytes(&set), 4000);
        assert_int_equal(set.n, 3);
        for (uint64_t i = 0; i < 100; i++)
                assert_int_equal(extent_set_add(&set, 1000000 + 4096 * i, 1), i < MAX_EXTENTS - 3);
        assert_int_equal(set.n, MAX_EXTENTS);
        assert_int_equal(extent_set_bytes(&set), 4000 + MAX_EXTENTS - 3);
        extent_set_done(&set);
}

/* How a tree changes while somebody walks through it. */
typedef struct Change {
        int top_fd;
        const char *from, *to; /* @from, which the walk is in, moves to @to */
        const char *link;      /* what is in its place then; NULL: nothing */
        bool gone;             /* instead, all of @from is removed */
        bool done;
        unsigned at, above, others;
} Change;

static int change_at_bottom(int dir_fd _unused_, const char *name, const struct stat *st _unused_,
                            size_t depth _unused_, void *userdata) {
        Change *change = userdata;
        unsigned level;

        change->above += sscanf(name, "sibling-%u", &level) == 1 && level < change->at;
        change->others += streq(name, "secret");
        if (!streq(name, "large") || change->done)
                return 0;
        change->done = true;
        if (change->gone)
                return remove_tree_at(change->top_fd, change->from);
        assert_int_equal(renameat(change->top_fd, change->from, change->top_fd, change->to), 0);
        if (change->link)
                assert_int_equal(symlinkat(change->link, change->top_fd, change->from), 0);
        return 0;
}

/* What the walk has to open again may be elsewhere by then: it goes on above, never outside of the tree, and the rest
 * counts. */
static void test_changed(void **state) {
        enum { DEPTH = 200, NEAR = 40, FAR = 100 };
        static const struct {
                const char *text;
                unsigned at; /* the level that changes */
                const char *to, *link;
                bool gone;
        } table[] = {
                { "far moved out", FAR, "../outside/moved", NULL, false },
                { "near the top moved out", NEAR, "../outside/moved", NULL, false },
                { "replaced by a link", NEAR, "../outside/moved", "/", false },
                { "moved within", NEAR, "sibling-0-0/moved", NULL, false },
                { "removed", NEAR, NULL, NULL, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                InodeTable counted = { 0 };
                char from[sizeof("100/") * DEPTH];

                _cleanup_close_ int parent_fd = open_directory(state);
                _cleanup_close_ int outside_fd = open_directory_at(parent_fd, "outside", true, 0700);
                _cleanup_close_ int top_fd = open_directory_at(parent_fd, "tree", true, 0700);
                if (i == 0)
                        make_file(outside_fd, "secret", "x", 0600);
                (void) make_deep(top_fd, DEPTH);
                for (unsigned level = 0, n = 0; level < table[i].at; level++)
                        n += (unsigned) snprintf(from + n, sizeof(from) - n, level == 0 ? "%u" : "/%u", level);
                Change change = {
                        .top_fd = top_fd,
                        .from = from,
                        .to = table[i].to,
                        .link = table[i].link,
                        .gone = table[i].gone,
                        .at = table[i].at,
                };

                int r = tree_walk(top_fd, &counted, change_at_bottom, &change);
                inode_table_done(&counted);
                assert_row(r == 0, i, table[i].text);
                assert_row(change.others == 0, i, table[i].text);
                assert_row(change.above == SIBLINGS_IN(table[i].at), i, table[i].text);
                assert_int_equal(remove_tree_at(parent_fd, "tree"), 0);
                assert_int_equal(remove_tree_at(outside_fd, "moved"), 0);
        }
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup_directory, teardown_directory)
static const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(test_deep),       WITH_DIRECTORY(test_deadline),  WITH_DIRECTORY(test_changed),
        WITH_DIRECTORY(test_many_links), cmocka_unit_test(test_extents),
};
UNIT_FILE(tests);
