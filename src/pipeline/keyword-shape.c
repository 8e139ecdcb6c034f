/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shapes of the keywords that decide how a job runs: image, services, cache, artifacts, retry. The others are in
 * keyword-shape-more.c. Only keyword.c uses them. They must look only at the shape of values, never at this host or its
 * settings. */

#include <stdio.h>

#include "base/string.h"
#include "pipeline/keyword-shape.h"
#include "pipeline/shape-common.h"

#define A_TEXT .types = SHAPE_STRING, .expect = "a text"

static const char *const pull_policies[] = { "always", "if-not-present", "never", NULL };
static const Shape shape_pull_word = { A_TEXT, .words = pull_policies };
static const Shape shape_pull_policy = { .types = SHAPE_STRING | SHAPE_LIST,
                                         .expect = "a policy or a list of policies",
                                         .item = &shape_pull_word,
                                         .words = pull_policies };
static const Shape shape_user = { .types = SHAPE_STRING | SHAPE_INTEGER, .expect = "a user" };
static const ShapeKey docker_keys[] = { { "platform", &shape_text, false }, { "user", &shape_user, false }, { 0 } };
static const Shape shape_docker = { .types = SHAPE_MAP, .expect = "a mapping", .keys = docker_keys };
static const ShapeKey kubernetes_keys[] = { { "user", &shape_user, false }, { 0 } };
static const Shape shape_kubernetes = { .types = SHAPE_MAP, .expect = "a mapping", .keys = kubernetes_keys };
static const ShapeKey image_keys[] = {
        { "name", &shape_name, true },
        { "entrypoint", &shape_texts, false },
        { "pull_policy", &shape_pull_policy, false },
        { "docker", &shape_docker, false },
        { "kubernetes", &shape_kubernetes, false },
        { 0 },
};
const Shape shape_image = { .types = SHAPE_STRING | SHAPE_MAP,
                            .expect = "the name of an image or a mapping with 'name'",
                            .keys = image_keys,
                            .not_empty = true };

static const ShapeKey service_keys[] = {
        { "name", &shape_name, true },
        { "alias", &shape_text, false },
        { "entrypoint", &shape_texts, false },
        { "command", &shape_commands, false },
        { "variables", &shape_job_variables, false },
        { "pull_policy", &shape_pull_policy, false },
        { "docker", &shape_docker, false },
        { "kubernetes", &shape_kubernetes, false },
        { 0 },
};
static const Shape shape_service = { .types = SHAPE_STRING | SHAPE_MAP,
                                     .expect = "the name of an image or a mapping with 'name'",
                                     .keys = service_keys,
                                     .not_empty = true };
const Shape shape_services = {
        .types = SHAPE_LIST, .expect = "a list of services", .item = &shape_service, .flatten = true
};

static const Shape shape_exit_code = { .types = SHAPE_INTEGER, .expect = "a number", .min = 0, .max = INT32_MAX };
static const Shape shape_exit_codes = { .types = SHAPE_INTEGER | SHAPE_LIST,
                                        .expect = "an exit code or a list of exit codes",
                                        .item = &shape_exit_code,
                                        .not_empty = true };
static const ShapeKey allow_failure_keys[] = { { "exit_codes", &shape_exit_codes, true }, { 0 } };
const Shape shape_allow_failure = { .types = SHAPE_BOOLEAN | SHAPE_MAP,
                                    .expect = "true, false, or a mapping with 'exit_codes'",
                                    .keys = allow_failure_keys };

static const char *const retry_reasons[] = {
        "always",
        "unknown_failure",
        "script_failure",
        "api_failure",
        "stuck_or_timeout_failure",
        "runner_system_failure",
        "runner_unsupported",
        "stale_schedule",
        "job_execution_timeout",
        "archived_failure",
        "unmet_prerequisites",
        "scheduler_failure",
        "data_integrity_failure",
        "forward_deployment_failure",
        "user_blocked",
        "project_deleted",
        "insufficient_bridge_permissions",
        "downstream_bridge_project_not_found",
        "invalid_bridge_trigger",
        "upstream_bridge_project_not_found",
        "insufficient_upstream_permissions",
        "bridge_pipeline_is_child_pipeline",
        "downstream_pipeline_creation_failed",
        "secrets_provider_not_found",
        "reached_max_descendant_pipelines_depth",
        "ip_restriction_failure",
        "failed_outdated_deployment_job",
        "runner_configuration_error",
        "runner_interrupted",
        "runner_provisioning_timeout",
        NULL,
};
static const Shape shape_retry_reason = { A_TEXT, .words = retry_reasons };
static const Shape shape_retry_when = { .types = SHAPE_STRING | SHAPE_LIST,
                                        .expect = "a reason or a list of reasons",
                                        .item = &shape_retry_reason,
                                        .words = retry_reasons };
static const Shape shape_retry_max = { .types = SHAPE_INTEGER, .expect = "a number from 0 to 2", .min = 0, .max = 2 };
static const ShapeKey retry_keys[] = { { "max", &shape_retry_max, false },
                                       { "when", &shape_retry_when, false },
                                       { "exit_codes", &shape_exit_codes, false },
                                       { 0 } };
const Shape shape_retry = { .types = SHAPE_INTEGER | SHAPE_MAP,
                            .expect = "a number from 0 to 2, or a mapping with 'max'",
                            .keys = retry_keys,
                            .min = 0,
                            .max = 2 };

static const char *const when_job[] = { "on_success", "on_failure", "always", "manual", "delayed", NULL };
static const char *const when_trigger[] = { "on_success", "on_failure", "always", "manual", NULL };
static const char *const when_artifacts[] = { "on_success", "on_failure", "always", NULL };
const Shape shape_job_when = { A_TEXT, .words = when_job };
const Shape shape_trigger_when = { A_TEXT, .words = when_trigger };
static const Shape shape_artifacts_when = { A_TEXT, .words = when_artifacts };

static const char *const coverage_formats[] = { "cobertura", "jacoco", NULL };
static const Shape shape_coverage_format = { A_TEXT, .words = coverage_formats };
static const ShapeKey coverage_keys[] = { { "coverage_format", &shape_coverage_format, true },
                                          { "path", &shape_name, true },
                                          { 0 } };
static const Shape shape_coverage_report = { .types = SHAPE_MAP,
                                             .expect = "a mapping with 'coverage_format' and 'path'",
                                             .keys = coverage_keys };
#define REPORT(name) \
        { name, &shape_text_or_texts, false }
static const ShapeKey report_keys[] = {
        REPORT("accessibility"),
        REPORT("annotations"),
        REPORT("api_fuzzing"),
        REPORT("browser_performance"),
        REPORT("cluster_image_scanning"),
        REPORT("codequality"),
        REPORT("container_scanning"),
        REPORT("coverage_fuzzing"),
        REPORT("cyclonedx"),
        REPORT("dast"),
        REPORT("dependency_scanning"),
        REPORT("dotenv"),
        REPORT("junit"),
        REPORT("license_scanning"),
        REPORT("load_performance"),
        REPORT("lsif"),
        REPORT("metrics"),
        REPORT("performance"),
        REPORT("repository_xray"),
        REPORT("requirements"),
        REPORT("requirements_v2"),
        REPORT("sast"),
        REPORT("sarif"),
        REPORT("secret_detection"),
        REPORT("terraform"),
        { "coverage_report", &shape_coverage_report, false },
        { 0 },
};
static const Shape shape_reports = { .types = SHAPE_MAP,
                                     .expect = "a mapping of kinds and paths",
                                     .keys = report_keys };
static const char *const access_words[] = { "none", "developer", "maintainer", "all", NULL };
static const Shape shape_access = { A_TEXT, .words = access_words };
static const Shape shape_expose_as = { A_TEXT, .max = 100 };
static const ShapeKey artifacts_keys[] = {
        { "name", &shape_text, false },
        { "paths", &shape_texts, false },
        { "exclude", &shape_texts, false },
        { "untracked", &shape_boolean, false },
        { "when", &shape_artifacts_when, false },
        { "expire_in", &shape_expire_in, false },
        { "expose_as", &shape_expose_as, false },
        { "public", &shape_boolean, false },
        { "access", &shape_access, false },
        { "reports", &shape_reports, false },
        { 0 },
};

static int check_artifacts(Context *context, const Value *value, const char *name) {
        if (map_get_set(value, "expose_as") && !map_get_set(value, "paths"))
                return context_fail(context, map_find(value, "expose_as")->place,
                                    "%s has 'expose_as' and needs 'paths' with it", name);
        if (map_get_set(value, "public") && map_get_set(value, "access"))
                return context_fail(context, map_find(value, "public")->place,
                                    "%s has 'public' and 'access'; keep 'access'", name);
        return 0;
}

const Shape shape_artifacts = {
        .types = SHAPE_MAP, .expect = "a mapping such as 'paths: [x]'", .keys = artifacts_keys, .check = check_artifacts
};

static const Shape shape_key_files = {
        .types = SHAPE_LIST, .expect = "a list of one or two paths", .item = &shape_name, .max = 2, .not_empty = true
};
static const ShapeKey cache_key_keys[] = { { "files", &shape_key_files, false },
                                           { "files_commits", &shape_key_files, false },
                                           { "prefix", &shape_text, false },
                                           { 0 } };

static int check_cache_key(Context *context, const Value *value, const char *name) {
        if (value->type == VALUE_MAP &&
            (map_get_set(value, "files") != NULL) == (map_get_set(value, "files_commits") != NULL))
                return context_fail(context, value->place, "%s needs either 'files' or 'files_commits'", name);
        if (value->type != VALUE_STRING)
                return 0;
        const char *key = value->string;
        if (strchr(key, '/') || strcasestr(key, "%2f"))
                return context_fail(context, value->place, "%s cannot contain '/'; write '-'", name);
        if (*key && (key[strspn(key, ".")] == 0 || strcasecmp(key, "%2e") == 0 || strcasecmp(key, "%2e%2e") == 0))
                return context_fail(context, value->place, "%s cannot consist of dots only", name);
        return 0;
}

static const Shape shape_cache_key = { .types = SHAPE_STRING | SHAPE_INTEGER | SHAPE_MAP,
                                       .expect = "a text or a mapping with 'files'",
                                       .keys = cache_key_keys,
                                       .check = check_cache_key };
static const char *const cache_policies[] = { "pull-push", "push", "pull", NULL };
static const Shape shape_cache_policy = { A_TEXT, .words = cache_policies, .variables = true };
static const Shape shape_fallback_keys = {
        .types = SHAPE_LIST, .expect = "a list of texts", .item = &shape_text, .max = 5
};
static const ShapeKey cache_keys[] = {
        { "key", &shape_cache_key, false },
        { "paths", &shape_texts, false },
        { "untracked", &shape_boolean, false },
        { "policy", &shape_cache_policy, false },
        { "when", &shape_artifacts_when, false },
        { "unprotect", &shape_boolean, false },
        { "fallback_keys", &shape_fallback_keys, false },
        { 0 },
};
static const Shape shape_one_cache = { .types = SHAPE_MAP,
                                       .expect = "a mapping such as 'paths: [x]'",
                                       .keys = cache_keys };
const Shape shape_cache = { .types = SHAPE_MAP | SHAPE_LIST,
                            .expect = "a cache or a list of at most 4 caches",
                            .keys = cache_keys,
                            .item = &shape_one_cache,
                            .flatten = true,
                            .max = 4 };

static const Shape shape_tag = { .types = SHAPE_STRING, .expect = "a text", .not_empty = true };
const Shape shape_tags = {
        .types = SHAPE_LIST, .expect = "a list of texts", .item = &shape_tag, .flatten = true, .max = 50
};
