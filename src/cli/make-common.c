/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the commands that make images share: reading a definition with its warnings, making the image with progress on
 * stderr, and saying why that failed. These functions log, so a caller does not do it again. A signal stops the work,
 * and leaves the image as it was. */

#include "cli/make-common.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/image-common.h"
#include "cli/progress.h"
#include "image/generation.h"
#include "source/builder.h"

int find_definition_logged(const Settings *settings, const char *name, Definition **ret) {
        _cleanup_free_ char *path = NULL, *shadowed = NULL;
        Problem problem = { 0 };

        int r = definition_find(settings, name, &path, &shadowed);
        if (r == -ENOENT)
                return r;
        if (r == -EINVAL)
                return check_image_name_logged(name);
        if (r < 0)
                return log_oom();
        if (shadowed)
                log_warning("Image '%s' has two definitions: '%s' is used, '%s' is not", name, path, shadowed);
        r = definition_load(path, name, ret, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        if ((*ret)->ignored_line > 0)
                log_warning("%s:%u: variables of a later play are ansible's: those of nspawn-runner, which begin with "
                            "'nspawn_runner_', belong into 'vars' of the first play",
                            path, (*ret)->ignored_line);
        return 0;
}

int new_definition(const char *name, Definition **ret) {
        _cleanup_definition_ Definition *definition = calloc(1, sizeof(*definition));

        if (!definition)
                return -ENOMEM;
        definition->keep_generations = GENERATIONS_KEPT;
        int r = string_replace(&definition->name, name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(definition);
        return 0;
}

static int choose_suite(Definition *definition, const char *suite, BuildPlan *plan) {
        Problem problem = { 0 };
        BuildRequest request = { .suite = suite };

        int r = build_plan_make(&request, plan, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        if (string_replace(&definition->source.suite, plan->suite) < 0)
                return log_oom();
        definition->source.kind = SOURCE_SUITE;
        return 0;
}

int choose_suite_logged(Definition *definition, const char *suite) {
        _cleanup_build_plan_ BuildPlan plan = { 0 };

        int r = choose_suite(definition, suite, &plan);
        if (r < 0)
                return r;
        log_notice("Making image '%s': %s %s with %s", definition->name, plan.distribution->label, plan.suite,
                   plan.builder->program);
        return 0;
}

/* The programs that GitLab's stages call and that not every Debian and Ubuntu has. */
static const char *const helper_packages[] = { "git", "git-lfs", "ca-certificates" };

int helper_definition_logged(const char *suite, Definition **ret) {
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_build_plan_ BuildPlan plan = { 0 };

        if (new_definition(HELPER_IMAGE, &definition) < 0)
                return log_oom();
        definition->source.only_packages = true;
        for (size_t i = 0; i < ELEMENTSOF(helper_packages); i++)
                if (strv_extend(&definition->source.packages, helper_packages[i]) < 0)
                        return log_oom();
        int r = choose_suite(definition, suite, &plan);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(definition);
        return 0;
}

int helper_suite(const Settings *settings, char **ret) {
        _cleanup_generation_ Generation *known = NULL;
        _cleanup_image_ Image *image = NULL;

        int r = image_open(settings->root_dir, HELPER_IMAGE, &image);
        if (r < 0)
                return r;
        r = generation_load_of(image, &known);
        if (r < 0)
                return r;
        const char *suite = known->source && !known->definition ? startswith(known->source, "suite ") : NULL;
        return suite ? string_replace(ret, suite) : -ENOENT;
}

int open_cancel_fd_logged(void) {
        /* If the reader of our output ends, the work still goes on, or is undone. */
        (void) signal(SIGPIPE, SIG_IGN);
        int fd = signals_open();
        return fd < 0 ? log_error_errno(fd, "Cannot set up signals: %m") : fd;
}

int take_signal(int cancel_fd, const char **ret_name) {
        struct signalfd_siginfo info;

        if (read(cancel_fd, &info, sizeof(info)) != sizeof(info)) {
                *ret_name = "a signal";
                return -ECANCELED;
        }
        *ret_name = signal_name((int) info.ssi_signo);
        return 128 + (int) info.ssi_signo;
}

/* Returns what make_image_logged() is to return. */
static int explain(const Definition *definition, const Progress *progress, int cancel_fd, int error,
                   const MakeResult *result) {
        const char *what = result->existed ? "stays as it was" : "was not made";

        if (error == -ECANCELED) {
                const char *signal;

                error = take_signal(cancel_fd, &signal);
                log_error("Stopped by %s: image '%s' %s, and nothing incomplete was left", signal, definition->name,
                          what);
        } else
                log_error("Image '%s' %s: %s", definition->name, what, problem_text(&result->problem, error));
        if (result->kept)
                log_notice("The tree that image '%s' was to be made of is kept as it came: the next try begins with it",
                           definition->name);
        if (result->said_why)
                progress_log_last_lines(progress);
        return error;
}

/* Does the program that makes the tree print a step for each package? */
static bool builder_names_packages(const Definition *definition) {
        _cleanup_build_plan_ BuildPlan plan = { 0 };
        Problem problem = { 0 };
        BuildRequest request = { .suite = definition->source.suite };

        return definition->source.kind == SOURCE_SUITE && build_plan_make(&request, &plan, &problem) >= 0 &&
               plan.builder->names_packages;
}

static void on_wait(void *userdata, const TurnHolder *holder) {
        char text[TURN_TEXT_BYTES + 64], who[TURN_TEXT_BYTES];

        snprintf(text, sizeof(text), "Waiting: it is being changed by %s", turn_describe(holder, who));
        progress_step(userdata, text);
}

int make_image_logged(const Invocation *invocation, const Definition *definition, MakeMode mode, int cancel_fd,
                      MakeResult *ret) {
        const Settings *settings = invocation->settings;
        Progress progress;
        Turn turn = {
                .command = invocation->command->name,
                .wait = !invocation_has(invocation, "no-wait"),
                .cancel_fd = cancel_fd,
                .on_wait = on_wait,
                .userdata = &progress,
        };
        Listener listener = progress_listener(&progress, cancel_fd);
        MakeRequest request = {
                .settings = settings,
                .definition = definition,
                .only_new = mode != MAKE_OR_UPDATE,
                .turn = &turn,
                .listener = &listener,
        };

        progress_init(&progress);
        /* The administrator's own program: what it prints is for the administrator. */
        if (definition->source.kind == SOURCE_COMMAND)
                listener.on_line = progress_output;
        progress.names_packages = builder_names_packages(definition);
        int r = make_image(&request, ret);
        progress_clear(&progress);
        if (r == -EEXIST && mode == MAKE_MISSING && ret->existed) {
                log_notice("Image '%s' is there: it has just been made", definition->name);
                return 0;
        }
        if (r < 0)
                return explain(definition, &progress, cancel_fd, r, ret);
        if (ret->warning)
                log_warning("Image '%s': %s", definition->name, ret->warning);
        if (ret->outcome == MAKE_UNCHANGED)
                log_notice("Image '%s' is up to date (%llu s)", definition->name, progress_seconds(&progress));
        else
                log_notice("Image '%s' is ready: %s/%s, generation %llu (%llu s)", definition->name, settings->root_dir,
                           definition->name, (unsigned long long) ret->generation, progress_seconds(&progress));
        return 0;
}
