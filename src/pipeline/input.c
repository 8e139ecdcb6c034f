/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Gives the inputs of a file their values: the given value or the default, checked against the type, options and
 * pattern in the header. include.c calls this for each file that has a header, before its content is read. As in
 * GitLab, rules of inputs must see only inputs, and no variables. */

#include "pipeline/input.h"

#include "base/string.h"
#include "pipeline/expression.h"
#include "pipeline/yaml.h"

#define OPTIONS_MAX 50

static const char *const spec_keys[] = { "type", "default", "description", "options", "regex", "rules", NULL };
static const char *const type_names[] = { "string", "number", "boolean", "array", NULL };

typedef struct Resolver {
        Arena *arena;
        Problems *problems;
        RegexCache *regexes;
        const Value *spec, *given;
        Value *values; /* so far */
        Place place;
} Resolver;

/* One declared input, and what applies to it after its rules were evaluated. */
typedef struct Declared {
        const ValuePair *pair;
        const char *type;
        const Value *standard; /* default, or NULL */
        const Value *options, *regex;
} Declared;

static const Value *input_value(void *userdata, const char *name) {
        const Resolver *resolver = userdata;
        const Value *value = map_get(resolver->values, name);

        return value ? value : map_get(resolver->given, name);
}

static const char *no_variable(_unused_ void *userdata, _unused_ const char *name) {
        return NULL;
}

/* Does the rule apply? 1, 0 or -EINVAL. */
static int rule_matches(Resolver *resolver, const Value *rule) {
        const Value *condition = map_get_set(rule, "if");
        ExpressionNames names = { .variable = no_variable, .input = input_value, .userdata = resolver };
        Expression *expression;
        ExpressionError error;

        if (!condition)
                return 1;
        if (condition->type != VALUE_STRING)
                return problem_add(resolver->problems, condition->place, "'if' must be a text, not %s",
                                   value_describe(condition));
        int r = expression_parse(resolver->arena, resolver->regexes, condition->string, &expression, &error);
        if (r < 0)
                return problem_add(resolver->problems, condition->place, "'if' is not an expression: %s", error.text);
        r = expression_evaluate(expression, &names, &error);
        return r < 0 ? 0 : r;
}

static int apply_rules(Resolver *resolver, Declared *declared, const Value *rules) {
        if (rules->type != VALUE_LIST)
                return problem_add(resolver->problems, rules->place, "'rules' of an input must be a list");
        if (declared->standard || declared->options)
                return problem_add(resolver->problems, rules->place,
                                   "an input with 'rules' has 'default' and 'options' in the rules only");
        for (size_t i = 0; i < rules->n_items; i++) {
                const Value *rule = rules->items[i];
                static const char *const keys[] = { "if", "options", "default", NULL };

                if (rule->type != VALUE_MAP)
                        return problem_add(resolver->problems, rule->place,
                                           "a rule must be a mapping with 'if', 'options' and 'default'");
                for (size_t k = 0; k < rule->n_pairs; k++)
                        if (!streq(rule->pairs[k].key, "if") && !streq(rule->pairs[k].key, "options") &&
                            !streq(rule->pairs[k].key, "default"))
                                return problem_add(resolver->problems, rule->pairs[k].place,
                                                   "a rule of an input has no '%s'%s", rule->pairs[k].key,
                                                   nearest_hint(resolver->arena, rule->pairs[k].key, keys));
                int r = rule_matches(resolver, rule);
                if (r < 0)
                        return r;
                if (r > 0) {
                        declared->options = map_get_set(rule, "options");
                        declared->standard = map_get(rule, "default");
                        return 0;
                }
        }
        return 0;
}

static int declare(Resolver *resolver, const ValuePair *pair, Declared *ret) {
        const Value *spec = pair->value;

        *ret = (Declared){ .pair = pair, .type = "string" };
        if (value_is_null(spec))
                return 0;
        if (spec->type != VALUE_MAP)
                return problem_add(resolver->problems, spec->place,
                                   "input '%s' must be a mapping such as 'default: x', not %s", pair->key,
                                   value_describe(spec));
        for (size_t i = 0; i < spec->n_pairs; i++) {
                const char *key = spec->pairs[i].key;
                bool known = false;

                for (size_t k = 0; spec_keys[k]; k++)
                        known = known || streq(spec_keys[k], key);
                if (!known)
                        return problem_add(resolver->problems, spec->pairs[i].place,
                                           "input '%s' has an unknown key '%s'%s", pair->key, key,
                                           nearest_hint(resolver->arena, key, spec_keys));
        }
        const Value *type = map_get_set(spec, "type");
        for (size_t i = 0; type && type_names[i]; i++)
                if (value_is_string(type, type_names[i])) {
                        ret->type = type_names[i];
                        type = NULL;
                }
        if (type)
                return problem_add(
                        resolver->problems, type->place, "the type of an input is string, number, boolean or array%s",
                        type->type == VALUE_STRING ? nearest_hint(resolver->arena, type->string, type_names) : "");
        ret->standard = map_get(spec, "default");
        ret->options = map_get_set(spec, "options");
        ret->regex = map_get_set(spec, "regex");
        const Value *rules = map_get_set(spec, "rules");
        return rules ? apply_rules(resolver, ret, rules) : 0;
}

/* For a text that was given for an input of another type: returns its value if the text is JSON, else the text. */
static const Value *read_json(Resolver *resolver, const Value *value) {
        Problems scratch = { .arena = resolver->arena };
        const Value *read = NULL;

        if (value->type != VALUE_STRING ||
            yaml_load(&scratch, value->place.file, MAX(value->place.line, 1u), MAX(value->place.column, 1u),
                      value->string, strlen(value->string), &read) < 0)
                return value;
        return read ? read : value;
}

static bool has_type(const Value *value, const char *type) {
        if (streq(type, "number"))
                return value->type == VALUE_INTEGER || value->type == VALUE_FLOAT;
        if (streq(type, "boolean"))
                return value->type == VALUE_BOOLEAN;
        if (streq(type, "array"))
                return value->type == VALUE_LIST;
        return value->type == VALUE_STRING;
}

static bool is_option(const Value *options, const Value *value) {
        bool all = true;

        for (size_t i = 0; i < options->n_items; i++)
                if (value_equal(options->items[i], value))
                        return true;
        if (value->type != VALUE_LIST)
                return false;
        for (size_t i = 0; i < value->n_items; i++)
                all = all && is_option(options, value->items[i]);
        return all;
}

static int check_options(Resolver *resolver, const Declared *declared, const Value *value, Place place) {
        const Value *options = declared->options;
        Text names = { .arena = resolver->arena };

        if (!options)
                return 0;
        if (options->type != VALUE_LIST || options->n_items > OPTIONS_MAX || streq(declared->type, "boolean"))
                return problem_add(
                        resolver->problems, options->place,
                        "'options' of input '%s' must be a list of at most %d values, and no input of type boolean "
                        "has it",
                        declared->pair->key, OPTIONS_MAX);
        Value *normal = value_new(resolver->arena, VALUE_LIST, options->place);
        for (size_t i = 0; i < options->n_items; i++) {
                const Value *option = options->items[i];

                if (streq(declared->type, "string") && value_is_scalar(option))
                        option = value_new_string(resolver->arena, value_to_string(resolver->arena, option),
                                                  option->place);
                value_append(resolver->arena, normal, option);
                text_add_string(&names, i > 0 ? ", " : "");
                value_to_json(&names, option);
        }
        if (is_option(normal, value))
                return 0;
        return problem_add(resolver->problems, place, "input '%s' must be one of %s", declared->pair->key,
                           text_get(&names));
}

static int check_regex(Resolver *resolver, const Declared *declared, const Value *value, Place place) {
        const Regex *regex;
        const char *reason;

        if (!declared->regex)
                return 0;
        if (declared->regex->type != VALUE_STRING || !streq(declared->type, "string"))
                return problem_add(resolver->problems, declared->regex->place,
                                   "'regex' of input '%s' must be a text, and only an input of type string has it",
                                   declared->pair->key);
        if (regex_compile(resolver->regexes, declared->regex->string, 0, &regex, &reason) < 0)
                return problem_add(resolver->problems, declared->regex->place, "'regex' of input '%s': %s",
                                   declared->pair->key, reason);
        if (regex_search(regex, value->string) > 0)
                return 0;
        return problem_add(resolver->problems, place, "input '%s' must match the pattern %s, but is '%.100s'",
                           declared->pair->key, declared->regex->string, value->string);
}

/* Checks the given value or the default. Replaces *value by the value that the input gets. */
static int check_value(Resolver *resolver, const Declared *declared, const Value **value) {
        const char *name = declared->pair->key;
        Place place = (*value)->place;

        if (streq(declared->type, "string") && value_is_scalar(*value) && (*value)->type != VALUE_NULL)
                *value = value_new_string(resolver->arena, value_to_string(resolver->arena, *value), place);
        else if (!streq(declared->type, "string") && !has_type(*value, declared->type))
                *value = read_json(resolver, *value);
        if (!has_type(*value, declared->type))
                return problem_add(resolver->problems, place, "input '%s' must be of type %s, not %s", name,
                                   declared->type, value_describe(*value));
        int r = check_options(resolver, declared, *value, place);
        return r < 0 ? r : check_regex(resolver, declared, *value, place);
}

static int resolve_input(Resolver *resolver, const ValuePair *pair) {
        const ValuePair *given = map_find(resolver->given, pair->key);
        Declared declared;

        int r = declare(resolver, pair, &declared);
        if (r < 0)
                return r;
        const Value *standard = declared.standard, *value = given ? given->value : NULL;
        if (!value && !standard)
                return problem_add(
                        resolver->problems, resolver->place, "input '%s' has no default and must be given%s", pair->key,
                        resolver->place.line > 0 ? ": add it to 'inputs' of this include" :
                                                   arena_printf(resolver->arena, ": --input %s=VALUE", pair->key));
        r = standard ? check_value(resolver, &declared, &standard) : 0;
        if (r < 0)
                return r;
        r = value ? check_value(resolver, &declared, &value) : 0;
        if (r < 0)
                return r;
        map_set(resolver->arena, resolver->values, pair->key, pair->place, value ? value : standard);
        return 0;
}

int inputs_resolve(Problems *problems, RegexCache *regexes, const Value *spec, const Value *given, Place place,
                   const Value **ret) {
        Resolver resolver = { .arena = problems->arena,
                              .problems = problems,
                              .regexes = regexes,
                              .spec = spec,
                              .given = given,
                              .place = place };
        int result = 0;

        resolver.values = value_new(problems->arena, VALUE_MAP, place);
        for (size_t i = 0; value_is(given, VALUE_MAP) && i < given->n_pairs; i++)
                if (!map_find(spec, given->pairs[i].key))
                        result = problem_add(problems, given->pairs[i].place, "the file declares no input '%s'%s",
                                             given->pairs[i].key,
                                             nearest_key_hint(problems->arena, given->pairs[i].key, spec));
        /* Rules may refer to any input, so inputs with rules come last. */
        for (unsigned with_rules = 0; with_rules < 2; with_rules++)
                for (size_t i = 0; value_is(spec, VALUE_MAP) && i < spec->n_pairs; i++)
                        if ((map_get_set(spec->pairs[i].value, "rules") != NULL) == (with_rules > 0) &&
                            resolve_input(&resolver, spec->pairs + i) < 0)
                                result = -EINVAL;
        *ret = resolver.values;
        return result;
}
