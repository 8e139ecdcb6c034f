/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Messages from the process of a job to the one that started it. Both run the same program with the same rights, so
 * only sizes are checked. Called by worker.c and what works for it, by child pipelines, and by the loop of `exec`. */

#include "local/event.h"

#include <string.h>

#include "base/fd.h"

int event_send(int fd, const Event *event) {
        return fd_write_all(fd, event, offsetof(Event, text) + event->size);
}

int event_send_text(int fd, EventType type, const char *text, size_t size) {
        static Event event;

        event = (Event){ .type = type, .exit_code = -1, .size = (uint32_t) MIN(size, EVENT_TEXT_MAX) };
        memcpy(event.text, text, event.size);
        return event_send(fd, &event);
}

static int read_all(int fd, void *data, size_t size) {
        for (size_t done = 0; done < size;) {
                ssize_t n = read(fd, (char *) data + done, size - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return done == 0 ? 0 : -EBADMSG;
                done += (size_t) n;
        }
        return 1;
}

int event_receive(int fd, Event *ret) {
        int r = read_all(fd, ret, offsetof(Event, text));
        if (r <= 0)
                return r;
        if (ret->size > EVENT_TEXT_MAX)
                return -EBADMSG;
        ret->text[ret->size] = 0;
        if (ret->size == 0)
                return 1;
        r = read_all(fd, ret->text, ret->size);
        return r == 0 ? -EBADMSG : r;
}
