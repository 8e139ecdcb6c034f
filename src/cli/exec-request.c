/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the options of `exec`: variables, inputs, what the pipeline is for, and directories that stand in for other
 * projects. Called by exec.c only, as the user who called it: no file is read here with root's rights. */

#include "cli/exec-request.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "pipeline/yaml.h"
#include "project/predefined.h"

#define ARENA_BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define LOCAL_VARIABLES ".gitlab-ci-local-variables.yml"
#define FILE_BYTES_MAX ((size_t) 1024 * 1024)

static const char *const sources[] = { "push",
                                       "merge_request_event",
                                       "schedule",
                                       "web",
                                       "tag",
                                       "api",
                                       "trigger",
                                       "pipeline",
                                       "parent_pipeline",
                                       "external",
                                       "external_pull_request_event",
                                       "chat",
                                       "webide",
                                       NULL };

void exec_request_done(ExecRequest *request) {
        checkout_free(request->checkout);
        arena_done(&request->arena);
}

/* "NAME=VALUE": false, logged, if it is something else. */
static bool split(ExecRequest *request, const char *option, const char *text, const char **ret_name,
                  const char **ret_value) {
        const char *equals = strchr(text, '=');

        if (!equals || equals == text) {
                log_error("--%s needs NAME=VALUE, not '%s'", option, text);
                return false;
        }
        *ret_name = arena_copy(&request->arena, text, (size_t) (equals - text));
        *ret_value = equals + 1;
        return true;
}

static bool is_set(const Value *map, const char *key, bool otherwise) {
        const Value *value = map_get_set(map, key);

        return value_is(value, VALUE_BOOLEAN) ? value->boolean : otherwise;
}

/* A text; or a mapping as a project's settings have it: value, type (or file), masked, expand (or raw).
 * gitlab-ci-local has "values" with one for each environment: only the one for all counts. */
static bool read_value(Arena *arena, const Value *value, Variable *ret) {
        if (value_is(value, VALUE_MAP)) {
                ret->file = value_is_string(map_get(value, "type"), "file") || is_set(value, "file", false);
                ret->masked = is_set(value, "masked", false);
                ret->raw = is_set(value, "raw", false) || !is_set(value, "expand", true);
                const Value *values = map_get_set(value, "values");
                value = values ? map_get(values, "*") : map_get(value, "value");
        }
        ret->value = value ? value_to_string(arena, value) : NULL;
        return ret->value;
}

/* A mapping of names and values. */
static int read_yaml(ExecRequest *request, const char *path, const char *data, size_t size) {
        Problems problems = { .arena = &request->arena };
        const Value *map = NULL;

        int r = yaml_load(&problems, path, 1, 1, data, size, &map);
        for (size_t i = 0; i < problems.n; i++)
                log_error("%s:%u:%u: %s", path, problems.items[i].place.line, problems.items[i].place.column,
                          problems.items[i].text);
        if (r < 0 || !map)
                return r;
        if (map->type != VALUE_MAP) {
                log_error("%s:%u: must be a mapping of variables and their values", path, map->place.line);
                return -EINVAL;
        }
        for (size_t i = 0; i < map->n_pairs; i++) {
                Variable variable = { .key = map->pairs[i].key };

                if (!read_value(&request->arena, map->pairs[i].value, &variable)) {
                        log_error("%s:%u: variable '%s' must have a text as its value, or a mapping with 'value'", path,
                                  map->pairs[i].place.line, variable.key);
                        return -EINVAL;
                }
                variables_set(&request->project, &variable);
        }
        return 0;
}

/* Lines of NAME=VALUE; empty ones and those that begin with "#" are skipped. */
static int read_lines(ExecRequest *request, const char *path, char *data) {
        unsigned number = 1;

        for (char *line; (line = strsep(&data, "\n")); number++) {
                size_t n = strlen(line);
                char *equals = strchr(line, '=');

                if (n > 0 && line[n - 1] == '\r')
                        line[n - 1] = 0;
                if (!*line || *line == '#')
                        continue;
                if (!equals || equals == line) {
                        log_error("%s:%u: must be NAME=VALUE", path, number);
                        return -EINVAL;
                }
                *equals = 0;
                variables_set_text(&request->project, arena_string(&request->arena, line),
                                   arena_string(&request->arena, equals + 1));
        }
        return 0;
}

static int read_variable_file(ExecRequest *request, const char *path) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        int r = fd < 0 ? -errno : fd_read_all(fd, FILE_BYTES_MAX, &data, &size);
        if (r < 0)
                return log_error_errno(r, "Cannot read the variables in '%s': %m", path);
        const char *text = arena_copy(&request->arena, data, size);
        if (endswith(path, ".yml") || endswith(path, ".yaml"))
                return read_yaml(request, path, text, size);
        return read_lines(request, path, (char *) text);
}

/* The file of that name in the project, as gitlab-ci-local reads it, too. */
static int read_own_file(ExecRequest *request) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = file_read_in_root(request->checkout->top_fd, LOCAL_VARIABLES, FILE_BYTES_MAX, &data, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return log_error_errno(r, "Cannot read the variables in '%s': %m", LOCAL_VARIABLES);
        return read_yaml(request, LOCAL_VARIABLES, arena_copy(&request->arena, data, size), size);
}

static int read_variables(const Invocation *invocation, ExecRequest *request) {
        const char *text, *name, *value;

        int q = read_own_file(request);
        if (q < 0)
                return q;
        for (unsigned i = 0; (text = invocation_option_at(invocation, "variable-file", i)); i++) {
                int r = read_variable_file(request, text);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; (text = invocation_option_at(invocation, "variable", i)); i++) {
                if (!split(request, "variable", text, &name, &value))
                        return COMMAND_MISUSED;
                variables_set_text(&request->pipeline, name, value);
        }
        return 0;
}

static int read_inputs(const Invocation *invocation, ExecRequest *request) {
        Value *inputs = value_new(&request->arena, VALUE_MAP, (Place){ 0 });
        const char *text, *name, *value;

        for (unsigned i = 0; (text = invocation_option_at(invocation, "input", i)); i++) {
                if (!split(request, "input", text, &name, &value))
                        return COMMAND_MISUSED;
                map_set(&request->arena, inputs, name, inputs->place,
                        value_new_string(&request->arena, value, inputs->place));
        }
        request->request.inputs = inputs;
        return 0;
}

static int read_include_roots(const Invocation *invocation, ExecRequest *request) {
        const char *text;

        for (unsigned i = 0; (text = invocation_option_at(invocation, "include-root", i)); i++) {
                IncludeRoot *root = request->include_roots + i;

                if (!split(request, "include-root", text, &root->name, &root->directory))
                        return COMMAND_MISUSED;
                if (access(root->directory, R_OK | X_OK) < 0)
                        return log_error_errno(errno, "Cannot use '%s' as the directory of '%s': %m", root->directory,
                                               root->name);
        }
        request->checkout->include_roots = request->include_roots;
        return 0;
}

static bool is_source(const char *name) {
        for (size_t i = 0; sources[i]; i++)
                if (streq(sources[i], name))
                        return true;
        return false;
}

static int read_occasion(const Invocation *invocation, ExecRequest *request) {
        const char *source = invocation_option(invocation, "source"), *file = invocation_option(invocation, "file");
        Occasion occasion = { .source = source ? source : "push",
                              .ref = invocation_option(invocation, "ref"),
                              .file = file ? file : ".gitlab-ci.yml" };

        if (!is_source(occasion.source)) {
                log_error("--source cannot be '%s'%s", occasion.source,
                          nearest_hint(&request->arena, occasion.source, sources));
                return COMMAND_MISUSED;
        }
        while (startswith(occasion.file, "./"))
                occasion.file += 2;
        request->request.file = occasion.file;
        request->request.predefined = &request->predefined;
        request->request.project = &request->project;
        request->request.pipeline = &request->pipeline;
        int r = predefined_fill(request->checkout, &occasion, &request->predefined, &request->request);
        if (r == -ENOENT) {
                log_error("No tag is checked out; name one with --ref");
                return COMMAND_MISUSED;
        }
        /* They are stronger than the configuration's, and weaker than all other variables of the project. */
        predefined_fill_user(request->checkout, &request->project);
        /* GitLab compares pushes and merge requests only. */
        request->checkout->all_changed = request->request.is_tag ||
                                         (!streq(request->request.source, "push") &&
                                          !streq(request->request.source, "merge_request_event"));
        return r;
}

int exec_request_init(const Invocation *invocation, ExecRequest *ret) {
        const char *directory = invocation_option(invocation, "directory"), *what;

        arena_init(&ret->arena, ARENA_BYTES_MAX);
        if (setjmp(ret->arena.exhausted) != 0)
                return log_oom();
        ret->predefined.arena = ret->project.arena = ret->pipeline.arena = &ret->arena;
        if (!directory)
                directory = ".";
        int r = checkout_open(directory, &ret->checkout, &what);
        if (r < 0)
                return log_error_errno(r, "%s '%s': %m%s", what, directory, r == -ENOENT ? " (is git installed?)" : "");
        ret->provider = checkout_provider(ret->checkout);
        ret->request.provider = &ret->provider;
        r = read_include_roots(invocation, ret);
        if (r < 0)
                return r;
        r = read_occasion(invocation, ret);
        if (r < 0)
                return r;
        r = read_variables(invocation, ret);
        return r < 0 ? r : read_inputs(invocation, ret);
}
