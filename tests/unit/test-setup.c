/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "cli/setup-file.h"
#include "cli/setup-merge.h"
#include "config/toml-file.h"

#define CONCURRENT "# How many jobs of all runners may run at once.\nconcurrent = 1\n"
#define SECTION "[[runners]]\n  name = \"ours\"\n"
#define OURS "[[runners]]\n  name = \"ours\"\n  url = \"https://old/\"\n  token = \"old\"\n  executor = \"custom\"\n"
#define OTHERS                                                                                                         \
        "[[runners]] # theirs\r\n\tname='theirs'\n  executor = \"docker\"\n[runners.docker]\nvolumes = [\"/a\", # b\n" \
        " '/c',]\n  [runners.cache]\n"

static void test_merge(_unused_ void **state) {
        static const struct {
                const char *text, *url, *token;
                int outcome;
                const char *merged; /* NULL: as it was, or refused */
                unsigned line;      /* of what is refused */
        } table[] = {
                /* What is not there is put behind all the rest. */
                { "", "u", "t", SETUP_ADDED, CONCURRENT "\n" SECTION },
                { "concurrent = 3", "u", "t", SETUP_ADDED, "concurrent = 3\n\n" SECTION },
                { "concurrent = 3\n" OTHERS, "u", "t", SETUP_ADDED, "concurrent = 3\n" OTHERS "\n" SECTION },
                { "# mine\n[session_server]\n", "u", "t", SETUP_ADDED,
                  CONCURRENT "\n# mine\n[session_server]\n\n" SECTION },
                { "\xef\xbb\xbf# x\n", "u", "t", SETUP_ADDED, "\xef\xbb\xbf" CONCURRENT "\n# x\n\n" SECTION },

                /* What is there stays but for what was asked for. */
                { "concurrent = 3\n" OURS OTHERS, NULL, NULL, SETUP_UNCHANGED },
                { "concurrent = 3\n" OURS OTHERS, "https://old/", "old", SETUP_UNCHANGED },
                { "concurrent = 3\n" OTHERS OURS "# end", "https://new/", NULL, SETUP_CHANGED,
                  "concurrent = 3\n" OTHERS
                  "[[runners]]\n  name = \"ours\"\n  url = \"https://new/\"\n  token = \"old\"\n  executor = \"custom\"\n# end" },
                { "concurrent=1\n[[runners]]\nname=\"ours\"\nexecutor='custom'\ntoken = '''\nold''' # why\n", "u",
                  "a\"b", SETUP_CHANGED,
                  "concurrent=1\n[[runners]]\n  url = \"u\"\nname=\"ours\"\nexecutor='custom'\ntoken = \"a\\\"b\" # why\n" },
                { "concurrent=1\n[[runners]]\nname=\"o\\u0075rs\"\nexecutor='custom'\n", "u", "t", SETUP_CHANGED,
                  "concurrent=1\n[[runners]]\n  url = \"u\"\n  token = \"t\"\nname=\"o\\u0075rs\"\nexecutor='custom'\n" },
                { OURS, NULL, NULL, SETUP_CHANGED, CONCURRENT "\n" OURS },

                /* What cannot be read, or is another one's, is left alone. */
                { "concurrent = \n", "u", "t", -EINVAL, NULL, 1 },
                { "a = 1\nconcurrent = 1 x\n", "u", "t", -EINVAL, NULL, 2 },
                { "a = 1\n[[runners]\n", "u", "t", -EINVAL, NULL, 2 },
                { "a = \"x\n\"\n", "u", "t", -EINVAL, NULL, 1 },
                { "a = [1, 2\nb = 3\n", "u", "t", -EINVAL, NULL, 2 },
                { "a = {b = 1\n}\n", "u", "t", -EINVAL, NULL, 1 },
                { "a = \"\\q\"\n", "u", "t", -EINVAL, NULL, 1 },
                { "a = \"\\ud800\"\n", "u", "t", -EINVAL, NULL, 1 },
                { "a = yes\n", "u", "t", -EINVAL, NULL, 1 },
                { "a = 1\na = 2\n", "u", "t", -EINVAL, NULL, 2 },
                { "url: https://x\n", "u", "t", -EINVAL, NULL, 1 },
                { "runners = []\n", "u", "t", -EINVAL },
                { "[runners]\nname = \"x\"\n", "u", "t", -EINVAL },
                { "[[runners]]\nname = \"ours\"\nexecutor = \"docker\"\n", "u", "t", -EINVAL },
                { "[[runners]]\nname = \"ours\"\nexecutor = \"custom\"\ntoken = 7\n", "u", "t", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const SetupRunner runner = { "ours", table[i].url, table[i].token, SECTION };
                _cleanup_free_ char *merged = NULL, *again = NULL;
                Problem problem = { 0 };

                int r = setup_merge(table[i].text, &runner, &merged, &problem);
                assert_row(r == table[i].outcome, i, problem.text);
                if (r < 0) {
                        assert_row(problem.text[0] && problem.line == table[i].line, i, problem.text);
                        assert_null(merged);
                        continue;
                }
                assert_row(streq(merged, table[i].merged ? table[i].merged : table[i].text), i, merged);
                if (r == SETUP_ADDED)
                        continue;
                /* The second time there is nothing to do. */
                assert_int_equal(setup_merge(merged, &runner, &again, &problem), SETUP_UNCHANGED);
                assert_string_equal(again, merged);
        }
        /* It was there, so nobody wrote a section for it, and has gone since. */
        const SetupRunner known = { "ours", NULL, NULL, NULL };
        _cleanup_free_ char *merged = NULL;
        Problem problem = { 0 };

        assert_int_equal(setup_merge(OTHERS, &known, &merged, &problem), -EINVAL);
        assert_non_null(strstr(problem.text, "removed"));
}

static void test_find(_unused_ void **state) {
        static const struct {
                const char *text;
                bool found, has_url, has_token;
        } table[] = {
                { "", false, false, false },
                { OTHERS, false, false, false },
                { OURS, true, true, true },
                { OTHERS "[[runners]]\nexecutor = \"custom\"\nurl = \"\"\ntoken = 'x'\nname = \"ours\"\n", true, false,
                  true },
                /* of other tables */
                { "url = \"x\"\n[[runners]]\nexecutor = \"custom\"\nname = \"ours\"\n[runners.x]\ntoken = \"x\"\n",
                  true, false, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Problem problem = { 0 };
                SetupFound found;

                assert_row(setup_find(table[i].text, "ours", &found, &problem) == 0, i, problem.text);
                assert_row(found.found == table[i].found && found.has_url == table[i].has_url &&
                                   found.has_token == table[i].has_token,
                           i, table[i].text);
        }
}

static void test_values(_unused_ void **state) {
        static const struct {
                const char *text, *string; /* NULL: a value that is no string */
        } table[] = {
                { "\"a\\tb\\\\\\\"\\u00fc\\u20ac\\U0001f600\"", "a\tb\\\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80" },
                { "'a\\tb\"'", "a\\tb\"" },
                { "\"\"", "" },
                { "\"\"\"\na\"b\"\"c\\\n   d\"\"\"\"", "a\"b\"\"cd\"" },
                { "'''\r\na'b\nc'''", "a'b\nc" },
                { "1979-05-27 07:32:00Z", NULL },
                { "1979-05-27T07:32:00.9-07:00", NULL },
                { "-1_000.5e+3", NULL },
                { "0xdead_BEEF", NULL },
                { "+inf", NULL },
                { "[1, [\"a\", {b = 'c', d.e = [1]}],\n# x\n]", NULL },
                { "{}", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_toml_file_ TomlFile file = { 0 };
                _cleanup_free_ char *text = NULL;
                Problem problem = { 0 };

                assert_int_equal(string_printf(&text, "[x]\n'a b'.c = %s # end\nnext = true", table[i].text), 0);
                assert_row(toml_file_parse(text, &file, &problem) == 0, i, problem.text);
                const TomlValue *value = toml_file_value(&file, 1, "a b.c");
                assert_non_null(value);
                assert_row(streq_null(value->string, table[i].string), i, value->string);
                assert_row(value->end - value->begin == strlen(table[i].text) &&
                                   startswith(text + value->begin, table[i].text),
                           i, text + value->begin);
                assert_non_null(toml_file_value(&file, 1, "next"));
                assert_null(toml_file_value(&file, 0, "next"));
        }
}

/* Owner and mode stay, symlinks are followed, and what somebody else wrote meanwhile is not lost. */
static void test_replace(void **state) {
        _cleanup_free_ char *path = NULL, *link = NULL, *missing = NULL, *text = NULL;
        _cleanup_setup_file_ SetupFile file = SETUP_FILE_NONE, none = SETUP_FILE_NONE;
        struct stat st;

        assert_int_equal(string_printf(&path, "%s/config.toml", (char *) *state), 0);
        assert_int_equal(string_printf(&link, "%s/link", (char *) *state), 0);
        assert_int_equal(string_printf(&missing, "%s/missing/config.toml", (char *) *state), 0);
        assert_int_equal(setup_file_open(missing, &none), -ENOENT);
        assert_int_equal(setup_file_open(*state, &none), -EISDIR);

        /* A new one is for its owner alone. */
        assert_int_equal(setup_file_open(path, &file), 0);
        assert_string_equal(file.text, "");
        assert_int_equal(setup_file_replace(&file, "new\n"), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(setup_file_replace(&file, "newer\n"), -ESTALE);
        setup_file_done(&file);
        file = SETUP_FILE_NONE;

        assert_int_equal(chmod(path, 0640), 0);
        if (geteuid() == 0)
                assert_int_equal(chown(path, 7, 8), 0);
        assert_int_equal(symlink("config.toml", link), 0);
        assert_int_equal(setup_file_open(link, &file), 0);
        assert_string_equal(file.text, "new\n");
        assert_int_equal(setup_file_replace(&file, "newer\n"), 0);
        assert_int_equal(lstat(link, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        if (geteuid() == 0)
                assert_true(st.st_uid == 7 && st.st_gid == 8);

        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(fd_read_all(fd, 100, &text, NULL), 0);
        assert_string_equal(text, "newer\n");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_values),
        cmocka_unit_test_setup_teardown(test_replace, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
