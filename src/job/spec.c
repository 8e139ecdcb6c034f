/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What can be said of a JobSpec by itself, for everybody who has one: how long its container may run, and how to free
 * it, with the secrets erased first. It knows neither where a JobSpec comes from nor what is done with it. */

#include "job/spec.h"

#include <string.h>

#include "base/clock.h"
#include "base/string.h"

/* GitLab Runner ends a job at its timeout and gives it 10 more minutes for that (graceful_kill_timeout). After this,
 * no runner waits for the container any more. */
#define RUNTIME_MARGIN_SEC UINT64_C(1200)

static void free_secret(char *secret) {
        if (secret)
                explicit_bzero(secret, strlen(secret));
        free(secret);
}

static void job_variables_done(JobVariables *variables) {
        for (size_t i = 0; i < variables->n; i++) {
                free(variables->items[i].key);
                free_secret(variables->items[i].value);
        }
        free(variables->items);
        *variables = (JobVariables){ 0 };
}

static void service_done(JobService *service) {
        free(service->name);
        free(service->alias);
        free(service->user);
        free(service->platform);
        strv_free(service->pull_policies);
        strv_free(service->entrypoint);
        strv_free(service->command);
        job_variables_done(&service->variables);
        for (char **variable = service->environment; variable && *variable; variable++)
                explicit_bzero(*variable, strlen(*variable));
        strv_free(service->environment);
}

static void cache_done(JobCache *cache) {
        free(cache->key);
        strv_free(cache->paths);
        free(cache->policy);
}

void job_spec_done(JobSpec *spec) {
        free(spec->id);
        free_secret(spec->token);
        free(spec->repository);
        free(spec->ref);
        free(spec->name);
        free(spec->stage);
        free(spec->project);
        free(spec->url);
        free(spec->started_by);
        free(spec->builds_dir);
        free(spec->image.name);
        strv_free(spec->image.entrypoint);
        free(spec->image.user);
        free(spec->image.platform);
        strv_free(spec->image.pull_policies);
        for (size_t i = 0; i < spec->n_services; i++)
                service_done(&spec->services[i]);
        free(spec->services);
        for (size_t i = 0; i < spec->n_caches; i++)
                cache_done(&spec->caches[i]);
        free(spec->caches);
        job_variables_done(&spec->variables);
        strv_free(spec->secret_names);
        *spec = (JobSpec){ 0 };
}

uint64_t job_spec_runtime_max_usec(const JobSpec *spec) {
        return spec->timeout_sec > 0 && spec->timeout_sec < UINT32_MAX ?
                       (spec->timeout_sec + RUNTIME_MARGIN_SEC) * USEC_PER_SEC :
                       USEC_INFINITY;
}
