/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "container/supervisor.h"
#include "machine/plan.h"

/* An image without systemd in an image root of its own. */
static int setup_image(void **state) {
        _cleanup_free_ char *image = NULL, *usr = NULL, *bin = NULL;

        if (setup_directory(state) < 0 || string_printf(&image, "%s/small", (char *) *state) < 0 ||
            string_printf(&usr, "%s/usr", image) < 0 || string_printf(&bin, "%s/usr/bin", image) < 0)
                return -1;
        return mkdir(image, 0755) < 0 || mkdir(usr, 0755) < 0 || mkdir(bin, 0755) < 0 ? -1 : 0;
}

static void prepare_settings(Settings *settings, const char *root_dir) {
        assert_int_equal(settings_init(settings), 0);
        assert_int_equal(string_replace(&settings->root_dir, root_dir), 0);
        assert_int_equal(string_replace(&settings->storage, "overlay"), 0);
}

static MachineRequest request_of(const char *id, const Settings *settings, const Image *image) {
        MachineRequest request = MACHINE_REQUEST_NONE;

        request.settings = settings;
        request.id = id;
        request.image = image->title;
        request.tree_path = image->path;
        request.tree_fd = image->fd;
        return request;
}

static void test_machine(void **state) {
        static char *const environment[] = { (char *) "A=1", NULL };
        _cleanup_(settings_done) Settings settings;
        _cleanup_image_ Image *image = NULL;
        _cleanup_strv_ char **uuids = NULL;
        _cleanup_free_ char *layer = NULL;

        prepare_settings(&settings, *state);
        assert_int_equal(strv_extend(&settings.bind, "/a:/b"), 0);
        settings.network = NETWORK_NONE;
        assert_int_equal(string_printf(&layer, "%s/.layers/nspawn-runner-job-7-abc", (char *) *state), 0);
        assert_int_equal(image_open(*state, "small", &image), 0);
        for (size_t i = 0; i < 3; i++) {
                MachineRequest request = request_of("7-abc", &settings, image);
                _cleanup_machine_ Machine *machine = NULL;

                request.environment = environment;
                request.user = "build";
                request.working_dir = "/w";
                request.runtime_max_usec = 17;
                assert_int_equal(plan_machine(&request, &machine, &(Problem){ 0 }), 0);
                assert_string_equal(machine->id, "7-abc");
                assert_string_equal(machine->name, "nspawn-runner-job-7-abc");
                assert_string_equal(machine->directory, RUNTIME_DIR_DEFAULT "/jobs/7-abc");
                assert_string_equal(machine->layer, layer);
                assert_string_equal(machine->image, "small");
                assert_string_equal(machine->image_path, image->path);
                assert_string_equal(machine->settings.storage, "overlay");
                assert_string_equal(machine->supervisor, supervisor_pick()->name);
                assert_non_null(endswith(machine->agent_path, "/nspawn-runner-agent"));
                assert_string_equal(machine->settings.bind[0], "/a:/b");
                assert_null(machine->settings.bind[1]);
                assert_null(machine->init);
                assert_null(machine->settings.shell);
                assert_null(machine->seccomp_filter);
                assert_true(machine->settings.private_users);
                assert_int_equal(machine->settings.cpu_weight, 50);
                assert_int_equal(machine->settings.tasks_max, 16384);
                assert_true(machine->settings.memory_high.bytes > 0 &&
                            machine->settings.memory_high.bytes < machine->settings.memory_max.bytes);
                assert_string_equal(machine->environment[0], "A=1");
                assert_null(machine->environment[1]);
                assert_string_equal(machine->user, "build");
                assert_string_equal(machine->working_dir, "/w");
                assert_int_equal(machine->runtime_max_usec, 17);
                assert_true(machine->owner_pid == UINT64_MAX && machine->owner_start == UINT64_MAX);
                assert_int_equal(machine->settings.network, NETWORK_NONE);
                assert_true(machine->since_usec <= clock_realtime_usec());

                /* As sd_id128 wants it: version 4, variant 1; another one each time. */
                assert_int_equal(strlen(machine->uuid), 36);
                assert_int_equal(machine->uuid[14], '4');
                assert_non_null(strchr("89ab", machine->uuid[19]));
                for (char **uuid = uuids; uuid && *uuid; uuid++)
                        assert_string_not_equal(*uuid, machine->uuid);
                assert_int_equal(strv_extend(&uuids, machine->uuid), 0);
        }
}

/* The plan has each setting of machines, with what it stands for on this host, and no other setting. */
static void test_settings(void **state) {
        _cleanup_(settings_done) Settings settings;
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_image_ Image *image = NULL;

        prepare_settings(&settings, *state);
        assert_int_equal(strv_extend(&settings.system_call_filter, "bpf"), 0);
        assert_int_equal(strv_extend(&settings.bind_ro, "/a"), 0);
        assert_int_equal(string_replace(&settings.shell, "zsh"), 0);
        settings.boot = BOOT_NO;
        settings.network = NETWORK_NONE;
        settings.memory_high = (MemorySize){ .bytes = UINT64_MAX };
        assert_int_equal(image_open(*state, "small", &image), 0);
        MachineRequest request = request_of("7", &settings, image);
        assert_int_equal(plan_machine(&request, &machine, &(Problem){ 0 }), 0);

        assert_int_equal(settings.memory_max.permyriad, 4000);
        settings_resolve(&settings);
        assert_true(settings.memory_max.permyriad == 0 && settings.memory_max.bytes > 0);
        for (size_t i = 0; settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);
                _cleanup_free_ char *expected = NULL, *planned = NULL;

                if (!setting_is_machine(info))
                        continue;
                assert_int_equal(setting_format(&settings, info, &expected), 0);
                assert_int_equal(setting_format(&machine->settings, info, &planned), 0);
                assert_row(streq(expected, planned), i, setting_name(info));
        }
        assert_null(machine->settings.root_dir);
        assert_null(machine->settings.default_image);
}

/* systemd starts on first use, unless somebody wants it earlier. */
static void test_boot(void **state) {
        static const struct {
                BootMode boot;
                bool eager, init, lazy;
        } table[] = {
                { BOOT_AUTO, false, true, true },   { BOOT_YES, false, true, true },  { BOOT_NO, false, false, false },
                { BOOT_EAGER, false, true, false }, { BOOT_AUTO, true, true, false }, { BOOT_YES, true, true, false },
                { BOOT_NO, true, false, false },
        };
        _cleanup_image_ Image *image = NULL;

        assert_int_equal(image_open(*state, "small", &image), 0);
        (void) mkdirat(image->fd, "usr", 0755);
        (void) mkdirat(image->fd, "usr/lib", 0755);
        assert_int_equal(mkdirat(image->fd, "usr/lib/systemd", 0755), 0);
        _cleanup_close_ int fd = openat(image->fd, "usr/lib/systemd/systemd", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        assert_true(fd >= 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(settings_done) Settings settings;
                _cleanup_machine_ Machine *machine = NULL;

                prepare_settings(&settings, *state);
                settings.boot = table[i].boot;
                MachineRequest request = request_of("7", &settings, image);
                request.eager = table[i].eager;
                assert_row(plan_machine(&request, &machine, &(Problem){ 0 }) == 0, i, "planned");
                assert_row(!machine->init == !table[i].init, i, "init");
                assert_row(machine->lazy == table[i].lazy, i, "lazy");
        }
}

/* Work on the tree itself has a network of its own setting and nothing that jobs get of the host; it ends with who asked for it. */
static void test_machine_in_place(void **state) {
        _cleanup_(settings_done) Settings settings;
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_image_ Image *image = NULL;
        uint64_t started;

        prepare_settings(&settings, *state);
        settings.network = NETWORK_NONE;
        assert_int_equal(strv_extend(&settings.bind, "/a:/b"), 0);
        assert_int_equal(strv_extend(&settings.bind_ro, "/c:/d"), 0);
        assert_int_equal(image_open(*state, "small", &image), 0);
        MachineRequest request = request_of("7", &settings, image);
        request.in_place = request.owned = true;

        assert_int_equal(plan_machine(&request, &machine, &(Problem){ 0 }), 0);
        assert_string_equal(machine->settings.storage, "tree");
        assert_int_equal(machine->settings.network, NETWORK_HOST);
        assert_true(strv_length(machine->settings.bind) == 0 && strv_length(machine->settings.bind_ro) == 0);
        assert_int_equal(machine->owner_pid, getpid());
        assert_int_equal(process_start_time(getpid(), &started), 0);
        assert_int_equal(machine->owner_start, started);
        assert_true(machine->runtime_max_usec == USEC_INFINITY);
        /* All of it is the request's doing, not the settings'. */
        assert_int_equal(settings.network, NETWORK_NONE);
        assert_int_equal(strv_length(settings.bind), 1);

        settings.maintenance_network = NETWORK_PRIVATE;
        machine_free(TAKE_PTR(machine));
        assert_int_equal(plan_machine(&request, &machine, &(Problem){ 0 }), 0);
        assert_int_equal(machine->settings.network, NETWORK_PRIVATE);
}

static void test_impossible_machine(void **state) {
        static const struct {
                const char *storage, *root_dir; /* NULL: the right one */
                BootMode boot;
                int result;
        } table[] = {
                { NULL, NULL, BOOT_AUTO, 0 },
                { NULL, NULL, BOOT_NO, 0 },
                { NULL, NULL, BOOT_YES, PLAN_NO_SYSTEMD },
                { NULL, NULL, BOOT_EAGER, PLAN_NO_SYSTEMD },
                { "zfs", NULL, BOOT_AUTO, -EINVAL },
                { "", NULL, BOOT_AUTO, -EINVAL },
                { NULL, "/no/such/directory", BOOT_AUTO, -ENOENT },
        };
        _cleanup_image_ Image *image = NULL;

        assert_int_equal(image_open(*state, "small", &image), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(settings_done) Settings settings;
                _cleanup_machine_ Machine *machine = NULL;

                prepare_settings(&settings, table[i].root_dir ? table[i].root_dir : *state);
                settings.boot = table[i].boot;
                if (table[i].storage)
                        assert_int_equal(string_replace(&settings.storage, table[i].storage), 0);
                MachineRequest request = request_of("7", &settings, image);
                Problem problem = { 0 };
                assert_row(plan_machine(&request, &machine, &problem) == table[i].result, i, table[i].storage);
                assert_row(!machine == (table[i].result != 0), i, table[i].storage);
                assert_row(!machine == (problem.text[0] != 0), i, problem.text);
                assert_row(!table[i].root_dir || strstr(problem.text, "root_dir '/no/such/directory'"), i,
                           problem.text);
        }
}

#if defined(__x86_64__)
/* socketcall() is for 32-bit images, and of those not for one that a job can name in a registry. */
static void test_seccomp_of_32_bit_images(void **state) {
        static const char header[52] = { 0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0 };
        enum { PLAIN, WITH_SOCKETCALL, N_FILTERS };
        static const struct {
                const char *title, *configured;
                bool narrow;
                int filter;
                bool lacks;
        } table[] = {
                { "small", NULL, false, PLAIN, false },
                { "small", "socketcall", false, WITH_SOCKETCALL, false },
                { "small", NULL, true, WITH_SOCKETCALL, false },
                { "small", "socketcall", true, WITH_SOCKETCALL, false },
                { "registry.example/x:1", NULL, false, PLAIN, false },
                { "registry.example/x:1", NULL, true, PLAIN, true },
                { "registry.example/x:1", "socketcall", true, WITH_SOCKETCALL, false },
        };
        char *filters[N_FILTERS] = { 0 };
        _cleanup_free_ char *image_path = NULL;

        assert_int_equal(string_printf(&image_path, "%s/small/usr/bin", (char *) *state), 0);
        _cleanup_close_ int bin_fd = open_directory_at(AT_FDCWD, image_path, false, 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(settings_done) Settings settings;
                _cleanup_image_ Image *image = NULL;
                Problem problem = { 0 };
                Machine machine = { 0 };

                prepare_settings(&settings, *state);
                assert_int_equal(string_replace(&settings.runtime_dir, *state), 0);
                if (table[i].configured)
                        assert_int_equal(strv_extend(&settings.system_call_filter, table[i].configured), 0);
                (void) unlinkat(bin_fd, "env", 0);
                if (table[i].narrow)
                        assert_int_equal(file_replace_at(bin_fd, "env", header, sizeof(header), 0755), 0);
                assert_int_equal(image_open(*state, "small", &image), 0);
                assert_int_equal(string_replace(&image->title, table[i].title), 0);

                MachineRequest request = request_of("7", &settings, image);
                int r = plan_seccomp(&request, &machine, &problem);
                if (r == PLAN_NO_SECCOMP)
                        fail_msg(
                                "libseccomp or systemd-analyze is not installed: 'tools/install-deps run' installs them");
                assert_row(r == 0, i, table[i].title);
                char **filter = &filters[table[i].filter];
                assert_row(!*filter || streq(*filter, machine.seccomp_filter), i, machine.seccomp_filter);
                free(*filter);
                *filter = machine.seccomp_filter;
                assert_row(plan_lacks_sockets(&request) == table[i].lacks, i, table[i].title);
        }
        assert_string_not_equal(filters[PLAIN], filters[WITH_SOCKETCALL]);
        for (size_t i = 0; i < N_FILTERS; i++)
                free(filters[i]);
}
#endif

static void test_unknown_system_call(void **state) {
        _cleanup_(settings_done) Settings settings;
        _cleanup_image_ Image *image = NULL;
        Problem problem = { 0 };
        Machine machine = { 0 };

        prepare_settings(&settings, *state);
        assert_int_equal(string_replace(&settings.runtime_dir, *state), 0);
        assert_int_equal(strv_extend(&settings.system_call_filter, "bpf"), 0);
        assert_int_equal(strv_extend(&settings.system_call_filter, "@no-such-group"), 0);
        assert_int_equal(image_open(*state, "small", &image), 0);
        MachineRequest request = request_of("7", &settings, image);
        int r = plan_seccomp(&request, &machine, &problem);
        assert_int_equal(r, -EINVAL);
        assert_string_equal(problem.text, "system_call_filter: there is no system call or group '@no-such-group'");
}

static const struct CMUnitTest tests[] = {

        cmocka_unit_test_setup_teardown(test_machine, setup_image, teardown_directory),
        cmocka_unit_test_setup_teardown(test_settings, setup_image, teardown_directory),
        cmocka_unit_test_setup_teardown(test_boot, setup_image, teardown_directory),
        cmocka_unit_test_setup_teardown(test_machine_in_place, setup_image, teardown_directory),
        cmocka_unit_test_setup_teardown(test_impossible_machine, setup_image, teardown_directory),
#if defined(__x86_64__)
        cmocka_unit_test_setup_teardown(test_seccomp_of_32_bit_images, setup_image, teardown_directory),
#endif
        cmocka_unit_test_setup_teardown(test_unknown_system_call, setup_image, teardown_directory),
};
UNIT_FILE(tests);
