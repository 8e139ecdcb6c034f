/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <jansson.h>

#include "base/fd.h"
#include "base/string.h"
#include "job/state.h"

#define MACHINE_FILE "machine.json"
#define MACHINE_MAX_BYTES (1024 * 1024)

typedef enum FieldType { FIELD_STRING, FIELD_LIST, FIELD_BOOL, FIELD_NUMBER, FIELD_NETWORK } FieldType;

typedef struct Field {
        const char *key;
        FieldType type;
        size_t offset;
        bool required;
} Field;

#define FIELD(name, kind, is_required) \
        { #name, kind, offsetof(Machine, name), is_required }

static const Field fields[] = {
        FIELD(id, FIELD_STRING, true),
        FIELD(name, FIELD_STRING, true),
        FIELD(directory, FIELD_STRING, true),
        FIELD(layer, FIELD_STRING, true),
        FIELD(image, FIELD_STRING, true),
        FIELD(image_path, FIELD_STRING, true),
        FIELD(agent_path, FIELD_STRING, true),
        FIELD(storage, FIELD_STRING, true),
        FIELD(supervisor, FIELD_STRING, true),
        FIELD(uuid, FIELD_STRING, true),
        FIELD(init, FIELD_STRING, false),
        FIELD(shell, FIELD_STRING, false),
        FIELD(environment, FIELD_LIST, false),
        FIELD(user, FIELD_STRING, false),
        FIELD(working_dir, FIELD_STRING, false),
        FIELD(seccomp_filter, FIELD_STRING, false),
        FIELD(generation, FIELD_NUMBER, false),
        FIELD(bind, FIELD_LIST, false),
        FIELD(bind_ro, FIELD_LIST, false),
        FIELD(private_users, FIELD_BOOL, true),
        FIELD(network, FIELD_NETWORK, true),
        FIELD(tmpfs_size_bytes, FIELD_NUMBER, false),
        FIELD(cpu_weight, FIELD_NUMBER, true),
        FIELD(memory_high_bytes, FIELD_NUMBER, false),
        FIELD(memory_max_bytes, FIELD_NUMBER, false),
        FIELD(tasks_max, FIELD_NUMBER, false),
        FIELD(kill_timeout_usec, FIELD_NUMBER, true),
        FIELD(runtime_max_usec, FIELD_NUMBER, false),
        FIELD(since_usec, FIELD_NUMBER, true),
        FIELD(owner_pid, FIELD_NUMBER, false),
        FIELD(owner_start, FIELD_NUMBER, false),
};

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
        case FIELD_BOOL:
                return json_boolean(*(const bool *) value);
        case FIELD_NETWORK:
                return json_string(*(const NetworkMode *) value == NETWORK_NONE ? "none" : "host");
        case FIELD_NUMBER:
                /* Infinity is beyond JSON's integers. */
                return *(const uint64_t *) value > INT64_MAX ? json_null() :
                                                               json_integer((json_int_t) * (const uint64_t *) value);
        }
        return NULL;
}

int machine_save(const Machine *machine, const JobDirectory *directory) {
        json_auto_t *root = json_object();
        if (!root)
                return -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                json_t *value = field_to_json(&fields[i], (const char *) machine + fields[i].offset);
                if (json_object_set_new(root, fields[i].key, value) < 0)
                        return -EILSEQ;
        }
        _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(2));
        if (!text)
                return -ENOMEM;
        return file_replace_at(directory->fd, MACHINE_FILE, text, strlen(text), 0600);
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

static int network_from_json(const json_t *json, NetworkMode *ret) {
        const char *name = json_string_value(json);

        if (!name || (!streq(name, "host") && !streq(name, "none")))
                return -EBADMSG;
        *ret = streq(name, "none") ? NETWORK_NONE : NETWORK_HOST;
        return 0;
}

static int field_from_json(const Field *field, const json_t *json, void *value) {
        if (field->type == FIELD_NUMBER && (json_is_null(json) || (!json && !field->required))) {
                *(uint64_t *) value = UINT64_MAX;
                return 0;
        }
        if (!json || json_is_null(json))
                return field->required ? -EBADMSG : 0;
        switch (field->type) {
        case FIELD_STRING:
                return json_is_string(json) ? string_replace(value, json_string_value(json)) : -EBADMSG;
        case FIELD_LIST:
                return list_from_json(json, value);
        case FIELD_BOOL:
                *(bool *) value = json_is_true(json);
                return json_is_boolean(json) ? 0 : -EBADMSG;
        case FIELD_NETWORK:
                return network_from_json(json, value);
        case FIELD_NUMBER:
                *(uint64_t *) value = (uint64_t) json_integer_value(json);
                return json_is_integer(json) && json_integer_value(json) >= 0 ? 0 : -EBADMSG;
        }
        return -EBADMSG;
}

int machine_load(const JobDirectory *directory, Machine **ret) {
        _cleanup_machine_ Machine *machine = calloc(1, sizeof(Machine));
        json_auto_t *root = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (!machine)
                return -ENOMEM;
        int r = file_read_at(directory->fd, MACHINE_FILE, MACHINE_MAX_BYTES, &text, &size);
        if (r < 0)
                return r;
        root = json_loadb(text, size, 0, NULL);
        if (!json_is_object(root))
                return -EBADMSG;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                r = field_from_json(&fields[i], json_object_get(root, fields[i].key),
                                    (char *) machine + fields[i].offset);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(machine);
        return 0;
}
