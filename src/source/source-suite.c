/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Source of images: a suite of Debian or Ubuntu. Called through the struct at the end only. The builder and the
 * packages' scripts run as root of the host, so every package must be signed with a key that we trust. */

#include <fcntl.h>

#include "base/fd.h"
#include "base/string.h"
#include "source/builder.h"
#include "source/source.h"
#include "tree/finish.h"

static int run_step(const SourceRequest *request, const BuildPlan *plan,
                    int (*arguments)(const BuildPlan *, const char *, char ***)) {
        _cleanup_strv_ char **argv = NULL;

        int r = arguments(plan, request->target, &argv);
        return r < 0 ? r : source_run(request, &(SourceProgram){ .trust = SOURCE_PROGRAM_FREE, .argv = argv });
}

/* Builds the suite by a plan that fits this host. Returns as source_fill(), but never -EINVAL. */
static int build_planned(const SourceRequest *request, const BuildPlan *plan) {
        int r = run_step(request, plan, plan->builder->arguments);
        if (r != 0)
                return r;

        if (plan->mirror.keyring) {
                _cleanup_close_ int tree_fd = open(request->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                r = tree_fd < 0 ? -errno : finish_keyring(tree_fd, plan->mirror.keyring);
                if (r < 0)
                        return r;
        }
        return plan->builder->completion ? run_step(request, plan, plan->builder->completion) : 0;
}

static int fill(const SourceRequest *request, _unused_ SourceResult *result, Problem *reterr_problem) {
        const SourceSpec *spec = request->spec;
        _cleanup_build_plan_ BuildPlan plan = { 0 };
        const BuildRequest build = build_request_of(spec);

        int r = build_plan_make(&build, &plan, reterr_problem);
        return r < 0 ? r : build_planned(request, &plan);
}

static const char *subject(const SourceSpec *spec) {
        return spec->suite;
}

const Source source_suite = { .kind = SOURCE_SUITE, .name = "suite", .fill = fill, .subject = subject };
