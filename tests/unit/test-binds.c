/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "config/binds.h"

#define ITEMS_MAX 4

static void test_parts(_unused_ void **state) {
        static const struct {
                const char *bind, *source, *target;
        } table[] = {
                { "/a", "/a", "/a" },
                { "/a:/b", "/a", "/b" },
                { "/a b/c\\d:/e f", "/a b/c\\d", "/e f" },
                { "/:/host", "/", "/host" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *source = bind_source(table[i].bind);

                assert_row(streq(source, table[i].source), i, source);
                assert_row(streq(bind_target(table[i].bind), table[i].target), i, table[i].bind);
        }
}

static void test_below(_unused_ void **state) {
        static const struct {
                const char *inner, *outer;
                bool below;
        } table[] = {
                { "/a/b", "/a", true },      { "/a/b/c", "/a", true },  { "/a", "/a", false }, { "/ab", "/a", false },
                { "/a", "/a/b", false },     { "/a", "/", true },       { "/", "/", false },   { "/a-b", "/a", false },
                { "/a/b", "/a/b/c", false }, { "/x/a/b", "/a", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(path_is_below(table[i].inner, table[i].outer) == table[i].below, i, table[i].inner);
}

static void fill(Settings *settings, const char *const bind[ITEMS_MAX], const char *const bind_ro[ITEMS_MAX]) {
        assert_int_equal(settings_init(settings), 0);
        for (size_t i = 0; i < ITEMS_MAX && bind[i]; i++)
                assert_int_equal(strv_extend(&settings->bind, bind[i]), 0);
        for (size_t i = 0; i < ITEMS_MAX && bind_ro[i]; i++)
                assert_int_equal(strv_extend(&settings->bind_ro, bind_ro[i]), 0);
}

static void test_check(_unused_ void **state) {
        static const struct {
                const char *bind[ITEMS_MAX], *bind_ro[ITEMS_MAX];
                const char *problem; /* a part of what is said; NULL: they are fine */
        } table[] = {
                { { NULL }, { NULL }, NULL },
                { { "/a", "/b:/c" }, { "/d" }, NULL },
                { { "/ab", "/a" }, { "/a-b", "/abc" }, NULL },
                /* below a writable one, in either list and order */
                { { "/c:/shared", "/c/sub:/sub" }, { NULL }, "bind: '/c/sub' is below '/c'" },
                { { "/c/sub:/sub", "/c:/shared" }, { NULL }, "bind: '/c/sub' is below '/c'" },
                { { "/c:/shared" }, { "/c/a/b:/sub" }, "bind_ro: '/c/a/b' is below '/c'" },
                /* only jobs that may write can change what is where */
                { { "/c/sub:/sub" }, { "/c:/shared" }, NULL },
                { { NULL }, { "/usr", "/usr/bin/x:/opt/x" }, NULL },
                { { "/c:/one", "/c:/two" }, { "/c:/three" }, NULL },
                /* targets alike */
                { { "/a:/t" }, { "/b:/t/u" }, "bind_ro: target '/t/u' of '/b' is below '/t'" },
                { { "/b:/t/u", "/a:/t" }, { NULL }, "bind: target '/t/u' of '/b' is below '/t'" },
                { { "/b:/t/u" }, { "/a:/t" }, NULL },
                { { "/a:/w" }, { "/a:/t", "/b:/t/u" }, "bind_ro: target '/t/u' of '/b' is below '/t'" },
                { { "/a/sub:/w" }, { "/a:/t", "/b:/t/sub/u" }, "bind_ro: target '/t/sub/u' of '/b' is below '/t'" },
                { { "/a:/t", "/b:/t" }, { NULL }, "'/a' and '/b' have the same target '/t'" },
                { { "/a:/t" }, { "/t" }, "'/a' and '/t' have the same target '/t'" },
                /* places that containers need for themselves, and what is below of those that jobs may have */
                { { NULL }, { "/etc:/etc" }, "bind_ro: '/etc' cannot be mounted on '/etc'" },
                { { NULL }, { "/etc" }, "give it another target, such as '/etc:/mnt/etc'" },
                { { "/srv/r:/run" }, { NULL }, "bind: '/srv/r' cannot be mounted on '/run'" },
                { { NULL }, { "/a", "/dev" }, "bind_ro: '/dev' cannot be mounted on '/dev'" },
                { { NULL }, { "/proc" }, "on '/proc'" },
                { { "/srv/x:/proc/sys/x" }, { NULL }, "on '/proc/sys/x'" },
                { { NULL }, { "/sys/fs/cgroup" }, "on '/sys/fs/cgroup'" },
                { { "/srv/h:/run/host" }, { NULL }, "on '/run/host'" },
                { { "/srv/h:/run/host/incoming" }, { NULL }, "on '/run/host/incoming'" },
                { { "/srv/h:/run/nspawn-runner" }, { NULL }, "on '/run/nspawn-runner'" },
                { { NULL }, { "/srv/h:/run/nspawn-runner-agent" }, "on '/run/nspawn-runner-agent'" },
                { { "/srv/h:/run/nspawn-runner-tools/x" }, { NULL }, "on '/run/nspawn-runner-tools/x'" },
                { { "/srv/h:/run/nspawn-runner-helper" }, { NULL }, "on '/run/nspawn-runner-helper'" },
                { { "/run/foo", "/dev/fuse", "/dev/shm", "/srv/h:/run/hosts" }, { NULL }, NULL },
                { { NULL }, { "/etc/ssl/certs", "/etc/hosts", "/proc:/mnt/proc", "/usr:/process" }, NULL },
                { { "/srv/tmp:/tmp", "/srv/var:/var" }, { "/usr", "/a:/run/nspawn-runner-x" }, NULL },
                /* our own directories */
                { { "/var/lib/nspawn-runner:/x" }, { NULL }, "is in root_dir" },
                { { "/var/lib/nspawn-runner/debian:/x" }, { NULL }, "is in root_dir" },
                { { NULL }, { "/var/lib/nspawn-runner/.layers:/x" }, "is in root_dir" },
                { { NULL }, { "/run/nspawn-runner/jobs:/x" }, "is in runtime_dir" },
                { { "/var/lib:/x" }, { NULL }, "contains root_dir '/var/lib/nspawn-runner', where" },
                { { "/run:/x" }, { NULL }, "contains runtime_dir '/run/nspawn-runner', where" },
                { { "/etc:/x" }, { NULL }, "contains definitions_dir '/etc/nspawn-runner', where" },
                { { "/etc/nspawn-runner:/x" }, { NULL }, "is in definitions_dir" },
                { { "/:/host" }, { NULL }, "contains root_dir" },
                { { "/var/lib/nspawn-runner-caches:/x" }, { NULL }, NULL },
                { { NULL }, { "/:/host", "/etc/nspawn-runner:/x", "/var/lib:/y" }, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(settings_done) Settings settings = { 0 };
                Problem problem = { 0 };

                fill(&settings, table[i].bind, table[i].bind_ro);
                int r = binds_check(&settings, &problem);
                assert_row(r == (table[i].problem ? -EINVAL : 0), i, problem.text);
                if (table[i].problem)
                        assert_row(strstr(problem.text, table[i].problem), i, problem.text);
        }
}

static void test_check_between(_unused_ void **state) {
        static const struct {
                const char *bind[ITEMS_MAX], *bind_ro[ITEMS_MAX], *their_bind[ITEMS_MAX], *their_bind_ro[ITEMS_MAX];
                const char *problem;
        } table[] = {
                { { "/a" }, { "/b" }, { "/a" }, { "/b" }, NULL },
                { { "/a:/t" }, { NULL }, { "/b:/t" }, { NULL }, NULL },
                { { NULL }, { "/c/d" }, { "/c" }, { NULL }, "bind_ro: '/c/d' is below '/c', which they may write to" },
                { { "/c/d" }, { NULL }, { "/c" }, { NULL }, "bind: '/c/d' is below '/c', which they may write to" },
                { { "/c" }, { NULL }, { "/c/d" }, { NULL }, "bind: '/c' contains '/c/d', which they get" },
                { { "/c" }, { NULL }, { NULL }, { "/c/d" }, "bind: '/c' contains '/c/d', which they get" },
                { { NULL }, { "/c" }, { "/c/d" }, { "/c/e" }, NULL },
                { { NULL }, { "/a:/t", "/b:/t/u" }, { "/a" }, { NULL }, "is below '/t', which they may write to" },
                { { "/a/x" }, { NULL }, { NULL }, { "/a:/t", "/b:/t/u" }, "is below '/t', which jobs may write to" },
                { { "/x" }, { "/a:/t", "/b:/t/u" }, { "/b" }, { "/a:/t", "/b:/t/u" }, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(settings_done) Settings ours = { 0 }, theirs = { 0 };
                Problem problem = { 0 };

                fill(&ours, table[i].bind, table[i].bind_ro);
                fill(&theirs, table[i].their_bind, table[i].their_bind_ro);
                int r = binds_check_between(&ours, &theirs, "they", &problem);
                assert_row(r == (table[i].problem ? -EINVAL : 0), i, problem.text);
                if (table[i].problem)
                        assert_row(strstr(problem.text, table[i].problem), i, problem.text);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_between),
};
UNIT_FILE(tests);
