/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks the variables of a definition against each other, and completes paths in them. Called by definition-read.c
 * when all variables have been read. It must never read the host's files: a path may lead somewhere else tomorrow. */

#include <ctype.h>
#include <stdarg.h>

#include "base/string.h"
#include "config/binds.h"
#include "definition/definition-read.h"

int definition_fail_at(DefinitionReader *reader, Mark mark, const char *format, ...) {
        Problem *problem = reader->yaml.problem;
        va_list ap;

        problem->line = mark.line;
        problem->column = mark.column;
        va_start(ap, format);
        (void) problem_vset(problem, -EINVAL, format, ap);
        va_end(ap);
        return -EINVAL;
}

static bool row_is_given(const DefinitionReader *reader, size_t i) {
        const DefinitionRow *row = definition_row(i);

        return reader->rows[i].line > 0 && row->info.type->nullable &&
               *(void *const *) definition_field(reader->definition, row);
}

/* At most one variable may say where the image comes from. */
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
                        return definition_fail_at(reader, later ? here : mark,
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

/* Some variables are for images of one kind of source only. */
static int check_parts(DefinitionReader *reader) {
        for (size_t i = 0; definition_row(i); i++) {
                const DefinitionRow *row = definition_row(i);

                if (row->of == SOURCE_NONE || row->of == reader->definition->source.kind || !row_is_given(reader, i))
                        continue;
                return definition_fail_at(reader, reader->rows[i],
                                          "'" DEFINITION_PREFIX "%s' is only for images with '" DEFINITION_PREFIX
                                          "%s'%s",
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

/* The name of the program, or the text for `sh`, must not be blank. */
static int check_command(DefinitionReader *reader, char **const *field, const char *name) {
        char *const *command = *field;

        if (!command)
                return 0;
        bool text = strv_length(command) == 4 && streq(command[0], "/bin/sh") && streq(command[1], "-e") &&
                    streq(command[2], "-c");
        if (is_blank(command[0]) || (text && is_blank(command[3])))
                return definition_fail_at(reader, mark_of(reader, field), "'" DEFINITION_PREFIX "%s' is empty", name);
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
        return definition_fail_at(reader, mark_of(reader, &definition->source.tarball),
                                  "'" DEFINITION_PREFIX
                                  "tarball' is a URL: say what its content must be with '" DEFINITION_PREFIX
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
        return definition_fail_at(reader, mark, "%s", problem.text);
}

int definition_complete(DefinitionReader *reader) {
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
                return definition_fail_at(
                        reader, mark_of(reader, &definition->source.keyring),
                        "the path of the keyring, '%.128s', must be without blanks, commas and quotes",
                        definition->source.keyring);
        if (definition->source.from && streq(definition->source.from, definition->name))
                return definition_fail_at(reader, mark_of(reader, &definition->source.from),
                                          "the image would be made from itself");
        return 0;
}
