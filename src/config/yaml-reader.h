/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <yaml.h>

#include "base/problem.h"
#include "config/setting-type.h"

/* Reads a YAML file event by event, and notes in a Problem where and why it is wrong. Aliases are never followed, so that what a file
 * costs grows with its size only, and nothing here calls itself, however deep the file is.
 *
 * Functions return 0, -EINVAL with the problem noted, or -ENOMEM. */
typedef struct YamlReader {
        yaml_parser_t parser;
        yaml_event_t event; /* the one that is looked at */
        bool have_event;
        Problem *problem;
} YamlReader;

/* @data must live as long as the reader. */
int yaml_reader_init(YamlReader *reader, const char *data, size_t size, Problem *reterr_problem);
void yaml_reader_done(YamlReader *reader);
#define _cleanup_yaml_reader_ _cleanup_(yaml_reader_done)

/* Notes what is wrong with the present event. Returns -EINVAL. */
int yaml_fail(YamlReader *reader, const char *format, ...) _printf_(2, 3);

/* Goes on to the next event. */
int yaml_next(YamlReader *reader);

/* The same, and refuses aliases and tags that mean anything, which no value of ours has. */
int yaml_next_plain(YamlReader *reader);
/* That refusal for the present event. */
int yaml_require_plain(YamlReader *reader);

/* Goes to the content of the only document. A stream without one: the event is the stream's end. */
int yaml_begin(YamlReader *reader);
/* From the last event of that content to the end of the file. */
int yaml_end(YamlReader *reader);

/* From the first event of a value to its last. @see (may be NULL) is called for each scalar in it. */
int yaml_skip(YamlReader *reader, void (*see)(void *userdata, const char *text), void *userdata);

/* The scalar that is looked at, or NULL if it is something else, or a string with NUL bytes. It belongs
 * to the event, and goes with the next one. */
const char *yaml_scalar(const YamlReader *reader);
/* True for what YAML 1.1 reads as null. */
bool yaml_is_null(const YamlReader *reader);
/* The line and the column of the present event, from 1. */
unsigned yaml_line(const YamlReader *reader);
unsigned yaml_column(const YamlReader *reader);

/* Reads what is looked at, to its last event, as the value of @info: @name is what the file calls it, @value the field.
 * An old value is replaced. */
int yaml_read_value(YamlReader *reader, const SettingInfo *info, const char *name, void *value);
