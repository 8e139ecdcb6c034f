/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints what happens in a pipeline that `exec` runs, as plain lines. Called by exec-run.c. What jobs print is theirs: without
 * a terminal, sequences for one are left out. */

#include "cli/exec-output.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"

#define NAME_WIDTH_MAX 32

void exec_output_begin(ExecOutput *output, Pipeline *pipeline, const RunState *state) {
        *output = (ExecOutput){ .pipeline = pipeline, .state = state, .terminal = isatty(STDOUT_FILENO) };
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (state->jobs[i].take != RUN_LEAVE)
                        output->name_width = MAX(output->name_width, (int) strlen(pipeline->jobs[i].name));
        output->name_width = MIN(output->name_width, NAME_WIDTH_MAX);
}

/* Without "ESC [ ... letter" and other control characters than tabs. */
static void print_plain(const char *line) {
        for (; *line; line++) {
                unsigned char c = (unsigned char) *line;

                if (c == 033 && line[1] == '[') {
                        line += 2;
                        while (*line && !(*line >= '@' && *line <= '~'))
                                line++;
                        if (!*line)
                                return;
                } else if (c >= ' ' || c == '\t')
                        (void) putchar(c);
        }
}

static void print_line(const ExecOutput *output, size_t job, const char *line) {
        (void) printf("%-*s | ", output->name_width, output->pipeline->jobs[job].name);
        if (output->terminal)
                (void) printf("%s\033[0m", line);
        else
                print_plain(line);
        (void) putchar('\n');
        (void) fflush(stdout);
}

void exec_output_job_started(ExecOutput *output, size_t job, unsigned try) {
        char text[64] = "Starting";

        if (try > 1)
                snprintf(text, sizeof(text), "Starting again (try %u)", try);
        print_line(output, job, text);
}

void exec_output_section(ExecOutput *output, size_t job, const char *title) {
        print_line(output, job, title);
}

void exec_output_line(ExecOutput *output, size_t job, const char *line) {
        print_line(output, job, line);
}

void exec_output_job_ended(ExecOutput *output, size_t job, const ExecJobResult *result) {
        char text[400];

        if (result->failure == FAILURE_NONE)
                snprintf(text, sizeof(text), "Job succeeded");
        else
                snprintf(text, sizeof(text), "Job failed: %s%s", result->reason,
                         result->again ? "; it will be tried again" : "");
        print_line(output, job, text);
}

void exec_output_pipeline_ended(ExecOutput *output) {
        const RunState *state = output->state;

        (void) putchar('\n');
        for (size_t i = 0; i < output->pipeline->n_jobs; i++) {
                const RunJob *job = state->jobs + i;

                if (job->take == RUN_LEAVE)
                        continue;
                (void) printf("%-*s   %s%s\n", output->name_width, output->pipeline->jobs[i].name,
                              job_status_name(job->status),
                              job->allow_failure && job->status == JOB_FAILED           ? " (allowed)" :
                              job->status == JOB_MANUAL || job->status == JOB_SCHEDULED ? " (start it with --manual)" :
                                                                                          "");
        }
        (void) printf("Pipeline: %s\n", job_status_name(run_state_status(state)));
        (void) fflush(stdout);
}
