/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes structs as JSON objects and reads them back, as a table of fields says. Used for the plan of a container
 * (machine.json), its segment, what is known of a generation (N.json), and places. Keys that the table lacks are
 * skipped, so a file from a newer version can be read; a value of another type is an error and never converted. */

#include "base/record.h"

#include <errno.h>
#include <jansson.h>

#include "base/string.h"

static json_t *list_to_json(char *const *list) {
        json_t *array = json_array();

        for (; array && list && *list; list++)
                if (json_array_append_new(array, json_string(*list)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

/* NULL: out of memory, or a string that is not UTF-8. */
static json_t *field_to_json(const RecordField *field, const void *value) {
        switch (field->type) {
        case RECORD_STRING:
                return *(char *const *) value ? json_string(*(char *const *) value) : json_null();
        case RECORD_LIST:
                return list_to_json(*(char **const *) value);
        case RECORD_BOOL:
                return json_boolean(*(const bool *) value);
        case RECORD_NUMBER:
                return *(const uint64_t *) value > INT64_MAX ? json_null() :
                                                               json_integer((json_int_t) * (const uint64_t *) value);
        case RECORD_CHOICE:
                return json_string(field->choices[*(const unsigned *) value]);
        }
        return NULL;
}

int record_format(const RecordField *fields, const void *record, char **ret) {
        json_auto_t *root = json_object();

        if (!root)
                return -ENOMEM;
        for (; fields->key; fields++) {
                json_t *value = field_to_json(fields, (const char *) record + fields->offset);

                if (json_object_set_new(root, fields->key, value) < 0)
                        return -EILSEQ;
        }
        *ret = json_dumps(root, JSON_INDENT(2));
        return *ret ? 0 : -ENOMEM;
}

static int list_from_json(const json_t *array, char ***ret) {
        _cleanup_strv_ char **list = NULL;

        if (!json_is_array(array))
                return -EBADMSG;
        for (size_t i = 0; i < json_array_size(array); i++) {
                const char *item = json_string_value(json_array_get(array, i));

                if (!item)
                        return -EBADMSG;
                int r = strv_extend(&list, item);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

static int choice_from_json(const RecordField *field, const json_t *json, unsigned *ret) {
        for (unsigned i = 0; field->choices[i]; i++)
                if (streq_null(field->choices[i], json_string_value(json))) {
                        *ret = i;
                        return 0;
                }
        return -EBADMSG;
}

static int field_from_json(const RecordField *field, const json_t *json, void *value) {
        if (field->type == RECORD_NUMBER && json_is_null(json)) {
                *(uint64_t *) value = UINT64_MAX;
                return 0;
        }
        if (!json || json_is_null(json)) {
                if (field->type == RECORD_NUMBER)
                        *(uint64_t *) value = field->absent;
                return field->required ? -EBADMSG : 0;
        }
        switch (field->type) {
        case RECORD_STRING:
                return json_is_string(json) ? string_replace(value, json_string_value(json)) : -EBADMSG;
        case RECORD_LIST:
                return list_from_json(json, value);
        case RECORD_BOOL:
                *(bool *) value = json_is_true(json);
                return json_is_boolean(json) ? 0 : -EBADMSG;
        case RECORD_NUMBER:
                *(uint64_t *) value = (uint64_t) json_integer_value(json);
                return json_is_integer(json) && json_integer_value(json) >= 0 ? 0 : -EBADMSG;
        case RECORD_CHOICE:
                return choice_from_json(field, json, value);
        }
        return -EBADMSG;
}

int record_parse(const RecordField *fields, const char *text, size_t size, void *record) {
        json_auto_t *root = json_loadb(text, size, 0, NULL);

        if (!json_is_object(root))
                return -EBADMSG;
        for (; fields->key; fields++) {
                int r = field_from_json(fields, json_object_get(root, fields->key), (char *) record + fields->offset);

                if (r < 0)
                        return r;
        }
        return 0;
}
