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

/* As long as names of images may be, and no longer. */
static void test_length(void **state _unused_) {
        char text[200] = "registry.example/name:";
        size_t n = strlen(text);

        memset(text + n, 'a', 128 - n);
        text[128] = 0;
        assert_null(image_reference_problem(text));
        text[128] = 'a';
        text[129] = 0;
        assert_non_null(image_reference_problem(text));
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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_grammar),
                cmocka_unit_test(test_length),
                cmocka_unit_test(test_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
