/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/config-file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/fd.h"
#include "base/string.h"

typedef struct Reader {
        yaml_parser_t parser;
        yaml_event_t event; /* the one that is looked at */
        bool have_event;
        Settings *settings;
        ConfigProblem *problem;
        unsigned seen[SETTINGS_MAX]; /* line where each row of the table was set; 0: not yet */
} Reader;

static void reader_done(Reader *reader) {
        if (reader->have_event)
                yaml_event_delete(&reader->event);
        yaml_parser_delete(&reader->parser);
}

/* Notes what is wrong with the present event. Returns -EINVAL. */
static int _printf_(2, 3) fail(Reader *reader, const char *format, ...) {
        ConfigProblem *problem = reader->problem;
        va_list ap;

        problem->line = (unsigned) reader->event.start_mark.line + 1;
        problem->column = (unsigned) reader->event.start_mark.column + 1;
        va_start(ap, format);
        vsnprintf(problem->text, sizeof(problem->text), format, ap);
        va_end(ap);
        return -EINVAL;
}

/* What libyaml found wrong, in words. */
static int fail_syntax(Reader *reader) {
        const yaml_parser_t *parser = &reader->parser;
        ConfigProblem *problem = reader->problem;

        switch (parser->error) {
        case YAML_MEMORY_ERROR:
                return -ENOMEM;

        case YAML_READER_ERROR: /* bad UTF-8, control characters: only the offset is known */
                *problem = (ConfigProblem){ 0 };
                snprintf(problem->text, sizeof(problem->text), "not a text file: %s at byte %zu",
                         parser->problem ? parser->problem : "bad character", parser->problem_offset);
                return -EINVAL;

        default:
                problem->line = (unsigned) parser->problem_mark.line + 1;
                problem->column = (unsigned) parser->problem_mark.column + 1;
                snprintf(problem->text, sizeof(problem->text), "%s%s%s", parser->context ? parser->context : "",
                         parser->context ? ", " : "", parser->problem ? parser->problem : "not valid YAML");
                return -EINVAL;
        }
}

/* Only the tags that the content of a setting can have by itself. */
static bool tag_is_known(const yaml_char_t *tag) {
        const char *name = tag ? startswith((const char *) tag, "tag:yaml.org,2002:") : NULL;

        return !tag || streq((const char *) tag, "!") ||
               (name && (streq(name, "str") || streq(name, "int") || streq(name, "bool") || streq(name, "float") ||
                         streq(name, "null") || streq(name, "seq") || streq(name, "map")));
}

static const yaml_char_t *event_tag(const yaml_event_t *event) {
        switch (event->type) {
        case YAML_SCALAR_EVENT:
                return event->data.scalar.tag;
        case YAML_SEQUENCE_START_EVENT:
                return event->data.sequence_start.tag;
        case YAML_MAPPING_START_EVENT:
                return event->data.mapping_start.tag;
        default:
                return NULL;
        }
}

/* Goes on to the next event, and refuses what no part of the file may have. */
static int next(Reader *reader) {
        if (reader->have_event)
                yaml_event_delete(&reader->event);
        reader->have_event = yaml_parser_parse(&reader->parser, &reader->event) == 1;
        if (!reader->have_event)
                return fail_syntax(reader);

        if (reader->event.type == YAML_ALIAS_EVENT)
                return fail(reader,
                            "aliases such as '*%s' are not supported here; write the value in quotes if none was "
                            "meant",
                            (const char *) reader->event.data.alias.anchor);
        if (!tag_is_known(event_tag(&reader->event)))
                return fail(reader, "tag '%s' is not supported here", (const char *) event_tag(&reader->event));
        return 0;
}

/* The scalar that is looked at, or NULL if it is something else, or a string with NUL bytes. */
static const char *scalar(const Reader *reader) {
        const yaml_event_t *event = &reader->event;
        const char *text = (const char *) event->data.scalar.value;

        return event->type == YAML_SCALAR_EVENT && strlen(text) == event->data.scalar.length ? text : NULL;
}

/* True for what YAML 1.1 reads as null. */
static bool is_null(const Reader *reader) {
        static const char *const names[] = { "", "~", "null", "Null", "NULL" };
        const char *text = scalar(reader);

        if (!text || reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(text, names[i]))
                        return true;
        return false;
}

/* The table's row that the key being looked at names: its index, or -EINVAL. */
static int read_key(Reader *reader) {
        const char *name = scalar(reader);

        if (!name)
                return fail(reader, "the name of a setting must be plain text");
        for (unsigned i = 0; settings_info(i); i++) {
                if (!streq(setting_name(settings_info(i)), name))
                        continue;
                if (reader->seen[i] > 0)
                        return fail(reader, "'%s' is set twice, first in line %u", name, reader->seen[i]);
                reader->seen[i] = (unsigned) reader->event.start_mark.line + 1;
                return (int) i;
        }

        const char *nearest = setting_nearest(name);
        if (nearest)
                return fail(reader, "unknown setting '%.64s'; did you mean '%s'?", name, nearest);
        return fail(reader, "unknown setting '%.64s'", name);
}

/* Assigns the scalar that is looked at. */
static int read_scalar(Reader *reader, const SettingInfo *info) {
        const char *text = scalar(reader), *expect = NULL;

        if (!text)
                return fail(reader, "'%s' must be text without NUL bytes", setting_name(info));
        int r = setting_assign(reader->settings, info, text, &expect);
        if (r == -EINVAL)
                return fail(reader, "'%s' must be %s%s", setting_name(info), setting_is_list(info) ? "a list of " : "",
                            expect);
        return r;
}

static int read_list(Reader *reader, const SettingInfo *info) {
        setting_clear(reader->settings, info);
        for (;;) {
                int r = next(reader);
                if (r < 0)
                        return r;
                if (reader->event.type == YAML_SEQUENCE_END_EVENT)
                        return 0;
                if (reader->event.type != YAML_SCALAR_EVENT || is_null(reader))
                        return fail(reader, "'%s' must be a list of plain values", setting_name(info));
                r = read_scalar(reader, info);
                if (r < 0)
                        return r;
        }
}

static int read_value(Reader *reader, const SettingInfo *info) {
        if (is_null(reader)) {
                if (!setting_is_nullable(info))
                        return fail(reader, "'%s' has no value", setting_name(info));
                setting_clear(reader->settings, info);
                return 0;
        }
        if (setting_is_list(info)) {
                if (reader->event.type != YAML_SEQUENCE_START_EVENT)
                        return fail(reader, "'%s' must be a list, as in [a, b]", setting_name(info));
                return read_list(reader, info);
        }
        if (reader->event.type != YAML_SCALAR_EVENT)
                return fail(reader, "'%s' must be one value, not a list or mapping", setting_name(info));
        return read_scalar(reader, info);
}

static int read_mapping(Reader *reader) {
        for (;;) {
                int r = next(reader);
                if (r < 0)
                        return r;
                if (reader->event.type == YAML_MAPPING_END_EVENT)
                        return 0;

                int i = read_key(reader);
                if (i < 0)
                        return i;
                r = next(reader);
                if (r < 0)
                        return r;
                r = read_value(reader, settings_info((size_t) i));
                if (r < 0)
                        return r;
        }
}

static int read_stream(Reader *reader) {
        int r = next(reader); /* start of the stream */
        if (r >= 0)
                r = next(reader);
        if (r < 0)
                return r;
        if (reader->event.type == YAML_STREAM_END_EVENT)
                return 0;

        r = next(reader); /* of the document's content */
        if (r < 0)
                return r;
        if (reader->event.type == YAML_MAPPING_START_EVENT) {
                r = read_mapping(reader);
                if (r < 0)
                        return r;
        } else if (!is_null(reader)) {
                return fail(reader, "the file must be a mapping: lines of 'SETTING: VALUE'");
        }

        r = next(reader); /* end of the document */
        if (r >= 0)
                r = next(reader);
        if (r >= 0 && reader->event.type != YAML_STREAM_END_EVENT)
                return fail(reader, "only one document is expected in the file");
        return r;
}

int config_parse(const char *data, size_t size, Settings *settings, ConfigProblem *ret_problem) {
        _cleanup_(reader_done) Reader reader = { .settings = settings, .problem = ret_problem };

        if (!yaml_parser_initialize(&reader.parser))
                return -ENOMEM;
        yaml_parser_set_input_string(&reader.parser, (const unsigned char *) data, size);
        return read_stream(&reader);
}

int config_file_read(const char *path, Settings *settings, ConfigProblem *ret_problem) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        /* The administrator's own path: it may well be a symlink. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        int r = fd_read_all(fd, CONFIG_FILE_MAX_BYTES, &data, &size);
        return r < 0 ? r : config_parse(data, size, settings, ret_problem);
}
