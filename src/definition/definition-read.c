/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads our variables out of a definition, which is a playbook of ansible, and checks what they mean together. Called
 * by definition.c. Everything in the file that is not ours is ansible's: it is skipped, never judged. */

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/string.h"
#include "config/binds.h"
#include "config/yaml-reader.h"
#include "definition/definition-table.h"

/* Place of a variable in the file; a line of 0: it is not there. */
typedef struct Mark {
        unsigned line, column;
} Mark;

typedef struct DefinitionReader {
        YamlReader yaml;
        Definition *definition;
        Mark rows[DEFINITION_ROWS_MAX], settings[SETTINGS_MAX];
        bool vars_seen;
        bool ours_seen; /* one of our names was in what was skipped */
} DefinitionReader;

/* Also what is ours but for a hyphen: no variable of ansible's can have one. */
static const char *name_is_ours(const char *name) {
        const char *rest = startswith(name, DEFINITION_PREFIX);

        if (!rest && (rest = startswith(name, "nspawn-runner")))
                rest += *rest != 0;
        return rest;
}

static void see(void *userdata, const char *text) {
        DefinitionReader *reader = userdata;

        if (name_is_ours(text))
                reader->ours_seen = true;
}

static int skip(DefinitionReader *reader) {
        return yaml_skip(&reader->yaml, see, reader);
}

static Mark mark_here(const DefinitionReader *reader) {
        return (Mark){ yaml_line(&reader->yaml), yaml_column(&reader->yaml) };
}

/* Notes what is wrong at a place that was read before. */
static int fail_at(DefinitionReader *reader, Mark mark, const char *format, ...) _printf_(3, 4);
static int fail_at(DefinitionReader *reader, Mark mark, const char *format, ...) {
        Problem *problem = reader->yaml.problem;
        va_list ap;

        problem->line = mark.line;
        problem->column = mark.column;
        va_start(ap, format);
        (void) problem_vset(problem, -EINVAL, format, ap);
        va_end(ap);
        return -EINVAL;
}

static int fail_unknown(DefinitionReader *reader, const char *name, const char *rest) {
        _cleanup_free_ char *typed = strdup(rest);

        if (!typed)
                return -ENOMEM;
        for (char *p = typed; *p; p++)
                if (*p == '-')
                        *p = '_';
        const SettingInfo *setting = setting_find(typed);
        if (setting && !setting_is_machine(setting))
                return yaml_fail(&reader->yaml,
                                 "'%s' is a setting of the configuration file only: an image cannot have "
                                 "its own",
                                 typed);
        const char *nearest = definition_nearest(typed);
        if (nearest)
                return yaml_fail(&reader->yaml, "unknown variable '%.64s'; did you mean '" DEFINITION_PREFIX "%s'?",
                                 name, nearest);
        return yaml_fail(&reader->yaml,
                         "unknown variable '%.64s'; names that begin with '" DEFINITION_PREFIX "' are nspawn-runner's",
                         name);
}

/* The variable whose name is looked at: goes on to its value. @mark notes where it is. */
static int begin_variable(DefinitionReader *reader, const char *name, Mark *mark) {
        if (mark->line > 0)
                return yaml_fail(&reader->yaml, "'%s' is set twice, first in line %u", name, mark->line);
        int r = yaml_require_plain(&reader->yaml);
        if (r < 0)
                return r;
        *mark = mark_here(reader);
        return yaml_next(&reader->yaml);
}

static int read_variable(DefinitionReader *reader, const char *key, const char *rest) {
        Definition *definition = reader->definition;
        char name[64];
        int r;

        for (size_t i = 0; startswith(key, DEFINITION_PREFIX) && definition_row(i); i++) {
                const DefinitionRow *row = definition_row(i);

                if (!streq(row->info.name, rest))
                        continue;
                snprintf(name, sizeof(name), DEFINITION_PREFIX "%s", row->info.name);
                r = begin_variable(reader, name, &reader->rows[i]);
                return r < 0 ? r : yaml_read_value(&reader->yaml, &row->info, name, definition_field(definition, row));
        }
        for (size_t i = 0; startswith(key, DEFINITION_PREFIX) && settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);

                if (!setting_is_machine(info) || !streq(setting_name(info), rest))
                        continue;
                snprintf(name, sizeof(name), DEFINITION_PREFIX "%s", setting_name(info));
                r = begin_variable(reader, name, &reader->settings[i]);
                definition->settings_given[i] = true;
                return r < 0 ? r :
                               yaml_read_value(&reader->yaml, info, name, setting_field(&definition->settings, info));
        }
        return fail_unknown(reader, key, rest);
}

/* What another place of the file has is only looked at by ansible: none of our variables may be there. From the key to
 * the last event of the value. */
static int skip_merge(DefinitionReader *reader) {
        Mark mark = mark_here(reader);

        int r = yaml_next(&reader->yaml);
        if (r < 0)
                return r;
        r = skip(reader);
        if (r < 0)
                return r;
        if (reader->ours_seen)
                return fail_at(reader, mark,
                               "variables that come with '<<' are not read: write those that begin "
                               "with '" DEFINITION_PREFIX "' into 'vars' of the first play itself");
        return r;
}

static int skip_pair(DefinitionReader *reader) {
        int r = skip(reader);
        if (r < 0)
                return r;
        r = yaml_next(&reader->yaml);
        return r < 0 ? r : skip(reader);
}

static int read_vars(DefinitionReader *reader) {
        YamlReader *yaml = &reader->yaml;

        if (yaml_is_null(yaml))
                return 0;
        if (yaml->event.type != YAML_MAPPING_START_EVENT)
                return yaml_fail(yaml, "'vars' must be a mapping, lines of 'VARIABLE: VALUE'");
        for (;;) {
                int r = yaml_next(yaml);
                if (r < 0)
                        return r;
                if (yaml->event.type == YAML_MAPPING_END_EVENT)
                        return 0;

                const char *key = yaml_scalar(yaml), *rest = key ? name_is_ours(key) : NULL;
                if (rest)
                        r = read_variable(reader, key, rest);
                else if (key && streq(key, "<<"))
                        r = skip_merge(reader);
                else
                        r = skip_pair(reader);
                if (r < 0)
                        return r;
        }
}

/* Something for ansible to do, unless it is an empty list. */
static int skip_tasks(DefinitionReader *reader) {
        YamlReader *yaml = &reader->yaml;

        if (yaml->event.type != YAML_SEQUENCE_START_EVENT) {
                if (!yaml_is_null(yaml))
                        reader->definition->has_tasks = true;
                return skip(reader);
        }
        for (;;) {
                int r = yaml_next(yaml);
                if (r < 0 || yaml->event.type == YAML_SEQUENCE_END_EVENT)
                        return r;
                reader->definition->has_tasks = true;
                r = skip(reader);
                if (r < 0)
                        return r;
        }
}

static bool key_is_tasks(const char *key) {
        static const char *const names[] = { "tasks",
                                             "pre_tasks",
                                             "post_tasks",
                                             "roles",
                                             "include",
                                             "import_playbook",
                                             "ansible.builtin.import_playbook",
                                             "ansible.legacy.import_playbook" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i], key))
                        return true;
        return false;
}

/* Variables of a later play are ansible's, but somebody may have meant ours. From the key to the last event of the
 * value. */
static int skip_later_vars(DefinitionReader *reader) {
        unsigned line = yaml_line(&reader->yaml);

        reader->ours_seen = false;
        int r = skip_pair(reader);
        if (reader->ours_seen && reader->definition->ignored_line == 0)
                reader->definition->ignored_line = line;
        return r;
}

static int read_play_key(DefinitionReader *reader, bool first) {
        const char *key = yaml_scalar(&reader->yaml);

        if (first && key && streq(key, "<<"))
                return skip_merge(reader);
        if (!first && key && streq(key, "vars"))
                return skip_later_vars(reader);
        if (first && key && name_is_ours(key))
                return yaml_fail(&reader->yaml, "'%.64s' belongs into 'vars' of the play", key);
        if (first && key && streq(key, "vars")) {
                if (reader->vars_seen)
                        return yaml_fail(&reader->yaml, "'vars' is there twice in the first play");
                reader->vars_seen = true;
                int r = yaml_next(&reader->yaml);
                return r < 0 ? r : read_vars(reader);
        }
        if (key && key_is_tasks(key)) {
                int r = yaml_next(&reader->yaml);
                return r < 0 ? r : skip_tasks(reader);
        }
        return skip_pair(reader);
}

static int read_play(DefinitionReader *reader, bool first) {
        YamlReader *yaml = &reader->yaml;

        if (!first && yaml->event.type == YAML_ALIAS_EVENT) { /* whatever is there */
                reader->definition->has_tasks = true;
                return 0;
        }
        if (yaml->event.type != YAML_MAPPING_START_EVENT)
                return yaml_fail(yaml, "a play must be a mapping, as in '- hosts: all'");
        for (;;) {
                int r = yaml_next(yaml);
                if (r < 0 || yaml->event.type == YAML_MAPPING_END_EVENT)
                        return r;
                r = read_play_key(reader, first);
                if (r < 0)
                        return r;
        }
}

static int read_playbook(DefinitionReader *reader) {
        YamlReader *yaml = &reader->yaml;

        int r = yaml_begin(yaml);
        if (r < 0)
                return r;
        if (yaml->event.type != YAML_SEQUENCE_START_EVENT)
                return yaml_fail(yaml,
                                 "a definition is a playbook: a list of plays, the first of which is '- hosts: all' "
                                 "with our variables in its 'vars'");
        for (bool first = true;; first = false) {
                r = yaml_next(yaml);
                if (r < 0)
                        return r;
                if (yaml->event.type == YAML_SEQUENCE_END_EVENT) {
                        if (first)
                                return yaml_fail(yaml, "there is no play in the file");
                        return yaml_end(yaml);
                }
                r = read_play(reader, first);
                if (r < 0)
                        return r;
        }
}

static bool row_is_given(const DefinitionReader *reader, size_t i) {
        const DefinitionRow *row = definition_row(i);

        return reader->rows[i].line > 0 && row->info.type->nullable &&
               *(void *const *) definition_field(reader->definition, row);
}

/* At most one of the rows that say where the image comes from. */
static int find_source(DefinitionReader *reader) {
        const DefinitionRow *found = NULL;
        Mark mark = { 0 };

        for (size_t i = 0; definition_row(i); i++) {
                const DefinitionRow *row = definition_row(i);
                Mark here = reader->rows[i];

                if (row->source == SOURCE_NONE || !row_is_given(reader, i))
                        continue;
                if (found) {
                        bool later = here.line > mark.line || (here.line == mark.line && here.column > mark.column);
                        return fail_at(reader, later ? here : mark,
                                       "'" DEFINITION_PREFIX "%s' and '" DEFINITION_PREFIX
                                       "%s' both say what the image is made of: keep one",
                                       found->info.name, row->info.name);
                }
                found = row;
                mark = here;
        }
        reader->definition->source.kind = found ? found->source : SOURCE_NONE;
        if (reader->definition->source.kind == SOURCE_FROM) {
                reader->definition->from_line = mark.line;
                reader->definition->from_column = mark.column;
        }
        return 0;
}

/* Rows that mean something for another source only. */
static int check_parts(DefinitionReader *reader) {
        for (size_t i = 0; definition_row(i); i++) {
                const DefinitionRow *row = definition_row(i);

                if (row->of == SOURCE_NONE || row->of == reader->definition->source.kind || !row_is_given(reader, i))
                        continue;
                return fail_at(reader, reader->rows[i],
                               "'" DEFINITION_PREFIX "%s' is only for images with '" DEFINITION_PREFIX "%s'%s",
                               row->info.name, definition_source_row(row->of)->info.name,
                               reader->definition->source.kind == SOURCE_NONE ? ", which is missing" : "");
        }
        return 0;
}

static Mark mark_of(const DefinitionReader *reader, const void *field) {
        for (size_t i = 0; definition_row(i); i++)
                if (definition_field(reader->definition, definition_row(i)) == field)
                        return reader->rows[i];
        return (Mark){ 0 };
}

static bool is_blank(const char *text) {
        return text[strspn(text, " \t\r\n")] == 0;
}

/* A program, or what `sh` would run, must be there. */
static int check_command(DefinitionReader *reader, char **const *field, const char *name) {
        char *const *command = *field;

        if (!command)
                return 0;
        bool text = strv_length(command) == 4 && streq(command[0], "/bin/sh") && streq(command[1], "-e") &&
                    streq(command[2], "-c");
        if (is_blank(command[0]) || (text && is_blank(command[3])))
                return fail_at(reader, mark_of(reader, field), "'" DEFINITION_PREFIX "%s' is empty", name);
        return 0;
}

static int complete_path(char **path, const char *directory) {
        char *completed = NULL;

        if (!*path)
                return 0;
        int r = definition_path(*path, directory, &completed);
        if (r < 0)
                return r;
        free(*path);
        *path = completed;
        return 0;
}

static int complete_oci(DefinitionReader *reader) {
        char *reference = NULL;

        if (!reader->definition->source.oci)
                return 0;
        int r = definition_oci_reference(reader->definition->source.oci, reader->definition->source.directory,
                                         &reference);
        if (r < 0)
                return r;
        free(reader->definition->source.oci);
        reader->definition->source.oci = reference;
        return 0;
}

static int complete_tarball(DefinitionReader *reader) {
        Definition *definition = reader->definition;

        if (!definition->source.tarball)
                return 0;
        for (char *p = definition->source.sha256; p && *p; p++)
                *p = (char) tolower((unsigned char) *p);
        if (!strstr(definition->source.tarball, "://"))
                return complete_path(&definition->source.tarball, reader->definition->source.directory);
        if (definition->source.sha256)
                return 0;
        return fail_at(reader, mark_of(reader, &definition->source.tarball),
                       "'" DEFINITION_PREFIX "tarball' is a URL: say what its content must be with '" DEFINITION_PREFIX
                       "tarball_sha256'");
}

static int check_binds(DefinitionReader *reader) {
        Mark mark = { 0 };
        Problem problem = { 0 };

        int r = binds_check(&reader->definition->settings, &problem);
        if (r != -EINVAL)
                return r;
        for (size_t i = 0; settings_info(i); i++)
                if (reader->settings[i].line > 0 && startswith(setting_name(settings_info(i)), "bind"))
                        mark = reader->settings[i];
        return fail_at(reader, mark, "%s", problem.text);
}

/* What several variables together mean. */
static int complete(DefinitionReader *reader) {
        Definition *definition = reader->definition;

        int r = find_source(reader);
        if (r < 0)
                return r;
        r = check_parts(reader);
        if (r < 0)
                return r;
        r = check_binds(reader);
        if (r < 0)
                return r;
        r = check_command(reader, &definition->source.create_command, "create_command");
        if (r < 0)
                return r;
        r = check_command(reader, &definition->test, "test");
        if (r < 0)
                return r;
        r = complete_oci(reader);
        if (r < 0)
                return r;
        r = complete_tarball(reader);
        if (r < 0)
                return r;
        r = complete_path(&definition->source.keyring, reader->definition->source.directory);
        if (r < 0)
                return r;
        if (definition->source.keyring && strpbrk(definition->source.keyring, " ,[]\"'#"))
                return fail_at(reader, mark_of(reader, &definition->source.keyring),
                               "the path of the keyring, '%.128s', must be without blanks, commas and quotes",
                               definition->source.keyring);
        if (definition->source.from && streq(definition->source.from, definition->name))
                return fail_at(reader, mark_of(reader, &definition->source.from),
                               "the image would be made from itself");
        return 0;
}

/* The defaults that are not NULL. */
static int set_defaults(Definition *definition) {
        for (size_t i = 0; definition_row(i); i++) {
                const DefinitionRow *row = definition_row(i);

                if (row->info.type->nullable)
                        continue;
                int r = row->info.type->assign(&row->info, row->info.default_text, definition_field(definition, row));
                if (r < 0)
                        return r;
        }
        return 0;
}

int definition_parse(const char *data, size_t size, const char *path, const char *name, Definition **ret,
                     Problem *reterr_problem) {
        _cleanup_definition_ Definition *definition = calloc(1, sizeof(Definition));
        DefinitionReader reader = { .definition = definition };
        const char *slash = strrchr(path, '/');

        if (!definition || string_replace(&definition->name, name) < 0 || string_replace(&definition->path, path) < 0 ||
            set_defaults(definition) < 0 ||
            (slash && !(definition->source.directory = strndup(path, MAX((size_t) (slash - path), (size_t) 1)))))
                return -ENOMEM;

        int r = yaml_reader_init(&reader.yaml, data, size, reterr_problem);
        if (r < 0)
                return r;
        r = read_playbook(&reader);
        if (r >= 0)
                r = complete(&reader);
        yaml_reader_done(&reader.yaml);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(definition);
        return 0;
}
