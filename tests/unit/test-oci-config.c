/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "source/oci-config.h"
#include "source/source.h"

static void test_parse(void **state) {
        static const struct {
                const char *text;
                int r;
                const char *first_env, *working_dir, *user;
                size_t n_env;
        } table[] = {
                { "{}", 0, NULL, NULL, NULL, 0 },
                { "{\"config\":null}", 0, NULL, NULL, NULL, 0 },
                { "{\"config\":{}}", 0, NULL, NULL, NULL, 0 },
                { "{\"config\":{\"Env\":null,\"User\":null,\"WorkingDir\":\"\"}}", 0, NULL, NULL, NULL, 0 },
                { "{\"config\":{\"Env\":[\"A=b\",\"B=\"],\"User\":\"a:b\",\"WorkingDir\":\"/x y\"}}", 0, "A=b", "/x y",
                  "a:b", 2 },
                { "{\"config\":{\"Env\":[\"=b\",\"none\",\"\",\"A=\\n\"]}}", 0, "A=\n", NULL, NULL, 1 },
                { "{\"config\":{\"WorkingDir\":\"app\"}}", 0, NULL, "/app", NULL, 0 },
                { "", -EBADMSG, NULL, NULL, NULL, 0 },
                { "[]", -EBADMSG, NULL, NULL, NULL, 0 },
                { "{\"config\":[]}", -EBADMSG, NULL, NULL, NULL, 0 },
                { "{\"config\":{\"Env\":{}}}", -EBADMSG, NULL, NULL, NULL, 0 },
                { "{\"config\":{\"Env\":[1]}}", -EBADMSG, NULL, NULL, NULL, 0 },
                { "{\"config\":{\"Env\":[\"A=\\u0000\"]}}", -EBADMSG, NULL, NULL, NULL, 0 },
                { "{\"config\":{\"User\":0}}", -EBADMSG, NULL, NULL, NULL, 0 },
                { "{\"config\":{\"WorkingDir\":[]}}", -EBADMSG, NULL, NULL, NULL, 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_image_config_ ImageConfig config = { 0 };
                int r = oci_config_parse(table[i].text, strlen(table[i].text), &config);

                assert_row(r == table[i].r, i, table[i].text);
                assert_row(strv_length(config.env) == table[i].n_env, i, table[i].text);
                assert_row(streq_null(config.env ? config.env[0] : NULL, table[i].first_env), i, table[i].text);
                assert_row(streq_null(config.working_dir, table[i].working_dir), i, table[i].text);
                assert_row(streq_null(config.user, table[i].user), i, table[i].text);
        }
}

/* @expected: items with '|' between; NULL: none. */
static bool are(char *const *items, const char *expected) {
        char text[256] = "";

        for (size_t i = 0; items && items[i]; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? "|" : "", items[i]);
        return expected ? items && streq(text, expected) : !items;
}

/* What an image runs as a service. */
static void test_service(void **state) {
        static const struct {
                const char *text; /* in "config" */
                int r;
                const char *entrypoint, *command, *ports, *volumes;
        } table[] = {
                { "", 0, NULL, NULL, NULL, NULL },
                { "\"Entrypoint\":null,\"Cmd\":null,\"ExposedPorts\":null,\"Volumes\":null", 0, NULL, NULL, NULL,
                  NULL },
                { "\"Entrypoint\":[\"a\",\"b\"],\"Cmd\":[\"\",\"c d\"]", 0, "a|b", "|c d", NULL, NULL },
                { "\"ExposedPorts\":{\"5432/tcp\":{},\"53/udp\":{},\"80\":{},\"1-2/tcp\":{},\"70000/tcp\":{},\"0\":{}}",
                  0, NULL, NULL, "5432|80", NULL },
                { "\"Volumes\":{\"/data\":{},\"relative\":{}}", 0, NULL, NULL, NULL, "/data" },
                { "\"Entrypoint\":\"sh\"", -EBADMSG, NULL, NULL, NULL, NULL },
                { "\"Cmd\":[1]", -EBADMSG, NULL, NULL, NULL, NULL },
                { "\"ExposedPorts\":[]", -EBADMSG, NULL, NULL, NULL, NULL },
                { "\"Volumes\":7", -EBADMSG, NULL, NULL, NULL, NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_image_config_ ImageConfig config = { 0 };
                char text[512];

                snprintf(text, sizeof(text), "{\"config\":{%s}}", table[i].text);
                assert_row(oci_config_parse(text, strlen(text), &config) == table[i].r, i, text);
                assert_row(are(config.entrypoint, table[i].entrypoint), i, text);
                assert_row(are(config.command, table[i].command), i, text);
                assert_row(are(config.ports, table[i].ports), i, text);
                assert_row(are(config.volumes, table[i].volumes), i, text);
        }
}

static void test_large_environment(void **state) {
        static char text[64 * 1024];
        size_t n;

        (void) state;
        for (size_t count = 1; count <= 200; count += 199) {
                _cleanup_image_config_ ImageConfig config = { 0 };

                n = (size_t) sprintf(text, "{\"config\":{\"Env\":[\"A=b\"");
                for (size_t i = 1; i < count; i++)
                        n += (size_t) sprintf(text + n, ",\"A%zu=b\"", i);
                n += (size_t) sprintf(text + n, "]}}");
                assert_int_equal(oci_config_parse(text, n, &config), count == 1 ? 0 : -E2BIG);
        }

        _cleanup_image_config_ ImageConfig config = { 0 };
        n = (size_t) sprintf(text, "{\"config\":{\"Env\":[\"A=%040000d\"]}}", 1);
        assert_int_equal(oci_config_parse(text, n, &config), -E2BIG);
}

static void test_pin(void **state) {
        static const struct {
                const char *reference, *digest, *pinned;
        } table[] = {
                { "docker://a", NULL, "docker://a" },
                { "docker://a:1", NULL, "docker://a:1" },
                { "docker://a", "sha256:0", "docker://a@sha256:0" },
                { "docker://a:1", "sha256:0", "docker://a@sha256:0" },
                { "docker://h:5000/a", "sha256:0", "docker://h:5000/a@sha256:0" },
                { "docker://h:5000/a/b:1", "sha256:0", "docker://h:5000/a/b@sha256:0" },
                { "docker://h:5000/a:1@sha256:1", NULL, "docker://h:5000/a@sha256:1" },
                { "docker://h:5000/a:1@sha256:1", "sha256:0", "docker://h:5000/a@sha256:1" },
                { "docker://h:5000/a@sha256:1", "sha256:0", "docker://h:5000/a@sha256:1" },
                { "oci:/a:b", "sha256:0", "oci:/a:b" },
                { "dir:/a@b", "sha256:0", "dir:/a@b" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *pinned = NULL;

                assert_int_equal(oci_reference_pin(table[i].reference, table[i].digest, &pinned), 0);
                assert_row(streq(pinned, table[i].pinned), i, pinned);
        }
}

static void test_describe(void **state) {
        static char *script[] = { (char *) "/bin/sh", (char *) "-e", (char *) "-c", (char *) "one\ntwo", NULL };
        static char *program[] = { (char *) "pacstrap", (char *) "-c", NULL };
        const struct {
                SourceSpec spec;
                const char *description;
        } table[] = {
                { { .kind = SOURCE_SUITE, .suite = (char *) "sid" }, "suite sid" },
                { { .kind = SOURCE_COMMAND, .create_command = script }, "command one" },
                { { .kind = SOURCE_COMMAND, .create_command = program }, "command pacstrap" },
                { { .kind = SOURCE_OCI, .oci = (char *) "docker://h/a@sha256:0" }, "oci docker://h/a@sha256:0" },
                { { .kind = SOURCE_TARBALL, .tarball = (char *) "/a@b" }, "tarball /a@b" },
                { { .kind = SOURCE_TARBALL, .tarball = (char *) "https://u:p@h/a@b" }, "tarball https://h/a@b" },
                { { .kind = SOURCE_FROM, .from = (char *) "base" }, "from base" },
        };
        _cleanup_free_ char *none = NULL;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *description = NULL;

                assert_int_equal(source_describe(&table[i].spec, &description), 0);
                assert_row(streq(description, table[i].description), i, description);
        }
        assert_int_equal(source_describe(&(SourceSpec){ .kind = SOURCE_NONE }, &none), -EOPNOTSUPP);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_service),  cmocka_unit_test(test_large_environment),
        cmocka_unit_test(test_pin),   cmocka_unit_test(test_describe),
};
UNIT_FILE(tests);
