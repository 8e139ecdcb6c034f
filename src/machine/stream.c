/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies the output of a step from pipes, or the terminal, of its container to ours, and its input there. step.c calls
 * this. The job owns the other ends of the pipes, so nothing here may wait for it. */

#include "machine/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/fd.h"

/* How many pieces of one output are copied before the other output, the socket and the signals get their turn. */
#define COPIES_MAX 64U

/* More than a terminal of the kernel's holds. */
#define TERMINAL_REST_BYTES ((size_t) 1024 * 1024)

#define BUFFER_BYTES ((size_t) 64 * 1024)

/* How long reading or writing a terminal may wait that should not wait at all. */
#define BRIEF_USEC (100 * USEC_PER_MSEC)

/* Ctrl-], as machinectl(1) has it, and within what time it is to be typed that often. */
#define ESCAPE_KEY '\x1d'
#define ESCAPES 3U
#define ESCAPE_USEC USEC_PER_SEC

static void on_alarm(_unused_ int signal) {
}

void brief_begin(Brief *ret) {
        const struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART: EINTR is what it is for */
        sigset_t mask;

        (void) sigaction(SIGALRM, &action, &ret->action);
        sigemptyset(&mask);
        sigaddset(&mask, SIGALRM);
        (void) sigprocmask(SIG_UNBLOCK, &mask, &ret->mask);
}

void brief_end(const Brief *brief) {
        sigset_t mask;

        (void) sigaction(SIGALRM, &brief->action, NULL);
        sigemptyset(&mask);
        sigaddset(&mask, SIGALRM);
        if (sigismember(&brief->mask, SIGALRM))
                (void) sigprocmask(SIG_BLOCK, &mask, NULL);
}

/* The alarm repeats, because the first signal may come before the call that it must interrupt. */
static void set_alarm(uint64_t usec) {
        const struct timeval time = { .tv_usec = (suseconds_t) usec };

        (void) setitimer(ITIMER_REAL, &(struct itimerval){ .it_interval = time, .it_value = time }, NULL);
}

static ssize_t read_briefly(int fd, char *buffer, size_t size) {
        set_alarm(BRIEF_USEC);
        ssize_t n = read(fd, buffer, size);
        int error = errno;
        set_alarm(0);
        return n < 0 ? -error : n;
}

static ssize_t write_briefly(int fd, const char *buffer, size_t size) {
        set_alarm(BRIEF_USEC);
        ssize_t n = write(fd, buffer, size);
        int error = errno;
        set_alarm(0);
        return n < 0 ? -error : n;
}

static bool is_not_now(ssize_t n) {
        return n == -EINTR || n == -EAGAIN;
}

Stream stream_to(int target_fd) {
        return (Stream){ .source_fd = -EBADF, .target_fd = target_fd, .splice = true, .remaining = SIZE_MAX };
}

Stream stream_to_lines(Lines *lines) {
        return (Stream){ .source_fd = -EBADF, .target_fd = -EBADF, .lines = lines, .remaining = SIZE_MAX };
}

int stream_terminal(Stream *stream) {
        stream->rest.buffer = malloc(BUFFER_BYTES);
        stream->splice = false;
        return stream->rest.buffer ? 0 : -ENOMEM;
}

void stream_done(Stream *stream) {
        stream_close(stream);
        free(stream->rest.buffer);
        stream->rest.buffer = NULL;
}

void stream_close(Stream *stream) {
        closep(&stream->source_fd);
        if (stream->lines)
                lines_end(stream->lines);
        stream->blocked = false;
}

/* Copies with read() and write(), for targets that splice() does not take (O_APPEND files, some terminals). */
static ssize_t copy_by_hand(Stream *stream, size_t size) {
        char buffer[65536];
        ssize_t n = read(stream->source_fd, buffer, MIN(size, sizeof(buffer)));

        if (n < 0)
                return -errno;
        if (stream->lines)
                lines_feed(stream->lines, buffer, (size_t) n);
        else if (n > 0 && !stream->deaf && fd_write_all(stream->target_fd, buffer, (size_t) n) < 0)
                stream->deaf = true;
        return n;
}

static ssize_t copy_some(Stream *stream, size_t size) {
        if (!stream->splice || stream->deaf)
                return copy_by_hand(stream, size);

        /* The flag: without it, Linux before 6.8 waits for data when the target is a file. */
        ssize_t n = splice(stream->source_fd, NULL, stream->target_fd, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n >= 0 || (errno != EINVAL && errno != EPIPE && errno != EPERM))
                return n < 0 ? -errno : n;
        if (errno == EINVAL)
                stream->splice = false;
        else /* nobody reads it any more, or it is full and must not grow (F_SEAL_GROW) */
                stream->deaf = true;
        return copy_by_hand(stream, size);
}

static bool has_data(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLIN);
}

/* Writes what was read to the target, as far as the target takes it. */
static void write_rest(Stream *stream) {
        Rest *rest = &stream->rest;

        while (!stream->deaf && rest->size > 0) {
                ssize_t n = write_briefly(stream->target_fd, rest->buffer + rest->offset, rest->size);

                stream->blocked = is_not_now(n);
                if (stream->blocked)
                        return;
                stream->deaf = n < 0;
                if (n > 0) {
                        rest->offset += (size_t) n;
                        rest->size -= (size_t) n;
                }
        }
        rest->offset = rest->size = 0;
}

static void copy_terminal(Stream *stream) {
        for (unsigned i = 0; i < COPIES_MAX; i++) {
                Rest *rest = &stream->rest;

                write_rest(stream);
                if (stream->blocked)
                        return;
                ssize_t n = stream->remaining == 0 ?
                                    0 :
                                    read_briefly(stream->source_fd, rest->buffer, MIN(stream->remaining, BUFFER_BYTES));
                if (is_not_now(n) && stream->remaining == SIZE_MAX)
                        return;
                if (n <= 0) {
                        stream_close(stream);
                        return;
                }
                rest->size = (size_t) n;
                if (stream->remaining != SIZE_MAX)
                        stream->remaining -= (size_t) n;
        }
}

void stream_copy(Stream *stream) {
        stream->blocked = false;
        if (stream->rest.buffer) {
                copy_terminal(stream);
                return;
        }
        for (unsigned i = 0; stream->remaining > 0; i++) {
                if (i >= COPIES_MAX && stream->remaining == SIZE_MAX)
                        return;
                ssize_t n = copy_some(stream, MIN(stream->remaining, (size_t) 1024 * 1024));

                if (n > 0) {
                        if (stream->remaining != SIZE_MAX)
                                stream->remaining -= (size_t) n;
                        continue;
                }
                if (n == -EINTR)
                        continue;
                if (n == -EAGAIN) {
                        stream->blocked = has_data(stream->source_fd);
                        if (!stream->blocked && stream->remaining != SIZE_MAX)
                                stream_close(stream);
                        return;
                }
                break; /* end of file, or an error that no retry mends */
        }
        stream_close(stream);
}

void stream_finish(Stream *stream) {
        int available;

        if (stream->source_fd < 0)
                return;
        stream->remaining = ioctl(stream->source_fd, FIONREAD, &available) < 0 ? 0 : (size_t) available;
        if (stream->rest.buffer) /* the kernel tells only what it has already moved to our end */
                stream->remaining = TERMINAL_REST_BYTES;
        stream_copy(stream);
}

void input_close(Input *input) {
        closep(&input->target_fd);
        input->rest.size = input->rest.offset = 0;
}

void input_write(Input *input) {
        Rest *rest = &input->rest;
        ssize_t n = write_briefly(input->target_fd, rest->buffer + rest->offset, rest->size);

        if (n < 0) {
                if (!is_not_now(n))
                        input_close(input);
                return;
        }
        rest->offset += (size_t) n;
        rest->size -= (size_t) n;
        if (rest->size == 0)
                rest->offset = 0;
}

/* Was the way out typed, up to the end of @text? */
static bool is_escape(Input *input, const char *text, size_t size) {
        for (size_t i = 0; i < size; i++) {
                uint64_t now = clock_now_usec();

                if (text[i] != ESCAPE_KEY) {
                        input->n_escapes = 0;
                        continue;
                }
                if (input->n_escapes == 0 || now > input->escape_usec + ESCAPE_USEC) {
                        input->n_escapes = 0;
                        input->escape_usec = now;
                }
                if (++input->n_escapes == ESCAPES)
                        return true;
        }
        return false;
}

void input_read(Input *input) {
        Rest *rest = &input->rest;
        char lost[256];

        if (rest->offset > 0)
                memmove(rest->buffer, rest->buffer + rest->offset, rest->size);
        rest->offset = 0;
        /* What nobody takes is lost, as with any terminal. */
        bool full = rest->size == BUFFER_BYTES;
        char *place = full ? lost : rest->buffer + rest->size;
        ssize_t n = read_briefly(input->source_fd, place, full ? sizeof(lost) : BUFFER_BYTES - rest->size);
        if (is_not_now(n))
                return;
        if (n <= 0) {
                input->ended = true;
                input_close(input);
                return;
        }
        input->left = input->terminal && is_escape(input, place, (size_t) n);
        if (!full)
                rest->size += (size_t) n;
}

int input_begin(Input *input) {
        if (input->source_fd < 0)
                return 0;
        input->rest.buffer = malloc(BUFFER_BYTES);
        return input->rest.buffer ? 0 : -ENOMEM;
}

void input_done(Input *input) {
        input_close(input);
        free(input->rest.buffer);
        input->rest.buffer = NULL;
}
