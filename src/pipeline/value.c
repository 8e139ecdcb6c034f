/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Values of a configuration, and mappings with an order and a hash table. Used everywhere in this folder. A value that
 * something else may refer to must never be changed, because aliases and templates share values. */

#include "pipeline/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/string.h"

#define INDEX_FROM 8 /* smaller mappings are searched in order */

Value *value_new(Arena *arena, ValueType type, Place place) {
        Value *value = arena_new(arena, Value);

        value->type = type;
        value->place = place;
        return value;
}

Value *value_new_string(Arena *arena, const char *string, Place place) {
        Value *value = value_new(arena, VALUE_STRING, place);

        value->string = string;
        return value;
}

void value_append(Arena *arena, Value *list, const Value *item) {
        ARENA_APPEND(arena, list->items, list->n_items, item);
}

/* FNV-1a. Colliding keys make only the pipeline of their author slow. */
static uint32_t hash_key(const char *key) {
        uint32_t hash = 2166136261u;

        for (; *key; key++)
                hash = (hash ^ (unsigned char) *key) * 16777619u;
        return hash;
}

static void index_add(Value *map, size_t i) {
        size_t mask = map->index_size - 1;

        for (size_t at = hash_key(map->pairs[i].key) & mask;; at = (at + 1) & mask)
                if (map->index[at] == 0) {
                        map->index[at] = (uint32_t) i + 1;
                        return;
                }
}

static void index_make(Arena *arena, Value *map) {
        map->index_size = MAX(map->index_size * 4, (size_t) 32);
        map->index = arena_alloc(arena, map->index_size * sizeof(uint32_t));
        for (size_t i = 0; i < map->n_pairs; i++)
                index_add(map, i);
}

const ValuePair *map_find(const Value *map, const char *key) {
        if (!value_is(map, VALUE_MAP))
                return NULL;
        if (!map->index) {
                for (size_t i = 0; i < map->n_pairs; i++)
                        if (streq(map->pairs[i].key, key))
                                return map->pairs + i;
                return NULL;
        }
        size_t mask = map->index_size - 1;
        for (size_t at = hash_key(key) & mask; map->index[at] != 0; at = (at + 1) & mask)
                if (streq(map->pairs[map->index[at] - 1].key, key))
                        return map->pairs + map->index[at] - 1;
        return NULL;
}

const Value *map_get(const Value *map, const char *key) {
        const ValuePair *pair = map_find(map, key);

        return pair ? pair->value : NULL;
}

const Value *map_get_set(const Value *map, const char *key) {
        const Value *value = map_get(map, key);

        return value_is_null(value) ? NULL : value;
}

void map_set_pair(Arena *arena, Value *map, const ValuePair *pair) {
        ValuePair *old = (ValuePair *) map_find(map, pair->key);

        if (old) {
                *old = *pair;
                return;
        }
        ARENA_APPEND(arena, map->pairs, map->n_pairs, *pair);
        if (map->n_pairs >= INDEX_FROM && (!map->index || map->n_pairs * 2 > map->index_size))
                index_make(arena, map);
        else if (map->index)
                index_add(map, map->n_pairs - 1);
}

void map_set(Arena *arena, Value *map, const char *key, Place place, const Value *value) {
        map_set_pair(arena, map, &(ValuePair){ .key = key, .place = place, .value = value, .key_type = VALUE_STRING });
}

Value *map_copy(Arena *arena, const Value *map) {
        Value *copy = value_new(arena, VALUE_MAP, map->place);

        for (size_t i = 0; i < map->n_pairs; i++)
                map_set_pair(arena, copy, map->pairs + i);
        return copy;
}

bool value_equal(const Value *a, const Value *b) {
        if (a == b)
                return true;
        if (!a || !b || a->type != b->type)
                return false;
        switch (a->type) {
        case VALUE_NULL:
                return true;
        case VALUE_BOOLEAN:
                return a->boolean == b->boolean;
        case VALUE_INTEGER:
                return a->integer == b->integer;
        case VALUE_FLOAT:
                return a->number == b->number;
        case VALUE_STRING:
                return streq(a->string, b->string);
        case VALUE_LIST:
        case VALUE_REFERENCE:
                if (a->n_items != b->n_items)
                        return false;
                for (size_t i = 0; i < a->n_items; i++)
                        if (!value_equal(a->items[i], b->items[i]))
                                return false;
                return true;
        case VALUE_MAP:
                if (a->n_pairs != b->n_pairs)
                        return false;
                for (size_t i = 0; i < a->n_pairs; i++)
                        if (!value_equal(a->pairs[i].value, map_get(b, a->pairs[i].key)))
                                return false;
                return true;
        }
        return false;
}

/* The text of a number with a fraction, as value_to_string() makes it; @ret of 32 bytes. */
static const char *float_format(double number, char ret[static 32]) {
        char digits[32];

        if (isnan(number) || isinf(number))
                return isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
        /* Find the shortest digits that read as the same number. */
        for (int precision = 0; precision < 17; precision++) {
                snprintf(digits, sizeof(digits), "%.*e", precision, number);
                if (strtod(digits, NULL) == number)
                        break;
        }
        char *e = strchr(digits, 'e');
        int exponent = atoi(e + 1);
        int decimals = (int) (e - digits) - (digits[0] == '-') - (strchr(digits, '.') ? 2 : 1);
        if (exponent >= -4 && exponent < 16)
                snprintf(ret, 32, "%.*f", MAX(decimals - exponent, 1), number);
        else
                snprintf(ret, 32, "%.*s%se%+03d", (int) (e - digits), digits, strchr(digits, '.') ? "" : ".0",
                         exponent);
        return ret;
}

const char *value_to_string(Arena *arena, const Value *value) {
        char number[32];

        switch (value->type) {
        case VALUE_NULL:
                return "";
        case VALUE_BOOLEAN:
                return value->boolean ? "true" : "false";
        case VALUE_INTEGER:
                return arena_printf(arena, "%" PRIi64, value->integer);
        case VALUE_FLOAT:
                return arena_string(arena, float_format(value->number, number));
        case VALUE_STRING:
                return value->string;
        default:
                return NULL;
        }
}

const char *value_describe(const Value *value) {
        static const char *const names[] = {
                [VALUE_NULL] = "nothing",     [VALUE_BOOLEAN] = "true or false",
                [VALUE_INTEGER] = "a number", [VALUE_FLOAT] = "a number with a fraction",
                [VALUE_STRING] = "a text",    [VALUE_LIST] = "a list",
                [VALUE_MAP] = "a mapping",    [VALUE_REFERENCE] = "a reference",
        };

        return value ? names[value->type] : "nothing";
}

void json_add_string(Text *text, const char *string) {
        text_add(text, "\"", 1);
        for (const char *p = string; *p; p++) {
                unsigned char c = (unsigned char) *p;

                if (c == '"' || c == '\\')
                        text_printf(text, "\\%c", c);
                else if (c == '\n')
                        text_add(text, "\\n", 2);
                else if (c == '\t')
                        text_add(text, "\\t", 2);
                else if (c < 0x20 || c == 0x7f)
                        text_printf(text, "\\u%04x", c);
                else
                        text_add(text, p, 1);
        }
        text_add(text, "\"", 1);
}

void value_to_json(Text *text, const Value *value) {
        switch (value->type) {
        case VALUE_NULL:
                text_add_string(text, "null");
                break;
        case VALUE_STRING:
                json_add_string(text, value->string);
                break;
        case VALUE_FLOAT:
                if (isfinite(value->number))
                        text_add_string(text, value_to_string(text->arena, value));
                else
                        json_add_string(text, value_to_string(text->arena, value));
                break;
        case VALUE_BOOLEAN:
        case VALUE_INTEGER:
                text_add_string(text, value_to_string(text->arena, value));
                break;
        case VALUE_LIST:
        case VALUE_REFERENCE:
                text_add(text, "[", 1);
                for (size_t i = 0; i < value->n_items; i++) {
                        text_add(text, ",", i > 0);
                        value_to_json(text, value->items[i]);
                }
                text_add(text, "]", 1);
                break;
        case VALUE_MAP:
                text_add(text, "{", 1);
                for (size_t i = 0; i < value->n_pairs; i++) {
                        text_add(text, ",", i > 0);
                        json_add_string(text, value->pairs[i].key);
                        text_add(text, ":", 1);
                        value_to_json(text, value->pairs[i].value);
                }
                text_add(text, "}", 1);
                break;
        }
}

const Value *value_merge(Arena *arena, const Value *base, const Value *over) {
        if (!value_is(base, VALUE_MAP) || !value_is(over, VALUE_MAP))
                return over;
        if (base->n_pairs == 0)
                return over;
        if (over->n_pairs == 0)
                return base;
        Value *merged = map_copy(arena, base);
        merged->place = over->place;
        for (size_t i = 0; i < over->n_pairs; i++) {
                ValuePair pair = over->pairs[i];

                pair.value = value_merge(arena, map_get(base, pair.key), pair.value);
                map_set_pair(arena, merged, &pair);
        }
        return merged;
}
