/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads variables of the project from files: YAML as a project's settings have it, or lines of NAME=VALUE. Called while the
 * request of `exec` is made, as the user who called. It prints where a file is wrong, and never a value. */

#include "exec/variables.h"

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "pipeline/yaml.h"

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

int exec_variables_from(Variables *variables, const char *path, const Value *map) {
        if (map->type != VALUE_MAP) {
                log_error("%s:%u: must be a mapping of variables and their values", path, map->place.line);
                return -EINVAL;
        }
        for (size_t i = 0; i < map->n_pairs; i++) {
                Variable variable = { .key = map->pairs[i].key };

                if (!read_value(variables->arena, map->pairs[i].value, &variable)) {
                        log_error("%s:%u: variable '%s' must have a text as its value, or a mapping with 'value'", path,
                                  map->pairs[i].place.line, variable.key);
                        return -EINVAL;
                }
                variables_set(variables, &variable);
        }
        return 0;
}

int exec_yaml_read(Arena *arena, const char *path, const char *data, size_t size, const Value **ret) {
        Problems problems = { .arena = arena };

        int r = yaml_load(&problems, path, 1, 1, data, size, ret);
        for (size_t i = 0; i < problems.n; i++)
                log_error("%s:%u:%u: %s", path, problems.items[i].place.line, problems.items[i].place.column,
                          problems.items[i].text);
        return r;
}

/* Lines of NAME=VALUE; empty ones and those that begin with "#" are skipped. */
static int read_lines(Variables *variables, const char *path, char *data) {
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
                variables_set_text(variables, arena_string(variables->arena, line),
                                   arena_string(variables->arena, equals + 1));
        }
        return 0;
}

int exec_variables_read(Variables *variables, const char *path, const char *data, size_t size) {
        const char *text = arena_copy(variables->arena, data, size);
        const Value *map = NULL;

        if (!endswith(path, ".yml") && !endswith(path, ".yaml"))
                return read_lines(variables, path, (char *) text);
        int r = exec_yaml_read(variables->arena, path, text, size, &map);
        return r < 0 || !map ? r : exec_variables_from(variables, path, map);
}

int exec_own_file_read(int root_fd, const char *path, char **ret_data, size_t *ret_size) {
        int r = file_read_in_root(root_fd, path, EXEC_VARIABLES_BYTES_MAX, ret_data, ret_size);
        if (r == -ENOENT && !exists_at(root_fd, path))
                return 0;
        if (r < 0) {
                log_error("Cannot read '%s': %s", path,
                          r == -ENOENT ? "it is a symlink to nothing in the project" : file_error_text(r));
                return r;
        }
        return 1;
}

int exec_variables_read_path(Variables *variables, const char *path) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        _cleanup_close_ int fd = file_open_given(path);
        int r = fd < 0 ? fd : fd_read_all(fd, EXEC_VARIABLES_BYTES_MAX, &data, &size);
        if (r < 0) {
                log_error("Cannot read the variables in '%s': %s", path, file_error_text(r));
                return r;
        }
        return exec_variables_read(variables, path, data, size);
}
