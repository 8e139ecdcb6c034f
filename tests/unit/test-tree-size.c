/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/string.h"
#include "descriptors.h"
#include "files.h"
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
        WITH_DIRECTORY(test_deep),
        WITH_DIRECTORY(test_deadline),
        WITH_DIRECTORY(test_changed),
};
UNIT_FILE(tests);
