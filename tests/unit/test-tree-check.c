/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "tree/check.h"
#include "wire/wire.h"

/* Every place with everything that it can be without root's help; devices and mounts are in test-tree-check-root.c. */

static const char *const places[] = { "dev", "etc", "proc", "run", "sys", "tmp", "usr", "var" };

/* "->TARGET" is a symlink to it; a NULL problem is none. */
static const struct {
        const char *what, *problem;
} kinds[] = {
        { "directory", NULL },
        { "nothing", NULL },
        { "->elsewhere", "symbolic link" },
        { "->/elsewhere", "symbolic link" },
        { "->../elsewhere", "symbolic link" },
        { "->../../../../../../../../../../tmp", "symbolic link" },
        { "->/", "symbolic link" },
        { "->.", "symbolic link" },
        { "->nowhere", "symbolic link" },
        { "->/nowhere/at/all", "symbolic link" },
        { "->link", "symbolic link" },
        { "->loop", "symbolic link" },
        { "fifo", "named pipe" },
        { "socket", "socket" },
        { "file", "regular file" },
};

/* The tree is a directory in the test's own, so that ".." leads to something. */
static int make_tree(void **state) {
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(mkdirat(dir_fd, "elsewhere", 0755), 0);
        assert_int_equal(mkdirat(dir_fd, "tree", 0755), 0);
        int fd = open_directory_at(dir_fd, "tree", false, 0);
        assert_true(fd >= 0);
        assert_int_equal(mkdirat(fd, "elsewhere", 0755), 0);
        assert_int_equal(symlinkat("elsewhere", fd, "link"), 0);
        assert_int_equal(symlinkat("loop", fd, "loop"), 0);
        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                assert_int_equal(mkdirat(fd, places[i], 0755), 0);
        return fd;
}

static void put(int fd, const char *name, const char *what) {
        assert_int_equal(remove_tree_at(fd, name), 0);
        if (streq(what, "directory"))
                assert_int_equal(mkdirat(fd, name, 0755), 0);
        else if (startswith(what, "->"))
                assert_int_equal(symlinkat(what + 2, fd, name), 0);
        else if (streq(what, "fifo"))
                assert_int_equal(mkfifoat(fd, name, 0644), 0);
        else if (streq(what, "socket"))
                assert_int_equal(mknodat(fd, name, S_IFSOCK | 0644, 0), 0);
        else if (streq(what, "file"))
                assert_int_equal(mknodat(fd, name, S_IFREG | 0644, 0), 0);
        else
                assert_string_equal(what, "nothing");
}

static void assert_says(const char *problem, const char *name, const char *what, size_t row) {
        _cleanup_free_ char *expected = NULL;

        assert_int_equal(string_printf(&expected, "its /%s is a %s and has to be a directory", name, what), 0);
        assert_row(problem && streq(problem, expected), row, problem);
}

/* At every place, and by both functions. */
static void test_places(void **state) {
        _cleanup_close_ int fd = make_tree(state);

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                for (size_t k = 0; k < ELEMENTSOF(kinds); k++) {
                        Problem problem = { 0 }, problem_of_root = { 0 };
                        bool good = !kinds[k].problem;

                        put(fd, places[i], kinds[k].what);
                        assert_row(tree_check(fd, NULL, &problem) == !good, k, places[i]);
                        assert_row(tree_check_root(fd, NULL, &problem_of_root) == !good, k, places[i]);
                        assert_row(good == !problem.text[0] && good == !problem_of_root.text[0], k, places[i]);
                        if (!good) {
                                assert_says(problem.text, places[i], kinds[k].problem, k);
                                assert_says(problem_of_root.text, places[i], kinds[k].problem, k);
                        }
                }
                put(fd, places[i], "directory");
        }
}

/* What images really have. */
static void test_usual_links(void **state) {
        static const char *const links[][2] = {
                { "bin", "usr/bin" },
                { "sbin", "usr/sbin" },
                { "lib", "usr/lib" },
                { "lib64", "/usr/lib64" },
                { "home", "var/home" },
                { "var/run", "/run" },
                { "var/lock", "../run/lock" },
                { "var/tmp", "/tmp" },
                { "etc/mtab", "../proc/self/mounts" },
                { "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf" },
                { "etc/localtime", "/usr/share/zoneinfo/Etc/UTC" },
                { "etc/os-release", "../usr/lib/os-release" },
                { "usr/tmp", "../var/tmp" },
                { "dev/fd", "/proc/self/fd" },
                { "dev/null", "/nowhere" },
                { "run/host", "/" },
        };
        _cleanup_close_ int fd = make_tree(state);
        Problem problem = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                assert_int_equal(symlinkat(links[i][1], fd, links[i][0]), 0);
        assert_int_equal(tree_check(fd, NULL, &problem), 0);
        assert_int_equal(tree_check_root(fd, NULL, &problem), 0);
        assert_string_equal(problem.text, "");
}

static void test_empty(void **state) {
        _cleanup_close_ int fd = open(*state, O_PATH | O_DIRECTORY | O_CLOEXEC);
        Problem problem = { 0 };

        assert_int_equal(tree_check(fd, NULL, &problem), 0);
        assert_string_equal(problem.text, "");
}

/* In a tree with these, besides the directories. */
static const char *const target_links[][2] = {
        { "cache", "run/host" },
        { "cache2", "/run/../run//./host/incoming" },
        { "all", "/" },
        { "up", "../../../.." },
        { "deep", "usr/deep" },
        { "usr/deep", "../run" },
        { "made", "usr/not/there" },
        { "agent", AGENT_INSIDE },
        { "tools", TOOLS_INSIDE },
        { "through-dev", "dev/fd/../../run/host" },
        { "settings", "etc" },
        { "around", "around" },
        { "run-link", "run" },
        { "fine", "srv/data" },
        { "up-and-down", "usr/../srv" },
        { "file/link", "x" },
};

static const struct {
        const char *target, *where; /* it leads there, where nothing may be mounted; "": nowhere; NULL: it is fine */
} targets[] = {
        { "/srv", NULL },
        { "/srv/data/more", NULL },
        { "/not/there", NULL },
        { "/usr", NULL },
        { "/usr/bin/tool", NULL },
        { "/etc/tool.conf", NULL },
        { "/dev/fuse", NULL },
        { "/dev/net/tun", NULL },
        { "/run/tool.sock", NULL },
        { "/run/hosts", NULL },
        { "/var/run/tool.sock", NULL },
        { "/fine", NULL },
        { "/fine/x", NULL },
        { "/up-and-down", NULL },
        { "/made/x", NULL },
        { "/run-link/x", NULL },
        { "/around", NULL }, /* what cannot be followed cannot be mounted on either */
        { "/around/x", NULL },
        { "/run/nspawn-runner-other", NULL },
        { "/", "" },
        { "/dev", "dev" },
        { "/etc", "etc" },
        { "/run", "run" },
        { "/proc", "proc" },
        { "/proc/sys/x", "proc/sys/x" },
        { "/sys/fs", "sys/fs" },
        { "/run/host", "run/host" },
        { "/run/host/incoming", "run/host/incoming" },
        { AGENT_INSIDE, &AGENT_INSIDE[1] },
        { TOOLS_PATH, &TOOLS_PATH[1] },
        { HELPER_INSIDE, &HELPER_INSIDE[1] },
        { "/run/nspawn-runner/x", "run/nspawn-runner/x" },
        { "/cache", "run/host" },
        { "/cache/container-manager", "run/host/container-manager" },
        { "/all", "" },
        { "/all/run/host", "run/host" },
        { "/all/srv", NULL },
        { "/up/run/host", "run/host" },
        { "/deep", "run" },
        { "/deep/host/x", "run/host/x" },
        { "/agent", &AGENT_INSIDE[1] },
        { "/tools/bash", &TOOL_BASH[1] },
        { "/settings", "etc" },
        { "/run-link", "run" },
        { "/var/run", "run" },
        { "/var/run/host", "run/host" },
        { "/cache2", "?" },
        { "/through-dev", "?" },
};

static void test_bind_targets(void **state) {
        _cleanup_close_ int fd = make_tree(state);

        assert_int_equal(mkdirat(fd, "srv", 0755), 0);
        assert_int_equal(mkdirat(fd, "file", 0755), 0);
        assert_int_equal(symlinkat("/run", fd, "var/run"), 0);
        for (size_t i = 0; i < ELEMENTSOF(target_links); i++)
                assert_int_equal(symlinkat(target_links[i][1], fd, target_links[i][0]), 0);

        for (size_t i = 0; i < ELEMENTSOF(targets); i++) {
                char *const list[] = { (char *) "/opt", (char *) targets[i].target, NULL };
                _cleanup_free_ char *expected = NULL;
                Problem problem = { 0 };
                const char *where = targets[i].where;

                int r = tree_check(fd, list, &problem);
                assert_row(r == (where ? TREE_REFUSED : 0), i, targets[i].target);
                if (!where)
                        continue;
                int q = streq(where, "?") ?
                                string_printf(
                                        &expected,
                                        "cannot find out where '%s' leads in it, where something is mounted for jobs",
                                        targets[i].target) :
                                string_printf(&expected,
                                              "'%s', where something is mounted for jobs, leads to '/%s' in it, "
                                              "which containers need for themselves",
                                              targets[i].target, where);
                assert_int_equal(q, 0);
                assert_row(streq(problem.text, expected), i, problem.text);
        }
}

/* A path that a symlink of the tree leads into another place goes on as that one's content has it. */
static void test_bind_targets_apart(void **state) {
        static const char *const links[][2] = {
                { "data", "cache/x" },  { "same", "/srv/../cache" }, { "through", "srv/c/y/../../host" },
                { "hop", "cache/l" },   { "cache/l", "l" },          { "srv/c", "/cache" },
                { "beside", "caches" }, { "outer", "srv" },
        };
        static const struct {
                const char *first, *second;
                bool fine;
        } table[] = {
                { "/cache", "/data", false },    { "/data", "/cache", false }, { "/cache", "/same", false },
                { "/cache", "/through", false }, { "/cache", "/hop", false },  { "/cache", "/srv/c/x", false },
                { "/srv/c", "/data", false },    { "/data", "/beside", true }, { "/cache", "/beside", true },
                { "/cache", "/cache/x", true }, /* as the configuration has it */
                { "/outer", "/outer/x", true },  { "/data", "/hop", true },
        };
        _cleanup_close_ int fd = make_tree(state);

        assert_int_equal(mkdirat(fd, "srv", 0755), 0);
        assert_int_equal(mkdirat(fd, "cache", 0755), 0);
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                assert_row(symlinkat(links[i][1], fd, links[i][0]) == 0, i, links[i][0]);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *const list[] = { (char *) table[i].first, (char *) table[i].second, NULL };
                Problem problem = { 0 };

                assert_row(tree_check(fd, list, &problem) == !table[i].fine, i, problem.text);
                assert_row(table[i].fine || strstr(problem.text, "leads into '/"), i, problem.text);
        }
}

/* Forty links are followed, as the kernel does, and nobody follows more; what is longer than any path is refused. */
static void test_bind_limits(void **state) {
        _cleanup_close_ int fd = make_tree(state);
        char name[32], target[32], long_target[4000];

        for (unsigned i = 0; i < 50; i++) {
                snprintf(name, sizeof(name), "l%u", i);
                snprintf(target, sizeof(target), i ? "l%u" : "run", i ? i - 1 : i);
                assert_int_equal(symlinkat(target, fd, name), 0);
        }
        for (size_t i = 0; i < sizeof(long_target) - 1; i++)
                long_target[i] = i % 200 ? 'x' : '/';
        long_target[sizeof(long_target) - 1] = 0;
        assert_int_equal(symlinkat(long_target + 1, fd, "long"), 0);
        assert_int_equal(symlinkat(long_target + 2, fd, "longer"), 0);

        static const struct {
                const char *target;
                int result;
        } table[] = { { "/l39", TREE_REFUSED }, { "/l40", 0 }, { "/l49", 0 }, { "/long", 0 } };
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *const list[] = { (char *) table[i].target, NULL };
                Problem problem = { 0 };

                assert_row(tree_check(fd, list, &problem) == table[i].result, i, table[i].target);
        }
        _cleanup_free_ char *twice = NULL;
        Problem problem = { 0 };
        assert_int_equal(string_printf(&twice, "/long/%s", long_target), 0);
        char *const list[] = { twice, NULL };
        assert_int_equal(tree_check(fd, list, &problem), TREE_REFUSED);
}

/* What has a root file system; what cannot be found out is no answer. */
static void test_is_root(void **state) {
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        static const struct {
                const char *usr, *usr_bin, *bin;
                int r;
        } trees[] = {
                { "nothing", NULL, "nothing", -ENODATA },
                { "nothing", NULL, "directory", -ENODATA },
                { "directory", "nothing", "nothing", -ENODATA },
                { "directory", "file", "fifo", -ENODATA },
                { "directory", "nothing", "->nowhere", -ENODATA },
                { "directory", "nothing", "->bin", -ENODATA },
                { "directory", "nothing", "->../../../bin", -ENODATA },
                { "directory", "directory", "nothing", 0 },
                { "directory", "nothing", "directory", 0 },
                { "directory", "nothing", "->/usr", 0 },
        };

        assert_int_equal(mkdirat(dir_fd, "root", 0755), 0);
        _cleanup_close_ int fd = open_directory_at(dir_fd, "root", false, 0);
        for (size_t i = 0; i < ELEMENTSOF(trees); i++) {
                put(fd, "usr", trees[i].usr);
                if (trees[i].usr_bin)
                        put(fd, "usr/bin", trees[i].usr_bin);
                put(fd, "bin", trees[i].bin);
                assert_row(tree_is_root(fd) == trees[i].r, i, trees[i].bin);
        }
        assert_int_equal(tree_is_root(-EBADF), -EBADF);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_is_root, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_places, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_usual_links, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_empty, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_bind_targets, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_bind_targets_apart, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_bind_limits, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
