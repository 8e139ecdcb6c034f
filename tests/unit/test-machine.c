/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/stat.h>

#include "base/id.h"
#include "base/string.h"
#include "container/machine.h"

static void assert_prefix(const char *runtime_dir, const char *expected) {
        char prefix[MACHINE_PREFIX_BYTES];

        machine_prefix(runtime_dir, prefix);
        assert_string_equal(prefix, expected);
}

/* Whose a machine is has to be the same for ever: hashes of a directory that is not there. */
static void test_prefixes(_unused_ void **state) {
        assert_prefix("/run/nspawn-runner", "nspawn-runner-job-");
        assert_prefix("/nowhere/at/all", "nspawn-runner-b01af343-");
        assert_prefix("/nowhere/at/al", "nspawn-runner-1701d0a5-");
}

/* One directory has one name, by whatever path it is reached, and the same before and after it is made. */
static void test_symlinks(void **state) {
        const char *directory = *state;
        _cleanup_free_ char *real = NULL, *link = NULL, *below = NULL, *below_link = NULL, *usual = NULL;
        char before[MACHINE_PREFIX_BYTES];

        assert_int_equal(string_printf(&real, "%s/real", directory), 0);
        assert_int_equal(string_printf(&link, "%s/link", directory), 0);
        assert_int_equal(string_printf(&below, "%s/a/b", real), 0);
        assert_int_equal(string_printf(&below_link, "%s/a/b", link), 0);
        assert_int_equal(string_printf(&usual, "%s/usual", directory), 0);
        assert_int_equal(mkdir(real, 0755), 0);
        assert_int_equal(symlink("real", link), 0);
        machine_prefix(below, before);
        assert_prefix(below_link, before);

        _cleanup_free_ char *a = NULL;
        assert_int_equal(string_printf(&a, "%s/a", real), 0);
        assert_int_equal(mkdir(a, 0755), 0);
        assert_prefix(below_link, before);
        assert_int_equal(mkdir(below, 0755), 0);
        assert_prefix(below, before);
        assert_prefix(below_link, before);

        /* What leads to the default one is the default one. */
        assert_int_equal(symlink("/run/nspawn-runner", usual), 0);
        if (access("/run/nspawn-runner", F_OK) >= 0)
                assert_prefix(usual, "nspawn-runner-job-");
}

/* systemd takes a name for a machine's as long as it could be a host's (hostname(7)). */
static void test_length(_unused_ void **state) {
        static const char *const runtime_dirs[] = { "/run/nspawn-runner", "/run/other" };
        const char *longest = "1234567890123456789012345678901234567890";

        assert_null(id_problem(longest));
        for (size_t i = 0; i < ELEMENTSOF(runtime_dirs); i++) {
                _cleanup_free_ char *name = NULL;

                assert_int_equal(machine_name(runtime_dirs[i], longest, &name), 0);
                assert_true(strlen(name) <= 63);
                assert_non_null(endswith(name, longest));
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test_setup_teardown(test_symlinks, setup_directory, teardown_directory),
        cmocka_unit_test(test_length),
};
UNIT_FILE(tests);
