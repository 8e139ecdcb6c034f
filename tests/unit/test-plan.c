/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/supervisor.h"
#include "machine/plan.h"

static void test_choose_image(_unused_ void **state) {
        static const struct {
                const char *job, *forced, *fallback, *configured;
                const char *name;
                ImageSource source;
        } table[] = {
                /* nobody names one */
                { NULL, NULL, NULL, NULL, NULL, IMAGE_DEFAULT },
                /* the first of: argument, job, option, configuration */
                { "job", "forced", "fallback", "configured", "forced", IMAGE_FORCED },
                { "job", NULL, "fallback", "configured", "job", IMAGE_OF_JOB },
                { NULL, NULL, "fallback", "configured", "fallback", IMAGE_DEFAULT },
                { NULL, NULL, NULL, "configured", "configured", IMAGE_DEFAULT },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Settings settings = { .default_image = (char *) table[i].configured };
                JobSpec job = { .image.name = (char *) table[i].job };

                ImageChoice choice = plan_choose_image(&settings, &job, table[i].forced, table[i].fallback);
                assert_row(streq_null(choice.name, table[i].name), i, choice.name);
                assert_row(choice.source == table[i].source, i, choice.name);
        }
}

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_allowed(_unused_ void **state) {
        static const struct {
                const char *globs[4];
                const char *name;
                bool allowed;
        } table[] = {
                { { NULL }, "anything", true },
                { { "debian-12" }, "debian-12", true },
                { { "debian-12" }, "debian-13", false },
                { { "debian-12" }, "debian-12-root", false },
                { { "debian-12" }, "Debian-12", false },
                { { "debian-*", "ubuntu" }, "debian-", true },
                { { "debian-*", "ubuntu" }, "ubuntu", true },
                { { "debian-*", "ubuntu" }, "my-debian-12", false },
                { { "*-small" }, "a-small", true },
                { { "*-small" }, "small", false },
                { { "debian-1?" }, "debian-12", true },
                { { "debian-1?" }, "debian-1", false },
                { { "debian-1[23]" }, "debian-13", true },
                { { "debian-1[23]" }, "debian-14", false },
                { { "debian-1[!4]" }, "debian-14", false },
                { { "\\*" }, "x", false },
                { { "*" }, "x", true },
                { { "[" }, "x", false },
                { { "*" }, "registry.example/x", false },
                { { "debian-*" }, "debian-12@3", true },
                { { "debian-*" }, "debian-x.example/debian-12", false },
                { { "registry.example/*" }, "registry.example/group/x:1", true },
                { { "registry.example/*" }, "registry.example", false },
                { { "registry.example/group/*" }, "registry.example/group/x/y:1", true },
                { { "registry.example/group/*" }, "registry.example/other/x", false },
                { { "registry.*/group/*" }, "registry.example:5000/group/x", true },
                { { "registry.*/group/*" }, "registry.attacker.example/any/group/x", false },
                { { "*/*" }, "registry.example/x", true },
                /* A digest stands for anything in the repository, whatever tag is beside it. */
                { { "registry.example/app:1*" }, "registry.example/app:1.0", true },
                { { "registry.example/app:1*" }, "registry.example/app:1.0@sha256:" DIGEST, false },
                { { "registry.example/app:1*" }, "registry.example/app@sha256:" DIGEST, false },
                { { "registry.example/app" }, "registry.example/app@sha256:" DIGEST, false },
                { { "registry.example/*:1" }, "registry.example/app:1@sha256:" DIGEST, false },
                { { "registry.example/*" DIGEST }, "registry.example/app:1@sha256:" DIGEST, false },
                { { "registry.example/app?1*" }, "registry.example/app:1@sha256:" DIGEST, false },
                { { "registry.example/app:*" }, "registry.example/app:1@sha256:" DIGEST, false },
                { { "registry.example/a*" }, "registry.example/app:1@sha256:" DIGEST, true },
                { { "registry.example/group/*" }, "registry.example/group/app:1@sha256:" DIGEST, true },
                { { "registry.example/group/*" }, "registry.example/group/app@sha256:" DIGEST, true },
                { { "*/*" }, "registry.example/app@sha256:" DIGEST, true },
                { { "registry.example/app:*@*" }, "registry.example/app:1@sha256:" DIGEST, true },
                { { "registry.example/app@*" }, "registry.example/app@sha256:" DIGEST, true },
                { { "registry.example/app@*" }, "registry.example/app:1@sha256:" DIGEST, false },
                { { "registry.example/app@sha256:" DIGEST }, "registry.example/app@sha256:" DIGEST, true },
                { { "registry.example/app:1", "*/app@*" }, "registry.example/app@sha256:" DIGEST, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Settings settings = { .allowed_images = table[i].globs[0] ? (char **) table[i].globs : NULL };
                ImageChoice choice = { table[i].name, IMAGE_OF_JOB };

                assert_row(plan_image_allowed(&settings, &choice) == table[i].allowed, i, table[i].name);

                /* The administrator is not asked. */
                choice.source = IMAGE_FORCED;
                assert_row(plan_image_allowed(&settings, &choice), i, table[i].name);
                choice.source = IMAGE_DEFAULT;
                assert_row(plan_image_allowed(&settings, &choice), i, table[i].name);
        }
}

static void test_host_root_allowed(_unused_ void **state) {
        static const struct {
                const char *entries[3];
                const char *name;
                ImageSource source;
                bool allowed;
        } table[] = {
                { { NULL }, "kernel", IMAGE_OF_JOB, false },
                { { "kernel" }, "kernel", IMAGE_OF_JOB, true },
                { { "other", "kernel" }, "kernel", IMAGE_OF_JOB, true },
                { { "*" }, "kernel", IMAGE_OF_JOB, false },
                { {
                          "kerne?",
                          "k*",
                  },
                  "kernel",
                  IMAGE_OF_JOB,
                  false },
                { { "kernel" }, "kernel-2", IMAGE_OF_JOB, false },
                { { "*", "kernel" }, "kernel", IMAGE_OF_JOB, true },
                { { NULL }, "kernel", IMAGE_FORCED, true },
                { { "other" }, "kernel", IMAGE_DEFAULT, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Settings settings = { .allowed_images = (char **) table[i].entries };

                assert_row(plan_host_root_allowed(&settings, table[i].source, table[i].name) == table[i].allowed, i,
                           table[i].name);
        }
}

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

static void test_machine(void **state) {
        static const struct {
                uint64_t timeout_sec, runtime_max_usec;
        } table[] = {
                { 0, USEC_INFINITY },          { 1, 1201 * USEC_PER_SEC },    { 3600, 4800 * USEC_PER_SEC },
                { UINT32_MAX, USEC_INFINITY }, { UINT64_MAX, USEC_INFINITY },
        };
        JobDirectory directory = { .path = (char *) "/run/x/jobs/7-abc", .fd = -EBADF };
        _cleanup_(settings_done) Settings settings;
        _cleanup_image_ Image *image = NULL;
        _cleanup_strv_ char **uuids = NULL;
        _cleanup_free_ char *layer = NULL;

        prepare_settings(&settings, *state);
        assert_int_equal(strv_extend(&settings.bind, "/a:/b"), 0);
        assert_int_equal(string_printf(&layer, "%s/.layers/nspawn-runner-job-7-abc", (char *) *state), 0);
        assert_int_equal(image_open(*state, "small", &image), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                JobSpec job = { .id = (char *) "7-abc", .timeout_sec = table[i].timeout_sec };
                _cleanup_machine_ Machine *machine = NULL;

                assert_int_equal(plan_machine(&settings, &job, &directory, image, &machine), 0);
                assert_string_equal(machine->id, "7-abc");
                assert_string_equal(machine->name, "nspawn-runner-job-7-abc");
                assert_string_equal(machine->directory, directory.path);
                assert_string_equal(machine->layer, layer);
                assert_string_equal(machine->image, "small");
                assert_string_equal(machine->image_path, image->path);
                assert_string_equal(machine->storage, "overlay");
                assert_string_equal(machine->supervisor, supervisor_pick()->name);
                assert_non_null(endswith(machine->agent_path, "/nspawn-runner-agent"));
                assert_string_equal(machine->bind[0], "/a:/b");
                assert_null(machine->bind[1]);
                assert_null(machine->init);
                assert_null(machine->shell);
                assert_null(machine->seccomp_filter);
                assert_true(machine->private_users);
                assert_int_equal(machine->cpu_weight, 50);
                assert_int_equal(machine->tasks_max, 16384);
                assert_true(machine->memory_high_bytes > 0 && machine->memory_high_bytes < machine->memory_max_bytes);
                assert_row(machine->runtime_max_usec == table[i].runtime_max_usec, i, "runtime");
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

static void test_impossible_machine(void **state) {
        static const struct {
                const char *storage, *root_dir; /* NULL: the right one */
                BootMode boot;
                int result;
        } table[] = {
                { NULL, NULL, BOOT_AUTO, 0 },       { NULL, NULL, BOOT_NO, 0 },
                { NULL, NULL, BOOT_YES, -ENOEXEC }, { "zfs", NULL, BOOT_AUTO, -ENOSYS },
                { "", NULL, BOOT_AUTO, -ENOSYS },   { NULL, "/no/such/directory", BOOT_AUTO, -ENOENT },
        };
        JobDirectory directory = { .path = (char *) "/run/x/jobs/7", .fd = -EBADF };
        JobSpec job = { .id = (char *) "7" };
        _cleanup_image_ Image *image = NULL;

        assert_int_equal(image_open(*state, "small", &image), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(settings_done) Settings settings;
                _cleanup_machine_ Machine *machine = NULL;

                prepare_settings(&settings, table[i].root_dir ? table[i].root_dir : *state);
                settings.boot = table[i].boot;
                if (table[i].storage)
                        assert_int_equal(string_replace(&settings.storage, table[i].storage), 0);
                assert_row(plan_machine(&settings, &job, &directory, image, &machine) == table[i].result, i,
                           table[i].storage);
                assert_row(!machine == (table[i].result < 0), i, table[i].storage);
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
                const char *unknown = NULL;
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

                int r = plan_seccomp(&settings, image, &machine, &unknown);
                if (r == -ENOENT) {
                        print_message("libseccomp or systemd-analyze is not installed\n");
                        skip();
                }
                assert_row(r == 0, i, table[i].title);
                char **filter = &filters[table[i].filter];
                assert_row(!*filter || streq(*filter, machine.seccomp_filter), i, machine.seccomp_filter);
                free(*filter);
                *filter = machine.seccomp_filter;
                assert_row(plan_lacks_sockets(&settings, image) == table[i].lacks, i, table[i].title);
        }
        assert_string_not_equal(filters[PLAIN], filters[WITH_SOCKETCALL]);
        for (size_t i = 0; i < N_FILTERS; i++)
                free(filters[i]);
}
#endif

/* What is unknown is told of the configuration's own text, which outlives the call. */
static void test_unknown_system_call(void **state) {
        _cleanup_(settings_done) Settings settings;
        _cleanup_image_ Image *image = NULL;
        const char *unknown = NULL;
        Machine machine = { 0 };

        prepare_settings(&settings, *state);
        assert_int_equal(string_replace(&settings.runtime_dir, *state), 0);
        assert_int_equal(strv_extend(&settings.system_call_filter, "bpf"), 0);
        assert_int_equal(strv_extend(&settings.system_call_filter, "@no-such-group"), 0);
        assert_int_equal(image_open(*state, "small", &image), 0);
        int r = plan_seccomp(&settings, image, &machine, &unknown);
        if (r == -ENOENT)
                skip();
        assert_int_equal(r, -EINVAL);
        assert_ptr_equal(unknown, settings.system_call_filter[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_choose_image),
                cmocka_unit_test(test_allowed),
                cmocka_unit_test(test_host_root_allowed),
                cmocka_unit_test_setup_teardown(test_machine, setup_image, teardown_directory),
                cmocka_unit_test_setup_teardown(test_impossible_machine, setup_image, teardown_directory),
#if defined(__x86_64__)
                cmocka_unit_test_setup_teardown(test_seccomp_of_32_bit_images, setup_image, teardown_directory),
#endif
                cmocka_unit_test_setup_teardown(test_unknown_system_call, setup_image, teardown_directory),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
