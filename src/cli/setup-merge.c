/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Puts a runner into the text of GitLab Runner's config.toml, for `setup`. Pure functions: they read and write no files. A
 * text that is not understood as a whole is never changed. */

#include "cli/setup-merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "cli/toml.h"
#include "config/toml-file.h"

#define RUNNERS "runners"
#define CONCURRENT "# How many jobs of all runners may run at once.\nconcurrent = 1\n"
#define NO_RUNNER 0 /* table 0, the top of the file, is no runner */

/* Replaces the part [begin, end) of a text. */
typedef struct Edit {
        size_t begin, end;
        char *text;
} Edit;

#define EDITS_MAX 4

typedef struct Edits {
        Edit list[EDITS_MAX];
        size_t n;
} Edits;

static void edits_done(Edits *edits) {
        for (size_t i = 0; i < edits->n; i++) {
                explicit_bzero(edits->list[i].text, strlen(edits->list[i].text));
                free(edits->list[i].text);
        }
}

static int refuse(const char *name, const char *key, Problem *reterr_problem) {
        return problem_set(reterr_problem, -EINVAL, "%s of runner '%s' is no string", key, name);
}

/* The table of the runner called @name, or NO_RUNNER. */
static int find_runner(const TomlFile *file, const char *name, size_t *ret, Problem *reterr_problem) {
        if (toml_file_value(file, 0, RUNNERS))
                return problem_set(reterr_problem, -EINVAL,
                                   "'runners' is an array here, to which no [[runners]] can be added");
        for (size_t i = 1; i < file->n_tables; i++) {
                const TomlValue *value = toml_file_value(file, i, "name");

                if (streq(file->tables[i].name, RUNNERS) && !file->tables[i].is_array)
                        return problem_set(reterr_problem, -EINVAL, "[runners] should be [[runners]]");
                if (!streq(file->tables[i].name, RUNNERS) || !value || !streq_null(value->string, name))
                        continue;
                const TomlValue *executor = toml_file_value(file, i, "executor");
                if (!executor || !streq_null(executor->string, "custom"))
                        return problem_set(reterr_problem, -EINVAL,
                                           "runner '%s' has another executor than \"custom\"; choose another name with "
                                           "--name",
                                           name);
                *ret = i;
                return 0;
        }
        *ret = NO_RUNNER;
        return 0;
}

int setup_find(const char *text, const char *name, SetupFound *ret, Problem *reterr_problem) {
        _cleanup_toml_file_ TomlFile file = { 0 };
        size_t table;

        int r = toml_file_parse(text, &file, reterr_problem);
        if (r < 0)
                return r;
        r = find_runner(&file, name, &table, reterr_problem);
        if (r < 0)
                return r;
        *ret = (SetupFound){ 0 };
        if (table == NO_RUNNER)
                return 0;
        const TomlValue *url = toml_file_value(&file, table, "url"), *token = toml_file_value(&file, table, "token");
        ret->found = true;
        ret->has_url = url && !isempty(url->string);
        ret->has_token = token && !isempty(token->string);
        return 0;
}

/* `PREFIX"VALUE"SUFFIX` for a part of the text. */
static int add_edit(Edits *edits, size_t begin, size_t end, const char *prefix, const char *value, const char *suffix) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);

        if (!stream)
                return -ENOMEM;
        fputs(prefix, stream);
        int r = value ? toml_write_string(stream, value) : 0;
        fputs(suffix, stream);
        if (fclose(stream) != 0)
                return -ENOMEM;
        if (r < 0)
                return r;
        edits->list[edits->n++] = (Edit){ begin, end, TAKE_PTR(text) };
        return 0;
}

/* Sets @key of the runner in @table to @value (NULL: leaves it). */
static int change_value(const TomlFile *file, size_t table, const char *name, const char *key, const char *value,
                        Edits *edits, Problem *reterr_problem) {
        const TomlValue *old = toml_file_value(file, table, key);
        _cleanup_free_ char *prefix = NULL;

        if (!value || (old && streq_null(old->string, value)))
                return 0;
        if (old && !old->string)
                return refuse(name, key, reterr_problem);
        if (old)
                return add_edit(edits, old->begin, old->end, "", value, "");
        if (string_printf(&prefix, "\n  %s = ", key) < 0)
                return -ENOMEM;
        return add_edit(edits, file->tables[table].end, file->tables[table].end, prefix, value, "");
}

/* Edits for the same place stay in their order. */
static void sort_edits(Edits *edits) {
        for (size_t i = 1; i < edits->n; i++)
                for (size_t k = i; k > 0 && edits->list[k - 1].begin > edits->list[k].begin; k--) {
                        const Edit later = edits->list[k - 1];
                        edits->list[k - 1] = edits->list[k];
                        edits->list[k] = later;
                }
}

static int apply(const char *text, Edits *edits, char **ret) {
        _cleanup_free_ char *result = NULL;
        size_t size = 0, at = 0;

        sort_edits(edits);
        FILE *stream = open_memstream(&result, &size);
        if (!stream)
                return -ENOMEM;
        for (size_t i = 0; i < edits->n; i++) {
                fwrite(text + at, 1, edits->list[i].begin - at, stream);
                fputs(edits->list[i].text, stream);
                at = edits->list[i].end;
        }
        fputs(text + at, stream);
        if (fclose(stream) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(result);
        return 0;
}

/* What the file lacks, as edits. */
static int collect(const char *text, const TomlFile *file, const SetupRunner *runner, Edits *edits,
                   Problem *reterr_problem) {
        size_t table = NO_RUNNER, length = strlen(text);
        const size_t top = startswith(text, "\xef\xbb\xbf") ? 3 : 0;

        int r = find_runner(file, runner->name, &table, reterr_problem);
        if (r < 0)
                return r;
        if (!toml_file_value(file, 0, "concurrent"))
                r = add_edit(edits, top, top, CONCURRENT, NULL, length > top ? "\n" : "");
        if (r < 0)
                return r;
        if (table == NO_RUNNER && !runner->section)
                return problem_set(reterr_problem, -EINVAL,
                                   "runner '%s' was removed from it meanwhile; call setup again", runner->name);
        if (table == NO_RUNNER) {
                r = add_edit(edits, length, length, length > top && text[length - 1] != '\n' ? "\n\n" : "\n", NULL,
                             runner->section);
                return r < 0 ? r : SETUP_ADDED;
        }
        r = change_value(file, table, runner->name, "url", runner->url, edits, reterr_problem);
        if (r < 0)
                return r;
        r = change_value(file, table, runner->name, "token", runner->token, edits, reterr_problem);
        if (r < 0)
                return r;
        return edits->n > 0 ? SETUP_CHANGED : SETUP_UNCHANGED;
}

int setup_merge(const char *text, const SetupRunner *runner, char **ret, Problem *reterr_problem) {
        _cleanup_toml_file_ TomlFile file = { 0 }, merged_file = { 0 };
        _cleanup_(edits_done) Edits edits = { 0 };
        _cleanup_free_ char *merged = NULL;

        int r = toml_file_parse(text, &file, reterr_problem);
        if (r < 0)
                return r;
        const int outcome = collect(text, &file, runner, &edits, reterr_problem);
        if (outcome < 0)
                return outcome;
        r = apply(text, &edits, &merged);
        if (r < 0)
                return r;
        /* The result must be valid, or it is not written. */
        r = toml_file_parse(merged, &merged_file, reterr_problem);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(merged);
        return outcome;
}
