/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include "machine/job-end.h"

/* The text formats that Prometheus reads: its own, version 0.0.4, which its textfile collector wants, and OpenMetrics 1.0. They
 * differ in the names that their headings have for counters, and in units. */
typedef enum MetricsFormat { METRICS_PLAIN, METRICS_OPEN } MetricsFormat;

/* The most bytes of a label's value that are used, and what it takes when each of them is escaped. */
#define METRICS_LABEL_MAX 256
#define METRICS_ESCAPED_MAX (2 * METRICS_LABEL_MAX + 1)

/* @label, which others may have chosen, as it stands between quotes: without line breaks, and valid UTF-8. */
void metrics_escape(const char *label, char ret[static METRICS_ESCAPED_MAX]);

/* Writes what comes before the samples of a metric. @name: as that of its samples, but without "_total"; @type: "counter",
 * "gauge" or "histogram"; @unit: what @name ends with, or NULL. */
void metrics_heading(FILE *f, MetricsFormat format, const char *name, const char *type, const char *unit,
                     const char *help);

/* What a job used. */
typedef enum Metric {
        METRIC_JOBS,
        METRIC_CPU,
        METRIC_MEMORY,
        METRIC_WRITTEN,
        METRIC_RECEIVED,
        METRIC_SENT,
        METRIC_STEPS,
        METRICS,
} Metric;

/* Why `prepare` failed. */
typedef enum PrepareFailure {
        PREPARE_JOB, /* what the job asks for cannot be had */
        PREPARE_DISK,
        PREPARE_CANCELED,
        PREPARE_SYSTEM,
        PREPARE_FAILURES,
} PrepareFailure;

#define METRICS_PROJECT_MAX 24
#define METRICS_BUCKETS 14

/* At most so many pairs of image and project: jobs can name any image. What is beyond counts for the pair "other",
 * "other". */
#define METRICS_PAIRS_MAX 500

/* One image with one project. */
typedef struct MetricsPair {
        char image[METRICS_ESCAPED_MAX], project[METRICS_PROJECT_MAX]; /* as they are written */
        double values[METRICS];
} MetricsPair;

/* All sums. */
typedef struct MetricsSums {
        MetricsPair *pairs;
        size_t n;
        double ends[JOB_ENDS];
        double failures[PREPARE_FAILURES];
        double buckets[METRICS_BUCKETS]; /* how many took at most so long; the last one: all */
        double prepare_seconds;
} MetricsSums;

void metrics_sums_done(MetricsSums *sums);
#define _cleanup_metrics_sums_ _cleanup_(metrics_sums_done)

/* The pair with these labels, as they are written; a new one, or the one of all others, if there is none. NULL: memory ran
 * out. */
MetricsPair *metrics_sums_pair(MetricsSums *sums, const char *image, const char *project);

/* Adds @value, in the unit that is written, to what is summed, or takes the higher one. */
void metrics_pair_add(MetricsPair *pair, Metric metric, double value);

/* Adds one `prepare`. */
void metrics_sums_add_prepare(MetricsSums *sums, double seconds);

/* Adds what metrics_sums_write() wrote as METRICS_PLAIN; other lines are ignored. 0 or -ENOMEM. */
int metrics_sums_read(MetricsSums *sums, const char *text);

/* Writes all; METRICS_OPEN: without the line that ends such a text. */
void metrics_sums_write(FILE *f, const MetricsSums *sums, MetricsFormat format);
