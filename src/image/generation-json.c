/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/generation-json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define FILE_BYTES_MAX ((size_t) 1024 * 1024)

typedef enum FieldType { FIELD_STRING, FIELD_LIST, FIELD_NUMBER } FieldType;

typedef struct Field {
        const char *key;
        FieldType type;
        size_t offset;
} Field;

#define FIELD(name, kind) \
        { #name, kind, offsetof(Generation, name) }

static const Field fields[] = {
        FIELD(number, FIELD_NUMBER),         FIELD(created_usec, FIELD_NUMBER), FIELD(updated_usec, FIELD_NUMBER),
        FIELD(published_usec, FIELD_NUMBER), FIELD(keep, FIELD_NUMBER),         FIELD(source, FIELD_STRING),
        FIELD(digest, FIELD_STRING),         FIELD(definition, FIELD_STRING),   FIELD(env, FIELD_LIST),
        FIELD(working_dir, FIELD_STRING),    FIELD(user, FIELD_STRING),
};

void generation_free(Generation *generation) {
        if (!generation)
                return;
        free(generation->source);
        free(generation->digest);
        free(generation->definition);
        strv_free(generation->env);
        free(generation->working_dir);
        free(generation->user);
        free(generation);
}

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
static json_t *field_to_json(const Field *field, const void *value) {
        switch (field->type) {
        case FIELD_STRING:
                return *(char *const *) value ? json_string(*(char *const *) value) : json_null();
        case FIELD_LIST:
                return list_to_json(*(char **const *) value);
        case FIELD_NUMBER:
                return json_integer((json_int_t) MIN(*(const uint64_t *) value, (uint64_t) INT64_MAX));
        }
        return NULL;
}

int generation_save_at(int dir_fd, const Generation *generation) {
        json_auto_t *root = json_object();
        char name[32];

        if (!root)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if (json_object_set_new(root, fields[i].key,
                                        field_to_json(&fields[i], (const char *) generation + fields[i].offset)) < 0)
                        return -EILSEQ;
        _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(2));
        if (!text)
                return -ENOMEM;
        snprintf(name, sizeof(name), "%" PRIu64 ".json", generation->number);
        return file_replace_at(dir_fd, name, text, strlen(text), 0600);
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

static int field_from_json(const Field *field, const json_t *json, void *value) {
        if (!json || json_is_null(json))
                return 0;
        switch (field->type) {
        case FIELD_STRING:
                return json_is_string(json) ? string_replace(value, json_string_value(json)) : -EBADMSG;
        case FIELD_LIST:
                return list_from_json(json, value);
        case FIELD_NUMBER:
                *(uint64_t *) value = (uint64_t) json_integer_value(json);
                return json_is_integer(json) && json_integer_value(json) >= 0 ? 0 : -EBADMSG;
        }
        return -EBADMSG;
}

int generation_load_at(int dir_fd, uint64_t number, Generation **ret) {
        _cleanup_generation_ Generation *generation = calloc(1, sizeof(Generation));
        json_auto_t *root = NULL;
        _cleanup_free_ char *text = NULL;
        char name[32];
        size_t size;

        if (!generation)
                return -ENOMEM;
        snprintf(name, sizeof(name), "%" PRIu64 ".json", number);
        int r = file_read_at(dir_fd, name, FILE_BYTES_MAX, &text, &size);
        if (r < 0)
                return r;
        root = json_loadb(text, size, 0, NULL);
        if (!json_is_object(root))
                return -EBADMSG;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                r = field_from_json(&fields[i], json_object_get(root, fields[i].key),
                                    (char *) generation + fields[i].offset);
                if (r < 0)
                        return r;
        }
        if (generation->number != number)
                return -EBADMSG;
        *ret = TAKE_PTR(generation);
        return 0;
}

int generation_load(const char *root_dir, const char *name, uint64_t number, Generation **ret) {
        _cleanup_free_ char *path = NULL;

        if (image_name_problem(name))
                return -EINVAL;
        int r = string_printf(&path, "%s/" GENERATIONS_DIRECTORY "/%s", root_dir, name);
        if (r < 0)
                return r;
        _cleanup_close_ int dir_fd = open_directory_at(AT_FDCWD, path, false, 0);
        return dir_fd < 0 ? dir_fd : generation_load_at(dir_fd, number, ret);
}

int generation_load_of(const char *root_dir, const Image *image, Generation **ret) {
        int r = image->generation == 0 ? -ENOENT : generation_load(root_dir, image->name, image->generation, ret);

        if (r != -ENOENT)
                return r;
        Generation *unknown = calloc(1, sizeof(Generation));
        if (!unknown)
                return -ENOMEM;
        unknown->number = image->generation;
        *ret = unknown;
        return 0;
}
