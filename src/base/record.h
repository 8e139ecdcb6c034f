/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>

#include "base/macro.h"

/* Writes structs as JSON objects and reads them back. A table describes the fields. */

typedef enum RecordType {
        RECORD_STRING, /* char *; NULL: null */
        RECORD_LIST,   /* char **, a strv */
        RECORD_BOOL,   /* bool */
        RECORD_NUMBER, /* uint64_t; null if it is too large for JSON, as infinity is */
        RECORD_CHOICE, /* an enum from 0 on, by names */
} RecordType;

typedef struct RecordField {
        const char *key;
        RecordType type;
        size_t offset;
        bool required;
        uint64_t absent;            /* RECORD_NUMBER: the value if the object does not have it */
        const char *const *choices; /* RECORD_CHOICE: the names; NULL-terminated */
} RecordField;

/* @fields ends with one without a key. *ret is to be freed. 0; -EILSEQ for a string that is not UTF-8; -ENOMEM. */
int record_format(const RecordField *fields, const void *record, char **ret);

/* Fills @record, which must be zero. Ignores keys that are not in the table. 0; -EBADMSG: it is no object, lacks a required
 * field, or has a field of another type; or -ENOMEM. On failure, the caller frees what was filled in. */
int record_parse(const RecordField *fields, const char *text, size_t size, void *record);
