/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-maintenance`: makes and updates the images that have definitions, several at a time, each in a
 * process of its own. One that fails stops only those that are made from it. */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/maintenance-items.h"
#include "cli/make-common.h"
#include "image/generation-collect.h"
#include "image/image.h"
#include "terminal/table.h"
#include "tree/size.h"

#define JOBS_MAX 64

static const char *const state_names[] = {
        [ITEM_WAITING] = "not begun", [ITEM_RUNNING] = "interrupted", [ITEM_CREATED] = "created",
        [ITEM_UPDATED] = "updated",   [ITEM_UNCHANGED] = "unchanged", [ITEM_FAILED] = "failed",
};

/* The images to work on, those named or all that have a definition. */
static int find_names(const Invocation *invocation, bool *bad_files, char ***ret) {
        _cleanup_strv_ char **unusable = NULL;
        _cleanup_free_ char *suite = NULL;

        if (invocation->n_arguments > 0)
                return strv_copy(invocation->arguments, ret);
        int r = definition_list(invocation->settings, ret, &unusable);
        if (r < 0)
                return r;
        for (char **path = unusable; path && *path; path++) {
                log_no_definition(*path);
                *bad_files = true;
        }
        return helper_suite(invocation->settings, &suite) < 0 ? 0 : strv_extend(ret, HELPER_IMAGE);
}

/* The table says already which image it is, and that it failed. */
static const char *skip_beginning(const char *reason) {
        static const char *const ends[] = { " was not made: ", " stays as it was: " };

        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                const char *found = strstr(reason, ends[i]);
                if (found && startswith(reason, "Image '"))
                        return found + strlen(ends[i]);
        }
        return reason;
}

/* What is printed by several at once is told apart by the image's name. */
static void on_line(void *userdata, const char *line) {
        Item *item = userdata;
        const char *reason = startswith(line, "ERROR: ");

        fprintf(stderr, "%s: %s\n", item->name, line);
        maintenance_log_add(&item->log, line);
        if (reason)
                (void) string_replace(&item->reason, skip_beginning(reason));
}

/* The helper image is made anew as chroot-create made it without a definition. -ENOENT: it does not come from there. */
static int find_helper(const Settings *settings, Definition **ret) {
        _cleanup_free_ char *suite = NULL;

        int r = helper_suite(settings, &suite);
        return r < 0 ? -ENOENT : helper_definition_logged(suite, ret);
}

/* Adds an image, unless it is there already. An image that is only the base of others (@is_base) may have no
 * definition, and is then used as it is. 0 or -ENOMEM. */
static int add_item(Maintenance *m, const char *name, bool is_base) {
        _cleanup_definition_ Definition *definition = NULL;

        if (maintenance_item(m, name))
                return 0;
        int r = find_definition_logged(m->settings, name, &definition);
        if (r == -ENOENT && streq(name, HELPER_IMAGE))
                r = find_helper(m->settings, &definition);
        if (r == -ENOENT && is_base)
                return 0;
        if (r == -ENOENT)
                log_error("Image '%s' has no definition: there is neither '%s/%s.yaml' nor '%s/%s.yaml'", name,
                          m->settings->definitions_dir, name, m->settings->root_dir, name);
        Item *items = reallocarray(m->items, m->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        m->items = items;
        items[m->n] = (Item){
                .name = strdup(name), .output_fd = -EBADF, .output.on_line = on_line, .log = MAINTENANCE_LOG_NONE
        };
        if (!items[m->n].name)
                return -ENOMEM;
        items[m->n].definition = TAKE_PTR(definition);
        items[m->n++].state = r < 0 ? ITEM_FAILED : ITEM_WAITING;
        return 0;
}

/* Those that were asked for, and those that they are made from. */
static int add_items(Maintenance *m, char *const *names) {
        for (; names && *names; names++)
                if (add_item(m, *names, false) < 0)
                        return log_oom();
        for (size_t i = 0; i < m->n; i++) {
                const Definition *definition = m->items[i].definition;

                if (definition && definition->source.from && add_item(m, definition->source.from, true) < 0)
                        return log_oom();
        }
        return 0;
}

/* Images that depend on themselves are never begun. */
static int refuse_cycles(Maintenance *m) {
        _cleanup_free_ Definition **definitions = calloc(m->n + 1, sizeof(*definitions));
        _cleanup_free_ Problem *problems = calloc(m->n + 1, sizeof(*problems));
        size_t n = 0;

        if (!definitions || !problems)
                return log_oom();
        for (size_t i = 0; i < m->n; i++)
                if (m->items[i].definition)
                        definitions[n++] = m->items[i].definition;
        if (definition_order(definitions, n, problems) < 0)
                return log_oom();
        for (size_t i = 0; i < n; i++)
                if (problems[i].text[0]) {
                        (void) log_problem(-EINVAL, &problems[i]);
                        maintenance_item(m, definitions[i]->name)->state = ITEM_FAILED;
                }
        return 0;
}

/* Returns false when there is nothing more to come. */
static bool read_output(Item *item) {
        char data[4096];
        ssize_t n;

        while ((n = read(item->output_fd, data, sizeof(data))) > 0)
                lines_feed(&item->output, data, (size_t) n);
        return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* In the child. */
static int work(const Maintenance *m, const Item *item) {
        _cleanup_make_result_ MakeResult result = { 0 };
        static const ItemState states[] = {
                [MAKE_CREATED] = ITEM_CREATED,
                [MAKE_UPDATED] = ITEM_UPDATED,
                [MAKE_UNCHANGED] = ITEM_UNCHANGED,
        };

        _cleanup_close_ int cancel_fd = open_cancel_fd_logged();
        if (cancel_fd < 0 ||
            make_image_logged(m->invocation, item->definition, MAKE_OR_UPDATE, cancel_fd, &result) != 0)
                return ITEM_FAILED;
        return (int) states[result.outcome];
}

static int start(Maintenance *m, Item *item) {
        int fds[2];
        pid_t parent = getpid();

        item->begin_usec = item->end_usec = clock_now_usec();
        item->output.userdata = item;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent || dup2(fds[1], STDERR_FILENO) < 0)
                        _exit(ITEM_FAILED);
                int status = work(m, item);
                fflush(NULL);
                _exit(status);
        }
        int r = -errno;
        close(fds[1]);
        if (pid < 0) {
                close(fds[0]);
                return r;
        }
        /* Best effort: without this log, `logs` has less to show. */
        (void) maintenance_log_begin(m->settings->root_dir, item->name, &item->log);
        item->pid = pid;
        item->output_fd = fds[0];
        item->state = ITEM_RUNNING;
        m->n_running++;
        return fd_set_nonblock(item->output_fd, true);
}

/* Begins what can begin: an image after the one that it is made from. */
static void start_some(Maintenance *m) {
        for (size_t i = 0; i < m->n && m->n_running < m->jobs && !m->stopping; i++) {
                Item *item = &m->items[i];
                const Item *base = item->definition && item->definition->source.from ?
                                           maintenance_item(m, item->definition->source.from) :
                                           NULL;

                if (item->state != ITEM_WAITING || (base && !maintenance_is_over(base)))
                        continue;
                if (base && base->state == ITEM_FAILED) {
                        log_error("Image '%s' was not made: image '%s', which it is made from, failed", item->name,
                                  base->name);
                        item->state = ITEM_FAILED;
                        i = (size_t) -1; /* images before it may be waiting for it */
                        continue;
                }
                int r = start(m, item);
                if (r < 0) {
                        log_error_errno(r, "Cannot start to work on image '%s': %m", item->name);
                        if (item->state != ITEM_RUNNING)
                                item->state = ITEM_FAILED;
                }
        }
}

static void end(Maintenance *m, Item *item) {
        int status;

        lines_end(&item->output);
        closep(&item->output_fd);
        item->state = ITEM_FAILED;
        if (process_wait(item->pid, &status) >= 0 && WIFEXITED(status) && WEXITSTATUS(status) >= ITEM_CREATED &&
            WEXITSTATUS(status) <= ITEM_FAILED)
                item->state = (ItemState) WEXITSTATUS(status);
        item->end_usec = clock_now_usec();
        if (item->state != ITEM_FAILED)
                (void) string_replace(&item->reason, NULL);
        maintenance_log_end(&item->log, state_names[item->state]);
        m->n_running--;
}

static void stop(Maintenance *m) {
        struct signalfd_siginfo info;

        while (read(m->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                m->stopping = true;
                m->signal = (int) info.ssi_signo;
        }
        for (size_t i = 0; i < m->n; i++)
                if (m->items[i].state == ITEM_RUNNING)
                        (void) kill(m->items[i].pid, SIGTERM);
}

static int work_on_all(Maintenance *m) {
        for (;;) {
                struct pollfd pollfds[JOBS_MAX + 1] = { { .fd = m->signal_fd, .events = POLLIN } };
                Item *items[JOBS_MAX + 1];
                nfds_t n = 1;

                start_some(m);
                if (m->n_running == 0)
                        return 0;
                for (size_t i = 0; i < m->n; i++)
                        if (m->items[i].state == ITEM_RUNNING) {
                                pollfds[n] = (struct pollfd){ .fd = m->items[i].output_fd, .events = POLLIN };
                                items[n++] = &m->items[i];
                        }
                if (poll(pollfds, n, -1) < 0 && errno != EINTR)
                        return -errno;
                if (pollfds[0].revents)
                        stop(m);
                for (nfds_t i = 1; i < n; i++)
                        if (pollfds[i].revents && !read_output(items[i]))
                                end(m, items[i]);
        }
}

/* Returns @ret; NULL: it is not known. */
static const char *format_size(const Maintenance *m, const char *name, char ret[static 24]) {
        _cleanup_image_ Image *image = NULL;
        uint64_t bytes;

        if (image_open(m->settings->root_dir, name, &image) < 0 || tree_size(image->fd, &bytes) < 0)
                return m->json ? NULL : "-";
        if (!m->json)
                return format_bytes(bytes, ret);
        snprintf(ret, 24, "%" PRIu64, bytes);
        return ret;
}

static int print_results(const Maintenance *m, Table *table) {
        for (size_t i = 0; i < m->n; i++) {
                const Item *item = &m->items[i];
                char seconds[32], size[24];

                snprintf(seconds, sizeof(seconds), "%.1f",
                         (double) (item->end_usec - item->begin_usec) / (double) USEC_PER_SEC);
                int r = table_add(table, (const char *const[]){ item->name, state_names[item->state], seconds,
                                                                format_size(m, item->name, size), item->reason });
                if (r < 0)
                        return r;
        }
        return table_print(table);
}

static int summarize(const Maintenance *m) {
        static const TableColumn columns[] = {
                { "image", COLUMN_TEXT, .shortens = true },
                { "result", COLUMN_TEXT },
                { "seconds", COLUMN_NUMBER },
                { "size", COLUMN_NUMBER },
                { "reason", COLUMN_TEXT, .rank = 1, .shortens = true },
                { 0 },
        };
        _cleanup_table_ Table *table = NULL;

        int r = table_new("images", columns, m->json, &table);
        if (r < 0)
                return log_error_errno(r, "Cannot make the summary: %m");
        r = print_results(m, table);
        return r < 0 ? log_error_errno(r, "Cannot print the summary: %m") : maintenance_result(m);
}

static int parse_jobs(const char *text, size_t *ret) {
        uint64_t jobs;

        if (!text)
                return 0;
        if (parse_uint64(text, &jobs) < 0 || jobs < 1 || jobs > JOBS_MAX) {
                log_error("--jobs must be a number from 1 to %d, not '%s'", JOBS_MAX, text);
                return COMMAND_MISUSED;
        }
        *ret = (size_t) jobs;
        return 0;
}

static int maintain(Maintenance *m, char *const *names) {
        int r = add_items(m, names);
        if (r < 0)
                return r;
        r = refuse_cycles(m);
        if (r < 0)
                return r;
        if (invocation_has(m->invocation, "dry-run"))
                return maintenance_forecast(m);
        m->signal_fd = open_cancel_fd_logged();
        if (m->signal_fd < 0)
                return m->signal_fd;
        r = work_on_all(m);
        close(m->signal_fd);
        /* Best effort, as `gc` tells what is wrong: old generations whose last job has ended by now. */
        (void) generations_collect(m->settings->root_dir, false, NULL);
        return r < 0 ? log_error_errno(r, "Cannot wait for the work that was started: %m") : summarize(m);
}

static int run(const Invocation *invocation) {
        Maintenance m = { .invocation = invocation, .settings = invocation->settings, .jobs = 1 };
        _cleanup_strv_ char **names = NULL;

        int r = parse_jobs(invocation_option(invocation, "jobs"), &m.jobs);
        if (r < 0)
                return r;
        m.json = invocation_has(invocation, "json");
        if (geteuid() != 0 && !invocation_has(invocation, "dry-run")) {
                log_error("Only root can make images: try 'sudo nspawn-runner chroot-maintenance', or --dry-run");
                return -EPERM;
        }
        r = find_names(invocation, &m.bad_files, &names);
        if (r < 0)
                return log_error_errno(r, "Cannot list the definitions: %m");
        if ((!names || !*names) && !m.json) {
                log_notice("There is no definition in '%s' or '%s'", m.settings->definitions_dir, m.settings->root_dir);
                return m.bad_files ? -EIO : 0;
        }

        r = maintain(&m, names);
        for (size_t i = 0; i < m.n; i++) {
                free(m.items[i].name);
                free(m.items[i].forecast.why);
                free(m.items[i].reason);
                definition_free(m.items[i].definition);
        }
        free(m.items);
        return r;
}

static const CommandOption options[] = {
        { "jobs", "N", "work on N images at a time; default: 1", 0 },
        { "dry-run", NULL, "only say what would be done, without asking a source", 0 },
        { "json", NULL, "print the result as JSON, for programs", 0 },
        NO_WAIT_OPTION,
        { 0 },
};

const Command command_chroot_maintenance = {
        .name = "chroot-maintenance",
        .synopsis = "[NAME...]",
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .options = options,
        .flags = COMMAND_DEFINITION | COMMAND_STATUS,
        .run = run,
        .help = "Make the images that have definitions, and bring them up to date",
};
