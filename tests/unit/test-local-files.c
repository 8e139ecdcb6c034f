/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "unit.h"

#include <string.h>

#include "local/files.h"

static Arena arena;

static Value *list(const char *const texts[]) {
        Value *value = value_new(&arena, VALUE_LIST, (Place){ 0 });

        for (size_t i = 0; texts[i]; i++)
                value_append(&arena, value, value_new_string(&arena, texts[i], value->place));
        return value;
}

/* The table of the facts: what is below a directory that matches is meant; what is left out is compared file by file. */
static void test_selection(_unused_ void **state) {
        static const struct {
                const char *glob, *exclude, *path;
                bool meant;
        } rows[] = {
                { "out", NULL, "out", true },
                { "out", NULL, "out/a/b", true },
                { "out", NULL, "outer", false },
                { "out", NULL, "x/out", false },
                { "*.log", NULL, "a.log", true },
                { "*.log", NULL, "x/a.log", false },
                { "**/*.log", NULL, "x/y/a.log", true },
                { "**/*.log", NULL, "a.log", true },
                { "*/b", NULL, "a/b/c", true },
                { ".hidden", NULL, ".hidden/x", true },
                { "*", NULL, ".hidden", true },
                { "out", "out/**/*.log", "out/a/b.log", false },
                { "out", "out/**/*.log", "out/b.log", false },
                { "out", "out/a", "out/a/b", true }, /* that would take two asterisks */
                { "out", "out/a/**/*", "out/a/b/c", false },
        };

        if (setjmp(arena.exhausted) != 0)
                fail();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *const paths[] = { rows[i].glob, NULL }, *const exclude[] = { rows[i].exclude, NULL };
                const FileSelection selection = { .paths = list(paths), .exclude = list(exclude) };

                if (selection_has(&selection, rows[i].path) != rows[i].meant)
                        fail_msg("%s without %s: %s", rows[i].glob, rows[i].exclude ? rows[i].exclude : "-",
                                 rows[i].path);
        }
}

static void test_untracked(_unused_ void **state) {
        char *tracked[] = { (char *) "a", (char *) "d/b", NULL };
        const FileSelection selection = { .untracked = true, .tracked = tracked };

        assert_false(selection_has(&selection, "a"));
        assert_false(selection_has(&selection, "d/b"));
        assert_false(selection_has(&selection, ".git/config"));
        assert_true(selection_has(&selection, "d/c"));
        assert_true(selection_has(&selection, ".gitignore"));
}

static void test_globs(_unused_ void **state) {
        static const struct {
                const char *text, *glob; /* NULL: outside */
        } rows[] = {
                { "out/", "out" },
                { "./out", "out" },
                { ".", "**/*" },
                { "/builds/group/project/out", "out" },
                { "/builds/group/project", "**/*" },
                { "/builds/group/project2", NULL },
                { "/etc", NULL },
                { "../up", NULL },
                { "a/../../b", NULL },
                { "dir/**", "dir/**/*" },
                { "..a", "..a" },
        };
        const LocalJob job = { .arena = &arena, .project_dir = "/builds/group/project" };

        if (setjmp(arena.exhausted) != 0)
                fail();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *why = NULL, *glob = selection_glob(&job, rows[i].text, &why);

                if (rows[i].glob)
                        assert_string_equal(glob, rows[i].glob);
                else
                        assert_null(glob);
        }
}

/* As Go's os.Expand, which GitLab Runner uses. */
static void test_expand(_unused_ void **state) {
        static const struct {
                const char *text, *expanded;
        } rows[] = {
                { "plain", "plain" },
                { "$A", "value" },
                { "${A}b", "valueb" },
                { "$AB", "" },
                { "$$A", "$A" },
                { "a$", "a$" },
                { "$1x", "x" },
                { "$?", "" },
                { "$FILE", "/tmp/p/FILE" },
                { "$RAW", "$A" },
                { "$A$A", "valuevalue" },
                { "%A%", "%A%" },
                { "${B:-x}y", "y" },
                { "${A:-x}y", "y" },
                { "${MY-A}", "dashed" },
                { "${A", "A" },
                { "${}x", "x" },
                { "${1}${$}", "$" },
        };
        LocalJob job = { .arena = &arena, .tmp_dir = "/tmp/p", .given = { .arena = &arena } };

        if (setjmp(arena.exhausted) != 0)
                fail();
        variables_set_text(&job.given, "A", "value");
        variables_set(&job.given, &(Variable){ .key = "FILE", .value = "content", .file = true });
        variables_set_text(&job.given, "MY-A", "dashed");
        variables_set(&job.given, &(Variable){ .key = "RAW", .value = "$A", .raw = true });
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_string_equal(local_expand(&job, rows[i].text), rows[i].expanded);
}

static int setup_arena(_unused_ void **state) {
        arena_init(&arena, 1024 * 1024);
        return 0;
}

static int teardown_arena(_unused_ void **state) {
        arena_done(&arena);
        return 0;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_untracked),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_expand),
};
UNIT_FILE(tests, .setup = setup_arena, .teardown = teardown_arena);
