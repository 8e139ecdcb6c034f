/* SPDX-License-Identifier: GPL-3.0-or-later */

/* "extends" and "!reference": what one part of a configuration takes from another. evaluate.c calls this after all
 * files are merged. The result shares what it takes, so a template costs the same for one job and for a thousand.
 * References that form a cycle, go too deep, or lead to too many values are errors: nothing here may run for ever. */

#include "pipeline/extend.h"

#include "base/string.h"

#define ANCESTORS_MAX 11
#define DEPTH_MAX 200                  /* of references and what contains them, together */
#define WALKED_MAX ((size_t) 20000000) /* values visited; a shared value counts each time */

typedef enum Progress { NOT_YET, IN_PROGRESS, DONE } Progress;

typedef struct Extension {
        Context *context;
        const Value *config;
        Value *result;
        unsigned char *progress; /* of each pair of @config */
        unsigned char *levels;   /* number of levels of bases of each pair */
        bool *failed;
        unsigned depth;
        size_t start; /* the pair that is being extended, at the end of the chain */
} Extension;

static int extend(Extension *extension, size_t i);

static int fail_levels(Extension *extension) {
        const ValuePair *pair = extension->config->pairs + extension->start;

        return context_fail(extension->context, pair->place, "'%s' extends more than %d jobs that extend each other",
                            pair->key, ANCESTORS_MAX);
}

/* Merges base @name under what *merged has. */
static int add_base(Extension *extension, size_t i, const Value *base, const Value **merged) {
        Context *context = extension->context;
        const ValuePair *pair = base->type == VALUE_STRING ? map_find(extension->config, base->string) : NULL;

        if (base->type != VALUE_STRING)
                return context_fail(context, base->place,
                                    "'extends' must be the name of a job or a list of names, not %s",
                                    value_describe(base));
        if (!pair)
                return context_fail(context, base->place, "'extends' names '%s', which is not there%s", base->string,
                                    nearest_key_hint(context->arena, base->string, extension->config));
        if (pair->value->type != VALUE_MAP)
                return context_fail(context, base->place, "'extends' names '%s', which is %s and no job", base->string,
                                    value_describe(pair->value));
        size_t at = (size_t) (pair - extension->config->pairs);
        if (extension->progress[at] == IN_PROGRESS)
                return context_fail(context, base->place, "'%s' extends itself, through '%s'",
                                    extension->config->pairs[i].key, base->string);
        /* Checked before going on, because a chain may be as long as the file. */
        if (extension->depth >= ANCESTORS_MAX)
                return fail_levels(extension);
        extension->depth++;
        int r = extend(extension, at);
        extension->depth--;
        if (r < 0)
                return r;
        extension->levels[i] = (unsigned char) MAX(extension->levels[i], extension->levels[at] + 1);
        if (extension->levels[i] > ANCESTORS_MAX)
                return fail_levels(extension);
        *merged = *merged ? value_merge(context->arena, *merged, extension->result->pairs[at].value) :
                            extension->result->pairs[at].value;
        return 0;
}

static void set_without_extends(Extension *extension, size_t i, const Value *job) {
        Value *rest = value_new(extension->context->arena, VALUE_MAP, extension->config->pairs[i].value->place);

        for (size_t k = 0; k < job->n_pairs; k++)
                if (!streq(job->pairs[k].key, "extends"))
                        map_set_pair(extension->context->arena, rest, job->pairs + k);
        extension->result->pairs[i].value = rest;
}

/* Merges into *merged what @extends names, in that order. */
static int add_bases(Extension *extension, size_t i, const Value *extends, const Value **merged) {
        if (extends->type != VALUE_LIST)
                return add_base(extension, i, extends, merged);
        for (size_t k = 0; k < extends->n_items; k++) {
                int r = add_base(extension, i, extends->items[k], merged);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int extend(Extension *extension, size_t i) {
        Context *context = extension->context;
        const ValuePair *pair = extension->config->pairs + i;
        const Value *extends = map_get_set(pair->value, "extends"), *merged = NULL;

        if (extension->progress[i] == DONE)
                return extension->failed[i] ? -EINVAL : 0;
        if (!extends) {
                if (map_find(pair->value, "extends"))
                        set_without_extends(extension, i, pair->value);
                extension->progress[i] = DONE;
                return 0;
        }
        extension->progress[i] = IN_PROGRESS;
        int r = add_bases(extension, i, extends, &merged);
        extension->progress[i] = DONE;
        extension->failed[i] = r < 0;
        if (r < 0)
                return r;

        set_without_extends(extension, i, merged ? value_merge(context->arena, merged, pair->value) : pair->value);
        return 0;
}

int extend_all(Context *context, const Value *config, const Value **ret) {
        Extension extension = {
                .context = context,
                .config = config,
                .result = map_copy(context->arena, config),
                .progress = arena_alloc(context->arena, config->n_pairs),
                .levels = arena_alloc(context->arena, config->n_pairs),
                .failed = arena_alloc(context->arena, config->n_pairs * sizeof(bool)),
        };
        int result = 0;

        for (size_t i = 0; i < config->n_pairs; i++) {
                extension.start = i;
                if (extend(&extension, i) < 0)
                        result = -EINVAL;
        }
        *ret = extension.result;
        return result;
}

/* The references that are being resolved, to find cycles. */
typedef struct Chain {
        const struct Chain *outer;
        const Value *reference;
        unsigned depth;
} Chain;

typedef struct Resolution {
        Context *context;
        const Value *config;
        size_t walked;
} Resolution;

static int resolve(Resolution *resolution, const Value *value, const Chain *chain, unsigned depth, const Value **ret);

static const char *reference_text(Context *context, const Value *reference) {
        Text text = { .arena = context->arena };

        for (size_t i = 0; i < reference->n_items; i++)
                text_printf(&text, "%s%s", i > 0 ? ", " : "",
                            value_is(reference->items[i], VALUE_STRING) ? reference->items[i]->string : "?");
        return text_get(&text);
}

/* Finds the value that a reference refers to, not yet resolved itself. */
static int find_target(Resolution *resolution, const Value *reference, const Value **ret) {
        Context *context = resolution->context;
        const Value *value = resolution->config;

        if (reference->n_items == 0)
                return context_fail(context, reference->place,
                                    "!reference needs a list of names, as in [.job, script]");
        for (size_t i = 0; i < reference->n_items; i++) {
                const Value *name = reference->items[i];

                if (name->type != VALUE_STRING)
                        return context_fail(context, name->place,
                                            "!reference is a list of names, not of %s; places in lists have none",
                                            value_describe(name));
                const Value *next = map_get(value, name->string);
                const char *where = i > 0 ? arena_printf(context->arena, " in '%s'", reference->items[i - 1]->string) :
                                            "";
                if (!next)
                        return context_fail(context, name->place, "!reference [%s]: there is no '%s'%s%s",
                                            reference_text(context, reference), name->string, where,
                                            nearest_key_hint(context->arena, name->string, value));
                if (next->type == VALUE_NULL || (next->type == VALUE_BOOLEAN && !next->boolean))
                        return context_fail(context, name->place,
                                            "!reference [%s]: '%s'%s is %s, which GitLab takes for missing",
                                            reference_text(context, reference), name->string, where,
                                            next->type == VALUE_NULL ? "null" : "false");
                value = next;
        }
        *ret = value;
        return 0;
}

static int resolve_reference(Resolution *resolution, const Value *reference, const Chain *chain, unsigned depth,
                             const Value **ret) {
        Chain inner = { chain, reference, chain ? chain->depth + 1 : 1 };
        const Value *target = NULL;

        for (const Chain *outer = chain; outer; outer = outer->outer)
                if (outer->reference == reference || value_equal(outer->reference, reference))
                        return context_fail(resolution->context, reference->place, "!reference [%s] refers to itself",
                                            reference_text(resolution->context, reference));
        int r = find_target(resolution, reference, &target);
        return r < 0 ? r : resolve(resolution, target, &inner, depth + 1, ret);
}

static int resolve_list(Resolution *resolution, const Value *value, const Chain *chain, unsigned depth,
                        const Value **ret) {
        Value *copy = NULL;
        int result = 0;

        for (size_t i = 0; i < value->n_items; i++) {
                const Value *item = NULL;

                if (resolve(resolution, value->items[i], chain, depth + 1, &item) < 0) {
                        result = -EINVAL;
                        continue;
                }
                if (item != value->items[i] && !copy) {
                        copy = value_new(resolution->context->arena, VALUE_LIST, value->place);
                        for (size_t k = 0; k < i; k++)
                                value_append(resolution->context->arena, copy, value->items[k]);
                }
                if (copy)
                        value_append(resolution->context->arena, copy, item);
        }
        *ret = copy ? copy : value;
        return result;
}

static int resolve_map(Resolution *resolution, const Value *value, const Chain *chain, unsigned depth,
                       const Value **ret) {
        Value *copy = NULL;
        int result = 0;

        for (size_t i = 0; i < value->n_pairs; i++) {
                const Value *item = NULL;

                if (resolve(resolution, value->pairs[i].value, chain, depth + 1, &item) < 0) {
                        result = -EINVAL;
                        continue;
                }
                if (item == value->pairs[i].value)
                        continue;
                if (!copy)
                        copy = map_copy(resolution->context->arena, value);
                copy->pairs[i].value = item;
        }
        *ret = copy ? copy : value;
        return result;
}

static int resolve(Resolution *resolution, const Value *value, const Chain *chain, unsigned depth, const Value **ret) {
        *ret = value;
        if (value_is_scalar(value))
                return 0;
        if (depth > DEPTH_MAX || ++resolution->walked > WALKED_MAX)
                return context_fail(resolution->context, value->place,
                                    "references make the configuration too large or too deep");
        if (value->type == VALUE_REFERENCE)
                return resolve_reference(resolution, value, chain, depth, ret);
        return value->type == VALUE_LIST ? resolve_list(resolution, value, chain, depth, ret) :
                                           resolve_map(resolution, value, chain, depth, ret);
}

int reference_resolve_all(Context *context, const Value *config, const Value **ret) {
        Resolution resolution = { .context = context, .config = config };

        return resolve(&resolution, config, NULL, 0, ret);
}
