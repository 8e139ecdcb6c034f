/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "job/service-start.h"

/* @expected: items with '|' between; NULL: no list. */
static bool are(char *const *items, const char *expected) {
        char text[512] = "";

        if (!expected)
                return !items;
        for (size_t i = 0; items && items[i]; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? "|" : "", items[i]);
        return items && streq(text, expected);
}

static void test_arguments(_unused_ void **state) {
        static const struct {
                const char *entrypoint[4], *command[4]; /* the job's */
                bool local, has_init;
                const char *image_entrypoint[4], *image_command[4], *definition_command[4];
                int r;
                const char *argv;
        } table[] = {
                /* registry images, as Docker has them */
                { .image_command = { "c" }, .argv = "c" },
                { .image_entrypoint = { "e", "1" }, .image_command = { "c" }, .argv = "e|1|c" },
                { .image_entrypoint = { "e" }, .argv = "e" },
                { .command = { "x", "y" }, .image_entrypoint = { "e" }, .image_command = { "c" }, .argv = "e|x|y" },
                { .entrypoint = { "n" }, .image_entrypoint = { "e" }, .image_command = { "c" }, .argv = "n" },
                { .entrypoint = { "n" }, .command = { "x" }, .image_entrypoint = { "e" }, .argv = "n|x" },
                { .entrypoint = { "" }, .command = { "x" }, .image_entrypoint = { "e" }, .argv = "x" },
                { .entrypoint = { "" }, .image_command = { "c" }, .r = -ENOEXEC },
                { .r = -ENOEXEC },
                { .has_init = true, .r = -ENOEXEC },
                { .has_init = true, .image_command = { "c" }, .argv = "c" },
                { .command = { "" }, .r = -ENOEXEC },
                /* those of this host */
                { .local = true, .r = -ENOEXEC },
                { .local = true, .has_init = true, .argv = NULL },
                { .local = true, .has_init = true, .definition_command = { "d", "1" }, .argv = "d|1" },
                { .local = true, .definition_command = { "d" }, .argv = "d" },
                { .local = true, .has_init = true, .command = { "x" }, .definition_command = { "d" }, .argv = "x" },
                { .local = true, .has_init = true, .image_command = { "c" }, .argv = NULL },
                { .local = true, .image_entrypoint = { "e" }, .image_command = { "c" }, .argv = "e|c" },
                { .local = true, .has_init = true, .command = { "x" }, .image_entrypoint = { "e" }, .argv = "e|x" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                JobService service = { .entrypoint = (char **) table[i].entrypoint,
                                       .command = (char **) table[i].command };
                ServiceImage image = { .local = table[i].local,
                                       .has_init = table[i].has_init,
                                       .entrypoint = (char **) table[i].image_entrypoint,
                                       .command = (char **) table[i].image_command,
                                       .definition_command = (char **) table[i].definition_command };
                _cleanup_service_start_ ServiceStart start = { 0 };

                assert_row(service_start_make(&service, &image, &start) == table[i].r, i, table[i].argv);
                assert_row(are(start.argv, table[i].argv), i, table[i].argv);
        }
}

static void test_ports(_unused_ void **state) {
        static const struct {
                const char *image[26], *definition[4];
                const char *key, *value; /* of a variable of the service */
                const char *ports;
        } table[] = {
                { .ports = NULL },
                { .image = { "6379" }, .ports = "6379" },
                { .image = { "900", "80", "80", "10000" }, .ports = "80|900|10000" },
                { .image = { "80" }, .definition = { "5433", "5432" }, .ports = "5432|5433" },
                { .image = { "80" }, .key = "HEALTHCHECK_TCP_PORT", .value = "81", .ports = "81" },
                { .image = { "80" }, .key = "healthcheck_Tcp_port", .value = "81", .ports = "81" },
                { .image = { "80" }, .key = "healthcheck_tcp_port", .value = "no", .ports = "80" },
                { .image = { "80" }, .key = "healthcheck_tcp_port", .value = "65536", .ports = "80" },
                { .image = { "0", "x", "70000", "9" }, .ports = "9" },
                { .image = { "24", "23", "22", "21", "20", "19", "18", "17", "16", "15", "14", "13",
                             "12", "11", "10", "9",  "8",  "7",  "6",  "5",  "4",  "3",  "2" },
                  .ports = "2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                JobVariable variable = { .key = (char *) table[i].key, .value = (char *) table[i].value };
                JobService service = { .command = ARGV("x"),
                                       .variables = { .items = &variable, .n = table[i].key ? 1 : 0 } };
                ServiceImage image = { .ports = (char **) table[i].image,
                                       .definition_ports = (char **) table[i].definition };
                _cleanup_service_start_ ServiceStart start = { 0 };

                assert_row(service_start_make(&service, &image, &start) == 0, i, table[i].ports);
                assert_row(are(start.ports, table[i].ports), i, table[i].ports);
        }
}

static void test_surroundings(_unused_ void **state) {
        JobService service = { .command = ARGV("x"), .environment = ARGV("B=job", "C=", "D=1", "D=2") };
        ServiceImage image = { .environment = ARGV("A=image", "B=image"), .user = "u:g", .working_dir = "/w" };
        _cleanup_service_start_ ServiceStart start = { 0 }, other = { 0 };

        assert_int_equal(service_start_make(&service, &image, &start), 0);
        assert_true(are(start.environment, "A=image|B=job|C=|D=2"));
        assert_string_equal(start.user, "u:g");
        assert_string_equal(start.working_dir, "/w");
        service.user = (char *) "70";
        assert_int_equal(service_start_make(&service, &image, &other), 0);
        assert_string_equal(other.user, "70");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_surroundings),
};
UNIT_FILE(tests);
