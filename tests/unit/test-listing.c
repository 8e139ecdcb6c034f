/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/resource.h>

#include "base/string.h"
#include "container/cgroup.h"
#include "container/supervisor.h"
#include "container/uid-range.h"
#include "failing.h"
#include "files.h"
#include "machine/directory.h"
#include "project/checkout.h"
#include "source/apt-sources.h"

/* What cannot be read to its end is no short list: who removes what is listed would leave the rest, and who takes what is not
 * listed for free would take what is used. */

static int list_machines(const char *directory) {
        _cleanup_strv_ char **ids = NULL;

        return machine_directory_list(directory, &ids);
}

static int list_layers(const char *directory) {
        _cleanup_strv_ char **ids = NULL;

        return layers_list(directory, "", &ids);
}

static int read_apt_sources(const char *directory) {
        _cleanup_apt_sources_ AptSources sources = { 0 };

        return apt_sources_read(directory, &sources);
}

static int open_checkout(const char *directory) {
        _cleanup_checkout_ Checkout *checkout = NULL;
        const char *what;

        return checkout_open(directory, &checkout, &what);
}

static void test_errors(void **state) {
        static const struct {
                const char *text;
                int (*list)(const char *directory);
                const char *directory; /* that it reads */
        } table[] = {
                { "machines", list_machines, "jobs" },
                { "layers", list_layers, ".layers" },
                { "sources of apt", read_apt_sources, "sources.list.d" },
                { "a repository", open_checkout, ".git" },
        };
        _cleanup_close_ int dir_fd = open_directory(state);
        struct rlimit before;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_int_equal(mkdirat(dir_fd, table[i].directory, 0755), 0);
                for (unsigned entries = 0; entries < 3; entries++) {
                        failing_readdir(entries, EIO);
                        int r = table[i].list(*state);
                        failing_readdir(0, 0);
                        assert_row(r == -EIO, i, table[i].text);
                }
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before.rlim_max }), 0);
                int r = table[i].list(*state);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
                assert_row(r == -EMFILE, i, table[i].text);
        }
}

static void test_errors_of_host(_unused_ void **state) {
        UidRange range;

        if (geteuid() != 0)
                skip();
        assert_int_equal(uid_range_acquire("test-listing", UID_BLOCK, &range), 0);
        failing_readdir(0, EIO);
        int r = uid_range_collect(true);
        failing_readdir(0, 0);
        uid_range_release(&range);
        assert_int_equal(r, -EIO);
}

static void test_errors_of_groups(_unused_ void **state) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        _cleanup_strv_ char **ids = NULL;
        char name[64];

        snprintf(name, sizeof(name), "test-listing-%d", (int) getpid());
        if (geteuid() != 0 || cgroup_below(CGROUP_DETACHED, name, &groups) < 0 || cgroup_make(&groups) < 0)
                skip();
        failing_readdir(0, EIO);
        int r = supervisor_detached.list("test-listing", &ids);
        failing_readdir(0, 0);
        assert_int_equal(cgroup_remove(&groups), 0);
        assert_int_equal(r, -EIO);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors, setup_directory, teardown_directory),
        cmocka_unit_test(test_errors_of_host),
        cmocka_unit_test(test_errors_of_groups),
};
UNIT_FILE(tests);
