/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One call of a stage: asks the broker, passes the output on line by line, and ends the stage when the job is
 * cancelled or has no more time. Called by the process of a job. No line may get out before the secrets in it are
 * replaced. */

#include "local/call.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "pipeline/mask.h"

static void note_error(Caller *caller, const char *line) {
        const char *error = startswith(line, "ERROR: ");

        if (error && !caller->error[0])
                snprintf(caller->error, sizeof(caller->error), "%.479s", error);
}

/* @line with each secret replaced. */
static void send_line(Caller *caller, const char *line) {
        static const Variables none = { 0 };
        _cleanup_free_ char *text = NULL;

        if (mask_text(caller->job ? &caller->job->variables : &none, line, &text) < 0)
                return;
        note_error(caller, text);
        (void) event_send_text(caller->events_fd, EVENT_LINE, text, strlen(text));
}

void caller_log(Caller *caller, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        int r = string_vprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return;
        send_line(caller, text);
}

static int ask(Caller *caller, const Call *call, int output_fd) {
        size_t size = 0;
        const char *environment = caller->job ? local_environment(caller->job, &size) : "";
        _cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        _cleanup_close_ int environment_fd = memfd_new_sealed("environment", environment, size);
        _cleanup_close_ int script_fd = -EBADF;

        if (null_fd < 0 || environment_fd < 0)
                return null_fd < 0 ? -errno : environment_fd;
        if (call->stage == BROKER_RUN) {
                script_fd = memfd_new_sealed("script", call->script, strlen(call->script));
                if (script_fd < 0)
                        return script_fd;
        }
        const int fds[] = { call->stdin_fd < 0 ? null_fd : call->stdin_fd,
                            call->stdout_fd < 0 ? output_fd : call->stdout_fd, call->quiet ? null_fd : output_fd,
                            environment_fd, script_fd };
        if (call->stage == BROKER_STEP)
                return broker_send_step(caller->broker_fd, call->arguments, call->file_bytes_max, fds, 4);
        return broker_send(caller->broker_fd, BROKER_CALL, call->stage, call->arguments, fds,
                           call->stage == BROKER_RUN ? 5 : 4);
}

/* The beginning of a line that has not ended. */
typedef struct Output {
        Caller *caller;
        size_t size;
        char text[EVENT_TEXT_MAX + 1];
} Output;

static void end_line(Output *output) {
        size_t n = output->size;

        while (n > 0 && output->text[n - 1] == '\r')
                n--;
        output->text[n] = 0;
        output->size = 0;
        send_line(output->caller, output->text);
}

/* Reads output. False at its end. */
static bool copy(int fd, Output *output) {
        char data[65536];

        ssize_t n = read(fd, data, sizeof(data));
        for (ssize_t i = 0; i < n; i++) {
                if (data[i] == '\n') {
                        end_line(output);
                        continue;
                }
                if (data[i])
                        output->text[output->size++] = data[i];
                if (output->size == EVENT_TEXT_MAX)
                        end_line(output);
        }
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Asks the broker to end the stage, once for each reason. */
static void end(Caller *caller, const Call *call, unsigned *signalled) {
        if (call->stage == BROKER_CLEANUP)
                return;
        unsigned wanted = call->to_the_end ? caller->cancelled >= 2 : caller->cancelled > 0 || caller->timed_out;

        if (caller->late)
                wanted = 1;
        if (wanted && *signalled < wanted + caller->cancelled) {
                *signalled = wanted + caller->cancelled;
                (void) broker_send(caller->broker_fd, BROKER_SIGNAL, call->stage, NULL, NULL, 0);
        }
}

/* Notes whose time is up, of the job or of this call. Returns the next time to look, for poll(): -1 for never. */
static int look_at_time(Caller *caller, const Call *call) {
        uint64_t now = clock_now_usec(), next = USEC_INFINITY;

        if (!call->to_the_end && now >= caller->deadline_usec)
                caller->timed_out = true;
        if (call->deadline_usec > 0 && now >= call->deadline_usec)
                caller->late = true;
        if (!call->to_the_end && !caller->timed_out)
                next = caller->deadline_usec;
        if (call->deadline_usec > 0 && !caller->late)
                next = MIN(next, call->deadline_usec);
        return clock_poll_timeout(next);
}

static int follow(Caller *caller, const Call *call, int output_fd, Output *output, BrokerReply *ret) {
        struct pollfd fds[] = { { .fd = caller->broker_fd, .events = POLLIN },
                                { .fd = output_fd, .events = POLLIN },
                                { .fd = caller->cancelled > 0 ? -1 : caller->cancel_fd, .events = POLLIN } };
        unsigned signalled = 0;

        for (;;) {
                int timeout = look_at_time(caller, call);

                end(caller, call, &signalled);
                if (poll(fds, 3, timeout) < 0 && errno != EINTR)
                        return -errno;
                if (fds[1].revents && !copy(output_fd, output))
                        fds[1].fd = -1;
                if (fds[2].revents) {
                        caller->cancelled = MAX(caller->cancelled, 1u);
                        fds[2].fd = -1;
                }
                if (!fds[0].revents)
                        continue;
                int r = broker_receive(caller->broker_fd, ret);
                if (r <= 0)
                        return r < 0 ? r : -ECONNRESET;
                if (ret->event == BROKER_DONE)
                        return 0;
                caller->cancelled = MAX(caller->cancelled, (unsigned) ret->status);
        }
}

/* The stage has ended, so everything that it wrote can be read now. */
static void copy_rest(int fd, Output *output) {
        for (ssize_t left = 1 << 20; left > 0; left -= 65536) {
                struct pollfd rest = { .fd = fd, .events = POLLIN };

                if (poll(&rest, 1, 0) <= 0 || !copy(fd, output))
                        return;
        }
}

int caller_call(Caller *caller, const Call *call, BrokerReply *ret) {
        _cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;
        static Output output;
        int fds[2];

        output = (Output){ .caller = caller };
        caller->error[0] = 0;
        caller->late = false;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        read_fd = fds[0];
        write_fd = fds[1];
        int r = fd_set_nonblock(read_fd, true);
        if (r < 0)
                return r;
        r = ask(caller, call, write_fd);
        if (r < 0)
                return r;
        closep(&write_fd);
        r = follow(caller, call, read_fd, &output, ret);
        if (r == 0)
                copy_rest(read_fd, &output);
        if (output.size > 0)
                end_line(&output);
        if (call->stage == BROKER_RUN) /* a script can write what it wants */
                caller->error[0] = 0;
        return r < 0 ? r : ret->status < 0 ? ret->status : 0;
}

int caller_wait(Caller *caller, int fd) {
        struct pollfd fds[] = { { .fd = caller->broker_fd, .events = POLLIN },
                                { .fd = caller->cancel_fd, .events = POLLIN },
                                { .fd = fd, .events = POLLIN } };
        BrokerReply reply;

        caller->error[0] = 0;
        caller->late = false;
        while (caller->cancelled == 0 && !caller->timed_out) {
                int n = poll(fds, ELEMENTSOF(fds), clock_poll_timeout(caller->deadline_usec));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n < 0)
                        continue;
                caller->timed_out = n == 0;
                if (fds[1].revents)
                        caller->cancelled = 1;
                if (fds[0].revents) {
                        int r = broker_receive(caller->broker_fd, &reply);
                        if (r <= 0)
                                return r < 0 ? r : -ECONNRESET;
                        caller->cancelled = MAX(caller->cancelled, (unsigned) reply.status);
                } else if (fds[2].revents)
                        return 0;
        }
        return 0;
}

int caller_check(Caller *caller) {
        BrokerReply reply;

        if (!caller)
                return 0;
        for (;;) {
                struct pollfd fds[] = { { .fd = caller->broker_fd, .events = POLLIN },
                                        { .fd = caller->cancelled > 0 ? -1 : caller->cancel_fd, .events = POLLIN } };

                if (poll(fds, ELEMENTSOF(fds), 0) <= 0)
                        break;
                if (fds[1].revents)
                        caller->cancelled = 1;
                if (!fds[0].revents)
                        continue;
                int r = broker_receive(caller->broker_fd, &reply);
                if (r <= 0)
                        return r < 0 ? r : -ECONNRESET;
                caller->cancelled = MAX(caller->cancelled, (unsigned) reply.status);
        }
        if (caller->cancelled > caller->ignored)
                return -ECANCELED;
        caller->timed_out = caller->timed_out || clock_now_usec() >= caller->deadline_usec;
        return caller->timed_out ? -ETIME : 0;
}
