/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* The shape that a value must have. The tables of keywords consist of shapes. null is allowed everywhere and means "not
 * there". */
typedef struct Shape Shape;

typedef struct ShapeKey {
        const char *name; /* NULL ends a list of keys */
        const Shape *shape;
        bool required;
} ShapeKey;

#define SHAPE_TYPE(type) (1u << (type))
#define SHAPE_BOOLEAN SHAPE_TYPE(VALUE_BOOLEAN)
#define SHAPE_INTEGER SHAPE_TYPE(VALUE_INTEGER)
#define SHAPE_STRING SHAPE_TYPE(VALUE_STRING)
#define SHAPE_LIST SHAPE_TYPE(VALUE_LIST)
#define SHAPE_MAP SHAPE_TYPE(VALUE_MAP)
#define SHAPE_ANY (~0u)

struct Shape {
        unsigned types;           /* of SHAPE_* */
        const char *expect;       /* for messages, such as "a text or a list of texts" */
        const ShapeKey *keys;     /* of a mapping; NULL: any keys */
        const Shape *item;        /* of items of a list, or of values of a mapping without @keys; NULL: anything */
        const char *const *words; /* a text must be one of these or, with @variables, contain a variable; NULL: any */
        bool variables;
        bool flatten;   /* a list may have lists in it */
        bool not_empty; /* text, list or mapping */
        size_t max;     /* items of a list, bytes of a text, or largest number; 0: any */
        int64_t min;    /* smallest number */
        /* More checks; 0 or -EINVAL with problems noted. */
        int (*check)(Context *context, const Value *value, const char *name);
};

/* Checks @value (may be NULL). @name is how messages call it. 0 or -EINVAL with problems noted. */
int shape_check(Context *context, const Value *value, const Shape *shape, const char *name);

/* Shapes that many tables use. */
extern const Shape shape_text, shape_name, shape_boolean, shape_texts, shape_text_or_texts, shape_any, shape_any_map;
