/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: what jobs of single images need, that is their definitions and GitLab Runner's program in them.
 * Only looks. A fault here is a note, as it does not concern the jobs of other images. */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "definition/definition.h"
#include "doctor/check.h"
#include "image/image.h"
#include "machine/tools-plan.h"
#include "maintain/helper-image.h"

/* Appends to the detail what fits. */
_printf_(2, 3) static void add(char detail[static CHECK_DETAIL_MAX], const char *format, ...) {
        size_t n = strlen(detail);
        va_list ap;

        if (n > 0 && n < CHECK_DETAIL_MAX - 2)
                n += (size_t) snprintf(detail + n, CHECK_DETAIL_MAX - n, "; ");
        va_start(ap, format);
        vsnprintf(detail + n, CHECK_DETAIL_MAX - n, format, ap);
        va_end(ap);
}

/* Returns whether there is anything wrong with the definition. */
static bool is_broken(const Settings *settings, const char *name, char detail[static CHECK_DETAIL_MAX]) {
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };
        char text[PROBLEM_DESCRIPTION_MAX];

        int r = definition_find(settings, name, &path, NULL);
        if (r == -ENOENT) /* it is gone since it was listed */
                return false;
        if (r == 0)
                r = definition_load(path, name, &definition, &problem);
        if (r == 0)
                return false;
        add(detail, "%s", problem_describe(&problem, r, text));
        return true;
}

static CheckResult check_definitions(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        _cleanup_strv_ char **names = NULL, **unusable = NULL;
        bool broken = false;

        int r = definition_list(settings, &names, &unusable);
        if (r < 0)
                return check_errno(r, ret_detail);
        for (char **name = names; name && *name; name++)
                broken |= is_broken(settings, *name, ret_detail);
        for (char **path = unusable; path && *path; path++)
                add(ret_detail, "'%s' cannot be a definition: no image can have that name", *path);
        if (broken || strv_length(unusable) > 0)
                return CHECK_NOTE;
        return check_say(CHECK_OK, ret_detail, "%zu", strv_length(names));
}

/* Where a shell in a job finds it. */
static const char *const runner_paths[] = {
        "/usr/local/sbin/gitlab-runner", "/usr/local/bin/gitlab-runner", "/usr/sbin/gitlab-runner",
        "/usr/bin/gitlab-runner",        "/sbin/gitlab-runner",          "/bin/gitlab-runner",
};

/* Does "SOURCE[:TARGET]" put something at @path? */
static bool bind_has(const char *bind, const char *path) {
        _cleanup_free_ char *source = strndup(bind, strcspn(bind, ":")), *file = NULL;
        const char *target = strchr(bind, ':') ? strchr(bind, ':') + 1 : bind;
        const char *rest = startswith(path, target);

        return source && rest && (*rest == '/' || !*rest) && string_printf(&file, "%s%s", source, rest) >= 0 &&
               access(file, X_OK) >= 0;
}

static bool is_bound(const Settings *settings) {
        char *const *const lists[] = { settings->bind, settings->bind_ro };

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (char *const *bind = lists[i]; bind && *bind; bind++)
                        for (size_t j = 0; j < ELEMENTSOF(runner_paths); j++)
                                if (bind_has(*bind, runner_paths[j]))
                                        return true;
        return false;
}

/* 1, 0; or -errno where that could not be found out. */
static int is_in_image(const Settings *settings, const char *name) {
        _cleanup_image_ Image *image = NULL;

        int r = image_open(settings->root_dir, name, &image);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(runner_paths); i++) {
                _cleanup_close_ int fd = find_in_root(image->fd, runner_paths[i], O_PATH);
                if (fd != -ENOENT)
                        return fd < 0 ? fd : 1;
        }
        return 0;
}

/* Do jobs with @settings get the host's program? Also if it is not in PATH: the GitLab Runner that calls `prepare`
 * counts. */
static bool is_given(const Settings *settings, const char *name, char detail[static CHECK_DETAIL_MAX]) {
        const char *program = settings->runner_program;
        const char *problem = program[0] == '/' ? tools_program_problem(program) : NULL;

        if (streq(program, "none"))
                return false;
        if (problem)
                add(detail, "jobs of image '%s' cannot start: runner_program '%s' cannot be used: %s", name, program,
                    problem);
        return !problem;
}

static CheckResult check_runner_in_jobs(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        _cleanup_strv_ char **names = NULL;
        bool all = true;

        int r = image_list(settings->root_dir, &names, NULL);
        if (r < 0 && r != -ENOENT)
                return check_errno(r, ret_detail);
        for (char **name = names; name && *name; name++) {
                _cleanup_(settings_done) Settings own = { 0 };

                r = definition_settings(settings, *name, &own);
                const Settings *effective = r >= 0 ? &own : settings;
                if (is_given(effective, *name, ret_detail))
                        continue;
                if (streq(effective->runner_program, "none")) {
                        r = is_bound(effective) ? 1 : is_in_image(settings, *name);
                        if (r > 0)
                                continue;
                        if (r < 0)
                                add(ret_detail, "image '%s' cannot be looked at: %s", *name, strerror(-r));
                        else
                                add(ret_detail, "jobs of image '%s' do not have it", *name);
                }
                all = false;
        }
        return all ? CHECK_OK : CHECK_NOTE;
}

/* Only jobs whose images lack something need it. */
static CheckResult check_helper(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        _cleanup_image_ Image *helper = NULL;

        if (!streq(settings->helper_image, "auto"))
                return check_say(CHECK_OK, ret_detail, "%s", settings->helper_image);
        int r = helper_image_find(settings, settings->default_image, &helper);
        if (r == -ENOENT)
                return check_say(CHECK_NOTE, ret_detail, "there is none");
        if (r < 0)
                return check_errno(r, ret_detail);
        return check_say(CHECK_OK, ret_detail, "%s", helper->title);
}

const Check doctor_image_checks[] = {
        { "definitions", check_definitions, check_optional, "images with a definition are made and used as it says",
          "correct or remove it" },
        { "gitlab-runner in jobs", check_runner_in_jobs, check_optional,
          "without it, GitLab Runner's own steps skip caches and artifacts", "set 'runner_program: auto'" },
        { "helper image", check_helper, check_optional,
          "jobs of images without git, bash or certificates fetch their project in it, and files of Git LFS",
          "nspawn-runner chroot-create helper" },
        { 0 },
};
