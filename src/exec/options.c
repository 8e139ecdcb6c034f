/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the files of options of `exec`. Called by request.c only, as the user who called. It must never let the project's
 * file name anything outside of the project. */

#include "exec/options.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "exec/variables.h"
#include "pipeline/problem.h"
#include "wire/bundle.h"

#define FILE_NAME ".nspawn-runner-exec.yaml"

typedef enum OptionKind {
        OPTION_TEXT,
        OPTION_PATH, /* from the file's directory on */
        OPTION_TEXTS,
        OPTION_MAP,
} OptionKind;

typedef struct OptionKey {
        const char *name; /* as on the command line */
        OptionKind kind;
        bool home_only;
} OptionKey;

/* "variables" is no option of that name. How much of this machine a run takes, where it writes, and what gets the
 * user's passwords are the user's to say. */
static const OptionKey keys[] = {
        { "archive-max", OPTION_TEXT, true },  { "artifacts", OPTION_PATH, true },
        { "file", OPTION_TEXT, false },        { "image-default", OPTION_TEXT, false },
        { "include-root", OPTION_MAP, false }, { "inputs", OPTION_MAP, false },
        { "jobs", OPTION_TEXT, true },         { "server", OPTION_TEXT, true },
        { "source", OPTION_TEXT, false },      { "variable-file", OPTION_TEXTS, false },
        { "variables", OPTION_MAP, false },
};

static int complain(const ExecOptionsFile *file, Place place, const char *name, const char *what) {
        log_error("%s:%u:%u: '%s' %s", file->path, place.line, place.column, name, what);
        return -EINVAL;
}

static const OptionKey *find_key(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (streq(keys[i].name, name))
                        return keys + i;
        return NULL;
}

static int refuse(Arena *arena, const ExecOptionsFile *file, const ValuePair *pair) {
        const char *names[ELEMENTSOF(keys) + 1] = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                names[i] = keys[i].name;
        return complain(file, pair->place, pair->key,
                        arena_printf(arena, "is no option here%s", nearest_hint(arena, pair->key, names)));
}

static bool is_text(const Value *value) {
        return value_is_scalar(value) && value->type != VALUE_NULL;
}

static bool are_texts(const Value *value) {
        if (value->type != VALUE_LIST)
                return is_text(value);
        for (size_t i = 0; i < value->n_items; i++)
                if (!is_text(value->items[i]))
                        return false;
        return true;
}

static int check(Arena *arena, const ExecOptionsFile *file, const ValuePair *pair) {
        const OptionKey *key = find_key(pair->key);

        if (!key)
                return refuse(arena, file, pair);
        if (key->home_only && file->root_fd >= 0)
                return complain(file, pair->place, pair->key,
                                "is not for a project to say: write it into " FILE_NAME " in your home directory");
        if (key->kind == OPTION_MAP && pair->value->type != VALUE_MAP)
                return complain(file, pair->place, pair->key, "must be a mapping of names and values");
        if (key->kind == OPTION_TEXTS && !are_texts(pair->value))
                return complain(file, pair->place, pair->key, "must be a text or a list of texts");
        if (key->kind <= OPTION_PATH && !is_text(pair->value))
                return complain(file, pair->place, pair->key, "must be a text");
        return 0;
}

static int parse(Arena *arena, ExecOptionsFile *file, const char *data, size_t size) {
        int r = exec_yaml_read(arena, file->path, arena_copy(arena, data, size), size, &file->map);

        if (r < 0 || !file->map)
                return r;
        if (file->map->type != VALUE_MAP) {
                log_error("%s:%u: must be a mapping of options and their values", file->path, file->map->place.line);
                return -EINVAL;
        }
        for (size_t i = 0; i < file->map->n_pairs; i++) {
                int q = check(arena, file, file->map->pairs + i);
                r = q < 0 ? q : r;
        }
        return r;
}

static int read_own(const Checkout *checkout, Arena *arena, ExecOptionsFile *ret) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        *ret = (ExecOptionsFile){ .path = FILE_NAME, .directory = checkout->top, .root_fd = checkout->top_fd };
        int r = exec_own_file_read(checkout->top_fd, FILE_NAME, &data, &size);
        return r <= 0 ? r : parse(arena, ret, data, size);
}

/* A project that is the home itself has one file, which is the project's. */
static bool is_the_project(const Checkout *checkout, const char *home) {
        struct stat a, b;

        return stat(home, &a) >= 0 && fstat(checkout->top_fd, &b) >= 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int read_home(const Checkout *checkout, Arena *arena, ExecOptionsFile *ret) {
        _cleanup_free_ char *data = NULL;
        const char *home = getenv("HOME");
        size_t size;

        ret->root_fd = -EBADF;
        if (isempty(home) || home[0] != '/' || is_the_project(checkout, home))
                return 0;
        ret->directory = arena_string(arena, home);
        ret->path = arena_printf(arena, "%s/" FILE_NAME, home);
        _cleanup_close_ int fd = file_open_regular(ret->path);
        if (fd == -ENOENT && !exists_at(AT_FDCWD, ret->path))
                return 0;
        int r = fd < 0 ? fd : fd_read_all(fd, EXEC_VARIABLES_BYTES_MAX, &data, &size);
        if (r < 0) {
                log_error("Cannot read '%s': %s", ret->path,
                          r == -ENOENT ? "it is a symlink to nothing" : file_error_text(r));
                return r;
        }
        return parse(arena, ret, data, size);
}

/* The home's own way of writing itself, too. */
static const char *from_home(Arena *arena, const ExecOptionsFile *file, const char *path) {
        const char *rest = startswith(path, "~/");

        return path[0] == '/' ? path : arena_printf(arena, "%s/%s", file->directory, rest ? rest : path);
}

static void apply(const Invocation *original, Invocation *invocation, Arena *arena, const ExecOptionsFile *file) {
        for (size_t i = 0; file->map && i < file->map->n_pairs; i++) {
                const ValuePair *pair = file->map->pairs + i;
                const OptionKey *key = find_key(pair->key);
                const CommandOption *options = invocation->command->options;

                if (key->kind > OPTION_PATH || invocation_has(original, key->name))
                        continue;
                const char *text = value_to_string(arena, pair->value);
                for (unsigned k = 0; options[k].name; k++)
                        if (streq(options[k].name, key->name))
                                invocation->option_values[k] = key->kind == OPTION_PATH ? from_home(arena, file, text) :
                                                                                          text;
        }
}

int exec_options_read(Invocation *invocation, const Checkout *checkout, Arena *arena, ExecOptions *ret) {
        Invocation original = *invocation;

        int r = read_home(checkout, arena, &ret->home);
        if (r < 0)
                return r;
        r = read_own(checkout, arena, &ret->own);
        if (r < 0)
                return r;
        apply(&original, invocation, arena, &ret->home);
        apply(&original, invocation, arena, &ret->own);
        return 0;
}

static int read_variable_file(const ExecOptionsFile *file, const Value *entry, Variables *variables) {
        const char *path = value_to_string(variables->arena, entry);
        _cleanup_free_ char *data = NULL;
        size_t size;

        if (file->root_fd < 0)
                return exec_variables_read_path(variables, from_home(variables->arena, file, path));
        if (!bundle_path_is_plain(path))
                return complain(file, entry->place, path, "must be the path of a file in the project");
        int r = file_read_in_root(file->root_fd, path, EXEC_VARIABLES_BYTES_MAX, &data, &size);
        if (r < 0) {
                log_error("Cannot read the variables in '%s': %s", path, file_error_text(r));
                return r;
        }
        return exec_variables_read(variables, path, data, size);
}

int exec_options_variables(const ExecOptionsFile *file, Variables *variables) {
        const Value *files = map_get(file->map, "variable-file"), *map = map_get(file->map, "variables");
        bool several = value_is(files, VALUE_LIST);

        for (size_t i = 0; files && i < (several ? files->n_items : 1); i++) {
                int r = read_variable_file(file, several ? files->items[i] : files, variables);
                if (r < 0)
                        return r;
        }
        return map ? exec_variables_from(variables, file->path, map) : 0;
}

static int add_include_root(Arena *arena, const ExecOptionsFile *file, const ValuePair *pair, IncludeRoots *roots) {
        const char *path = is_text(pair->value) ? value_to_string(arena, pair->value) : "";
        IncludeRoot root = { .name = pair->key };

        if (file->root_fd < 0)
                root.directory = from_home(arena, file, path);
        else if (!bundle_path_is_plain(path))
                return complain(file, pair->place, pair->key, "must have the path of a directory in the project");
        else
                root.directory = arena_printf(arena, "%s/%s", file->directory, path);
        /* Whoever reads below it goes there by its path: no link of the project may lead that elsewhere. */
        _cleanup_close_ int fd = file->root_fd < 0 ? open(root.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
                                                     open_without_symlinks(file->root_fd, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return log_error_errno(file->root_fd < 0 ? -errno : fd,
                                       "%s:%u: Cannot use '%s' as the directory of '%s': %m", file->path,
                                       pair->place.line, root.directory, root.name);
        ARENA_APPEND(arena, roots->items, roots->n, root);
        return 0;
}

int exec_options_include_roots(Arena *arena, const ExecOptionsFile *file, IncludeRoots *roots) {
        const Value *map = map_get(file->map, "include-root");

        for (size_t i = 0; map && i < map->n_pairs; i++) {
                int r = add_include_root(arena, file, map->pairs + i, roots);
                if (r < 0)
                        return r;
        }
        return 0;
}

void exec_options_inputs(Arena *arena, const ExecOptionsFile *file, Value *inputs) {
        const Value *map = map_get(file->map, "inputs");

        for (size_t i = 0; map && i < map->n_pairs; i++)
                map_set_pair(arena, inputs, map->pairs + i);
}
