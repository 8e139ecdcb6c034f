/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a failure means for its job: "retry" and "allow_failure". Called by run-state.c when a job has failed. It must
 * only compare: the caller counts how often a job was tried. */

#include "pipeline/failure.h"

#include "base/string.h"

static bool is_among(const Value *codes, int exit_code) {
        if (value_is(codes, VALUE_INTEGER))
                return codes->integer == exit_code;
        for (size_t i = 0; value_is(codes, VALUE_LIST) && i < codes->n_items; i++)
                if (codes->items[i]->integer == exit_code)
                        return true;
        return false;
}

static bool names_failure(const Value *when, const char *failure) {
        if (value_is(when, VALUE_STRING))
                return streq(when->string, "always") || streq(when->string, failure);
        for (size_t i = 0; value_is(when, VALUE_LIST) && i < when->n_items; i++)
                if (value_is_string(when->items[i], "always") || value_is_string(when->items[i], failure))
                        return true;
        return false;
}

bool failure_is_retried(const PipelineJob *job, const RunEnd *end) {
        const Value *retry = map_get_set(job->config, "retry");
        const Value *when = map_get_set(retry, "when"), *codes = map_get_set(retry, "exit_codes");

        /* Another try would not find the missing artifacts either. */
        if (streq(end->failure, "missing_dependency_failure"))
                return false;
        if (!when && !codes)
                return true;
        return (codes && end->exit_code >= 0 && is_among(codes, end->exit_code)) || names_failure(when, end->failure);
}

bool failure_is_allowed(const PipelineJob *job, const RunEnd *end) {
        return job->exit_codes ? end->exit_code >= 0 && is_among(job->exit_codes, end->exit_code) : job->allow_failure;
}
