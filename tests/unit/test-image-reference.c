/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <string.h>

#include "config/image-name.h"
#include "config/image-reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_grammar(void **state _unused_) {
        static const struct {
                const char *text;
                bool good;
        } table[] = {
                { "registry.example/name", true },
                { "registry.example/group/sub/name:tag", true },
                { "localhost/name", true },
                { "localhost:5000/name", true },
                { "127.0.0.1:5000/a/b:1.0_x-y", true },
                { "host:1/a", true },
                { "registry.example/a.b_c__d---e", true },
                { "registry.example/name@sha256:" HEX, true },
                { "docker.io/library/alpine:3.20", true },

                { "", false },
                { "name", false },
                { "group/name", false }, /* of which registry? */
                { "name:tag", false },
                { "registry.example/", false },
                { "/registry.example/name", false },
                { "registry.example//name", false },
                { "registry.example/name/", false },
                { "registry.example/../name", false },
                { "registry.example/./name", false },
                { "registry.example/a..b", false },
                { "registry.example/a___b", false },
                { "registry.example/-a", false },
                { "registry.example/a-", false },
                { "registry.example/Name", false },
                { "registry.example/name:", false },
                { "registry.example/name:.tag", false },
                { "registry.example/name:-tag", false },
                { "registry.example/name:a/b", false },
                { "registry.example/name@", false },
                { "registry.example/name@3", false },
                { "registry.example/name@sha256:abc", false },
                { "registry.example/name@md5:" HEX, false },
                { "registry.example/name@sha256:" HEX "0", false },
                { "registry.example/name tag", false },
                { "registry.example/name\n", false },
                { "registry.example/na\xc3\xafve", false },
                { "registry.example/%2e%2e", false },
                { "-registry.example/name", false },
                { ".registry.example/name", false },
                { "registry.example:/name", false },
                { "registry.example:123456/name", false },
                { "registry.example:x/name", false },
                { "registry_.example/name", false },
                { "user@registry.example/name", false },
                { "docker://registry.example/name", false },
                { "docker-archive:/etc/passwd", false },
                { "dir:/etc", false },
                { "oci:/var/lib/x:y", false },
                { "containers-storage:[x]y", false },
                { "--authfile=/etc/shadow/x", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(!image_reference_problem(table[i].text) == table[i].good, i, table[i].text);
}

/* As long as Docker allows, and no longer: 255 bytes, a tag of 128, and a digest. */
static void test_length(void **state _unused_) {
        char path[300] = "registry.example/", tag[200] = "", text[1000];
        size_t n = strlen(path);

        memset(path + n, 'a', 255 - n);
        memset(tag, 'b', 128);
        snprintf(text, sizeof(text), "%s:%s@sha256:" HEX, path, tag);
        assert_null(image_reference_problem(text));
        snprintf(text, sizeof(text), "%sa:1", path);
        assert_non_null(image_reference_problem(text));
        snprintf(text, sizeof(text), "%s:%sb", path, tag);
        assert_non_null(image_reference_problem(text));
}

/* Names that are too long for a reference have a hash: valid, one for each, and none is another reference's. */
static void test_hashed_names(void **state _unused_) {
        static const char base[] = "registry.gitlab.com/group/team/ci-images/builder:1.2.3-bookworm";
        char longest[128 + 1 + 1], longer[sizeof(longest) + 1];
        _cleanup_free_ char *pinned = NULL, *other = NULL, *back = NULL, *fits = NULL, *hashed = NULL;
        char one[200], two[200];

        snprintf(one, sizeof(one), "%s@sha256:" HEX, base);
        snprintf(two, sizeof(two), "%.*s4-bookworm@sha256:" HEX, (int) strlen(base) - 10, base);
        pinned = image_reference_to_name(one);
        other = image_reference_to_name(two);
        assert_null(image_name_problem(pinned));
        assert_true(image_reference_is_hashed(pinned));
        assert_true(strncmp(pinned, "registry.gitlab.com%group%team%", 31) == 0);
        assert_string_not_equal(pinned, other);
        assert_non_null(image_reference_problem(pinned));
        back = image_reference_from_name(pinned);
        assert_string_equal(back, pinned);

        snprintf(longer, sizeof(longer), "registry.example/%0112d", 0);
        snprintf(longest, sizeof(longest), "%.*s:1", 126, longer);
        fits = image_reference_to_name(longest);
        assert_false(image_reference_is_hashed(fits));
        hashed = image_reference_to_name(longer);
        assert_true(image_reference_is_hashed(hashed));
        assert_null(image_name_problem(hashed));
}

/* One name for what is one image, and no two for one. */
static void test_names(void **state _unused_) {
        static const struct {
                const char *reference, *name;
        } table[] = {
                { "registry.example/a/b", "registry.example%a%b:latest" },
                { "registry.example/a/b:latest", "registry.example%a%b:latest" },
                { "localhost:5000/a", "localhost:5000%a:latest" },
                { "localhost:5000/a:1", "localhost:5000%a:1" },
                { "registry.example/a@sha256:" HEX, "registry.example%a@sha256:" HEX },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *name = image_reference_to_name(table[i].reference);
                _cleanup_free_ char *back = image_reference_from_name(table[i].name);
                _cleanup_free_ char *again = image_reference_to_name(back);

                assert_string_equal(name, table[i].name);
                assert_null(image_name_problem(name));
                assert_null(image_reference_problem(back));
                assert_string_equal(again, name);
        }
}

static void test_registry(void **state _unused_) {
        static const char *const good[] = { "docker.io", "registry.example:5000", "localhost", "hub:1",
                                            "127.0.0.1:5000" };
        static const char *const bad[] = { "",     "docker", "docker.io/library", "docker.io:",
                                           "-a.b", "a_b.c",  "https://docker.io" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_row(image_reference_registry_is(good[i]), i, good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_row(!image_reference_registry_is(bad[i]), i, bad[i]);
}

/* Docker's short names. */
static void test_complete(void **state _unused_) {
        static const struct {
                const char *registry, *name, *reference;
                bool good;
        } table[] = {
                { "docker.io", "alpine", "docker.io/library/alpine", true },
                { "docker.io", "python:3.12-slim", "docker.io/library/python:3.12-slim", true },
                { "docker.io", "bitnami/redis:7", "docker.io/bitnami/redis:7", true },
                { "docker.io", "alpine@sha256:" HEX, "docker.io/library/alpine@sha256:" HEX, true },
                { "registry.example:5000", "alpine", "registry.example:5000/alpine", true },
                { "registry.example", "group/app", "registry.example/group/app", true },

                { "docker.io", "bookworm@3", "docker.io/library/bookworm@3", false }, /* a generation */
                { "docker.io", "Debian", "docker.io/library/Debian", false },
                { "docker.io", "../x", "docker.io/../x", false },
                { "docker.io", "docker://alpine", "docker.io/docker://alpine", false },
                { "docker.io", "", "docker.io/library/", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *reference = image_reference_complete(table[i].registry, table[i].name);

                assert_string_equal(reference, table[i].reference);
                assert_row(!image_reference_problem(reference) == table[i].good, i, table[i].name);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),      cmocka_unit_test(test_length),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_hashed_names), cmocka_unit_test(test_registry), cmocka_unit_test(test_complete),
};
UNIT_FILE(tests);
