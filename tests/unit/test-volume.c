/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/new-file.h"
#include "base/string.h"
#include "container/volume.h"

/* What goes in comes out, whatever a path of a setting may have in it. */
static void test_add(_unused_ void **state) {
        static const struct {
                const char *source, *target;
                bool locked;
                const char *holder;
        } table[] = {
                { "/a", "/b", false },
                { "/a", "/b", true },
                { "/a", "/b", true, "some-job" },
                { "/with: colon/and 'quotes'", "/b:c", true },
                { "/var/lib/\\back", "/x y", false },
        };
        _cleanup_strv_ char **volumes = NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(
                        volume_add(&volumes, table[i].source, table[i].target, table[i].locked, table[i].holder), 0);
        assert_int_equal(strv_length(volumes), ELEMENTSOF(table));
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_volume_ Volume volume = { 0 };

                assert_int_equal(volume_parse(volumes[i], &volume), 0);
                assert_string_equal(volume.source, table[i].source);
                assert_string_equal(volume.target, table[i].target);
                assert_int_equal(volume.locked, table[i].locked);
                assert_true(table[i].holder ? streq_null(volume.holder, table[i].holder) : !volume.holder);
        }
}

static void test_parse_refuses(_unused_ void **state) {
        static const char *const table[] = {
                "",        "/a",   "/a\n",          "/a\n/b",           "a\n/b\n",
                "/a\nb\n", "\n\n", "/a\n/b\nother", "/a\n/b\nlocked\n", "/a\n/b\nlocked ",
                "/a:/b",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Volume volume = { 0 };

                assert_row(volume_parse(table[i], &volume) == -EBADMSG, i, table[i]);
                assert_null(volume.source);
        }
}

static bool is_free(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return flock(fd, LOCK_EX | LOCK_NB) >= 0;
}

/* Above the source of those that want it, shared with other machines, until the locks are given back. */
static void test_lock(void **state) {
        _cleanup_free_ char *locked = NULL, *plain = NULL, *source = NULL, *other = NULL, *problem = NULL;
        Machine machine = { 0 };

        assert_int_equal(string_printf(&locked, "%s/locked", (char *) *state), 0);
        assert_int_equal(string_printf(&plain, "%s/plain", (char *) *state), 0);
        assert_int_equal(string_printf(&source, "%s/data", locked), 0);
        assert_int_equal(string_printf(&other, "%s/data", plain), 0);
        assert_int_equal(mkdir(locked, 0700), 0);
        assert_int_equal(mkdir(plain, 0700), 0);
        assert_int_equal(volume_add(&machine.volumes, source, "/cache", true, NULL), 0);
        assert_int_equal(volume_add(&machine.volumes, other, "/builds", false, NULL), 0);
        {
                _cleanup_volume_locks_ VolumeLocks first = { 0 }, second = { 0 };

                assert_int_equal(volumes_lock(&machine, &first, &problem), 0);
                assert_int_equal(volumes_lock(&machine, &second, &problem), 0);
                assert_int_equal(first.n, 1);
                assert_false(is_free(locked));
                assert_true(is_free(plain));
        }
        assert_true(is_free(locked));
        assert_null(problem);

        /* Somebody cleans it, or has removed it. */
        VolumeLocks locks = { 0 };
        _cleanup_close_ int fd = open(locked, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
        assert_int_equal(volumes_lock(&machine, &locks, &problem), -EBUSY);
        assert_string_equal(problem, source);
        free(TAKE_PTR(problem));
        assert_int_equal(rmdir(locked), 0);
        assert_int_equal(volumes_lock(&machine, &locks, &problem), -ENOENT);
        assert_true(locks.n == 0 && !locks.fds);
        strv_free(machine.volumes);
}

/* Whoever planned the machine was killed before the machine had the lock, and the next job took the place. */
static void test_holder(void **state) {
        _cleanup_free_ char *place = NULL, *source = NULL, *problem = NULL;
        Machine first = { 0 }, second = { 0 };
        VolumeLocks locks = { 0 };

        assert_int_equal(string_printf(&place, "%s/place", (char *) *state), 0);
        assert_int_equal(string_printf(&source, "%s/data", place), 0);
        assert_int_equal(mkdir(place, 0700), 0);
        _cleanup_close_ int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(volume_add(&first.volumes, source, "/builds", true, "first"), 0);
        assert_int_equal(volume_add(&second.volumes, source, "/builds", true, "second"), 0);

        assert_int_equal(volumes_lock(&first, &locks, &problem), -ESTALE);
        assert_string_equal(problem, source);
        free(TAKE_PTR(problem));
        assert_int_equal(file_publish_at(fd, VOLUME_HOLDER, "second", strlen("second"), 0600), 0);
        assert_int_equal(volumes_lock(&first, &locks, &problem), -ESTALE);
        assert_true(is_free(place));
        assert_int_equal(volumes_lock(&second, &locks, &problem), 0);
        assert_false(is_free(place));
        volume_locks_done(&locks);
        strv_free(first.volumes);
        strv_free(second.volumes);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test_setup_teardown(test_lock, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_holder, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
