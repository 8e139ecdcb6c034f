/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks a definition without making an image of it, for the command `check`. It reads files and lets ansible read the
 * playbook. It must change nothing, and ask no mirror and no registry. */

#include "maintain/definition-check.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "config/binds.h"
#include "image/image.h"
#include "maintain/in-tree.h"
#include "maintain/playbook.h"
#include "source/builder.h"

static void find(const DefinitionCheck *check, bool is_warning, Problem *problem, unsigned line) {
        if (!problem->line)
                problem->line = line;
        check->on_finding(check->userdata, is_warning, problem);
}

/* The line of the later of `bind` and `bind_ro`, or 0. */
static unsigned binds_line(const Definition *definition) {
        unsigned line = 0;

        for (size_t i = 0; settings_info(i); i++)
                if (startswith(setting_name(settings_info(i)), "bind"))
                        line = MAX(line, definition->setting_lines[i]);
        return line;
}

/* Checks the definition's binds together with the configuration's, and beside those of other images. */
static int check_binds(const DefinitionCheck *check, const Definition *definition) {
        _cleanup_(settings_done) Settings settings = { 0 };
        Problem problem = { 0 };

        if (settings_copy(check->settings, &settings) < 0 || definition_apply(definition, &settings) < 0)
                return -ENOMEM;
        int r = binds_check(&settings, &problem);
        if (r == 0)
                r = definition_check_binds(check->settings, check->name, &settings, &problem);
        if (r < 0 && r != -ENOMEM) {
                if (!problem.text[0])
                        (void) problem_set(&problem, r, "Cannot look for other images' settings bind and bind_ro: %m");
                find(check, false, &problem, binds_line(definition));
                return 0;
        }
        return r;
}

/* Could this host begin to make the tree of the suite? */
static int check_suite(const DefinitionCheck *check, const SourceSpec *spec) {
        _cleanup_build_plan_ BuildPlan plan = { 0 };
        Problem problem = { 0 };
        const BuildRequest request = build_request_of(spec);

        int r = build_plan_make(&request, &plan, &problem);
        if (r == -EINVAL)
                find(check, false, &problem, 0);
        return r == -ENOMEM ? r : 0;
}

static int check_base(const DefinitionCheck *check, const Definition *definition) {
        _cleanup_free_ char *path = NULL;
        _cleanup_image_ Image *image = NULL;
        const char *base = definition->source.from;
        Problem problem = { .line = definition->from_line, .column = definition->from_column };

        int r = definition_find(check->settings, base, &path, NULL);
        if (r != -ENOENT)
                return r == -ENOMEM ? r : 0;
        if (image_open(check->settings->root_dir, base, &image) >= 0)
                return 0;
        (void) problem_set(&problem, -ENOENT, "there is no image '%s', which it is made from, and no definition of it",
                           base);
        find(check, false, &problem, 0);
        return 0;
}

static void check_file(const DefinitionCheck *check, const char *path) {
        Problem problem = { 0 };

        if (access(path, R_OK) >= 0)
                return;
        (void) problem_set(&problem, -errno, "Cannot read archive '%s', which it is made from: %m", path);
        find(check, false, &problem, 0);
}

static int check_source(const DefinitionCheck *check, const Definition *definition) {
        const SourceSpec *source = &definition->source;
        _cleanup_image_ Image *image = NULL;
        Problem problem = { 0 };

        switch (source->kind) {
        case SOURCE_SUITE:
                return check_suite(check, source);
        case SOURCE_FROM:
                return check_base(check, definition);
        case SOURCE_TARBALL:
                if (source->tarball[0] == '/')
                        check_file(check, source->tarball);
                return 0;
        case SOURCE_NONE:
                if (image_open(check->settings->root_dir, check->name, &image) >= 0)
                        return 0;
                (void) problem_set(&problem, 0,
                                   "it does not say what to make image '%s' from (nspawn_runner_chroot_suite, "
                                   "nspawn_runner_oci, ...), and there is no such image yet",
                                   check->name);
                find(check, true, &problem, 0);
                return 0;
        default:
                return 0;
        }
}

/* Checks the playbook; @work is a temporary directory for ansible's files. */
static int check_playbook_in(const DefinitionCheck *check, const Definition *definition, const char *work) {
        InTree in_tree = { .definition = definition, .listener = check->listener };
        Problem problem = { 0 };

        _cleanup_close_ int work_fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = work_fd < 0 ? -errno : in_tree_check(&in_tree, work, work_fd, &problem);
        if (r == -ECANCELED || r == -ENOMEM || r == 0)
                return r;
        if (r == -EPERM && geteuid() != 0)
                (void) problem_set(&problem, r, "its playbook was not checked: that needs root");
        else if (!problem.text[0])
                (void) problem_set(&problem, r, "Cannot check its playbook: %m");
        find(check, r == -EPERM, &problem, 0);
        return 0;
}

static int check_playbook(const DefinitionCheck *check, const Definition *definition) {
        char work[] = "/tmp/nspawn-runner-check-XXXXXX";

        if (!definition->has_tasks)
                return 0;
        if (!mkdtemp(work)) {
                Problem problem = { 0 };

                (void) problem_set(&problem, -errno, "Cannot check its playbook without a directory in /tmp: %m");
                find(check, false, &problem, 0);
                return 0;
        }
        int r = check_playbook_in(check, definition, work);
        (void) rmdir(work);
        return r;
}

int definition_check(const DefinitionCheck *check, Definition **ret) {
        _cleanup_definition_ Definition *definition = NULL;
        Problem problem = { 0 };

        int r = definition_load(check->path, check->name, &definition, &problem);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                find(check, false, &problem, 0);
                return 0;
        }
        if (definition->ignored_line > 0) {
                problem.line = definition->ignored_line;
                (void) problem_set(&problem, 0,
                                   "variables of a later play are ansible's: those of nspawn-runner, which begin with "
                                   "'" DEFINITION_PREFIX "', belong into 'vars' of the first play");
                find(check, true, &problem, 0);
        }
        r = check_binds(check, definition);
        if (r == 0)
                r = check_source(check, definition);
        if (r == 0)
                r = check_playbook(check, definition);
        if (r == 0)
                *ret = TAKE_PTR(definition);
        return r;
}
