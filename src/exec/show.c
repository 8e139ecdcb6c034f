/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shows what an evaluation found: the list of jobs, the merged configuration, and what decided about a job. Called by
 * exec.c only. It runs nothing and decides nothing by itself. */

#include "exec/show.h"

#include <jansson.h>
#include <stdio.h>
#include <yaml.h>

#include "base/log.h"
#include "base/string.h"
#include "pipeline/run-state.h"
#include "pipeline/scalar.h"
#include "terminal/ansi.h"
#include "terminal/table.h"

/* Prints compact JSON so that people can read it. */
static int print_json(const char *text) {
        json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

        if (!json)
                return log_error_errno(-EILSEQ,
                                       "The configuration has text that is not UTF-8, which JSON cannot contain");
        (void) json_dumpf(json, stdout, JSON_INDENT(2));
        (void) putchar('\n');
        json_decref(json);
        return 0;
}

/* When a job starts if all goes well: "1", "2", or why it does not. */
static const char *turn(Pipeline *pipeline, const PipelineJob *job, unsigned round, JobStatus status) {
        if (!job->included)
                return "";
        if (round > 0)
                return arena_printf(&pipeline->arena, "%u", round);
        return status == JOB_CREATED ? "waits" : job_status_name(status);
}

/* Optional jobs that are not in the pipeline are not waited for. */
static bool is_present(const PipelineNeed *need) {
        return need->job != SIZE_MAX || need->elsewhere;
}

static const char *needs_text(Pipeline *pipeline, const PipelineJob *job) {
        Text text = { .arena = &pipeline->arena };

        if (!job->by_needs)
                return "";
        for (size_t i = 0; i < job->n_needs; i++)
                if (is_present(job->needs + i))
                        text_printf(&text, "%s%s", text.size > 0 ? ", " : "", job->needs[i].name);
        return text.size > 0 ? text_get(&text) : "-";
}

static int print_table(Pipeline *pipeline, bool all, const unsigned *rounds, const RunState *state) {
        static const TableColumn columns[] = {
                { "JOB", COLUMN_TEXT, .shortens = true },
                { "STAGE", COLUMN_TEXT, .shortens = true, .rank = 3 },
                { "WHEN", COLUMN_TEXT, .rank = 1 },
                { "TURN", COLUMN_TEXT, .rank = 4 },
                { "NEEDS", COLUMN_TEXT, .shortens = true, .rank = 5 },
                { "WHY", COLUMN_TEXT, .shortens = true, .rank = 2 },
                { 0 },
        };
        _cleanup_table_ Table *table = NULL;

        int r = table_new("jobs", columns, false, &table);
        if (r == -ENOENT)
                return log_error_errno(r, "libsmartcols is not installed; install libsmartcols1, or use --json");
        if (r < 0)
                return log_error_errno(r, "Cannot make the list: %m");
        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                const PipelineJob *job = pipeline->jobs + i;
                const char *when = arena_printf(&pipeline->arena, "%s%s", job_when_name(job->when),
                                                job->allow_failure ? ", may fail" : "");

                if (!job->included && !all)
                        continue;
                r = table_add(table,
                              (const char *const[]){ job->name, job->stage, job->included ? when : "",
                                                     turn(pipeline, job, rounds[i], state->jobs[i].status),
                                                     job->included ? needs_text(pipeline, job) : "", job->reason });
                if (r < 0)
                        return log_oom();
        }
        r = table_print(table);
        return r < 0 ? log_error_errno(r, "Cannot print the list: %m") : 0;
}

static void add_text(Text *json, const char *key, const char *value) {
        json_add_string(json, key);
        text_add(json, ":", 1);
        if (value)
                json_add_string(json, value);
        else
                text_add_string(json, "null");
        text_add(json, ",", 1);
}

static void add_job(Text *json, const PipelineJob *job, unsigned round, JobStatus status) {
        text_add(json, "{", 1);
        add_text(json, "name", job->name);
        add_text(json, "stage", job->stage);
        text_printf(json, "\"included\":%s,", job->included ? "true" : "false");
        add_text(json, "why", job->reason);
        add_text(json, "when", job->included ? job_when_name(job->when) : NULL);
        add_text(json, "start_in", job->included && job->when == WHEN_DELAYED ? job->start_in : NULL);
        text_printf(json, "\"allow_failure\":%s,\"interruptible\":%s,\"retry\":%u,",
                    job->allow_failure ? "true" : "false", job->interruptible ? "true" : "false", job->retries);
        if (job->included && round > 0)
                text_printf(json, "\"turn\":%u,", round);
        else
                add_text(json, "turn", job->included ? job_status_name(status) : NULL);
        text_printf(json, "\"needs\":%s", job->by_needs ? "[" : "null");
        bool first = true;
        for (size_t i = 0; job->by_needs && i < job->n_needs; i++)
                if (is_present(job->needs + i)) {
                        text_add(json, ",", !first);
                        json_add_string(json, job->needs[i].name);
                        first = false;
                }
        text_add(json, "]", job->by_needs);
        text_add(json, "}", 1);
}

static int print_list_json(Pipeline *pipeline, bool all, const unsigned *rounds, const RunState *state) {
        Text json = { .arena = &pipeline->arena };
        bool first = true;

        text_printf(&json, "{\"created\":%s,", pipeline->created ? "true" : "false");
        add_text(&json, "why", pipeline->reason);
        add_text(&json, "name", pipeline->name);
        text_add_string(&json, "\"jobs\":[");
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (pipeline->jobs[i].included || all) {
                        text_add(&json, ",", !first);
                        first = false;
                        add_job(&json, pipeline->jobs + i, rounds[i], state->jobs[i].status);
                }
        text_add_string(&json, "]}");
        return print_json(text_get(&json));
}

int exec_show_list(Pipeline *pipeline, bool all, bool json) {
        RunState state;

        if (!pipeline->created) {
                if (!json)
                        log_notice("There is no pipeline: %s", pipeline->reason);
                for (size_t i = 0; i < pipeline->n_jobs; i++) {
                        if (pipeline->jobs[i].included)
                                pipeline->jobs[i].reason = "there is no pipeline";
                        pipeline->jobs[i].included = false;
                }
        }
        const unsigned *rounds = run_state_rounds(pipeline, &state);
        return json ? print_list_json(pipeline, all, rounds, &state) : print_table(pipeline, all, rounds, &state);
}

static bool emit(yaml_emitter_t *emitter, yaml_event_t *event) {
        return yaml_emitter_emit(emitter, event) == 1;
}

/* In quotes if it would be something else without: a number, a truth. */
static bool emit_string(yaml_emitter_t *emitter, const char *text) {
        yaml_event_t event;
        Value value = { 0 };
        bool plain = scalar_read(text, &value) == SCALAR_OK && value.type == VALUE_STRING && value.string == text &&
                     !streq(text, "<<");
        yaml_scalar_style_t style = strchr(text, '\n') ? YAML_LITERAL_SCALAR_STYLE :
                                    plain              ? YAML_PLAIN_SCALAR_STYLE :
                                                         YAML_DOUBLE_QUOTED_SCALAR_STYLE;

        return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *) text, (int) strlen(text), plain,
                                            1, style) &&
               emit(emitter, &event);
}

static bool emit_value(Arena *arena, yaml_emitter_t *emitter, const Value *value) {
        yaml_event_t event;
        bool fine;

        switch (value->type) {
        case VALUE_STRING:
                return emit_string(emitter, value->string);
        case VALUE_LIST:
        case VALUE_REFERENCE:
                fine = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                            value->n_items > 0 ? YAML_BLOCK_SEQUENCE_STYLE :
                                                                                 YAML_FLOW_SEQUENCE_STYLE) &&
                       emit(emitter, &event);
                for (size_t i = 0; fine && i < value->n_items; i++)
                        fine = emit_value(arena, emitter, value->items[i]);
                return fine && yaml_sequence_end_event_initialize(&event) && emit(emitter, &event);
        case VALUE_MAP:
                fine = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                           value->n_pairs > 0 ? YAML_BLOCK_MAPPING_STYLE :
                                                                                YAML_FLOW_MAPPING_STYLE) &&
                       emit(emitter, &event);
                for (size_t i = 0; fine && i < value->n_pairs; i++)
                        fine = emit_string(emitter, value->pairs[i].key) &&
                               emit_value(arena, emitter, value->pairs[i].value);
                return fine && yaml_mapping_end_event_initialize(&event) && emit(emitter, &event);
        default: {
                const char *text = value->type == VALUE_NULL ? "null" : value_to_string(arena, value);

                return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *) text, (int) strlen(text),
                                                    1, 1, YAML_PLAIN_SCALAR_STYLE) &&
                       emit(emitter, &event);
        }
        }
}

static int print_yaml(Pipeline *pipeline) {
        yaml_emitter_t emitter;
        yaml_event_t event;

        if (!yaml_emitter_initialize(&emitter))
                return log_oom();
        yaml_emitter_set_output_file(&emitter, stdout);
        yaml_emitter_set_unicode(&emitter, 1);
        yaml_emitter_set_width(&emitter, -1);
        bool fine = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) && emit(&emitter, &event) &&
                    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) && emit(&emitter, &event) &&
                    emit_value(&pipeline->arena, &emitter, pipeline->config) &&
                    yaml_document_end_event_initialize(&event, 1) && emit(&emitter, &event) &&
                    yaml_stream_end_event_initialize(&event) && emit(&emitter, &event);
        if (fine)
                fine = yaml_emitter_flush(&emitter) == 1;
        if (!fine)
                log_error("Cannot write the configuration: %s", emitter.problem ? emitter.problem : "out of memory");
        yaml_emitter_delete(&emitter);
        return fine ? 0 : -EIO;
}

int exec_show_config(Pipeline *pipeline, bool json) {
        Text text = { .arena = &pipeline->arena };

        if (!json)
                return print_yaml(pipeline);
        value_to_json(&text, pipeline->config);
        return print_json(text_get(&text));
}

/* Line by line without what a terminal would obey: names and values are the repository's. */
static void print_plain(const char *text) {
        for (size_t n; *text; text += n + (text[n] == '\n')) {
                n = strcspn(text, "\n");
                _cleanup_free_ char *line = strndup(text, n), *plain = line ? ansi_plain(line) : NULL;

                (void) puts(plain ? plain : "");
        }
}

int exec_show_job(Pipeline *pipeline, const char *name) {
        const PipelineJob *job = pipeline_find_job(pipeline, name);
        Value *names = value_new(&pipeline->arena, VALUE_MAP, (Place){ 0 });
        Text text = { .arena = &pipeline->arena };

        if (!job) {
                for (size_t i = 0; i < pipeline->n_jobs; i++)
                        map_set(&pipeline->arena, names, pipeline->jobs[i].name, pipeline->jobs[i].place, names);
                log_error("There is no job '%s'%s", name, nearest_key_hint(&pipeline->arena, name, names));
                return -ENOENT;
        }
        pipeline_explain_workflow(pipeline, &text);
        text_add(&text, "\n", 1);
        for (size_t i = (size_t) (job - pipeline->jobs); i < pipeline->n_jobs; i++) {
                bool same = pipeline->jobs + i == job ||
                            (!streq(job->name, name) && streq(pipeline->jobs[i].group, name));

                if (!same)
                        continue;
                if (pipeline->jobs + i != job)
                        text_add(&text, "\n", 1);
                pipeline_explain(pipeline, pipeline->jobs + i, &text);
        }
        print_plain(text_get(&text));
        return 0;
}
