/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/command.h"
#include "image/create.h"
#include "image/image.h"

#define LAST_LINES 20
#define LINE_BYTES_MAX 240
#define STEP_BYTES_MAX 120

/* What is shown while a builder works: one line that is drawn again and again on a terminal, a line for each step
 * elsewhere. What the builder printed last is kept for when it fails. */
typedef struct Progress {
        const Builder *builder;
        bool terminal;
        uint64_t begin_usec, drawn_usec;
        char step[STEP_BYTES_MAX];
        unsigned verbs_seen;                    /* by worth_a_line() */
        char lines[LAST_LINES][LINE_BYTES_MAX]; /* a ring */
        size_t n_lines;
} Progress;

static void clear_line(const Progress *progress) {
        if (progress->terminal)
                (void) fd_write_all(STDERR_FILENO, "\r\033[K", 4);
}

static unsigned terminal_columns(void) {
        struct winsize size;

        return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void draw(Progress *progress) {
        char line[512];
        uint64_t now = clock_now_usec(), seconds = (now - progress->begin_usec) / USEC_PER_SEC;
        int columns = (int) MIN(terminal_columns(), 200U);

        /* A line that wraps could not be drawn over. */
        int n = snprintf(line, sizeof(line), "[%llu:%02llu] %s", (unsigned long long) (seconds / 60),
                         (unsigned long long) (seconds % 60), progress->step);
        if (n >= columns)
                line[columns - 1] = 0;
        clear_line(progress);
        (void) fd_write_all(STDERR_FILENO, line, strlen(line));
        progress->drawn_usec = now;
}

static void on_tick(void *userdata) {
        Progress *progress = userdata;

        if (progress->terminal && clock_now_usec() - progress->drawn_usec >= USEC_PER_SEC)
                draw(progress);
}

/* Copies without what would move a terminal's cursor. */
static void copy_printable(char *to, size_t size, const char *from) {
        size_t n = 0;

        for (; *from && n + 1 < size; from++)
                to[n++] = (unsigned char) *from < 0x20 || *from == 0x7f ? ' ' : *from;
        to[n] = 0;
}

/* Where each package is a step, a log has only what is done with the packages: "Retrieving" once, and of "Unpacking the
 * base system", "Unpacking tar" and so on the first. */
static bool worth_a_line(Progress *progress, const char *step) {
        static const char *const verbs[] = { "Retrieving ", "Validating ", "Extracting " };

        if (!progress->builder->names_packages)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (startswith(step, verbs[i])) {
                        bool seen = progress->verbs_seen & 1U << i;
                        progress->verbs_seen |= 1U << i;
                        return !seen;
                }
        const char *space = strchr(step, ' ');
        return !space || strchr(space + 1, ' ');
}

static void show_step(Progress *progress, const char *text) {
        copy_printable(progress->step, sizeof(progress->step), text);
        if (progress->terminal)
                draw(progress);
        else if (worth_a_line(progress, progress->step) && log_get_level() < LOG_LEVEL_VERBOSE)
                log_notice("%s", progress->step);
}

static void on_line(void *userdata, const char *line) {
        Progress *progress = userdata;
        const char *step = builder_step(line);

        /* eatmydata reaches only what runs outside of the new tree; the rest says that it cannot have it. */
        if (strstr(line, "libeatmydata.so") && strstr(line, "cannot be preloaded"))
                return;

        copy_printable(progress->lines[progress->n_lines++ % LAST_LINES], LINE_BYTES_MAX, line);
        if (log_get_level() >= LOG_LEVEL_VERBOSE) {
                clear_line(progress);
                log_verbose("%s", line);
        }
        if (step)
                show_step(progress, step);
}

static void log_last_lines(const Progress *progress) {
        size_t n = MIN(progress->n_lines, (size_t) LAST_LINES);

        if (n == 0 || log_get_level() >= LOG_LEVEL_VERBOSE)
                return;
        log_notice("The last lines that it printed:");
        for (size_t i = progress->n_lines - n; i < progress->n_lines; i++)
                log_notice("  %s", progress->lines[i % LAST_LINES]);
}

static int signal_open(void) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

static int explain(const char *root_dir, const char *name, const Progress *progress, int signal_fd, CreateStep step,
                   int r) {
        static const char *const steps[] = {
                [CREATE_STAGING] = "make a directory for it in",
                [CREATE_BUILD] = "run its builder in",
                [CREATE_FINISH] = "complete it in",
                [CREATE_PUBLISH] = "give it its name in",
        };

        if (r > 0) {
                log_error("Image '%s' was not made: %s ended with exit status %d", name, progress->builder->program, r);
                log_last_lines(progress);
                return -EIO;
        }
        if (r == -ECANCELED) {
                struct signalfd_siginfo info;
                bool known = read(signal_fd, &info, sizeof(info)) == sizeof(info);

                log_error("Stopped by %s: image '%s' was not made, and nothing of it was left",
                          known ? signal_name((int) info.ssi_signo) : "a signal", name);
        } else if (r == -EEXIST) {
                log_error("There is something called '%s' in '%s' already", name, root_dir);
        } else if (r == -EBUSY) {
                log_error("Image '%s' is being made by another process", name);
        } else {
                log_error_errno(r, "Image '%s' was not made: cannot %s '%s': %m", name, steps[step], root_dir);
        }
        return r;
}

static int create(const Settings *settings, const char *name, const BuildPlan *plan) {
        Progress progress = {
                .builder = plan->builder,
                .terminal = isatty(STDERR_FILENO),
                .begin_usec = clock_now_usec(),
        };
        CreateStep step;

        _cleanup_close_ int signal_fd = signal_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        ImageCreate request = {
                .root_dir = settings->root_dir,
                .name = name,
                .plan = plan,
                .cancel_fd = signal_fd,
                .on_line = on_line,
                .on_tick = on_tick,
                .userdata = &progress,
        };

        log_notice("Making image '%s': %s %s with %s", name, plan->distribution->label, plan->suite,
                   plan->builder->program);
        int r = image_create(&request, &step);
        clear_line(&progress);
        if (r != 0)
                return explain(settings->root_dir, name, &progress, signal_fd, step, r);

        log_notice("Image '%s' is ready: %s/%s (%llu s)", name, settings->root_dir, name,
                   (unsigned long long) ((clock_now_usec() - progress.begin_usec) / USEC_PER_SEC));
        return 0;
}

int cmd_chroot_create(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *name = invocation_argument(invocation, 0);
        _cleanup_build_plan_ BuildPlan plan = { 0 };
        _cleanup_free_ char *problem = NULL, *path = NULL;

        const char *bad_name = image_name_problem(name);
        if (bad_name) {
                log_error("Image name '%.200s' %s", name, bad_name);
                return -EINVAL;
        }
        if (string_printf(&path, "%s/%s", settings->root_dir, name) < 0)
                return log_oom();
        if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0) {
                log_error("There is something called '%s' in '%s' already", name, settings->root_dir);
                return -EEXIST;
        }
        if (geteuid() != 0) {
                log_error("Only root can make images");
                return -EPERM;
        }

        BuildRequest request = { .suite = invocation_option(invocation, "suite") };
        int r = build_plan_make(&request, &plan, &problem);
        if (r == -EINVAL)
                log_error("%s", problem);
        if (r < 0)
                return r == -EINVAL ? r : log_oom();
        return create(settings, name, &plan);
}
