/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Puts the values of a job's `inputs` where its keywords refer to them, as GitLab Runner does before all else. Called by job.c.
 * Of expressions, only the name of an input is understood: any other one must fail the job, because a shell would take it for
 * something else. Pure. */

#include "local/job-inputs.h"

#include "base/string.h"

#define BEGIN "${{"
#define END "}}"
#define BLANKS " \t\r\n"
#define INPUT "job.inputs."

typedef struct Inputs {
        Arena *arena;
        const Value *inputs;
        const char *problem;
} Inputs;

static const char *fail(Inputs *inputs, const char *expression, size_t size, const char *why) {
        if (!inputs->problem)
                inputs->problem = arena_printf(inputs->arena, "the expression '${{ %.*s }}' %s",
                                               (int) MIN(size, (size_t) 100), expression, why);
        return "";
}

/* What stands for an expression. Each input has a value: GitLab wants a default. */
static const char *evaluate(Inputs *inputs, const char *expression, size_t size) {
        const char *name = startswith(arena_copy(inputs->arena, expression, size), INPUT);

        if (!name)
                return fail(inputs, expression, size, "cannot be evaluated here: only 'job.inputs.NAME' can");
        const ValuePair *input = map_find(inputs->inputs, name);
        if (!input)
                return fail(inputs, expression, size, "names no input of the job");
        const Value *value = map_get_set(input->value, "default");
        if (!value)
                return fail(inputs, expression, size, "names an input without a default");
        return value_is_scalar(value) ? value_to_string(inputs->arena, value) :
                                        fail(inputs, expression, size, "is a list, which cannot be used here");
}

static const char *interpolate(Inputs *inputs, const char *text) {
        Text result = { .arena = inputs->arena };
        const char *begin;

        while ((begin = strstr(text, BEGIN))) {
                if (begin > text && begin[-1] == '\\') { /* it stands for itself */
                        text_add(&result, text, (size_t) (begin - 1 - text));
                        text_add_string(&result, BEGIN);
                        text = begin + strlen(BEGIN);
                        continue;
                }
                const char *expression = begin + strlen(BEGIN) + strspn(begin + strlen(BEGIN), BLANKS);
                const char *end = strstr(expression, END);
                if (!end)
                        return fail(inputs, expression, strlen(expression), "has no end");
                size_t size = (size_t) (end - expression);
                while (size > 0 && strchr(BLANKS, expression[size - 1]))
                        size--;
                text_add(&result, text, (size_t) (begin - text));
                text_add_string(&result, evaluate(inputs, expression, size));
                text = end + strlen(END);
        }
        text_add_string(&result, text);
        return text_get(&result);
}

/* Variables of services stay as they are. */
static const Value *expand(Inputs *inputs, const Value *value) {
        Value *copy;

        if (value_is(value, VALUE_STRING))
                return strstr(value->string, BEGIN) ?
                               value_new_string(inputs->arena, interpolate(inputs, value->string), value->place) :
                               value;
        if (value_is(value, VALUE_LIST)) {
                copy = value_new(inputs->arena, VALUE_LIST, value->place);
                for (size_t i = 0; i < value->n_items; i++)
                        value_append(inputs->arena, copy, expand(inputs, value->items[i]));
                return copy;
        }
        if (!value_is(value, VALUE_MAP))
                return value;
        copy = map_copy(inputs->arena, value);
        for (size_t i = 0; i < value->n_pairs; i++) {
                ValuePair pair = value->pairs[i];

                if (streq(pair.key, "variables"))
                        continue;
                pair.value = expand(inputs, pair.value);
                map_set_pair(inputs->arena, copy, &pair);
        }
        return copy;
}

const Value *local_job_inputs(Arena *arena, const Value *config, const char **reterr_problem) {
        static const char *const keywords[] = { "before_script", "script", "after_script", "image",
                                                "services",      "cache",  "artifacts" };
        Inputs inputs = { .arena = arena, .inputs = map_get_set(config, "inputs") };

        if (!value_is(inputs.inputs, VALUE_MAP) || inputs.inputs->n_pairs == 0)
                return config;
        Value *copy = map_copy(arena, config);
        for (size_t i = 0; i < ELEMENTSOF(keywords); i++) {
                const ValuePair *pair = map_find(config, keywords[i]);

                if (pair)
                        map_set(arena, copy, pair->key, pair->place, expand(&inputs, pair->value));
        }
        *reterr_problem = inputs.problem;
        return copy;
}
