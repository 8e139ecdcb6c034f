/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the job response into a JobSpec. Only gitlab/job.c may call this. The response holds secrets, so nothing of it
 * may be logged or quoted, and its memory is erased. */

#include "gitlab/response.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/id.h"
#include "base/string.h"

/* Variables of a job can have megabytes each. */
#define RESPONSE_MAX_BYTES (256 * 1024 * 1024)

static int copy_string(const json_t *object, const char *key, char **ret) {
        const char *value = json_string_value(json_object_get(object, key));

        if (isempty(value))
                return 0;
        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}

static uint64_t get_number(const json_t *object, const char *key) {
        json_int_t value = json_integer_value(json_object_get(object, key));
        return value > 0 ? (uint64_t) value : 0;
}

/* Turns "https://user:password@host/path" into "https://host/path", in place. */
static void strip_credentials(char *url) {
        char *host = strstr(url, "://");

        if (!host)
                return;
        host += 3;
        char *path = strchrnul(host, '/');
        char *at = memrchr(host, '@', (size_t) (path - host));
        if (at)
                memmove(host, at + 1, strlen(at + 1) + 1);
}

/* Copies a list of strings, without items that are no strings. *ret is NULL if it is no list. */
static int copy_list(const json_t *object, const char *key, char ***ret) {
        const json_t *list = json_object_get(object, key);
        _cleanup_string_list_ StringList items = { 0 };

        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *item = json_string_value(json_array_get(list, i));
                int r = item ? string_list_add(&items, item) : 0;
                if (r < 0)
                        return r;
        }
        *ret = string_list_take(&items);
        return 0;
}

static bool get_boolean(const json_t *object, const char *key) {
        return json_is_true(json_object_get(object, key));
}

/* Allocates room for the items of list @key of @object, @max at most; NULL if the list is empty or is no list. */
static int allocate_list(const json_t *object, const char *key, size_t size, size_t max, void *ret_items,
                         const json_t **ret_list) {
        const json_t *list = json_object_get(object, key);

        *ret_list = list;
        if (json_array_size(list) == 0)
                return 0;
        void *items = calloc(MIN(json_array_size(list), max), size);
        if (!items)
                return -ENOMEM;
        *(void **) ret_items = items;
        return 0;
}

static int read_variables(const json_t *object, JobVariables *ret) {
        const json_t *list;

        int r = allocate_list(object, "variables", sizeof(JobVariable), SIZE_MAX, &ret->items, &list);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *item = json_array_get(list, i);
                const char *value = json_string_value(json_object_get(item, "value"));
                JobVariable *variable = &ret->items[ret->n];

                if (isempty(json_string_value(json_object_get(item, "key"))))
                        continue;
                ret->n++;
                r = copy_string(item, "key", &variable->key);
                if (r < 0)
                        return r;
                variable->value = strdup(value ? value : "");
                if (!variable->value)
                        return -ENOMEM;
                variable->public = get_boolean(item, "public");
                variable->masked = get_boolean(item, "masked");
                variable->file = get_boolean(item, "file");
                variable->raw = get_boolean(item, "raw");
        }
        return 0;
}

/* A number stays a number in what GitLab hands over. */
static int copy_user(const json_t *docker, char **ret) {
        const json_t *user = json_object_get(docker, "user");

        if (!json_is_integer(user))
                return copy_string(docker, "user", ret);
        return string_printf(ret, "%" JSON_INTEGER_FORMAT, json_integer_value(user));
}

/* Reads the options for Docker of the image or of a service. */
static int read_docker_options(const json_t *object, char **ret_platform, char **ret_user) {
        const json_t *docker = json_object_get(json_object_get(object, "executor_opts"), "docker");

        int r = copy_string(docker, "platform", ret_platform);
        return r < 0 ? r : copy_user(docker, ret_user);
}

static int read_image(const json_t *image, JobImage *ret) {
        int r = copy_string(image, "name", &ret->name);
        if (r < 0)
                return r;
        r = copy_list(image, "entrypoint", &ret->entrypoint);
        if (r < 0)
                return r;
        r = copy_list(image, "pull_policy", &ret->pull_policies);
        if (r < 0)
                return r;
        return read_docker_options(image, &ret->platform, &ret->user);
}

static int read_service(const json_t *object, JobService *ret) {
        int r = copy_string(object, "name", &ret->name);
        if (r < 0)
                return r;
        r = copy_string(object, "alias", &ret->alias);
        if (r < 0)
                return r;
        r = read_docker_options(object, &ret->platform, &ret->user);
        if (r < 0)
                return r;
        r = copy_list(object, "pull_policy", &ret->pull_policies);
        if (r < 0)
                return r;
        r = copy_list(object, "entrypoint", &ret->entrypoint);
        if (r < 0)
                return r;
        r = copy_list(object, "command", &ret->command);
        return r < 0 ? r : read_variables(object, &ret->variables);
}

static int read_services(const json_t *root, JobSpec *spec) {
        const json_t *list;

        /* A job with more of them gets none, and each can be made large by its variables. */
        const size_t max = ID_SERVICES_MAX + 1;

        int r = allocate_list(root, "services", sizeof(JobService), max, &spec->services, &list);
        if (r < 0)
                return r;
        spec->n_services_asked = json_array_size(list);
        for (size_t i = 0; i < MIN(spec->n_services_asked, max); i++) {
                r = read_service(json_array_get(list, i), &spec->services[spec->n_services++]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_cache(const json_t *object, JobCache *ret) {
        int r = copy_string(object, "key", &ret->key);
        if (r < 0)
                return r;
        r = copy_list(object, "paths", &ret->paths);
        if (r < 0)
                return r;
        ret->untracked = get_boolean(object, "untracked");
        return copy_string(object, "policy", &ret->policy);
}

static int read_caches(const json_t *root, JobSpec *spec) {
        const json_t *list;

        int r = allocate_list(root, "cache", sizeof(JobCache), SIZE_MAX, &spec->caches, &list);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_array_size(list); i++) {
                r = read_cache(json_array_get(list, i), &spec->caches[spec->n_caches++]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Reads which job it is, and of which project. */
static int read_origin(const json_t *root, JobSpec *spec) {
        const json_t *git = json_object_get(root, "git_info");

        spec->trusted = true;
        spec->number = get_number(root, "id");
        spec->project_id = get_number(json_object_get(root, "job_info"), "project_id");
        spec->timeout_sec = get_number(json_object_get(root, "runner_info"), "timeout");
        /* Older servers do not say. */
        spec->ref_protected = get_boolean(git, "protected");
        int r = copy_string(root, "token", &spec->token);
        if (r < 0)
                return r;
        r = copy_string(git, "ref", &spec->ref);
        if (r < 0)
                return r;
        r = copy_string(git, "repo_url", &spec->repository);
        if (r < 0)
                return r;
        if (spec->repository)
                strip_credentials(spec->repository);
        return 0;
}

/* Copies the first variable of that name, which is the server's own: variables that a job sets come behind it. */
static int copy_variable(const JobVariables *variables, const char *key, char **ret) {
        for (size_t i = 0; i < variables->n; i++)
                if (streq(variables->items[i].key, key))
                        return string_replace(ret, variables->items[i].value);
        return 0;
}

/* Only their names and where they are is in the response. */
static int read_secret_names(const json_t *root, char ***ret) {
        _cleanup_string_list_ StringList names = { 0 };
        const char *name;
        json_t *secret;

        json_object_foreach (json_object_get(root, "secrets"), name, secret) {
                int r = string_list_add(&names, name);
                if (r < 0)
                        return r;
        }
        *ret = string_list_take(&names);
        return 0;
}

/* Reads by what people know the job. Older servers do not send all of it. */
static int read_description(const json_t *root, JobSpec *spec) {
        const json_t *info = json_object_get(root, "job_info");

        int r = copy_string(info, "name", &spec->name);
        if (r < 0)
                return r;
        r = copy_string(info, "stage", &spec->stage);
        if (r < 0)
                return r;
        r = copy_string(info, "project_full_path", &spec->project);
        if (r < 0)
                return r;
        if (!spec->project)
                r = copy_variable(&spec->variables, "CI_PROJECT_PATH", &spec->project);
        if (r < 0)
                return r;
        r = copy_variable(&spec->variables, "CI_JOB_URL", &spec->url);
        return r < 0 ? r : copy_variable(&spec->variables, "GITLAB_USER_LOGIN", &spec->started_by);
}

static int read_job(const json_t *root, JobSpec *spec) {
        int r = read_origin(root, spec);
        if (r < 0)
                return r;
        r = read_image(json_object_get(root, "image"), &spec->image);
        if (r < 0)
                return r;
        r = read_services(root, spec);
        if (r < 0)
                return r;
        r = read_caches(root, spec);
        if (r < 0)
                return r;
        r = read_variables(root, &spec->variables);
        if (r < 0)
                return r;
        r = read_secret_names(root, &spec->secret_names);
        return r < 0 ? r : read_description(root, spec);
}

/* Returns why @root is no job; NULL: it is one. */
static const char *job_problem(const json_t *root) {
        const json_t *id = json_object_get(root, "id");
        if (!json_is_object(root) || !json_is_integer(id) || json_integer_value(id) <= 0)
                return "it has no positive number \"id\"";

        /* If this counted as "no image", the job would run in another image than the one it asked for. */
        const json_t *image = json_object_get(root, "image"), *name = json_object_get(image, "name");
        if ((image && !json_is_object(image) && !json_is_null(image)) ||
            (name && !json_is_string(name) && !json_is_null(name)))
                return "its \"image\" is not an object with a \"name\"";
        return NULL;
}

int response_parse(const char *data, size_t size, JobSpec *ret, Problem *reterr_problem) {
        _cleanup_job_spec_ JobSpec spec = { 0 };
        json_error_t error;

        json_auto_t *root = json_loadb(data, size, JSON_ALLOW_NUL, &error);
        if (!root) {
                /* Not error.text: it quotes the file, which holds secrets. */
                return problem_set(reterr_problem, -EBADMSG, "not valid JSON at line %d, column %d", error.line,
                                   error.column);
        }
        const char *problem = job_problem(root);
        if (problem)
                return problem_set(reterr_problem, -EBADMSG, "%s", problem);
        int r = read_job(root, &spec);
        if (r < 0)
                return r;
        *ret = spec;
        spec = (JobSpec){ 0 };
        return 0;
}

int response_read(const char *path, JobSpec *ret, Problem *reterr_problem) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = file_read_at(AT_FDCWD, path, RESPONSE_MAX_BYTES, &data, &size);
        if (r < 0)
                return r;
        r = response_parse(data, size, ret, reterr_problem);
        explicit_bzero(data, size);
        return r;
}
