/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps the file of metrics. Called by `cleanup`, once for each job. Whoever reads the file sees it whole, and whoever
 * is killed here loses no more than his own job's share. */

#include "machine/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"

#define FILE_MAX_BYTES (4 * 1024 * 1024)
#define LOCK_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define LOCK_POLL_USEC (2 * USEC_PER_MSEC)
#define OTHER "other"

/* Jobs can name images as they like. */
#define IMAGE_MAX 256
#define PROJECT_MAX 24
/* When each byte is escaped. */
#define ESCAPED_MAX (2 * IMAGE_MAX + 1)

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

static const struct {
        const char *name, *type, *help;
        bool is_peak; /* the highest counts, not the sum */
} metrics[METRICS] = {
        [METRIC_JOBS] = { "nspawn_runner_jobs_total", "counter", "Jobs that have ended.", false },
        [METRIC_CPU] = { "nspawn_runner_cpu_seconds_total", "counter", "CPU time of jobs.", false },
        [METRIC_MEMORY] = { "nspawn_runner_memory_peak_bytes", "gauge", "The most memory that a job used.", true },
        [METRIC_WRITTEN] = { "nspawn_runner_written_bytes_total", "counter", "What jobs wrote to disk.", false },
        [METRIC_RECEIVED] = { "nspawn_runner_network_received_bytes_total", "counter",
                              "What jobs with a network of their own received.", false },
        [METRIC_SENT] = { "nspawn_runner_network_sent_bytes_total", "counter",
                          "What jobs with a network of their own sent.", false },
        [METRIC_STEPS] = { "nspawn_runner_step_seconds_total", "counter", "How long the steps of jobs took.", false },
};

typedef struct Pair {
        char image[ESCAPED_MAX], project[PROJECT_MAX]; /* as they are written */
        double values[METRICS];
} Pair;

typedef struct Pairs {
        Pair *items;
        size_t n;
} Pairs;

static void pairs_done(Pairs *pairs) {
        free(pairs->items);
}

/* Also keeps what would break the text out of it. */
static void escape(const char *label, char ret[static ESCAPED_MAX]) {
        size_t n = 0;

        for (const char *p = label; *p && p < label + IMAGE_MAX; p++) {
                if (*p == '\\' || *p == '"')
                        ret[n++] = '\\';
                ret[n++] = (unsigned char) *p < ' ' ? '?' : *p;
        }
        ret[n] = 0;
}

/* NULL: memory ran out. */
static Pair *find_pair(Pairs *pairs, const char *image, const char *project) {
        for (size_t i = 0; i < pairs->n; i++)
                if (streq(pairs->items[i].image, image) && streq(pairs->items[i].project, project))
                        return pairs->items + i;
        if (pairs->n >= METRICS_PAIRS_MAX && !streq(image, OTHER))
                return find_pair(pairs, OTHER, OTHER);
        Pair *grown = reallocarray(pairs->items, pairs->n + 1, sizeof(*grown));
        if (!grown)
                return NULL;
        pairs->items = grown;
        Pair *pair = &pairs->items[pairs->n++];
        *pair = (Pair){ 0 };
        snprintf(pair->image, sizeof(pair->image), "%s", image);
        snprintf(pair->project, sizeof(pair->project), "%s", project);
        return pair;
}

/* The end of a label's value at @p, which is its closing quote; NULL: it has none. */
static char *label_end(char *p) {
        for (; *p && *p != '"'; p++)
                if (*p == '\\' && p[1])
                        p++;
        return *p ? p : NULL;
}

/* NAME{image="...",project="..."} VALUE. Anything else is not ours. */
static int read_line(Pairs *pairs, char *line) {
        char *image = strstr(line, "{image=\"");
        char *image_end = image ? label_end(image + strlen("{image=\"")) : NULL;
        char *project = image_end ? (char *) startswith(image_end, "\",project=\"") : NULL;
        char *project_end = project ? label_end(project) : NULL;
        char *value = project_end ? (char *) startswith(project_end, "\"} ") : NULL;

        if (!value)
                return 0;
        *image = *image_end = *project_end = 0;
        image += strlen("{image=\"");
        if (strlen(image) >= ESCAPED_MAX || strlen(project) >= PROJECT_MAX)
                return 0;
        for (size_t i = 0; i < METRICS; i++) {
                if (!streq(metrics[i].name, line))
                        continue;
                Pair *pair = find_pair(pairs, image, project);
                if (!pair)
                        return -ENOMEM;
                pair->values[i] += strtod(value, NULL);
        }
        return 0;
}

static int read_text(Pairs *pairs, const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        char *state = NULL;

        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                int r = read_line(pairs, line);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void add_value(Pair *pair, Metric metric, uint64_t value, double unit) {
        if (value == UINT64_MAX) /* this host does not tell */
                return;
        double more = (double) value / unit;
        pair->values[metric] = metrics[metric].is_peak ? MAX(pair->values[metric], more) : pair->values[metric] + more;
}

static int add_job(Pairs *pairs, const MetricsJob *job) {
        char image[ESCAPED_MAX], project[PROJECT_MAX] = "";

        escape(job->image, image);
        if (job->project_id != 0)
                snprintf(project, sizeof(project), "%" PRIu64, job->project_id);
        Pair *pair = find_pair(pairs, image, project);
        if (!pair)
                return -ENOMEM;
        add_value(pair, METRIC_JOBS, 1, 1);
        add_value(pair, METRIC_CPU, job->usage.cpu_usec, USEC_PER_SEC);
        add_value(pair, METRIC_MEMORY, job->usage.memory_peak_bytes, 1);
        add_value(pair, METRIC_WRITTEN, job->usage.written_bytes, 1);
        add_value(pair, METRIC_RECEIVED, job->usage.received_bytes, 1);
        add_value(pair, METRIC_SENT, job->usage.sent_bytes, 1);
        add_value(pair, METRIC_STEPS, job->steps_usec, USEC_PER_SEC);
        return 0;
}

static int write_text(const Pairs *pairs, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        for (size_t m = 0; m < METRICS; m++) {
                fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", metrics[m].name, metrics[m].help, metrics[m].name,
                        metrics[m].type);
                for (size_t i = 0; i < pairs->n; i++) {
                        if (pairs->items[i].values[m] <= 0) /* most likely nobody knows */
                                continue;
                        fprintf(f, "%s{image=\"%s\",project=\"%s\"} %.15g\n", metrics[m].name, pairs->items[i].image,
                                pairs->items[i].project, pairs->items[i].values[m]);
                }
        }
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

int metrics_add(const char *text, const MetricsJob *job, char **ret) {
        _cleanup_(pairs_done) Pairs pairs = { 0 };

        int r = text ? read_text(&pairs, text) : 0;
        if (r < 0)
                return r;
        r = add_job(&pairs, job);
        return r < 0 ? r : write_text(&pairs, ret);
}

/* Opens the file and locks it. Others replace the file, so the one that is locked must also be the one that has the
 * name now. */
static int lock_file(int dir_fd, const char *name) {
        uint64_t deadline = clock_deadline(LOCK_TIMEOUT_USEC);

        while (clock_now_usec() < deadline) {
                struct stat locked, there;

                _cleanup_close_ int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
                                                0644);
                if (fd < 0)
                        return -errno;
                if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                        if (errno != EWOULDBLOCK)
                                return -errno;
                        clock_sleep_usec(LOCK_POLL_USEC);
                        continue;
                }
                if (fstat(fd, &locked) >= 0 && fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) >= 0 &&
                    locked.st_ino == there.st_ino && locked.st_dev == there.st_dev)
                        return TAKE_FD(fd);
        }
        return -EBUSY;
}

int metrics_file_add(const char *path, const MetricsJob *job) {
        _cleanup_free_ char *directory = strdup(path), *base = strdup(path), *before = NULL, *after = NULL;

        if (!directory || !base)
                return -ENOMEM;
        const char *name = basename(base);
        _cleanup_close_ int dir_fd = open(dirname(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        _cleanup_close_ int fd = lock_file(dir_fd, name);
        if (fd < 0)
                return fd;
        int r = fd_read_all(fd, FILE_MAX_BYTES, &before, NULL);
        if (r < 0 && r != -EFBIG) /* that is not ours */
                return r;
        r = metrics_add(r < 0 ? NULL : before, job, &after);
        return r < 0 ? r : file_replace_at(dir_fd, name, after, strlen(after), 0644);
}
