/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "config/settings.h"

static int setup_settings(void **state) {
        *state = calloc(1, sizeof(Settings));
        return settings_init(*state);
}

static int teardown_settings(void **state) {
        settings_done(*state);
        free(*state);
        return 0;
}

/* One assignment, and how the value is written back; NULL: refused. */
static const struct {
        const char *name, *text, *formatted;
} assignments[] = {
        { "root_dir", "/srv/images", "/srv/images" },
        { "root_dir", "/srv/two words", "'/srv/two words'" },
        { "root_dir", "/srv/it's", "'/srv/it''s'" },
        { "root_dir", "/srv/\xc3\xbc", "'/srv/\xc3\xbc'" },
        { "root_dir", "/srv/..dots", "/srv/..dots" },
        { "root_dir", "srv", NULL },
        { "root_dir", "", NULL },
        { "root_dir", "/", NULL },
        { "root_dir", "//srv", NULL },
        { "root_dir", "/srv//x", NULL },
        { "root_dir", "/srv/", NULL },
        { "root_dir", "/srv/../etc", NULL },
        { "root_dir", "/srv/..", NULL },
        { "root_dir", "/./srv", NULL },
        { "root_dir", "/srv/new\nline", NULL },
        { "root_dir", "/srv/\x1b[1m", NULL },

        /* 50 bytes, and 51: room for the sockets' names */
        { "runtime_dir", "/run/56789012345678901234567890123456789012345678/x", NULL },
        { "runtime_dir", "/run/5678901234567890123456789012345678901234567/x",
          "/run/5678901234567890123456789012345678901234567/x" },
        { "runtime_dir", "run", NULL },

        { "storage", "auto", "auto" },
        { "storage", "overlay", "overlay" },
        { "storage", "btrfs", "btrfs" },
        { "storage", "tmpfs", "tmpfs" },
        { "storage", "zfs", NULL },
        { "storage", "", NULL },
        { "storage", "Overlay", NULL },

        { "tmpfs_size", "10%", "10%" },
        { "tmpfs_size", "512M", "512M" },

        { "boot", "auto", "auto" },
        { "boot", "yes", "yes" },
        { "boot", "No", "no" },
        { "boot", "true", "yes" },
        { "boot", "0", "no" },
        { "boot", "eager", "eager" },
        { "boot", "Eager", NULL },
        { "boot", "maybe", NULL },

        { "private_users", "yes", "yes" },
        { "private_users", "no", "no" },
        { "private_users", "TRUE", "yes" },
        { "private_users", "off", "no" },
        { "private_users", "on", "yes" },
        { "private_users", "1", "yes" },
        { "private_users", "2", NULL },
        { "private_users", "", NULL },
        { "private_users", " yes", NULL },

        { "default_image", "bookworm", "bookworm" },
        { "default_image", "a#b", "'a#b'" },
        { "default_image", "a b", NULL },
        { "default_image", "null", "'null'" },
        { "default_image", "", NULL },
        { "default_image", ".hidden", NULL },
        { "default_image", "-x", NULL },
        { "default_image", "a/b", NULL },
        { "default_image", "..", NULL },
        { "default_image", "a\nb", NULL },

        { "shell", "/bin/bash", "/bin/bash" },
        { "shell", "bash", "bash" },
        { "shell", "bin/bash", NULL },
        { "shell", "../bash", NULL },
        { "shell", "..", NULL },
        { "shell", "-c", NULL },
        { "shell", "bash -l", NULL },
        { "shell", "", NULL },
        { "shell", "/bin/../bash", NULL },

        { "builds_dir", "/builds", "/builds" },
        { "builds_dir", "builds", NULL },
        { "cache_dir", "/", NULL },

        { "cpu_weight", "1", "1" },
        { "cpu_weight", "10000", "10000" },
        { "cpu_weight", "0", NULL },
        { "cpu_weight", "10001", NULL },
        { "cpu_weight", "infinity", NULL },
        { "cpu_weight", "-1", NULL },
        { "cpu_weight", "5.5", NULL },
        { "cpu_weight", "99999999999999999999", NULL },

        { "service_memory_max", "1M", "1M" },
        { "service_memory_max", "30%", "30%" },
        { "service_memory_max", "0", NULL },
        { "service_memory_high", "infinity", "infinity" },
        { "job_memory_max", "60%", "60%" },
        { "job_memory_max", "infinity", "infinity" },
        { "job_memory_high", "1", NULL },
        { "job_tasks_max", "0", NULL },
        { "service_tasks_max", "5", "5" },
        { "service_tasks_max", "0", NULL },
        { "service_cpu_weight", "10000", "10000" },
        { "service_cpu_weight", "10001", NULL },
        { "wait_for_services_timeout", "90s", "90s" },
        { "wait_for_services_timeout", "-1", "-1" },
        { "wait_for_services_timeout", "-30", "-1" },
        { "wait_for_services_timeout", "0", NULL },
        { "wait_for_services_timeout", "-x", NULL },
        { "allowed_services", "postgres", "[postgres]" },
        { "memory_max", "1M", "1M" },
        { "memory_max", "1.5G", "1536M" },
        { "memory_max", "2097152", "2M" },
        { "memory_max", "2097153B", "2097153" },
        { "memory_max", "1T", "1T" },
        { "memory_max", "infinity", "infinity" },
        { "memory_max", "100%", "100%" },
        { "memory_max", "12.5%", "12.50%" },
        { "memory_max", "0.01%", "0.01%" },
        { "memory_max", "0%", NULL },
        { "memory_max", "101%", NULL },
        { "memory_max", "512", NULL }, /* bytes: the M was forgotten */
        { "memory_max", "0", NULL },
        { "memory_max", "-1M", NULL },
        { "memory_max", "1 M", NULL },
        { "memory_max", "1m", NULL },
        { "memory_max", "1MB", NULL },
        { "memory_max", "1.G", NULL },
        { "memory_max", ".5G", NULL },
        { "memory_max", "M", NULL },
        { "memory_max", "", NULL },
        { "memory_max", "16777215T", "16777215T" },
        { "memory_max", "16777216T", NULL },
        { "memory_max", "99999999999999999999%", NULL },

        { "tasks_max", "1", "1" },
        { "tasks_max", "infinity", "infinity" },
        { "tasks_max", "0", NULL },
        { "tasks_max", "many", NULL },

        { "uid_range", "65536", "65536" },
        { "uid_range", "4194304", "4194304" },
        { "uid_range", "0", NULL },
        { "uid_range", "65535", NULL },
        { "uid_range", "100000", NULL },
        { "uid_range", "4259840", NULL },
        { "uid_range", "infinity", NULL },

        { "start_timeout", "60", "60s" },
        { "start_timeout", "60s", "60s" },
        { "start_timeout", "90 sec", "90s" },
        { "start_timeout", "2min", "2min" },
        { "start_timeout", "1min 30s", "90s" },
        { "start_timeout", "1min30s", "90s" },
        { "start_timeout", "1.5h", "90min" },
        { "start_timeout", "2 hours", "2h" },
        { "start_timeout", "1d", "24h" },
        { "start_timeout", "1s 500ms", "1500ms" },
        { "start_timeout", "1.000001s", "1000001us" },
        { "start_timeout", "infinity", "infinity" },
        { "start_timeout", "0", NULL },
        { "start_timeout", "500ms", NULL },
        { "start_timeout", "", NULL },
        { "start_timeout", "s", NULL },
        { "start_timeout", "5 parsecs", NULL },
        { "start_timeout", "5s s", NULL },
        { "start_timeout", "1..5s", NULL },
        { "start_timeout", "-5s", NULL },
        { "start_timeout", "18446744073710s", NULL },
        { "start_timeout", "213503982334602d", NULL },
        { "kill_timeout", "0", "0s" },
        { "kill_timeout", "250ms", "250ms" },

        { "network", "host", "host" },
        { "network", "none", "none" },
        { "network", "private", "private" },
        { "network", "bridge", NULL },
        { "network", "", NULL },
        { "network_backend", "auto", "auto" },
        { "network_backend", "nat", "nat" },
        { "network_backend", "pasta", "pasta" },
        { "network_backend", "slirp", NULL },
        { "network_pool", "auto", "auto" },
        { "network_pool", "10.20.0.0/16", "10.20.0.0/16" },
        { "network_pool", "10.64.0.0/10", "10.64.0.0/10" },
        { "network_pool", "10.20.0.64/26", "10.20.0.64/26" },
        { "network_pool", "10.0.0.0/9", NULL },
        { "network_pool", "10.20.0.0/27", NULL },
        { "network_pool", "10.20.0.1/16", NULL },
        { "network_pool", "10.20.0.0", NULL },
        { "network_pool", "fd00::/16", NULL },
        { "network_pool", "", NULL },

        { "allowed_images", "debian-*", "['debian-*']" },
        { "allowed_images", "registry.example/*", "['registry.example/*']" },
        { "allowed_images", "a\nb", NULL },
        { "pull", "never", "never" },
        { "pull", "if-not-present", "if-not-present" },
        { "pull", "always", "always" },
        { "pull", "always,", NULL },
        { "allowed_pull_policies", "if-not-present", "[if-not-present]" },
        { "allowed_pull_policies", "Never", NULL },
        { "pull", "Always", NULL },
        { "image_cache_size", "20G", "20G" },
        { "image_cache_size", "infinity", "infinity" },
        { "image_cache_size", "50%", NULL },
        { "image_cache_size", "20", NULL },
        { "report", "yes", "yes" },
        { "metrics_file", "/var/lib/x.prom", "/var/lib/x.prom" },
        { "metrics_file", "x.prom", NULL },
        { "disk_max", "10G", "10G" },
        { "disk_max", "infinity", "infinity" },
        { "disk_max", "15M", NULL },
        { "disk_max", "10%", NULL },
        { "disk_reserve", "5%", "5%" },
        { "disk_reserve", "20G", "20G" },
        { "disk_reserve", "0", "0" },
        { "disk_reserve", "infinity", NULL },
        { "disk_reserve", "101%", NULL },
        { "disk_reserve", "-1", NULL },
        { "default_image", "registry.example/a:1", "'registry.example/a:1'" },
        { "default_image", "a/b", NULL },
        { "default_registry", "docker.io", "docker.io" },
        { "default_registry", "registry.example:5000", "'registry.example:5000'" },
        { "default_registry", "docker.io/library", NULL },
        { "default_registry", "docker", NULL },
        { "default_registry", "", NULL },
        { "allowed_images", "", NULL },
        { "system_call_filter", "@keyring", "['@keyring']" },
        { "system_call_filter", "bpf", "[bpf]" },
        { "system_call_filter", "~bpf", NULL },
        { "system_call_filter", "@", NULL },
        { "system_call_filter", "a b", NULL },
        { "bind", "/srv/cache", "[/srv/cache]" },
        { "bind", "/srv/cache:/var/cache", "['/srv/cache:/var/cache']" },
        { "bind_ro", "/:/host", "['/:/host']" },
        { "bind", "/", NULL },
        { "bind", "/srv:/", NULL },
        { "bind", "/srv:", NULL },
        { "bind", ":/srv", NULL },
        { "bind", "srv", NULL },
        { "bind", "/srv:relative", NULL },
        { "bind", "/srv/../etc", NULL },
        { "bind", "/srv:/a/../b", NULL },
        { "bind", "/a:/b:/c", NULL },
        { "bind", "/a\t:/b", NULL },
        { "bind", "", NULL },
};

static void test_assign(void **state) {
        Settings *settings = *state;

        for (size_t i = 0; i < ELEMENTSOF(assignments); i++) {
                const SettingInfo *info = setting_find(assignments[i].name);
                _cleanup_free_ char *before = NULL, *after = NULL;

                assert_row(info, i, assignments[i].name);
                setting_clear(settings, info);
                assert_int_equal(setting_format(settings, info, &before), 0);
                int r = setting_assign(settings, info, assignments[i].text);
                assert_int_equal(setting_format(settings, info, &after), 0);

                if (assignments[i].formatted) {
                        assert_row(r == 0, i, assignments[i].text);
                        assert_row(streq(after, assignments[i].formatted), i, after);
                } else {
                        assert_row((r == -EINVAL || r == -ERANGE) && !isempty(setting_expect(info, r)), i,
                                   assignments[i].text);
                        assert_row(streq(before, after), i, after); /* as it was */
                }
        }
}

/* Every row: found by its name, and its default as written there is what settings_init() makes. */
static void test_table(void **state) {
        Settings *settings = *state;
        size_t i;

        for (i = 0; settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);
                _cleanup_free_ char *formatted = NULL;

                assert_ptr_equal(setting_find(setting_name(info)), info);
                assert_row(!isempty(setting_help(info)), i, setting_name(info));
                assert_int_equal(setting_format(settings, info, &formatted), 0);
                assert_row(streq(formatted, setting_default(info)), i, formatted);
        }
        assert_true(i >= 22);
        assert_null(setting_find("root"));
        assert_null(setting_find(""));
}

static void test_defaults(void **state) {
        const Settings *settings = *state;

        assert_string_equal(settings->root_dir, "/var/lib/nspawn-runner");
        assert_string_equal(settings->runtime_dir, "/run/nspawn-runner");
        assert_int_equal(settings->boot, BOOT_AUTO);
        assert_true(settings->private_users && settings->seccomp);
        assert_null(settings->default_image);
        assert_null(settings->allowed_images);
        assert_null(settings->bind);
        assert_string_equal(settings->builds_dir, "/builds");
        assert_string_equal(settings->cache_dir, "/cache");
        assert_int_equal(settings->memory_max.permyriad, 4000);
        assert_true(settings->start_timeout_usec == 60 * USEC_PER_SEC);
        assert_true(settings->kill_timeout_usec == 10 * USEC_PER_SEC);
        assert_int_equal(settings->network, NETWORK_PRIVATE);
}

static void test_lists(void **state) {
        Settings *settings = *state;
        const SettingInfo *info = setting_find("bind");
        _cleanup_free_ char *formatted = NULL;

        assert_int_equal(setting_assign(settings, info, "/a"), 0);
        assert_int_equal(setting_assign(settings, info, "/b:/c"), 0);
        assert_int_equal(strv_length(settings->bind), 2);
        assert_int_equal(setting_format(settings, info, &formatted), 0);
        assert_string_equal(formatted, "[/a, '/b:/c']");
        setting_clear(settings, info);
        assert_null(settings->bind);

        info = setting_find("service_memory_max");
        free(TAKE_PTR(formatted));
        assert_int_equal(setting_assign(settings, info, "1G"), 0);
        setting_clear(settings, info);
        assert_int_equal(setting_format(settings, info, &formatted), 0);
        assert_string_equal(formatted, "null");

        /* What cannot be unset keeps its value. */
        info = setting_find("root_dir");
        setting_clear(settings, info);
        assert_string_equal(settings->root_dir, "/var/lib/nspawn-runner");
}

static void test_nearest(_unused_ void **state) {
        assert_string_equal(setting_nearest("memory_maximum"), "memory_max");
        assert_string_equal(setting_nearest("rootdir"), "root_dir");
        assert_string_equal(setting_nearest("private-users"), "private_users");
        assert_null(setting_nearest("something"));
}

static void test_memory_size(_unused_ void **state) {
        uint64_t whole = memory_size_bytes((MemorySize){ .permyriad = 10000 });
        uint64_t half = memory_size_bytes((MemorySize){ .permyriad = 5000 });

        assert_true(whole > 0);
        assert_true(half <= whole / 2 && half > whole / 2 - 8192);
        assert_true(memory_size_bytes((MemorySize){ .bytes = 4711 }) == 4711);
        assert_true(memory_size_bytes((MemorySize){ .bytes = UINT64_MAX }) == UINT64_MAX);
}

static void test_done_twice(_unused_ void **state) {
        Settings settings = { 0 };

        settings_done(&settings);
        assert_int_equal(settings_init(&settings), 0);
        settings_done(&settings);
        settings_done(&settings);
        assert_null(settings.root_dir);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_assign, setup_settings, teardown_settings),
        cmocka_unit_test_setup_teardown(test_table, setup_settings, teardown_settings),
        cmocka_unit_test_setup_teardown(test_defaults, setup_settings, teardown_settings),
        cmocka_unit_test_setup_teardown(test_lists, setup_settings, teardown_settings),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_memory_size),
        cmocka_unit_test(test_done_twice),
};
UNIT_FILE(tests);
