/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "cli/toml.h"

static char *written(int (*write)(FILE *stream, const void *what), const void *what, int *ret) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        *ret = write(f, what);
        fclose(f);
        return text;
}

static int write_string(FILE *stream, const void *text) {
        return toml_write_string(stream, text);
}

static int write_runner(FILE *stream, const void *runner) {
        return toml_write(stream, runner);
}

static void test_strings(_unused_ void **state) {
        static const struct {
                const char *text, *toml; /* NULL: refused */
        } table[] = {
                { "", "\"\"" },
                { "/usr/bin/x", "\"/usr/bin/x\"" },
                { "a\"b\\c", "\"a\\\"b\\\\c\"" },
                { "tab\tnew\nline\x7f\x01", "\"tab\\u0009new\\u000aline\\u007f\\u0001\"" },
                { "\xc3\xbc", "\"\xc3\xbc\"" },
                { "\xe2\x82\xac", "\"\xe2\x82\xac\"" },
                { "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
                { "\xff", NULL },
                { "\xc3", NULL }, /* cut off */
                { "\xc3(", NULL },
                { "\xc0\xaf", NULL }, /* overlong */
                { "\xe0\x80\xaf", NULL },
                { "\xed\xa0\x80", NULL },     /* surrogate */
                { "\xf4\x90\x80\x80", NULL }, /* beyond Unicode */
                { "\xf5\x80\x80\x80", NULL },
                { "\x80", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                int r;
                _cleanup_free_ char *text = written(write_string, table[i].text, &r);

                assert_row(r == (table[i].toml ? 0 : -EILSEQ), i, table[i].text);
                assert_row(streq(text, table[i].toml ? table[i].toml : ""), i, text);
        }
}

static void test_section(_unused_ void **state) {
        static char *options[] = { (char *) "--config", (char *) "/etc/a \"b\".yaml", NULL };
        TomlRunner runner = {
                .program = "/usr/bin/nspawn-runner",
                .global_options = options,
                .name = "nspawn-runner small",
                .image = "small",
                .builds_dir = "/a\nb",
                .kill_timeout_usec = 600 * USEC_PER_SEC,
                .start_timeout_usec = USEC_INFINITY,
        };
        static const char *const parts[] = {
                "[[runners]]\n",
                "\n  executor = \"custom\"\n",
                " builds_dir is \"/a\\u000ab\"\n",
                "\n  cache_dir = \"/cache\"\n",
                "\n  [runners.custom_build_dir]\n    enabled = true\n  [runners.custom]\n    config_exec = \"/usr/bin/nspawn-runner\"\n",
                "\n    config_args = [\"--config\", \"/etc/a \\\"b\\\".yaml\", \"gitlab-config\"]\n",
                "\n    prepare_args = [\"--config\", \"/etc/a \\\"b\\\".yaml\", \"prepare\", \"--default-image\", \"small\"]\n",
                "\n    run_args = [\"--config\", \"/etc/a \\\"b\\\".yaml\", \"run\"]\n",
                "\n    cleanup_args = [\"--config\", \"/etc/a \\\"b\\\".yaml\", \"cleanup\"]\n",
                "\n    graceful_kill_timeout = 630\n", /* longer than our own */
                "\n    prepare_exec_timeout = 86430\n",
        };
        int r;
        _cleanup_free_ char *with_image = written(write_runner, &runner, &r);

        assert_int_equal(r, 0);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                assert_row(strstr(with_image, parts[i]), i, parts[i]);

        runner.image = NULL;
        runner.global_options = NULL;
        _cleanup_free_ char *without = written(write_runner, &runner, &r);
        assert_int_equal(r, 0);
        assert_non_null(strstr(without, "\n    prepare_args = [\"prepare\"]\n"));

        runner.program = "/\xff/nspawn-runner";
        _cleanup_free_ char *broken = written(write_runner, &runner, &r);
        assert_int_equal(r, -EILSEQ);
        assert_null(strstr(broken, "\xff"));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_section),
};
UNIT_FILE(tests);
