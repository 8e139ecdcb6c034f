/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <locale.h>
#include <stdio.h>

#include "base/string.h"
#include "job/describe.h"
#include "terminal/table-fit.h"

/* Columns go by rank, then texts get shorter, the widest first. */
static void test_fit(_unused_ void **state) {
        static const struct {
                size_t available;
                size_t widths[5];
        } table[] = {
                { SIZE_MAX, { 10, 40, 8, 30, 6 } }, { 98, { 10, 40, 8, 30, 6 } }, { 97, { 10, 39, 8, 30, 6 } },
                { 88, { 10, 30, 8, 30, 6 } },       { 86, { 10, 29, 8, 29, 6 } }, { 52, { 10, 12, 8, 12, 6 } },
                { 51, { 10, 15, 8, 15, 0 } },       { 45, { 10, 12, 8, 12, 0 } }, { 44, { 10, 24, 8, 0, 0 } },
                { 32, { 10, 12, 8, 0, 0 } },        { 31, { 10, 20, 0, 0, 0 } },  { 23, { 10, 12, 0, 0, 0 } },
                { 22, { 10, 0, 0, 0, 0 } },         { 5, { 10, 0, 0, 0, 0 } },    { 0, { 10, 0, 0, 0, 0 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                FitColumn columns[] = {
                        { .rank = 0, .heading = 2, .width = 10 },
                        { .rank = 1, .shortens = true, .heading = 7, .width = 40 },
                        { .rank = 2, .heading = 5, .width = 8 },
                        { .rank = 3, .shortens = true, .heading = 3, .width = 30 },
                        { .rank = 4, .heading = 6, .width = 6 },
                };
                char text[64];

                table_fit(columns, ELEMENTSOF(columns), table[i].available);
                for (size_t j = 0; j < ELEMENTSOF(columns); j++) {
                        snprintf(text, sizeof(text), "column %zu of %zu: %zu", j, table[i].available, columns[j].width);
                        assert_row(columns[j].width == table[i].widths[j], i, text);
                }
        }
}

static void test_shorten(_unused_ void **state) {
        static const struct {
                const char *text;
                size_t width;
                const char *result;
        } table[] = {
                { "", 5, "" },
                { "hello", 5, "hello" },
                { "hello!", 5, "hell…" },
                { "äöüäöü", 6, "äöüäöü" },
                { "äöüäöüx", 6, "äöüäö…" },
                { "ab", 1, "…" },
                { "ab", 0, "ab" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = strdup(table[i].text);

                assert_int_equal(table_shorten(&text, table[i].width), 0);
                assert_row(streq(text, table[i].result), i, text);
                assert_row(table[i].width == 0 || table_text_width(text) <= table[i].width, i, text);
        }
        assert_non_null(setlocale(LC_CTYPE, "C"));
        _cleanup_free_ char *plain = strdup("hello!");
        assert_int_equal(table_shorten(&plain, 5), 0);
        assert_string_equal(plain, "hell~");
}

/* What somebody who may change a pipeline can have shown on a terminal. */
static void test_describe(_unused_ void **state) {
        static const struct {
                const char *name, *result;
        } table[] = {
                { "test: [a, 1/2]", "test: [a, 1/2]" },
                { "Bücher 📚 检查", "Bücher 📚 检查" },
                { "a\033[31m\nb\x7f", "a?[31m?b?" },
                { "\xc2\x9b", "??" },                /* the same as ESC [ */
                { "\xe2\x80\xaetxt", "???txt" },     /* from right to left */
                { "\xff\xc3", "??" },                /* no UTF-8 */
                { "\xc0\xaf\xed\xa0\x80", "?????" }, /* nor is this, though it looks so */
                { "", NULL },
                { NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const JobSpec job = { .name = (char *) table[i].name };
                _cleanup_machine_ Machine *machine = calloc(1, sizeof(Machine));

                assert_int_equal(job_describe(&job, machine), 0);
                assert_row(streq_null(machine->job_name, table[i].result), i, machine->job_name);
        }
        _cleanup_machine_ Machine *machine = calloc(1, sizeof(Machine));
        char *long_name = malloc(1000);
        memset(long_name, 'x', 999);
        long_name[999] = 0;
        const JobSpec job = { .name = long_name, .project = (char *) "group/project" };
        assert_int_equal(job_describe(&job, machine), 0);
        assert_int_equal(strlen(machine->job_name), 255);
        free(long_name);
}

static void test_description(_unused_ void **state) {
        static const struct {
                const char *job, *project, *service, *result;
        } table[] = {
                { "test", "group/project", NULL, "CI job 4711 'test' of group/project, image bookworm (name)" },
                { NULL, "group/project", NULL, "CI job 4711 of group/project, image bookworm (name)" },
                { "test", NULL, NULL, "CI job 4711 'test', image bookworm (name)" },
                { NULL, NULL, NULL, "Container of image bookworm (name)" },
                { NULL, NULL, "db", "Service db of a CI job, image bookworm (name)" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *names[] = { (char *) table[i].service, NULL };
                const Machine machine = { .id = (char *) "4711-abc",
                                          .name = (char *) "name",
                                          .image = (char *) "bookworm",
                                          .job_name = (char *) table[i].job,
                                          .project = (char *) table[i].project,
                                          .names = names[0] ? names : NULL };
                _cleanup_free_ char *text = NULL;

                assert_int_equal(machine_description(&machine, &text), 0);
                assert_row(streq(text, table[i].result), i, text);
        }
}

static int setup_locale(_unused_ void **state) {
        return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_shorten),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_description),
};
UNIT_FILE(tests, .setup = setup_locale);
