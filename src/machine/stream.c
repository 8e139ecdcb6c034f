/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies the output of a step from pipes, or the terminal, of its container to ours, and its input there. step.c calls
 * this. The job owns the other ends of the pipes, so nothing here may wait for it. */

#include "machine/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "base/fd.h"

/* How often one output is copied before the other, the socket and the signals have their turn. */
#define COPIES_MAX 64U

/* More than a terminal of the kernel's holds. */
#define TERMINAL_REST_BYTES ((size_t) 1024 * 1024)

#define INPUT_BUFFER_BYTES (64 * 1024)

Stream stream_to(int target_fd) {
        return (Stream){ .source_fd = -EBADF, .target_fd = target_fd, .splice = true, .remaining = SIZE_MAX };
}

Stream stream_to_lines(Lines *lines) {
        return (Stream){ .source_fd = -EBADF, .target_fd = -EBADF, .lines = lines, .remaining = SIZE_MAX };
}

void stream_close(Stream *stream) {
        closep(&stream->source_fd);
        stream->source_fd = -EBADF;
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
        if (n >= 0 || (errno != EINVAL && errno != EPIPE))
                return n < 0 ? -errno : n;
        if (errno == EINVAL)
                stream->splice = false;
        else
                stream->deaf = true;
        return copy_by_hand(stream, size);
}

static bool has_data(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLIN);
}

void stream_copy(Stream *stream) {
        stream->blocked = false;
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
        if (stream->terminal) /* the kernel tells only what it has already moved to our end */
                stream->remaining = TERMINAL_REST_BYTES;
        stream_copy(stream);
}

void input_close(Input *input) {
        closep(&input->target_fd);
        input->target_fd = -EBADF;
        input->size = input->offset = 0;
}

static void input_write(Input *input) {
        ssize_t n = write(input->target_fd, input->buffer + input->offset, input->size - input->offset);

        if (n < 0) {
                if (errno != EINTR && errno != EAGAIN)
                        input_close(input);
                return;
        }
        input->offset += (size_t) n;
        if (input->offset == input->size)
                input->offset = input->size = 0;
}

void input_copy(Input *input) {
        if (input->size == 0) {
                ssize_t n = read(input->source_fd, input->buffer, INPUT_BUFFER_BYTES);

                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        return;
                if (n <= 0) {
                        input->ended = true;
                        input_close(input);
                        return;
                }
                input->size = (size_t) n;
        }
        input_write(input);
}

int input_begin(Input *input) {
        if (input->source_fd < 0)
                return 0;
        input->buffer = malloc(INPUT_BUFFER_BYTES);
        return input->buffer ? 0 : -ENOMEM;
}

void input_done(Input *input) {
        input_close(input);
        free(input->buffer);
        input->buffer = NULL;
}
