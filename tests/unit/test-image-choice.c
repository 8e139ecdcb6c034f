/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/clock.h"
#include "base/string.h"
#include "job/image-choice.h"

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

                ImageChoice choice = image_choice_make(&settings, &job, table[i].forced, table[i].fallback);
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

                assert_row(image_choice_is_allowed(&settings, &choice) == table[i].allowed, i, table[i].name);

                /* The administrator is not asked. */
                choice.source = IMAGE_FORCED;
                assert_row(image_choice_is_allowed(&settings, &choice), i, table[i].name);
                choice.source = IMAGE_DEFAULT;
                assert_row(image_choice_is_allowed(&settings, &choice), i, table[i].name);
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

                assert_row(image_choice_host_root_allowed(&settings, table[i].source, table[i].name) ==
                                   table[i].allowed,
                           i, table[i].name);
        }
}

/* The machine outlives GitLab Runner's own limit, and has none where GitLab sets none. */
static void test_runtime(_unused_ void **state) {
        static const struct {
                uint64_t timeout_sec, runtime_max_usec;
        } table[] = {
                { 0, USEC_INFINITY },          { 1, 1201 * USEC_PER_SEC },    { 3600, 4800 * USEC_PER_SEC },
                { UINT32_MAX, USEC_INFINITY }, { UINT64_MAX, USEC_INFINITY },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                JobSpec job = { .timeout_sec = table[i].timeout_sec };

                assert_row(job_spec_runtime_max_usec(&job) == table[i].runtime_max_usec, i, "runtime");
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose_image),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_host_root_allowed),
        cmocka_unit_test(test_runtime),
};
UNIT_FILE(tests);
