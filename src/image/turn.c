/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Waits for another process that changes the same image, and says who that is. staging.c calls this while it takes the
 * lock. It must never take a lock itself, and what the holder wrote about itself must decide nothing. */

#include "image/turn.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"

#define HOLDER_FILE "holder"
/* How long to wait for a process that publishes, rolls back or cleans up, which does not take long. */
#define PATIENCE_USEC (10 * USEC_PER_SEC)
/* A wait that is no longer is not reported, unless a tree is being made. */
#define SILENT_USEC (500 * USEC_PER_MSEC)
#define POLL_USEC (20 * USEC_PER_MSEC)

void turn_note(const Turn *turn, int lock_fd) {
        char text[128];
        uint64_t start;

        if (!turn || !turn->command || process_start_time(getpid(), &start) < 0)
                return;
        int n = snprintf(text, sizeof(text), "%d %" PRIu64 " %" PRIu64 " %.*s\n", (int) getpid(), start,
                         clock_realtime_usec(), TURN_COMMAND_MAX, turn->command);
        (void) file_replace_at(lock_fd, HOLDER_FILE, text, (size_t) n, 0600);
}

TurnHolder turn_holder(int lock_fd) {
        _cleanup_free_ char *text = NULL;
        TurnHolder holder = { 0 };
        uint64_t start;
        int pid;

        if (lock_fd < 0 || file_read_at(lock_fd, HOLDER_FILE, 128, &text, NULL) < 0 ||
            sscanf(text, "%d %" SCNu64 " %" SCNu64 " %" TEXT_OF(TURN_COMMAND_MAX) "[a-z-]", &pid, &holder.start,
                   &holder.since_usec, holder.command) != 4 ||
            process_start_time(pid, &start) < 0 || start != holder.start)
                return (TurnHolder){ 0 };
        holder.pid = pid;
        return holder;
}

static void say(Turn *turn, TurnWait *wait, bool worth_it) {
        bool same = turn->holder.pid == wait->holder.pid && turn->holder.start == wait->holder.start;

        if (!turn->on_wait || !worth_it || (wait->said && same))
                return;
        wait->said = true;
        wait->holder = turn->holder;
        turn->on_wait(turn->userdata, &turn->holder);
}

int turn_wait(Turn *turn, TurnWait *wait, int lock_fd, bool makes_tree) {
        struct pollfd cancelled = { .fd = turn ? turn->cancel_fd : -EBADF, .events = POLLIN };
        uint64_t now = clock_now_usec();

        if (wait->begin_usec == 0)
                wait->begin_usec = now;
        if (turn)
                turn->holder = turn_holder(lock_fd);
        if (turn && turn->wait)
                say(turn, wait, makes_tree || now >= wait->begin_usec + SILENT_USEC);
        else if (makes_tree || now >= wait->begin_usec + PATIENCE_USEC)
                return -EBUSY;
        return poll(&cancelled, 1, (int) (POLL_USEC / USEC_PER_MSEC)) > 0 ? -ECANCELED : 0;
}

/* Formats a time; only the time of day if it is today. */
static void format_since(uint64_t since_usec, char *ret, size_t size) {
        time_t since = (time_t) (since_usec / USEC_PER_SEC), now = time(NULL);
        struct tm then_tm, now_tm;

        localtime_r(&since, &then_tm);
        localtime_r(&now, &now_tm);
        bool today = then_tm.tm_year == now_tm.tm_year && then_tm.tm_yday == now_tm.tm_yday;
        strftime(ret, size, today ? "%H:%M" : "%Y-%m-%d %H:%M", &then_tm);
}

const char *turn_describe(const TurnHolder *holder, char ret[static TURN_TEXT_BYTES]) {
        char since[20];

        if (holder->pid == 0)
                return strcpy(ret, "another process");
        format_since(holder->since_usec, since, sizeof(since));
        snprintf(ret, TURN_TEXT_BYTES, "%s (PID %d, since %s)", holder->command, (int) holder->pid, since);
        return ret;
}
