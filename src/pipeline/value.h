/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/arena.h"

/* What a configuration consists of: what YAML's scalars, lists and mappings became. A value that is finished is never
 * changed: merging makes new mappings which share what they have in common, so aliases and templates cost nothing. */

typedef enum ValueType {
        VALUE_NULL,
        VALUE_BOOLEAN,
        VALUE_INTEGER,
        VALUE_FLOAT,
        VALUE_STRING,
        VALUE_LIST,
        VALUE_MAP,
        VALUE_REFERENCE, /* !reference [a, b], as a list; gone after reference_resolve_all() */
} ValueType;

/* Where something stands: line and column from 1; 0 and a file of NULL where nothing is known. */
typedef struct Place {
        const char *file;
        unsigned line, column;
} Place;

typedef struct Value Value;

typedef struct ValuePair {
        const char *key; /* what is not a string in YAML as Ruby writes it: "true", "1" */
        Place place;     /* of the key */
        const Value *value;
        ValueType key_type;
} ValuePair;

struct Value {
        ValueType type;
        Place place;
        union {
                bool boolean;
                int64_t integer;
                double number;
                const char *string;
                struct {
                        const Value **items;
                        size_t n_items;
                };
                struct {
                        ValuePair *pairs;
                        size_t n_pairs;
                        uint32_t *index; /* hash table of places in @pairs, plus 1 */
                        size_t index_size;
                };
        };
};

Value *value_new(Arena *arena, ValueType type, Place place);
Value *value_new_string(Arena *arena, const char *string, Place place);
Value *value_new_boolean(Arena *arena, bool boolean, Place place);
void value_append(Arena *arena, Value *list, const Value *item);

/* The pair or the value of @key in @map: NULL when it is not there, or @map is none (or NULL). */
const ValuePair *map_find(const Value *map, const char *key);
const Value *map_get(const Value *map, const char *key);
/* map_get(), where null counts as not there. */
const Value *map_get_set(const Value *map, const char *key);

/* Gives @key a value; a key that is there keeps its place in the order. */
void map_set(Arena *arena, Value *map, const char *key, Place place, const Value *value);
void map_set_pair(Arena *arena, Value *map, const ValuePair *pair);
/* A mapping with the same pairs, which can be changed. */
Value *map_copy(Arena *arena, const Value *map);

static inline bool value_is(const Value *value, ValueType type) {
        return value && value->type == type;
}
static inline bool value_is_string(const Value *value, const char *string) {
        return value_is(value, VALUE_STRING) && __builtin_strcmp(value->string, string) == 0;
}
static inline bool value_is_null(const Value *value) {
        return !value || value->type == VALUE_NULL;
}
static inline bool value_is_scalar(const Value *value) {
        return value && value->type <= VALUE_STRING;
}

bool value_equal(const Value *a, const Value *b);

/* What a scalar is as text, as Ruby's to_s writes it: "" for null, "1.1" for 1.10. NULL for a list or mapping. */
const char *value_to_string(Arena *arena, const Value *value);
/* The same for a number with a fraction; @ret of 32 bytes. */
const char *float_format(double number, char ret[static 32]);

/* "a text", "a list": for messages. */
const char *value_describe(const Value *value);

/* The value as compact JSON. */
void value_to_json(Text *text, const Value *value);
void json_add_string(Text *text, const char *string);

/* Base over which @over is laid: mappings are merged, recursively, everything else is replaced by what @over has. */
const Value *value_merge(Arena *arena, const Value *base, const Value *over);
