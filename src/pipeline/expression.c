/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads and evaluates expressions of rules. Called for rules of jobs, includes, workflows and inputs, and for
 * only:variables. The tokens must be tried in GitLab's order, because the order decides what is an error. TOKENS_MAX
 * and DEPTH_MAX limit what a hostile expression can cost. */

#include "pipeline/expression.h"

#include <ctype.h>

#include "base/string.h"

#define TOKENS_MAX 99 /* GitLab's limit */
#define DEPTH_MAX 128

typedef enum NodeType {
        NODE_TEXT,
        NODE_VARIABLE,
        NODE_INPUT,
        NODE_PATTERN,
        NODE_NULL,
        NODE_BOOLEAN,
        /* operators, weakest first */
        NODE_OR,
        NODE_AND,
        NODE_EQUAL,
        NODE_NOT_EQUAL,
        NODE_MATCH,
        NODE_NOT_MATCH,
        NODE_NOT,
        NODE_OPEN,
        NODE_CLOSE,
} NodeType;

typedef struct Node Node;
struct Node {
        NodeType type;
        size_t offset;
        const char *text; /* of texts, names; of a pattern as it is written */
        bool boolean;
        const Regex *regex; /* of a pattern */
        Node *left, *right;
};

struct Expression {
        Arena *arena;
        RegexCache *regexes;
        Node *root;
        const char **variables;
        size_t n_variables;
};

typedef struct Parser {
        Expression *expression;
        const char *text, *p;
        ExpressionError *error;
        Node *tokens[TOKENS_MAX];
        size_t n, at;
} Parser;

static int fail(Parser *parser, size_t offset, const char *text) {
        parser->error->offset = offset;
        parser->error->text = text;
        return -EINVAL;
}

static bool is_name(char c) {
        return isalnum((unsigned char) c) || c == '_';
}

static size_t name_length(const char *p) {
        size_t n = 0;

        while (is_name(p[n]))
                n++;
        return n;
}

/* Finds the end of a pattern "/.../flags", which has at least two characters; NULL: it does not end. A character behind
 * a backslash never ends it, even if that backslash is itself behind a backslash. */
static const char *pattern_end(const char *p) {
        const char *q = p + 1;

        if (*p != '/')
                return NULL;
        while (*q && (*q != '/' || q[-1] == '\\'))
                q++;
        return *q == '/' && q - p > 2 ? q : NULL;
}

/* Compiles "/.../flags", which must be the whole text. 0; 1: the text does not look like a pattern; or -EINVAL. */
static int compile_pattern(Expression *expression, const char *text, size_t size, const Regex **ret,
                           const char **reterr) {
        const char *end = pattern_end(text);
        unsigned flags = 0;
        Text pattern = { .arena = expression->arena };

        if (!end || (size_t) (end - text) >= size)
                return 1;
        for (const char *p = end + 1; p < text + size; p++)
                switch (*p) {
                case 'i':
                        flags |= REGEX_IGNORE_CASE;
                        break;
                case 's':
                        flags |= REGEX_DOT_ALL;
                        break;
                case 'm':
                        flags |= REGEX_MULTI_LINE;
                        break;
                case 'U':
                        flags |= REGEX_UNGREEDY;
                        break;
                default:
                        return 1;
                }
        for (const char *p = text + 1; p < end; p++) {
                if (p[0] == '\\' && p[1] == '/')
                        p++;
                text_add(&pattern, p, 1);
        }
        return regex_compile(expression->regexes, text_get(&pattern), flags, ret, reterr);
}

/* Reports text that no token begins with, and what to write instead. */
static int fail_token(Parser *parser) {
        const char *p = parser->p;
        size_t offset = (size_t) (p - parser->text);

        if (p[0] == '$' && p[1] == '{')
                return fail(parser, offset, "'${NAME}' is not allowed here; write $NAME");
        if (p[0] == '$' && p[1] == '[')
                return fail(parser, offset, "write $[[ inputs.NAME ]] with exactly one blank at each side");
        if (*p == '$')
                return fail(parser, offset, "a name must follow '$'");
        if (*p == '"' || *p == '\'')
                return fail(parser, offset, "the quote is not closed on this line");
        if (*p == '/')
                return fail(parser, offset, "a pattern is written /.../ and has at least two characters");
        if (*p == '=')
                return fail(parser, offset, "write == to compare, or =~ to search for a pattern");
        if (*p == '&' || *p == '|')
                return fail(parser, offset, *p == '&' ? "write && for 'and'" : "write || for 'or'");
        if (is_name(*p))
                return fail(parser, offset, "put a text in quotes, and '$' before the name of a variable");
        return fail(parser, offset, "this character means nothing here; put a text in quotes");
}

static bool take_keyword(Parser *parser, Node *node) {
        static const struct {
                const char *word;
                NodeType type;
                bool boolean;
        } words[] = {
                { "null", NODE_NULL, false },    { "true", NODE_BOOLEAN, true }, { "false", NODE_BOOLEAN, false },
                { "==", NODE_EQUAL, false },     { "=~", NODE_MATCH, false },    { "!=", NODE_NOT_EQUAL, false },
                { "!~", NODE_NOT_MATCH, false }, { "&&", NODE_AND, false },      { "||", NODE_OR, false },
                { "!", NODE_NOT, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (startswith(parser->p, words[i].word)) {
                        node->type = words[i].type;
                        node->boolean = words[i].boolean;
                        parser->p += strlen(words[i].word);
                        return true;
                }
        return false;
}

static int take_pattern(Parser *parser, Node *node, const char *end) {
        const char *p = parser->p, *reason = NULL;
        size_t size = (size_t) (end + 1 - p) + strspn(end + 1, "ismU");

        node->type = NODE_PATTERN;
        node->text = arena_copy(parser->expression->arena, p, size);
        parser->p += size;
        int r = compile_pattern(parser->expression, node->text, size, &node->regex, &reason);
        return r < 0 ? fail(parser, node->offset, reason) : 0;
}

static int take_token(Parser *parser) {
        Arena *arena = parser->expression->arena;
        Node *node = arena_new(arena, Node);
        const char *p = parser->p, *end;

        node->offset = (size_t) (p - parser->text);
        parser->tokens[parser->n++] = node;
        if (*p == '(' || *p == ')') {
                node->type = *p == '(' ? NODE_OPEN : NODE_CLOSE;
                parser->p++;
                return 0;
        }
        const char *input = startswith(p, "$[[ inputs.");
        if (input && name_length(input) > 0 && startswith(input + name_length(input), " ]]")) {
                node->type = NODE_INPUT;
                node->text = arena_copy(arena, input, name_length(input));
                parser->p = input + name_length(input) + 3;
                return 0;
        }
        if (*p == '$' && name_length(p + 1) > 0) {
                node->type = NODE_VARIABLE;
                node->text = arena_copy(arena, p + 1, name_length(p + 1));
                parser->p += 1 + name_length(p + 1);
                return 0;
        }
        if ((*p == '"' || *p == '\'') && (end = strpbrk(p + 1, *p == '"' ? "\"\n" : "'\n")) && *end == *p) {
                node->type = NODE_TEXT;
                node->text = arena_copy(arena, p + 1, (size_t) (end - p - 1));
                parser->p = end + 1;
                return 0;
        }
        end = pattern_end(p);
        if (end)
                return take_pattern(parser, node, end);
        return take_keyword(parser, node) ? 0 : fail_token(parser);
}

static int tokenize(Parser *parser) {
        for (;;) {
                while (isspace((unsigned char) *parser->p))
                        parser->p++;
                if (!*parser->p)
                        return 0;
                if (parser->n == TOKENS_MAX)
                        return fail(parser, (size_t) (parser->p - parser->text),
                                    "an expression has at most 99 parts; use several rules");
                int r = take_token(parser);
                if (r < 0)
                        return r;
        }
}

static unsigned precedence(NodeType type) {
        switch (type) {
        case NODE_OR:
                return 1;
        case NODE_AND:
                return 2;
        case NODE_EQUAL:
        case NODE_NOT_EQUAL:
        case NODE_MATCH:
        case NODE_NOT_MATCH:
                return 3;
        default:
                return 0;
        }
}

static int parse_binary(Parser *parser, unsigned least, unsigned depth, Node **ret);

static int parse_operand(Parser *parser, unsigned depth, Node **ret) {
        if (parser->at == parser->n)
                return fail(parser, strlen(parser->text), "something to compare with is missing at the end");
        Node *node = parser->tokens[parser->at++];
        if (node->type == NODE_NOT) {
                *ret = node;
                return parse_operand(parser, depth, &node->left);
        }
        if (node->type == NODE_OPEN) {
                int r = parse_binary(parser, 1, depth + 1, ret);
                if (r < 0)
                        return r;
                if (parser->at == parser->n || parser->tokens[parser->at]->type != NODE_CLOSE)
                        return fail(parser, node->offset, "this parenthesis is not closed");
                parser->at++;
                return 0;
        }
        if (node->type == NODE_CLOSE)
                return fail(parser, node->offset, "a value is missing before this parenthesis");
        if (precedence(node->type) > 0)
                return fail(parser, node->offset, "a value is missing before this operator");
        *ret = node;
        return 0;
}

static int parse_binary(Parser *parser, unsigned least, unsigned depth, Node **ret) {
        Node *left;

        if (depth > DEPTH_MAX)
                return fail(parser, 0, "too many parentheses");
        int r = parse_operand(parser, depth, &left);
        if (r < 0)
                return r;
        while (parser->at < parser->n && precedence(parser->tokens[parser->at]->type) >= least) {
                Node *operator= parser->tokens[parser->at++];

                operator->left = left;
                r = parse_binary(parser, precedence(operator->type) + 1, depth + 1, &operator->right);
                if (r < 0)
                        return r;
                left = operator;
        }
        *ret = left;
        return 0;
}

static void note_variables(Expression *expression, const Parser *parser) {
        for (size_t i = 0; i < parser->n; i++) {
                bool known = parser->tokens[i]->type != NODE_VARIABLE;

                for (size_t j = 0; j < expression->n_variables && !known; j++)
                        known = streq(expression->variables[j], parser->tokens[i]->text);
                if (!known)
                        ARENA_APPEND(expression->arena, expression->variables, expression->n_variables,
                                     parser->tokens[i]->text);
        }
}

int expression_parse(Arena *arena, RegexCache *regexes, const char *text, Expression **ret, ExpressionError *reterr) {
        Expression *expression = arena_new(arena, Expression);
        Parser parser = { .expression = expression, .text = text, .p = text, .error = reterr };

        expression->arena = arena;
        expression->regexes = regexes;
        int r = tokenize(&parser);
        if (r < 0)
                return r;
        if (parser.n == 0)
                return fail(&parser, 0, "the expression is empty");
        r = parse_binary(&parser, 1, 0, &expression->root);
        if (r < 0)
                return r;
        if (parser.at < parser.n) {
                const Node *rest = parser.tokens[parser.at];
                return fail(&parser, rest->offset,
                            rest->type == NODE_CLOSE ? "no parenthesis is open here" :
                                                       "an operator such as == or && is missing before this");
        }
        note_variables(expression, &parser);
        *ret = expression;
        return 0;
}

/* The value of a node: nothing, a boolean, a text, or a pattern. */
typedef struct Operand {
        NodeType type; /* NODE_NULL, NODE_BOOLEAN, NODE_TEXT, NODE_PATTERN */
        bool boolean;
        const char *text;
        const Regex *regex;
} Operand;

#define NOTHING ((Operand){ .type = NODE_NULL })
#define BOOLEAN(value) ((Operand){ .type = NODE_BOOLEAN, .boolean = (value) })

static bool is_blank(const Operand *operand) {
        if (operand->type == NODE_TEXT)
                return operand->text[strspn(operand->text, " \t\n\v\f\r")] == 0;
        return operand->type == NODE_NULL || (operand->type == NODE_BOOLEAN && !operand->boolean);
}

static bool is_true(const Operand *operand) {
        return operand->type == NODE_BOOLEAN ? operand->boolean : operand->type != NODE_NULL;
}

/* A text is compared with true and false as with texts of these names. */
static bool are_equal(const Operand *a, const Operand *b) {
        if (a->type == NODE_BOOLEAN && b->type == NODE_TEXT)
                return streq(a->boolean ? "true" : "false", b->text);
        if (a->type == NODE_TEXT && b->type == NODE_BOOLEAN)
                return are_equal(b, a);
        if (a->type != b->type)
                return false;
        return a->type == NODE_TEXT || a->type == NODE_PATTERN ? streq(a->text, b->text) : a->boolean == b->boolean;
}

typedef struct Evaluation {
        const Expression *expression;
        const ExpressionNames *names;
        ExpressionError *error;
} Evaluation;

static int evaluate_match(const Evaluation *evaluation, const Node *node, const Operand *left, const Operand *right) {
        const Regex *regex = right->regex;
        const char *reason = NULL;

        if (right->type == NODE_NULL || right->type == NODE_BOOLEAN)
                return 0;
        const char *text = left->type == NODE_TEXT || left->type == NODE_PATTERN ? left->text :
                           left->type == NODE_BOOLEAN                            ? (left->boolean ? "true" : "false") :
                                                                                   "";
        if (right->type == NODE_TEXT) {
                int r = compile_pattern((Expression *) evaluation->expression, right->text, strlen(right->text), &regex,
                                        &reason);
                if (r < 0) {
                        *evaluation->error = (ExpressionError){ node->offset, reason };
                        return r;
                }
                if (r > 0)
                        return strstr(right->text, text) != NULL;
        }
        int r = regex_search(regex, text);
        if (r < 0) {
                *evaluation->error = (ExpressionError){ node->offset, "searching for this pattern takes too long" };
                return -EINVAL;
        }
        return r;
}

static int evaluate(const Evaluation *evaluation, const Node *node, Operand *ret);

static int evaluate_operator(const Evaluation *evaluation, const Node *node, Operand *ret) {
        Operand left, right;

        int r = evaluate(evaluation, node->left, &left);
        if (r < 0)
                return r;
        if (node->type == NODE_NOT) {
                *ret = BOOLEAN(is_blank(&left));
                return 0;
        }
        r = evaluate(evaluation, node->right, &right);
        if (r < 0)
                return r;
        switch (node->type) {
        case NODE_OR:
                *ret = is_true(&left) ? left : right;
                return 0;
        case NODE_AND:
                *ret = is_true(&left) ? right : left;
                return 0;
        case NODE_EQUAL:
        case NODE_NOT_EQUAL:
                *ret = BOOLEAN(are_equal(&left, &right) == (node->type == NODE_EQUAL));
                return 0;
        default:
                r = evaluate_match(evaluation, node, &left, &right);
                if (r < 0)
                        return r;
                *ret = BOOLEAN((r > 0) == (node->type == NODE_MATCH));
                return 0;
        }
}

static Operand input_operand(const Evaluation *evaluation, const Node *node) {
        const Value *value = evaluation->names->input ?
                                     evaluation->names->input(evaluation->names->userdata, node->text) :
                                     NULL;

        if (value_is_null(value))
                return NOTHING;
        if (value->type == VALUE_BOOLEAN)
                return BOOLEAN(value->boolean);
        if (!value_is_scalar(value)) {
                Text json = { .arena = evaluation->expression->arena };

                value_to_json(&json, value);
                return (Operand){ .type = NODE_TEXT, .text = text_get(&json) };
        }
        return (Operand){ .type = NODE_TEXT, .text = value_to_string(evaluation->expression->arena, value) };
}

static int evaluate(const Evaluation *evaluation, const Node *node, Operand *ret) {
        const char *value;

        switch (node->type) {
        case NODE_NULL:
                *ret = NOTHING;
                return 0;
        case NODE_BOOLEAN:
                *ret = BOOLEAN(node->boolean);
                return 0;
        case NODE_TEXT:
        case NODE_PATTERN:
                *ret = (Operand){ .type = node->type, .text = node->text, .regex = node->regex };
                return 0;
        case NODE_VARIABLE:
                value = evaluation->names->variable(evaluation->names->userdata, node->text);
                *ret = value ? (Operand){ .type = NODE_TEXT, .text = value } : NOTHING;
                return 0;
        case NODE_INPUT:
                *ret = input_operand(evaluation, node);
                return 0;
        default:
                return evaluate_operator(evaluation, node, ret);
        }
}

int expression_evaluate(const Expression *expression, const ExpressionNames *names, ExpressionError *reterr) {
        Evaluation evaluation = { expression, names, reterr };
        Operand result;

        int r = evaluate(&evaluation, expression->root, &result);
        return r < 0 ? r : !is_blank(&result);
}

const char *expression_variable(const Expression *expression, size_t i) {
        return i < expression->n_variables ? expression->variables[i] : NULL;
}
