/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/fd.h"
#include "base/string.h"
#include "config/config-data.h"
#include "config/config-file.h"

/* A file, and where and why it is refused; without a line: it is not. */
static const struct {
        const char *text;
        unsigned line, column;
        const char *problem; /* a part of it */
} files[] = {
        /* fine */
        { "", 0, 0, NULL },
        { "# only a comment\n", 0, 0, NULL },
        { "---\n...\n", 0, 0, NULL },
        { "---\n", 0, 0, NULL },
        { "null\n", 0, 0, NULL },
        { "{}\n", 0, 0, NULL },
        { "boot: no\n", 0, 0, NULL },
        { "\xef\xbb\xbf"
          "boot: no\n",
          0, 0, NULL },
        { "boot: no\r\nseccomp: no\r\n", 0, 0, NULL },
        { "{boot: no, 'seccomp': \"off\"}", 0, 0, NULL },
        { "\"boot\": !!str no\n", 0, 0, NULL },
        { "boot: !!bool no\n", 0, 0, NULL },
        { "root_dir: &anchor /srv\n", 0, 0, NULL },
        { "bind: [/a, '/b:/c']\nbind_ro:\n  - /d\n  - \"/e\"\n", 0, 0, NULL },
        { "bind: []\n", 0, 0, NULL },
        { "bind:\n", 0, 0, NULL },
        { "default_image: ~\nshell: null\nallowed_images:\n", 0, 0, NULL },
        { "start_timeout: 1min 30s\n", 0, 0, NULL },
        { "%YAML 1.1\n---\nboot: no\n", 0, 0, NULL },

        /* names */
        { "boot: no\nbot: yes\n", 2, 1, "unknown setting 'bot'; did you mean 'boot'?" },
        { "  memory-max: 1G\n", 1, 3, "did you mean 'memory_max'?" },
        { "zzzzzzzzzz: 1\n", 1, 1, "unknown setting 'zzzzzzzzzz'" },
        { "<<: {boot: no}\n", 1, 1, "unknown setting '<<'" },
        { "boot: no\n\nboot: yes\n", 3, 1, "'boot' is set twice, first in line 1" },
        { "{boot: no, boot: no}", 1, 12, "set twice" },
        { "[boot]: no\n", 1, 1, "must be plain text" },
        { "? {a: b}\n: no\n", 1, 3, "must be plain text" },
        { "\"boot\\0x\": no\n", 1, 1, "must be plain text" },
        { "? boot\n", 2, 1, "has no value" },

        /* values */
        { "boot: perhaps\n", 1, 7, "'boot' must be auto, yes, no or eager" },
        { "boot:\n", 1, 6, "'boot' has no value" },
        { "root_dir: ~\n", 1, 11, "'root_dir' has no value" },
        { "root_dir: ''\n", 1, 11, "'root_dir' must be an absolute path" },
        { "cpu_weight: 0\n", 1, 13, "from 1 to 10000" },
        { "boot: [no]\n", 1, 7, "one value, not a list" },
        { "boot: {a: b}\n", 1, 7, "one value, not a list" },
        { "bind: /srv\n", 1, 7, "must be a list" },
        { "bind: {a: b}\n", 1, 7, "must be a list" },
        { "bind: [/srv, [/a]]\n", 1, 14, "list of plain values" },
        { "bind: [/srv, {a: b}]\n", 1, 14, "list of plain values" },
        { "bind:\n- /srv\n-\n", 3, 2, "list of plain values" },
        { "bind: ['/c:/s']\nboot: no\nbind_ro: ['/c/d:/t']\n", 3, 1, "bind_ro: '/c/d' is below '/c'" },
        { "boot: no\nbind: ['/c/d:/t', '/c:/s']\n", 2, 1, "bind: '/c/d' is below '/c'" },
        { "boot: no\nbind_ro: ['/srv:/run/host']\n", 2, 1, "bind_ro: '/srv' cannot be mounted on '/run/host'" },
        { "bind: [/r/i]\nroot_dir: /r\n", 1, 1, "bind: '/r/i' is in root_dir '/r'" },
        { "bind:\n- /srv\n- relative\n", 3, 3, "'bind' must be a list of SOURCE" },
        { "root_dir: \"/srv\\0x\"\n", 1, 11, "NUL" },
        { "root_dir: \"/srv\\nx\"\n", 1, 11, "absolute path" },
        { "boot: *nowhere\n", 1, 7, "aliases" },
        { "shell: &a bash\ndefault_image: *a\n", 2, 16, "aliases" },
        { "allowed_images: [*-small]\n", 1, 18, "aliases" },
        { "boot: !secret no\n", 1, 7, "tag '!secret'" },
        { "boot: !!python/object no\n", 1, 7, "tag" },
        { "!thing {boot: no}\n", 1, 1, "tag" },
        { "boot: |\n  no\n", 1, 7, "must be auto, yes, no or eager" },

        /* shape */
        { "boot\n", 1, 1, "must be a mapping" },
        { "''\n", 1, 1, "must be a mapping" },
        { "- boot: no\n", 1, 1, "must be a mapping" },
        { "boot: no\n---\nseccomp: no\n", 2, 1, "only one document" },

        /* syntax */
        { "boot: no\n\tseccomp: no\n", 2, 1, "" },
        { "boot: 'no\n", 2, 1, "" },
        { "boot: no: yes\n", 1, 9, "mapping values are not allowed" },
        { "{boot: no", 2, 1, "" },
        { "a: b\n c: d\n", 1, 1, "unknown setting" },
        { "\xff\xfe\xff", 0, 0, "not a text file" },
        { "boot: \x01\n", 0, 0, "not a text file" },
        { "boot: \xc3\n", 0, 0, "not a text file" },
};

static void test_files(_unused_ void **state) {
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                Problem problem = { .text = "" };
                Settings settings;

                assert_int_equal(settings_init(&settings), 0);
                int r = config_parse(files[i].text, strlen(files[i].text), &settings, &problem);
                settings_done(&settings);

                if (!files[i].problem) {
                        assert_row(r == 0, i, files[i].text);
                        continue;
                }
                assert_row(r == -EINVAL, i, files[i].text);
                if (problem.line != files[i].line || problem.column != files[i].column)
                        fail_msg("row %zu (%s): %u:%u: %s", i, files[i].text, problem.line, problem.column,
                                 problem.text);
                assert_row(strstr(problem.text, files[i].problem), i, problem.text);
        }
}

static void test_values(_unused_ void **state) {
        static const char text[] = "root_dir: /srv/images\n"
                                   "storage: tmpfs\n"
                                   "boot: off\n"
                                   "default_image: 'null'\n"
                                   "allowed_images: ['*-small', debian]\n"
                                   "memory_max: 25%\n"
                                   "start_timeout: 90\n"
                                   "network: none\n"
                                   "bind: ['/srv/cache:/var/cache']\n";
        Problem problem;
        Settings settings;

        assert_int_equal(settings_init(&settings), 0);
        assert_int_equal(config_parse(text, sizeof(text) - 1, &settings, &problem), 0);
        assert_string_equal(settings.root_dir, "/srv/images");
        assert_string_equal(settings.storage, "tmpfs");
        assert_int_equal(settings.boot, BOOT_NO);
        assert_string_equal(settings.default_image, "null");
        assert_int_equal(strv_length(settings.allowed_images), 2);
        assert_string_equal(settings.allowed_images[0], "*-small");
        assert_int_equal(settings.memory_max.permyriad, 2500);
        assert_true(settings.start_timeout_usec == 90 * USEC_PER_SEC);
        assert_int_equal(settings.network, NETWORK_NONE);
        assert_int_equal(strv_length(settings.bind), 1);
        assert_true(settings.private_users); /* as it was */

        /* A second file replaces lists, and unsets what it says is null. */
        static const char second[] = "allowed_images: [x]\ndefault_image: null\nbind:\n";
        assert_int_equal(config_parse(second, sizeof(second) - 1, &settings, &problem), 0);
        assert_int_equal(strv_length(settings.allowed_images), 1);
        assert_null(settings.default_image);
        assert_null(settings.bind);
        settings_done(&settings);
}

/* What setting_format() writes is read back as the same. */
static void test_round_trip(_unused_ void **state) {
        static const char text[] = "root_dir: \"/srv/it's: #a 'test'\"\n"
                                   "default_image: '~'\n"
                                   "shell: 'yes'\n"
                                   "allowed_images: ['*', '- x', \"'\", 'a, b', '[x]']\n"
                                   "system_call_filter: ['@keyring', bpf]\n"
                                   "memory_high: 12.5%\n"
                                   "tasks_max: infinity\n"
                                   "kill_timeout: 0\n";
        _cleanup_free_ char *written = NULL;
        Problem problem = { .text = "" };
        Settings first, second;

        assert_int_equal(settings_init(&first), 0);
        assert_int_equal(config_parse(text, sizeof(text) - 1, &first, &problem), 0);

        for (size_t i = 0; settings_info(i); i++) {
                _cleanup_free_ char *value = NULL, *before = TAKE_PTR(written);

                assert_int_equal(setting_format(&first, settings_info(i), &value), 0);
                assert_int_equal(string_printf(&written, "%s%s: %s\n", before ? before : "",
                                               setting_name(settings_info(i)), value),
                                 0);
        }
        assert_int_equal(settings_init(&second), 0);
        if (config_parse(written, strlen(written), &second, &problem) < 0)
                fail_msg("%u:%u: %s in:\n%s", problem.line, problem.column, problem.text, written);

        for (size_t i = 0; settings_info(i); i++) {
                _cleanup_free_ char *a = NULL, *b = NULL;

                assert_int_equal(setting_format(&first, settings_info(i), &a), 0);
                assert_int_equal(setting_format(&second, settings_info(i), &b), 0);
                assert_string_equal(a, b);
        }
        assert_string_equal(second.root_dir, "/srv/it's: #a 'test'");
        settings_done(&first);
        settings_done(&second);
}

/* Input made to exhaust a parser: refused, and soon. */
static void test_hostile(_unused_ void **state) {
        static const char *const units[] = { "[", "{", "- ", "? ", "{a: ", "&a ", "!!str ", "a: *", "'", "\n", "#" };
        const size_t size = CONFIG_FILE_MAX_BYTES;
        _cleanup_free_ char *text = malloc(size);
        Problem problem;

        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                Settings settings;

                for (size_t at = 0; at < size; at++)
                        text[at] = units[i][at % strlen(units[i])];
                assert_int_equal(settings_init(&settings), 0);
                int r = config_parse(text, size, &settings, &problem);
                assert_row(r == -EINVAL || (r == 0 && (units[i][0] == '\n' || units[i][0] == '#')), i, units[i]);
                settings_done(&settings);
        }
}

static void write_file(const char *path, size_t size) {
        _cleanup_fclose_ FILE *f = fopen(path, "we");

        assert_non_null(f);
        for (size_t i = 0; i < size; i++)
                putc('#', f);
}

static void test_read(void **state) {
        _cleanup_free_ char *path = NULL, *link = NULL;
        Problem problem = { 0 };
        Settings settings;

        assert_int_equal(string_printf(&path, "%s/file", (char *) *state), 0);
        assert_int_equal(string_printf(&link, "%s/link", (char *) *state), 0);
        assert_int_equal(settings_init(&settings), 0);
        assert_int_equal(config_file_read(path, &settings, &problem), -ENOENT);
        assert_non_null(startswith(problem.text, "Cannot read configuration file '"));
        assert_int_equal(config_file_read(*state, &settings, &problem), -EISDIR);

        assert_int_equal(symlink("file", link), 0);
        write_file(path, CONFIG_FILE_MAX_BYTES);
        assert_int_equal(config_file_read(path, &settings, &problem), 0);
        assert_int_equal(config_file_read(link, &settings, &problem), 0);
        write_file(path, CONFIG_FILE_MAX_BYTES + 1);
        assert_int_equal(config_file_read(path, &settings, &problem), -EFBIG);
        assert_non_null(endswith(problem.text, "/file: larger than 256 KiB"));
        settings_done(&settings);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test_setup_teardown(test_read, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
