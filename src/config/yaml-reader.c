/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads YAML event by event, with the line of whatever is wrong. Called for the configuration file and for definitions,
 * which are playbooks. It must never expand aliases or recurse, so that a small file cannot cost much. */

#include "config/yaml-reader.h"

#include <stdarg.h>

#include "base/string.h"

int yaml_reader_init(YamlReader *reader, const char *data, size_t size, Problem *reterr_problem) {
        *reader = (YamlReader){ .problem = reterr_problem };
        if (!yaml_parser_initialize(&reader->parser))
                return -ENOMEM;
        yaml_parser_set_input_string(&reader->parser, (const unsigned char *) data, size);
        return 0;
}

void yaml_reader_done(YamlReader *reader) {
        if (reader->have_event)
                yaml_event_delete(&reader->event);
        yaml_parser_delete(&reader->parser);
}

unsigned yaml_line(const YamlReader *reader) {
        return (unsigned) reader->event.start_mark.line + 1;
}

unsigned yaml_column(const YamlReader *reader) {
        return (unsigned) reader->event.start_mark.column + 1;
}

int yaml_fail(YamlReader *reader, const char *format, ...) {
        va_list ap;

        reader->problem->line = yaml_line(reader);
        reader->problem->column = yaml_column(reader);
        va_start(ap, format);
        (void) problem_vset(reader->problem, -EINVAL, format, ap);
        va_end(ap);
        return -EINVAL;
}

/* Notes in words what libyaml found wrong. */
static int fail_syntax(YamlReader *reader) {
        const yaml_parser_t *parser = &reader->parser;
        Problem *problem = reader->problem;

        switch (parser->error) {
        case YAML_MEMORY_ERROR:
                return -ENOMEM;

        case YAML_READER_ERROR: /* bad UTF-8, control characters: only the offset is known */
                problem->line = problem->column = 0;
                return problem_set(problem, -EINVAL, "not a text file: %s at byte %zu",
                                   parser->problem ? parser->problem : "bad character", parser->problem_offset);

        default:
                problem->line = (unsigned) parser->problem_mark.line + 1;
                problem->column = (unsigned) parser->problem_mark.column + 1;
                return problem_set(problem, -EINVAL, "%s%s%s", parser->context ? parser->context : "",
                                   parser->context ? ", " : "", parser->problem ? parser->problem : "not valid YAML");
        }
}

/* Is it a tag that the content of a value can also have without being tagged? */
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

int yaml_next(YamlReader *reader) {
        if (reader->have_event)
                yaml_event_delete(&reader->event);
        reader->have_event = yaml_parser_parse(&reader->parser, &reader->event) == 1;
        return reader->have_event ? 0 : fail_syntax(reader);
}

int yaml_require_plain(YamlReader *reader) {
        if (reader->event.type == YAML_ALIAS_EVENT)
                return yaml_fail(reader,
                                 "aliases such as '*%.64s' are not supported here; write the value in quotes if none "
                                 "was meant",
                                 (const char *) reader->event.data.alias.anchor);
        if (!tag_is_known(event_tag(&reader->event)))
                return yaml_fail(reader, "tag '%.64s' is not supported here", (const char *) event_tag(&reader->event));
        return 0;
}

int yaml_next_plain(YamlReader *reader) {
        int r = yaml_next(reader);

        return r < 0 ? r : yaml_require_plain(reader);
}

int yaml_begin(YamlReader *reader) {
        int r = yaml_next(reader); /* start of the stream */
        if (r < 0)
                return r;
        r = yaml_next(reader);
        if (r < 0 || reader->event.type == YAML_STREAM_END_EVENT)
                return r;
        return yaml_next(reader); /* first event of the document's content */
}

int yaml_end(YamlReader *reader) {
        int r = yaml_next(reader); /* end of the document */
        if (r < 0)
                return r;
        r = yaml_next(reader);
        if (r < 0)
                return r;
        if (reader->event.type != YAML_STREAM_END_EVENT)
                return yaml_fail(reader, "only one document is expected in the file");
        return r;
}

int yaml_skip(YamlReader *reader, void (*see)(void *userdata, const char *text), void *userdata) {
        for (size_t depth = 0;;) {
                switch (reader->event.type) {
                case YAML_SEQUENCE_START_EVENT:
                case YAML_MAPPING_START_EVENT:
                        depth++;
                        break;
                case YAML_SEQUENCE_END_EVENT:
                case YAML_MAPPING_END_EVENT:
                        depth--;
                        break;
                default:
                        if (see && yaml_scalar(reader))
                                see(userdata, yaml_scalar(reader));
                        break;
                }
                if (depth == 0)
                        return 0;
                int r = yaml_next(reader);
                if (r < 0)
                        return r;
        }
}

const char *yaml_scalar(const YamlReader *reader) {
        const yaml_event_t *event = &reader->event;

        if (event->type != YAML_SCALAR_EVENT)
                return NULL;
        const char *text = (const char *) event->data.scalar.value;
        return strlen(text) == event->data.scalar.length ? text : NULL;
}

bool yaml_is_null(const YamlReader *reader) {
        static const char *const names[] = { "", "~", "null", "Null", "NULL" };
        const char *text = yaml_scalar(reader);

        if (!text || reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(text, names[i]))
                        return true;
        return false;
}

/* Passes the present scalar to @assign. */
static int read_scalar(YamlReader *reader, const SettingInfo *info, const char *name, void *value,
                       int (*assign)(const SettingInfo *, const char *, void *)) {
        const char *text = yaml_scalar(reader);

        if (!text)
                return yaml_fail(reader, "'%s' must be text without NUL bytes", name);
        int r = assign(info, text, value);
        if (r == -EINVAL || r == -ERANGE)
                return yaml_fail(reader, "'%s' must be %s%s", name,
                                 info->type->is_list && !info->type->assign_text ? "a list of " : "",
                                 setting_expect(info, r));
        return r;
}

static int read_list(YamlReader *reader, const SettingInfo *info, const char *name, void *value) {
        info->type->clear(value);
        for (;;) {
                int r = yaml_next_plain(reader);
                if (r < 0)
                        return r;
                if (reader->event.type == YAML_SEQUENCE_END_EVENT)
                        return 0;
                if (reader->event.type != YAML_SCALAR_EVENT || yaml_is_null(reader))
                        return yaml_fail(reader, "'%s' must be a list of plain values", name);
                r = read_scalar(reader, info, name, value, info->type->assign);
                if (r < 0)
                        return r;
        }
}

int yaml_read_value(YamlReader *reader, const SettingInfo *info, const char *name, void *value) {
        const SettingType *type = info->type;

        int r = yaml_require_plain(reader);
        if (r < 0)
                return r;
        if (yaml_is_null(reader)) {
                if (!type->nullable)
                        return yaml_fail(reader, "'%s' has no value", name);
                type->clear(value);
                return 0;
        }
        if (type->is_list && reader->event.type == YAML_SEQUENCE_START_EVENT)
                return read_list(reader, info, name, value);
        if (type->assign_text && reader->event.type == YAML_SCALAR_EVENT) {
                type->clear(value);
                return read_scalar(reader, info, name, value, type->assign_text);
        }
        if (type->is_list)
                return yaml_fail(reader, "'%s' must be a list, as in [a, b]%s", name,
                                 type->assign_text ? ", or a text" : "");
        if (reader->event.type != YAML_SCALAR_EVENT)
                return yaml_fail(reader, "'%s' must be one value, not a list or mapping", name);
        return read_scalar(reader, info, name, value, type->assign);
}
