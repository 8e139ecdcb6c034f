/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The outputs of a step, copied from the container to ours, and its input, copied there. Nothing here waits; who calls this
 * polls. */

/* One of the two outputs. */
typedef struct Stream {
        int source_fd; /* read end of a pipe of the container; negative: closed */
        int target_fd;
        bool splice;      /* does the target take splice()? */
        bool terminal;    /* the source is one */
        bool deaf;        /* the target is closed: throw away */
        bool blocked;     /* there is data, but the target takes none now */
        size_t remaining; /* after the step ended: what it has left in the pipe */
} Stream;

/* Not yet connected to a source; the target stays the caller's. */
Stream stream_to(int target_fd);
/* Closes the source. */
void stream_close(Stream *stream);
/* Copies what is in the pipe now, at most stream->remaining, as far as the target takes it. As long as there is no such
 * limit, not for ever: who writes faster than we copy would keep us from all else. At the end of the file, or of what
 * remains, the source is closed. */
void stream_copy(Stream *stream);
/* The step ended: what it wrote is in the pipe by now. What its background processes write from here on is not its
 * output, and may never end. */
void stream_finish(Stream *stream);

/* The input: what was read and not yet taken waits here, so that a step that reads nothing keeps nobody from copying
 * its output. */
typedef struct Input {
        int source_fd; /* ours; negative: at its end, or there is none */
        int target_fd; /* write end of a pipe of the container; negative: not yet there, or closed */
        bool ended;    /* there is no more to read */
        char *buffer;
        size_t offset, size;
} Input;

/* Makes the buffer, where there is a source; it goes with input_done(). 0 or -ENOMEM. */
int input_begin(Input *input);
/* Goes on with what can be done without waiting, as poll() said. */
void input_copy(Input *input);
/* The step takes no more, or there is no more: it reads to the end of the file. */
void input_close(Input *input);
/* The same, and frees the buffer. */
void input_done(Input *input);
