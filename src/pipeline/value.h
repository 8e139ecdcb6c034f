/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/arena.h"

/* The parts of a configuration: YAML's scalars, lists and mappings. A finished value is never changed. Merging makes
 * new mappings that share values with the old ones, so aliases and templates cost nothing. */

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

/* A place in a file: line and column from 1. If the place is not known, they are 0 and the file is NULL. */
typedef struct Place {
        const char *file;
        unsigned line, column;
} Place;

typedef struct Value Value;

typedef struct ValuePair {
        const char *key; /* a key that is no string in YAML is written as Ruby writes it: "true", "1" */
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

/* These make a value at @place, in @arena, and never return NULL (pipeline/arena.h). value_new() makes an empty one:
 * null, false, 0, no string, or a list or mapping without items. Strings are not copied: they must live as long as the
 * value. */
Value *value_new(Arena *arena, ValueType type, Place place);
Value *value_new_string(Arena *arena, const char *string, Place place);
void value_append(Arena *arena, Value *list, const Value *item);

/* These return the pair, or the value, of @key in @map; NULL: the key is not there, or @map is NULL or no mapping. */
const ValuePair *map_find(const Value *map, const char *key);
const Value *map_get(const Value *map, const char *key);
/* As map_get(), but null counts as not there. */
const Value *map_get_set(const Value *map, const char *key);

/* Gives @key a value; a key that is there keeps its place in the order. */
void map_set(Arena *arena, Value *map, const char *key, Place place, const Value *value);
void map_set_pair(Arena *arena, Value *map, const ValuePair *pair);
/* Returns a new mapping with the same pairs, which may be changed. */
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

/* Are the two values equal: the same type and the same content, in lists in the same order, in mappings in any order?
 * Places do not count. Two NULLs are equal, NULL and a value are not. */
bool value_equal(const Value *a, const Value *b);

/* Returns the text of a scalar, as Ruby's to_s writes it: "" for null, "1.1" for 1.10. NULL for a list or mapping. */
const char *value_to_string(Arena *arena, const Value *value);

/* Describes the type of a value for messages, as "a text" or "a list". Static. */
const char *value_describe(const Value *value);

/* Appends the value as compact JSON. */
void value_to_json(Text *text, const Value *value);
void json_add_string(Text *text, const char *string);

/* Returns @base merged with @over: mappings are merged recursively; everything else is replaced by what @over has. */
const Value *value_merge(Arena *arena, const Value *base, const Value *over);
