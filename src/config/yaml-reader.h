/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <yaml.h>

#include "base/problem.h"
#include "config/setting-type.h"

/* Reads a YAML file event by event, and notes in a Problem what is wrong and where. It follows no alias, so the work grows
 * with the size of the file only, and it does not recurse, however deep the file is.
 *
 * Functions return 0, -EINVAL with the problem noted, or -ENOMEM. */
typedef struct YamlReader {
        yaml_parser_t parser;
        yaml_event_t event; /* the present one */
        bool have_event;
        Problem *problem;
} YamlReader;

/* @data must live as long as the reader. */
int yaml_reader_init(YamlReader *reader, const char *data, size_t size, Problem *reterr_problem);
void yaml_reader_done(YamlReader *reader);

/* Notes what is wrong with the present event. Returns -EINVAL. */
int yaml_fail(YamlReader *reader, const char *format, ...) _printf_(2, 3);

/* Moves on to the next event. */
int yaml_next(YamlReader *reader);

/* The same, but refuses aliases and tags other than YAML's own, which none of our values has. */
int yaml_next_plain(YamlReader *reader);
/* Refuses the present event if it is an alias or has such a tag. */
int yaml_require_plain(YamlReader *reader);

/* Moves to the content of the only document; if there is none, to the end of the stream. */
int yaml_begin(YamlReader *reader);
/* Moves from the last event of that content to the end of the file, which must follow. */
int yaml_end(YamlReader *reader);

/* Moves from the first event of a value to its last. Calls @see (may be NULL) for each scalar in it. */
int yaml_skip(YamlReader *reader, void (*see)(void *userdata, const char *text), void *userdata);

/* Returns the text of the present event, valid until the next event; NULL: it is no scalar, or has NUL bytes. */
const char *yaml_scalar(const YamlReader *reader);
/* Does YAML 1.1 read the present event as null? */
bool yaml_is_null(const YamlReader *reader);
/* These return the line and the column of the present event, from 1. */
unsigned yaml_line(const YamlReader *reader);
unsigned yaml_column(const YamlReader *reader);

/* Reads the value of setting @info, from the present event to the value's last. @name is how the file calls the
 * setting, @value the field to set; it replaces an old value. */
int yaml_read_value(YamlReader *reader, const SettingInfo *info, const char *name, void *value);
