/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Counts the tests in a report of JUnit's XML. Called by `exec` for its summary. A job made the file: entities must be
 * refused, no other file may be loaded, and what is kept is limited. */

#include "pipeline/junit.h"

#include <ctype.h>
#include <expat.h>
#include <limits.h>

#include "base/library.h"
#include "base/string.h"
#include "pipeline/mask.h"

#define FUNCTIONS(X)                   \
        X(XML_ParserCreate)            \
        X(XML_ParserFree)              \
        X(XML_SetUserData)             \
        X(XML_SetElementHandler)       \
        X(XML_SetCharacterDataHandler) \
        X(XML_SetEntityDeclHandler)    \
        X(XML_Parse)                   \
        X(XML_StopParser)              \
        X(XML_GetErrorCode)            \
        X(XML_ErrorString)             \
        X(XML_GetCurrentLineNumber)

/* Newer versions of expat prefer XML_GetCurrentLineNumber64(), which Debian 12 does not have. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static struct { FUNCTIONS(LIBRARY_POINTER) } expat;
#pragma GCC diagnostic pop

#define SUITES_DEPTH_MAX 100

typedef enum Outcome { PASSED, SKIPPED, ERROR, FAILED } Outcome; /* of several, the last here counts */

typedef struct Reader {
        XML_Parser parser;
        const Variables *masked;
        JunitSummary found;
        char **suites;    /* names of the open elements "testsuite", "" if one has no name */
        unsigned ignored; /* depth below an element that has no meaning, or whose content is only text */
        bool in_case, in_text;
        Outcome outcome;
        char *class, *name, *message, *content;
        size_t content_size;
        const char *problem; /* NULL: use the parser's message */
        bool no_memory;
} Reader;

static void junit_failure_done(JunitFailure *failure) {
        free(failure->suite);
        free(failure->class);
        free(failure->name);
        free(failure->message);
}

void junit_done(JunitSummary *summary) {
        for (size_t i = 0; i < summary->n_failures; i++)
                junit_failure_done(summary->failures + i);
        free(summary->failures);
        *summary = (JunitSummary){ 0 };
}

static void reader_done(Reader *reader) {
        if (reader->parser)
                expat.XML_ParserFree(reader->parser);
        junit_done(&reader->found);
        strv_free(reader->suites);
        free(reader->class);
        free(reader->name);
        free(reader->message);
        free(reader->content);
}

static void stop(Reader *reader, const char *problem) {
        if (problem)
                reader->problem = problem;
        else
                reader->no_memory = true;
        (void) expat.XML_StopParser(reader->parser, XML_FALSE);
}

/* Returns the first line of @whole that is not blank, without secrets, cut between characters; NULL: there is none, or memory
 * ran out. Secrets are replaced first: a part of one that is cut is not found. */
static char *first_line(const Reader *reader, const char *whole) {
        _cleanup_free_ char *masked = NULL;

        if (reader->masked && mask_text(reader->masked, whole, &masked) < 0)
                return NULL;
        const char *text = masked ? masked : whole;
        text += strspn(text, " \t\r\n");
        size_t size = strcspn(text, "\r\n");

        if (size > JUNIT_TEXT_BYTES_MAX)
                for (size = JUNIT_TEXT_BYTES_MAX; size > 0 && (text[size] & 0xc0) == 0x80;)
                        size--;
        while (size > 0 && isspace((unsigned char) text[size - 1]))
                size--;
        return size > 0 ? strndup(text, size) : NULL;
}

static void take_attribute(Reader *reader, const XML_Char *const *attributes, const char *key, char **target) {
        free(TAKE_PTR(*target));
        for (; *attributes; attributes += 2)
                if (streq(attributes[0], key)) {
                        const char *value = attributes[1];

                        *target = first_line(reader, value);
                        if (!*target && value[strspn(value, " \t\r\n")])
                                stop(reader, NULL);
                        return;
                }
}

static void start_case(Reader *reader, const XML_Char *const *attributes) {
        reader->in_case = true;
        reader->outcome = PASSED;
        free(TAKE_PTR(reader->message));
        take_attribute(reader, attributes, "classname", &reader->class);
        take_attribute(reader, attributes, "name", &reader->name);
}

static void start_outcome(Reader *reader, const char *element, const XML_Char *const *attributes) {
        static const char *const names[] = { [SKIPPED] = "skipped", [ERROR] = "error", [FAILED] = "failure" };

        reader->ignored = 1;
        for (Outcome outcome = SKIPPED; outcome <= FAILED; outcome++)
                if (streq(element, names[outcome]) && outcome > reader->outcome) {
                        reader->outcome = outcome;
                        reader->in_text = true;
                        reader->content_size = 0;
                        take_attribute(reader, attributes, "message", &reader->message);
                }
}

static void start_suite(Reader *reader, const XML_Char *const *attributes) {
        _cleanup_free_ char *name = NULL;

        if (strv_length(reader->suites) == SUITES_DEPTH_MAX) {
                stop(reader, "its suites are nested too deeply");
                return;
        }
        take_attribute(reader, attributes, "name", &name);
        if (!reader->no_memory && strv_extend(&reader->suites, name ? name : "") < 0)
                stop(reader, NULL);
}

static void on_start(void *userdata, const XML_Char *element, const XML_Char **attributes) {
        Reader *reader = userdata;
        size_t depth = strv_length(reader->suites);

        if (reader->ignored > 0)
                reader->ignored++;
        else if (reader->in_case)
                start_outcome(reader, element, attributes);
        else if (streq(element, "testsuite") || (streq(element, "testsuites") && depth == 0))
                start_suite(reader, attributes);
        else if (streq(element, "testcase") && depth > 0)
                start_case(reader, attributes);
        else
                reader->ignored = 1;
}

/* Collects the text of an outcome, up to the limit. */
static void on_text(void *userdata, const XML_Char *text, int size) {
        Reader *reader = userdata;

        if (!reader->in_text || reader->ignored != 1)
                return;
        if (!reader->content)
                reader->content = malloc(2 * JUNIT_TEXT_BYTES_MAX);
        if (!reader->content) {
                stop(reader, NULL);
                return;
        }
        for (int i = 0; i < size && reader->content_size < 2 * JUNIT_TEXT_BYTES_MAX - 1; i++)
                if (reader->content_size > 0 || !isspace((unsigned char) text[i]))
                        reader->content[reader->content_size++] = text[i];
}

static void keep_failure(Reader *reader) {
        JunitSummary *found = &reader->found;
        const char *suite = reader->suites[strv_length(reader->suites) - 1];

        if (found->n_failures == JUNIT_FAILURES_MAX)
                return;
        JunitFailure *failures = reallocarray(found->failures, found->n_failures + 1, sizeof(JunitFailure));
        if (!failures) {
                stop(reader, NULL);
                return;
        }
        found->failures = failures;
        JunitFailure *failure = failures + found->n_failures++;
        *failure = (JunitFailure){ .class = TAKE_PTR(reader->class),
                                   .name = TAKE_PTR(reader->name),
                                   .message = TAKE_PTR(reader->message),
                                   .is_error = reader->outcome == ERROR };
        if (*suite && !(failure->suite = strdup(suite)))
                stop(reader, NULL);
}

static void end_case(Reader *reader) {
        reader->in_case = false;
        reader->found.n_tests++;
        reader->found.n_failed += reader->outcome == FAILED;
        reader->found.n_errors += reader->outcome == ERROR;
        reader->found.n_skipped += reader->outcome == SKIPPED;
        if (reader->outcome >= ERROR)
                keep_failure(reader);
}

static void end_outcome(Reader *reader) {
        reader->in_text = false;
        if (reader->message || reader->content_size == 0)
                return;
        reader->content[reader->content_size] = 0;
        reader->message = first_line(reader, reader->content);
        if (!reader->message)
                stop(reader, NULL);
}

static void on_end(void *userdata, _unused_ const XML_Char *element) {
        Reader *reader = userdata;

        if (reader->ignored > 0) {
                reader->ignored--;
                if (reader->ignored == 0 && reader->in_text)
                        end_outcome(reader);
                return;
        }
        if (reader->in_case) {
                end_case(reader);
                return;
        }
        size_t n = strv_length(reader->suites);
        if (n > 0) /* the end of an empty element is reported even after a stop at its start */
                free(TAKE_PTR(reader->suites[n - 1]));
}

/* Refuses entities: with them, a few lines can become gigabytes. */
static void on_entity(void *userdata, _unused_ const XML_Char *name, _unused_ int is_parameter,
                      _unused_ const XML_Char *value, _unused_ int size, _unused_ const XML_Char *base,
                      _unused_ const XML_Char *system, _unused_ const XML_Char *public,
                      _unused_ const XML_Char *notation) {
        stop(userdata, "it declares entities, which are not read");
}

static int copy_text(char **to, const char *from) {
        return isempty(from) ? 0 : string_replace(to, from);
}

static int copy_failure(JunitFailure *to, const JunitFailure *from) {
        _cleanup_(junit_failure_done) JunitFailure copy = { .is_error = from->is_error };

        int r = copy_text(&copy.suite, from->suite);
        if (r < 0)
                return r;
        r = copy_text(&copy.class, from->class);
        if (r < 0)
                return r;
        r = copy_text(&copy.name, from->name);
        if (r < 0)
                return r;
        r = copy_text(&copy.message, from->message);
        if (r < 0)
                return r;
        *to = copy;
        copy = (JunitFailure){ 0 };
        return 0;
}

int junit_merge(JunitSummary *summary, const JunitSummary *other) {
        size_t n = MIN(other->n_failures, JUNIT_FAILURES_MAX - summary->n_failures);
        JunitFailure *failures = n == 0 ?
                                         NULL :
                                         reallocarray(summary->failures, summary->n_failures + n, sizeof(JunitFailure));

        if (n > 0 && !failures)
                return -ENOMEM;
        if (n > 0)
                summary->failures = failures;
        for (size_t i = 0; i < n; i++) {
                int r = copy_failure(failures + summary->n_failures, other->failures + i);
                if (r < 0)
                        return r;
                summary->n_failures++;
        }
        summary->n_tests += other->n_tests;
        summary->n_failed += other->n_failed;
        summary->n_errors += other->n_errors;
        summary->n_skipped += other->n_skipped;
        return 0;
}

static int parse(Reader *reader, const char *data, size_t size) {
        enum XML_Status status = XML_STATUS_OK;

        for (bool last = false; status == XML_STATUS_OK && !last;) {
                int part = (int) MIN(size, (size_t) INT_MAX / 4);

                last = (size_t) part == size;
                status = expat.XML_Parse(reader->parser, data, part, last);
                data += part;
                size -= (size_t) part;
        }
        return status == XML_STATUS_OK ? 0 : reader->no_memory ? -ENOMEM : -EBADMSG;
}

int junit_add(JunitSummary *summary, const char *data, size_t size, char **reterr_problem) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };
        _cleanup_(reader_done) Reader reader = { .masked = summary->masked };

        int r = expat.XML_Parse ? 0 : library_load(LIBRARY_EXPAT, names, (void **) &expat);
        if (r < 0)
                return r;
        reader.parser = expat.XML_ParserCreate(NULL);
        if (!reader.parser)
                return -ENOMEM;
        expat.XML_SetUserData(reader.parser, &reader);
        expat.XML_SetElementHandler(reader.parser, on_start, on_end);
        expat.XML_SetCharacterDataHandler(reader.parser, on_text);
        expat.XML_SetEntityDeclHandler(reader.parser, on_entity);
        r = parse(&reader, data, size);
        if (r == 0)
                return junit_merge(summary, &reader.found);
        if (r != -EBADMSG)
                return r;
        enum XML_Error error = expat.XML_GetErrorCode(reader.parser);
        if (error == XML_ERROR_NO_MEMORY)
                return -ENOMEM;
        int q = string_printf(reterr_problem, "line %lu: %s",
                              (unsigned long) expat.XML_GetCurrentLineNumber(reader.parser),
                              reader.problem ? reader.problem : expat.XML_ErrorString(error));
        return q < 0 ? q : r;
}
