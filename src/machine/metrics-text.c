/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The texts that Prometheus reads: writes sums as such a text, and reads them again. Called for the file of metrics and by the
 * command `metrics`. What is read never breaks what is written then: each line is ours as a whole, or left out. */

#include "machine/metrics-text.h"

#include <math.h>
#include <string.h>

#include "base/string.h"
#include "base/utf8.h"

#define OTHER "other"
#define SERIES_MAX 128

static const struct {
        const char *name, *type, *unit, *help;
        bool is_peak; /* the highest counts, not the sum */
} metrics[METRICS] = {
        [METRIC_JOBS] = { "nspawn_runner_jobs", "counter", NULL, "Jobs that have ended.", false },
        [METRIC_CPU] = { "nspawn_runner_cpu_seconds", "counter", "seconds", "CPU time of jobs.", false },
        [METRIC_MEMORY] = { "nspawn_runner_memory_peak_bytes", "gauge", "bytes", "The most memory that a job used.",
                            true },
        [METRIC_WRITTEN] = { "nspawn_runner_written_bytes", "counter", "bytes", "What jobs wrote to disk.", false },
        [METRIC_RECEIVED] = { "nspawn_runner_network_received_bytes", "counter", "bytes",
                              "What jobs with a network of their own received.", false },
        [METRIC_SENT] = { "nspawn_runner_network_sent_bytes", "counter", "bytes",
                          "What jobs with a network of their own sent.", false },
        [METRIC_STEPS] = { "nspawn_runner_step_seconds", "counter", "seconds", "How long the steps of jobs took.",
                           false },
};

static const char *const failures[PREPARE_FAILURES] = {
        [PREPARE_JOB] = "job",
        [PREPARE_DISK] = "disk",
        [PREPARE_CANCELED] = "canceled",
        [PREPARE_SYSTEM] = "system",
};

/* In seconds, as OpenMetrics wants numbers in labels. */
static const struct {
        double seconds;
        const char *text;
} buckets[METRICS_BUCKETS] = {
        { 0.1, "0.1" },   { 0.25, "0.25" }, { 0.5, "0.5" },   { 1, "1.0" },         { 2.5, "2.5" },
        { 5, "5.0" },     { 10, "10.0" },   { 20, "20.0" },   { 30, "30.0" },       { 60, "60.0" },
        { 120, "120.0" }, { 300, "300.0" }, { 600, "600.0" }, { HUGE_VAL, "+Inf" },
};

static bool is_utf8(const char *text) {
        for (size_t n; *text; text += n) {
                n = utf8_length(text);
                if (n == 0)
                        return false;
        }
        return true;
}

void metrics_escape(const char *label, char ret[static METRICS_ESCAPED_MAX]) {
        char text[METRICS_LABEL_MAX + 1];
        size_t n = 0;

        snprintf(text, sizeof(text), "%s", label);
        bool valid = is_utf8(text);
        for (const char *p = text; *p; p++) {
                if (*p == '\\' || *p == '"')
                        ret[n++] = '\\';
                ret[n++] = (unsigned char) *p < ' ' || *p == 127 || (!valid && (unsigned char) *p > 127) ? '?' : *p;
        }
        ret[n] = 0;
}

void metrics_heading(FILE *f, MetricsFormat format, const char *name, const char *type, const char *unit,
                     const char *help) {
        const char *total = format == METRICS_PLAIN && streq(type, "counter") ? "_total" : "";

        fprintf(f, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, total, help, name, total, type);
        if (format == METRICS_OPEN && unit)
                fprintf(f, "# UNIT %s %s\n", name, unit);
}

/* --- sums --- */

void metrics_sums_done(MetricsSums *sums) {
        free(sums->pairs);
}

MetricsPair *metrics_sums_pair(MetricsSums *sums, const char *image, const char *project) {
        for (size_t i = 0; i < sums->n; i++)
                if (streq(sums->pairs[i].image, image) && streq(sums->pairs[i].project, project))
                        return sums->pairs + i;
        if (sums->n >= METRICS_PAIRS_MAX && !streq(image, OTHER))
                return metrics_sums_pair(sums, OTHER, OTHER);
        MetricsPair *grown = reallocarray(sums->pairs, sums->n + 1, sizeof(*grown));
        if (!grown)
                return NULL;
        sums->pairs = grown;
        MetricsPair *pair = &sums->pairs[sums->n++];
        *pair = (MetricsPair){ 0 };
        snprintf(pair->image, sizeof(pair->image), "%s", image);
        snprintf(pair->project, sizeof(pair->project), "%s", project);
        return pair;
}

void metrics_pair_add(MetricsPair *pair, Metric metric, double value) {
        double *sum = &pair->values[metric];

        *sum = metrics[metric].is_peak ? MAX(*sum, value) : *sum + value;
}

void metrics_sums_add_prepare(MetricsSums *sums, double seconds) {
        for (size_t i = 0; i < METRICS_BUCKETS; i++)
                if (seconds <= buckets[i].seconds)
                        sums->buckets[i]++;
        sums->prepare_seconds += seconds;
}

/* --- reading --- */

/* What a line is about whose labels we choose: the one number @i of these, and where its value goes. NULL: there are no
 * more. */
static double *fixed_series(MetricsSums *sums, size_t i, char ret[static SERIES_MAX]) {
        if (i < JOB_ENDS) {
                snprintf(ret, SERIES_MAX, "nspawn_runner_job_results_total{result=\"%s\",cause=\"%s\"} ",
                         job_end_result(i), job_end_cause(i));
                return sums->ends + i;
        }
        i -= JOB_ENDS;
        if (i < PREPARE_FAILURES) {
                snprintf(ret, SERIES_MAX, "nspawn_runner_prepare_failures_total{cause=\"%s\"} ", failures[i]);
                return sums->failures + i;
        }
        i -= PREPARE_FAILURES;
        if (i < METRICS_BUCKETS) {
                snprintf(ret, SERIES_MAX, "nspawn_runner_prepare_seconds_bucket{le=\"%s\"} ", buckets[i].text);
                return sums->buckets + i;
        }
        snprintf(ret, SERIES_MAX, "nspawn_runner_prepare_seconds_sum ");
        return i == METRICS_BUCKETS ? &sums->prepare_seconds : NULL;
}

/* Of what never is below 0. */
static bool parse_value(const char *text, double *ret) {
        char *end;
        double value = strtod(text, &end);

        if (end == text || *end || !isfinite(value) || value < 0)
                return false;
        *ret = value;
        return true;
}

static void read_fixed(MetricsSums *sums, const char *line) {
        char series[SERIES_MAX];
        double *sum, value;

        for (size_t i = 0; (sum = fixed_series(sums, i, series)); i++) {
                const char *text = startswith(line, series);

                if (text && parse_value(text, &value))
                        *sum += value;
        }
}

/* The end of a label's value at @p, which is its closing quote; NULL: it has none. */
static char *label_end(char *p) {
        for (; *p && *p != '"'; p++)
                if (*p == '\\' && p[1])
                        p++;
        return *p ? p : NULL;
}

/* NAME{image="...",project="..."} VALUE. Anything else is not ours. */
static int read_pair(MetricsSums *sums, char *line) {
        char *image = strstr(line, "{image=\"");
        char *image_end = image ? label_end(image + strlen("{image=\"")) : NULL;
        char *project = image_end ? (char *) startswith(image_end, "\",project=\"") : NULL;
        char *project_end = project ? label_end(project) : NULL;
        char *text = project_end ? (char *) startswith(project_end, "\"} ") : NULL;
        double value;

        if (!text || !parse_value(text, &value))
                return 0;
        *image = *image_end = *project_end = 0;
        image += strlen("{image=\"");
        if (strlen(image) >= METRICS_ESCAPED_MAX || strlen(project) >= METRICS_PROJECT_MAX || !is_utf8(image) ||
            !is_utf8(project))
                return 0;
        for (Metric i = 0; i < METRICS; i++) {
                const char *rest = startswith(line, metrics[i].name);

                if (!rest || !streq(rest, streq(metrics[i].type, "counter") ? "_total" : ""))
                        continue;
                MetricsPair *pair = metrics_sums_pair(sums, image, project);
                if (!pair)
                        return -ENOMEM;
                metrics_pair_add(pair, i, value);
        }
        return 0;
}

int metrics_sums_read(MetricsSums *sums, const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        char *state = NULL;

        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                if (startswith(line, "nspawn_runner_job_results_") || startswith(line, "nspawn_runner_prepare_")) {
                        read_fixed(sums, line);
                        continue;
                }
                int r = read_pair(sums, line);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- writing --- */

static void write_pairs(FILE *f, const MetricsSums *sums, MetricsFormat format) {
        for (Metric m = 0; m < METRICS; m++) {
                const char *total = streq(metrics[m].type, "counter") ? "_total" : "";

                metrics_heading(f, format, metrics[m].name, metrics[m].type, metrics[m].unit, metrics[m].help);
                for (size_t i = 0; i < sums->n; i++) {
                        const MetricsPair *pair = sums->pairs + i;

                        if (pair->values[m] > 0) /* else most likely nobody knows */
                                fprintf(f, "%s%s{image=\"%s\",project=\"%s\"} %.15g\n", metrics[m].name, total,
                                        pair->image, pair->project, pair->values[m]);
                }
        }
}

static void write_prepare(FILE *f, const MetricsSums *sums, MetricsFormat format) {
        double before = 0; /* no damaged file makes them fall */

        metrics_heading(f, format, "nspawn_runner_prepare_seconds", "histogram", "seconds",
                        "How long it took to prepare the containers of jobs that have ended.");
        for (size_t i = 0; i < METRICS_BUCKETS; i++) {
                before = MAX(before, sums->buckets[i]);
                fprintf(f, "nspawn_runner_prepare_seconds_bucket{le=\"%s\"} %.15g\n", buckets[i].text, before);
        }
        fprintf(f, "nspawn_runner_prepare_seconds_sum %.15g\nnspawn_runner_prepare_seconds_count %.15g\n",
                sums->prepare_seconds, before);
        metrics_heading(f, format, "nspawn_runner_prepare_failures", "counter", NULL,
                        "Containers of jobs that could not be prepared; GitLab Runner may have tried again.");
        for (size_t i = 0; i < PREPARE_FAILURES; i++)
                fprintf(f, "nspawn_runner_prepare_failures_total{cause=\"%s\"} %.15g\n", failures[i],
                        sums->failures[i]);
}

void metrics_sums_write(FILE *f, const MetricsSums *sums, MetricsFormat format) {
        write_pairs(f, sums, format);
        metrics_heading(f, format, "nspawn_runner_job_results", "counter", NULL, "How jobs have ended, and why.");
        for (JobEnd end = 0; end < JOB_ENDS; end++)
                fprintf(f, "nspawn_runner_job_results_total{result=\"%s\",cause=\"%s\"} %.15g\n", job_end_result(end),
                        job_end_cause(end), sums->ends[end]);
        write_prepare(f, sums, format);
}
