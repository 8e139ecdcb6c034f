/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Turns what GitLab Runner hands over into a JobSpec, for the commands that it calls. Nothing else may read the
 * response or the job's variables in the environment. */

#include "gitlab/job.h"

#include <string.h>

#include "base/custom-executor.h"
#include "base/id.h"
#include "base/string.h"
#include "gitlab/environment.h"
#include "gitlab/response.h"
#include "gitlab/service-variables.h"
#include "job/identity.h"

/* The response has `image:` as written; GitLab Runner's CI_JOB_IMAGE has its variables expanded. The job may have
 * forged CI_JOB_IMAGE, but that gives it nothing: both name an image that the job chose for its own container. */
static int expand_image(JobSpec *spec) {
        const char *expanded = gitlab_claimed_image();

        if (!spec->image.name || !strchr(spec->image.name, '$') || !expanded)
                return 0;
        return string_replace(&spec->image.name, expanded);
}

/* Completes what the response leaves to us. */
static int complete(JobSpec *spec) {
        _cleanup_name_table_ NameTable variables = { 0 };

        int r = expand_image(spec);
        if (r < 0)
                return r;
        r = gitlab_variables(&variables);
        if (r < 0)
                return r;
        /* GitLab Runner does not expand `image:docker:user` for us. */
        r = gitlab_expand_in_place(&spec->image.user, &variables);
        if (r < 0)
                return r;
        r = gitlab_name_services(spec, &variables);
        return r < 0 ? r : string_replace(&spec->builds_dir, gitlab_claimed_builds_dir());
}

static int read_response(const char *runtime_dir, const char *path, JobSpec *ret, Problem *reterr_problem) {
        _cleanup_job_spec_ JobSpec spec = { 0 };
        Problem why = { 0 };

        int r = response_read(path, &spec, &why);
        if (r < 0)
                return problem_set(reterr_problem, r, "Cannot read the job from " JOB_RESPONSE_VARIABLE " '%s': %s",
                                   path, problem_text(&why, r));
        r = job_id_make(runtime_dir, &spec, &spec.id);
        if (r < 0)
                return problem_set(reterr_problem, r, "Cannot use the runtime directory '%s': %m", runtime_dir);
        r = complete(&spec);
        if (r < 0)
                return problem_set(reterr_problem, r, "Cannot read the job: %m");
        *ret = spec;
        spec = (JobSpec){ 0 };
        return 0;
}

int gitlab_job_read(const char *runtime_dir, const char *option_id, JobSpec *ret, Problem *reterr_problem) {
        _cleanup_job_spec_ JobSpec spec = { 0 };
        const char *path = gitlab_response_file();

        if (path)
                return read_response(runtime_dir, path, ret, reterr_problem);

        const char *source = option_id ? "--id" : CUSTOM_ENV_PREFIX "CI_JOB_ID";
        const char *id = option_id ? option_id : gitlab_claimed_job_id();
        if (!id)
                return problem_set(reterr_problem, -ENODATA,
                                   "Which job? None of " JOB_RESPONSE_VARIABLE ", --id and " CUSTOM_ENV_PREFIX
                                   "CI_JOB_ID is set. GitLab Runner sets the first; by hand, give --id");
        const char *problem = id_service_number(id, NULL) > 0 ? "is that of a service of a job" : id_problem(id);
        if (problem)
                return problem_set(reterr_problem, -EINVAL, "Job id '%.100s' (%s) %s", id, source, problem);
        if (string_replace(&spec.id, id) < 0 || string_replace(&spec.image.name, gitlab_claimed_image()) < 0)
                return -ENOMEM;
        *ret = spec;
        spec = (JobSpec){ 0 };
        return 0;
}
