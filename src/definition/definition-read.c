/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads our variables out of a definition, which is a playbook of ansible. Called by definition.c. Everything else in
 * the file is ansible's: this must skip it, and never judge it. definition-complete.c checks the variables against each
 * other. */

#include "definition/definition-read.h"

#include <stdio.h>

#include "base/string.h"

/* Returns the part of @name after the prefix of our variables; NULL: it is not ours. A name with a hyphen instead of an
 * underscore counts as a misspelled one of ours, because no variable of ansible has a hyphen. */
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

/* Goes from the name of a variable to its value, and notes in @mark where the name is. */
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
                definition->setting_lines[i] = reader->settings[i].line;
                return r < 0 ? r :
                               yaml_read_value(&reader->yaml, info, name, setting_field(&definition->settings, info));
        }
        return fail_unknown(reader, key, rest);
}

/* Skips '<<', which merges a mapping from another place of the file. We do not merge, so none of our variables may be
 * in it. Goes from the key to the last event of the value. */
static int skip_merge(DefinitionReader *reader) {
        Mark mark = mark_here(reader);

        int r = yaml_next(&reader->yaml);
        if (r < 0)
                return r;
        r = skip(reader);
        if (r < 0)
                return r;
        if (reader->ours_seen)
                return definition_fail_at(reader, mark,
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

/* Skips a list of tasks, roles or the like. Unless it is empty, ansible has to run. */
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

/* Skips the variables of a later play, which are ansible's. Notes where one looks like ours, for a warning. Goes from
 * the key to the last event of the value. */
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

        if (!first && yaml->event.type == YAML_ALIAS_EVENT) { /* the play that it stands for may have tasks */
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

/* Sets the defaults that are not NULL. */
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
        yaml_reader_done(&reader.yaml);
        if (r < 0)
                return r;
        r = definition_complete(&reader);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(definition);
        return 0;
}
