/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the job response, in which GitLab tells a runner about a job: what this driver reads of it
 * (gitlab/response.h), and the rest that makes it one. worker.c calls this. Pure: it sends nothing, and the secrets
 * in it go nowhere else. */

#include <inttypes.h>

#include "base/string.h"
#include "local/job.h"

static void add_key(Text *json, const char *key) {
        json_add_string(json, key);
        text_add(json, ":", 1);
}

static void add_string(Text *json, const char *key, const char *value) {
        add_key(json, key);
        json_add_string(json, value ? value : "");
        text_add(json, ",", 1);
}

/* A list of texts, of a text or a list. */
static void add_list(const LocalJob *job, Text *json, const char *key, const Value *value) {
        const Value *lines = local_lines(job, value);

        add_key(json, key);
        text_add(json, "[", 1);
        for (size_t i = 0; i < lines->n_items; i++) {
                text_add(json, ",", i > 0);
                json_add_string(json, lines->items[i]->string);
        }
        text_add_string(json, "],");
}

static void add_variable(Text *json, const Variable *variable) {
        text_add(json, "{", 1);
        add_string(json, "key", variable->key);
        add_string(json, "value", variable->value);
        text_printf(json, "\"public\":%s,\"masked\":%s,\"file\":%s,\"raw\":%s}", variable->private ? "false" : "true",
                    variable->masked ? "true" : "false", variable->file ? "true" : "false",
                    variable->raw ? "true" : "false");
}

static void add_step(const LocalJob *job, Text *json, const char *name, const char *when, const Value *before,
                     const Value *script) {
        Value *lines = value_new(job->arena, VALUE_LIST, (Place){ 0 });

        value_append(job->arena, lines, local_lines(job, before));
        value_append(job->arena, lines, local_lines(job, script));
        text_add(json, "{", 1);
        add_string(json, "name", name);
        add_list(job, json, "script", lines);
        text_printf(json, "\"timeout\":%" PRIu64 ",", job->timeout_sec);
        add_string(json, "when", when);
        text_add_string(json, "\"allow_failure\":false}");
}

static void add_steps(const LocalJob *job, Text *json) {
        const Value *config = job->job->config, *after = map_get_set(config, "after_script");

        text_add_string(json, "\"steps\":[");
        add_step(job, json, "script", "on_success", map_get_set(config, "before_script"),
                 map_get_set(config, "script"));
        if (after) {
                text_add(json, ",", 1);
                add_step(job, json, "after_script", "always", NULL, after);
        }
        text_add_string(json, "],");
}

/* What images and services have in common. */
static void add_container(const LocalJob *job, Text *json, const Value *container) {
        const Value *docker = map_get_set(container, "docker");
        const char *user = local_text(job, docker, "user"), *platform = local_text(job, docker, "platform");

        add_list(job, json, "entrypoint", map_get_set(container, "entrypoint"));
        add_list(job, json, "pull_policy", map_get_set(container, "pull_policy"));
        text_add_string(json, "\"executor_opts\":{\"docker\":{");
        add_string(json, "platform", platform);
        add_key(json, "user");
        json_add_string(json, user ? user : "");
        text_add_string(json, "}}");
}

static void add_image(const LocalJob *job, Text *json) {
        text_add_string(json, "\"image\":{");
        add_string(json, "name", job->image);
        add_container(job, json, map_get_set(job->job->config, "image"));
        text_add_string(json, "},");
}

static void add_service(const LocalJob *job, Text *json, const Value *service) {
        const Value *variables = map_get_set(service, "variables"), *alias = map_get_set(service, "alias");
        const char *name = value_is(service, VALUE_MAP) ? local_text(job, service, "name") :
                                                          local_expand(job, value_to_string(job->arena, service));
        Variables own = { .arena = job->arena };

        text_add(json, "{", 1);
        add_string(json, "name", name);
        add_string(json, "alias", alias ? local_text(job, service, "alias") : "");
        add_list(job, json, "command", map_get_set(service, "command"));
        text_add_string(json, "\"variables\":[");
        for (size_t i = 0; value_is(variables, VALUE_MAP) && i < variables->n_pairs; i++) {
                const Value *value = variables->pairs[i].value;

                if (value_is(value, VALUE_MAP))
                        value = map_get(value, "value");
                const char *text = value_is_scalar(value) ? value_to_string(job->arena, value) : "";
                variables_set_text(&own, variables->pairs[i].key, text);
        }
        for (size_t i = 0; i < own.n; i++) {
                text_add(json, ",", i > 0);
                add_variable(json, own.items + i);
        }
        text_add_string(json, "],");
        add_container(job, json, service);
        text_add(json, "}", 1);
}

static void add_services(const LocalJob *job, Text *json) {
        const Value *services = map_get_set(job->job->config, "services");

        text_add_string(json, "\"services\":[");
        for (size_t i = 0; value_is(services, VALUE_LIST) && i < services->n_items; i++) {
                text_add(json, ",", i > 0);
                add_service(job, json, services->items[i]);
        }
        text_add_string(json, "],");
}

static void add_origin(const LocalJob *job, Text *json) {
        const PipelineRequest *request = job->pipeline->context.request;

        text_printf(json, "\"id\":%" PRIu64 ",", job->number);
        add_string(json, "token", job->token);
        text_add_string(json, "\"allow_git_fetch\":false,\"job_info\":{");
        add_string(json, "name", job->job->name);
        add_string(json, "stage", job->job->stage);
        add_string(json, "project_name", local_variable(job, "CI_PROJECT_NAME", ""));
        add_string(json, "project_full_path", request->project_path);
        text_add_string(json, "\"project_id\":0},\"git_info\":{");
        add_string(json, "ref", request->ref);
        add_string(json, "sha", local_variable(job, "CI_COMMIT_SHA", ""));
        add_string(json, "before_sha", local_variable(job, "CI_COMMIT_BEFORE_SHA", ""));
        add_string(json, "ref_type", request->is_tag ? "tag" : "branch");
        text_printf(json, "\"repo_url\":\"\",\"refspecs\":[],\"depth\":0},\"runner_info\":{\"timeout\":%" PRIu64 "},",
                    job->timeout_sec);
}

const char *local_response(const LocalJob *job) {
        Text json = { .arena = job->arena };

        text_add(&json, "{", 1);
        add_origin(job, &json);
        text_add_string(&json, "\"variables\":[");
        for (size_t i = 0; i < job->given.n; i++) {
                text_add(&json, ",", i > 0);
                add_variable(&json, job->given.items + i);
        }
        text_add_string(&json, "],");
        add_steps(job, &json);
        add_image(job, &json);
        add_services(job, &json);
        text_add_string(&json, "\"artifacts\":[],\"cache\":[],\"credentials\":[],\"dependencies\":[],"
                               "\"features\":{\"trace_sections\":true}}\n");
        return text_get(&json);
}
