/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks values against the tables of keywords. Called by everything that checks a part of a configuration. It must
 * know no keyword by name, and never change a value. */

#include "pipeline/shape.h"

#include <inttypes.h>

#include "base/string.h"

#define KEYS_MAX 80
#define WORDS_SHOWN_MAX 10

const Shape shape_any = { .types = SHAPE_ANY };
const Shape shape_any_map = { .types = SHAPE_MAP, .expect = "a mapping" };
const Shape shape_text = { .types = SHAPE_STRING, .expect = "a text" };
const Shape shape_name = { .types = SHAPE_STRING, .expect = "a text", .not_empty = true };
const Shape shape_boolean = { .types = SHAPE_BOOLEAN, .expect = "true or false" };
const Shape shape_texts = { .types = SHAPE_LIST, .expect = "a list of texts", .item = &shape_text };
const Shape shape_text_or_texts = { .types = SHAPE_STRING | SHAPE_LIST,
                                    .expect = "a text or a list of texts",
                                    .item = &shape_text };

/* Returns what to do about a value of a wrong type, if that is not obvious. */
static const char *advice(const Shape *shape, const Value *value) {
        if (shape->types & SHAPE_STRING &&
            (value->type == VALUE_BOOLEAN || value->type == VALUE_INTEGER || value->type == VALUE_FLOAT))
                return "; put it in quotes";
        if (shape->types & SHAPE_STRING && value->type == VALUE_MAP)
                return "; put the whole text in quotes if its ': ' was meant as text";
        if (shape->types & SHAPE_LIST && !(shape->types & SHAPE_STRING) && value->type == VALUE_STRING)
                return "; put it in brackets, as [x]";
        return "";
}

static int check_words(Context *context, const Value *value, const Shape *shape, const char *name) {
        Text all = { .arena = context->arena };
        size_t n = 0;

        if (shape->variables && strchr(value->string, '$'))
                return 0;
        for (; shape->words[n]; n++) {
                if (streq(shape->words[n], value->string))
                        return 0;
                text_printf(&all, "%s%s", n > 0 ? ", " : "", shape->words[n]);
        }
        return context_fail(context, value->place, "%s cannot be '%.60s'%s%s%s", name, value->string,
                            n <= WORDS_SHOWN_MAX ? "; it is one of: " : "", n <= WORDS_SHOWN_MAX ? text_get(&all) : "",
                            nearest_hint(context->arena, value->string, shape->words));
}

static int check_list(Context *context, const Value *value, const Shape *shape, const char *name) {
        int result = 0;

        if (shape->flatten) {
                value = value_flatten(context, value, name);
                if (!value)
                        return -EINVAL;
        }
        if (shape->max > 0 && value->n_items > shape->max)
                return context_fail(context, value->place, "%s has %zu items; at most %zu are allowed", name,
                                    value->n_items, shape->max);
        for (size_t i = 0; shape->item && i < value->n_items; i++) {
                const char *item_name = arena_printf(context->arena, "item %zu of %s", i + 1, name);

                if (value->items[i]->type == VALUE_NULL)
                        result = context_fail(context, value->items[i]->place, "%s is empty; remove it", item_name);
                else if (shape_check(context, value->items[i], shape->item, item_name) < 0)
                        result = -EINVAL;
        }
        return result;
}

static int check_map(Context *context, const Value *value, const Shape *shape, const char *name) {
        const char *names[KEYS_MAX];
        size_t n = 0;
        int result = 0;

        for (const ShapeKey *key = shape->keys; key && key->name; key++) {
                const Value *item = map_get_set(value, key->name);

                names[n++] = key->name;
                if (!item && key->required)
                        result = context_fail(context, value->place, "%s needs '%s'", name, key->name);
                if (item && shape_check(context, item, key->shape,
                                        arena_printf(context->arena, "'%s' of %s", key->name, name)) < 0)
                        result = -EINVAL;
        }
        names[n] = NULL;
        if (shape->keys)
                return context_check_keys(context, value, name, names) < 0 ? -EINVAL : result;
        for (size_t i = 0; shape->item && i < value->n_pairs; i++)
                if (shape_check(context, value->pairs[i].value, shape->item,
                                arena_printf(context->arena, "'%s' of %s", value->pairs[i].key, name)) < 0)
                        result = -EINVAL;
        return result;
}

static int check_scalar(Context *context, const Value *value, const Shape *shape, const char *name) {
        if (value->type == VALUE_STRING) {
                if (shape->words)
                        return check_words(context, value, shape, name);
                if (shape->max > 0 && !(shape->types & (SHAPE_INTEGER | SHAPE_LIST)) &&
                    strlen(value->string) > shape->max)
                        return context_fail(context, value->place, "%s has %zu characters; at most %zu are allowed",
                                            name, strlen(value->string), shape->max);
        }
        if (value->type == VALUE_INTEGER && shape->max > 0 &&
            (value->integer < shape->min || value->integer > (int64_t) shape->max))
                return context_fail(context, value->place, "%s must be a number from %" PRIi64 " to %zu, not %" PRIi64,
                                    name, shape->min, shape->max, value->integer);
        return 0;
}

static bool is_empty(const Value *value) {
        return (value->type == VALUE_STRING && !*value->string) || (value->type == VALUE_LIST && value->n_items == 0) ||
               (value->type == VALUE_MAP && value->n_pairs == 0);
}

int shape_check(Context *context, const Value *value, const Shape *shape, const char *name) {
        int r = 0;

        if (value_is_null(value))
                return 0;
        if (!(shape->types & SHAPE_TYPE(value->type)) || (shape->not_empty && is_empty(value)))
                return context_fail(context, value->place, "%s must be %s, not %s%s", name, shape->expect,
                                    is_empty(value) ? "empty" : value_describe(value),
                                    is_empty(value) ? "" : advice(shape, value));
        if (value->type == VALUE_LIST)
                r = check_list(context, value, shape, name);
        else if (value->type == VALUE_MAP)
                r = check_map(context, value, shape, name);
        else
                r = check_scalar(context, value, shape, name);
        return r >= 0 && shape->check ? shape->check(context, value, name) : r;
}
