/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/fd.h"
#include "base/string.h"
#include "image/generation-json.h"

static void test_split(void **state _unused_) {
        static const struct {
                const char *reference, *name; /* NULL: it is none */
                uint64_t number;
        } table[] = {
                { "debian@3", "debian", 3 },
                { "a@b@17", "a@b", 17 },
                { "debian@03", "debian", 3 },
                { "debian", NULL, 0 },
                { "debian@", NULL, 0 },
                { "@3", NULL, 0 },
                { "debian@0", NULL, 0 },
                { "debian@-1", NULL, 0 },
                { "debian@ 1", NULL, 0 },
                { "debian@3x", NULL, 0 },
                { "debian@sha256:12", NULL, 0 },
                { "debian@99999999999999999999", NULL, 0 },
                { "debian@9223372036854775808", NULL, 0 },
                { "", NULL, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *name = NULL;
                uint64_t number = 0;
                int r = generation_split(table[i].reference, &name, &number);

                assert_row(r == (table[i].name ? 0 : -EINVAL), i, table[i].reference);
                assert_row(streq_null(name, table[i].name), i, table[i].reference);
                assert_row(number == table[i].number, i, table[i].reference);
        }
}

static void test_save_and_load(void **state) {
        char *env[] = { "A=b c", "EMPTY=", NULL };
        const Generation saved = {
                .number = 7,
                .created_usec = 1,
                .updated_usec = UINT64_C(1) << 52,
                .published_usec = 3,
                .keep = 5,
                .source = "oci docker://x/y:z",
                .digest = "sha256:12",
                .definition = "/etc/nspawn-runner/x.yaml",
                .config = { .env = env, .working_dir = (char *) "/w", .user = (char *) "1000:1000" },
        };
        const Generation nothing = { .number = 8 };
        _cleanup_generation_ Generation *loaded = NULL, *empty = NULL, *none = NULL;
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(generation_save_at(fd, &saved), 0);
        assert_int_equal(generation_load_at(fd, 7, &loaded), 0);
        assert_int_equal(loaded->number, 7);
        assert_int_equal(loaded->created_usec, 1);
        assert_int_equal(loaded->updated_usec, UINT64_C(1) << 52);
        assert_int_equal(loaded->published_usec, 3);
        assert_int_equal(loaded->keep, 5);
        assert_string_equal(loaded->source, saved.source);
        assert_string_equal(loaded->digest, saved.digest);
        assert_string_equal(loaded->definition, saved.definition);
        assert_int_equal(strv_length(loaded->config.env), 2);
        assert_string_equal(loaded->config.env[0], "A=b c");
        assert_string_equal(loaded->config.working_dir, "/w");
        assert_string_equal(loaded->config.user, "1000:1000");

        assert_int_equal(generation_save_at(fd, &nothing), 0);
        assert_int_equal(generation_load_at(fd, 8, &empty), 0);
        assert_null(empty->source);
        assert_null(empty->config.env);
        assert_int_equal(generation_load_at(fd, 9, &none), -ENOENT);
}

/* What is not written by us, or only half, is refused and not believed. */
static void test_bad_files(void **state) {
        static const char *const table[] = {
                "",
                "{",
                "[]",
                "{\"number\": 2}",
                "{}",
                "{\"number\": -1}",
                "{\"number\": 1, \"source\": 3}",
                "{\"number\": 1, \"env\": \"A=b\"}",
                "{\"number\": 1, \"env\": [1]}",
                "{\"number\": 1, \"keep\": \"2\"}",
                "{\"number\": 1, \"created_usec\": 1.5}",
        };
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_generation_ Generation *generation = NULL;

                assert_int_equal(file_replace_at(fd, "1.json", table[i], strlen(table[i]), 0600), 0);
                assert_row(generation_load_at(fd, 1, &generation) == -EBADMSG, i, table[i]);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test_setup_teardown(test_save_and_load, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_bad_files, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
