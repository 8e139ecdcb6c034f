/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads what services print for the log of their job. `prepare` and `run` call this. How far the last one came is
 * noted in the service's directory, so that each line comes once, whoever is killed in between. It prints nothing and
 * leaves lines as they are: the caller makes them harmless. */

#include "job/service-log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "container/channel.h"
#include "machine/log.h"
#include "machine/step.h"

#define SHOWN_FILE "log-shown"
/* The container's journal keeps the position itself: journalctl(1), --cursor-file. */
#define CURSOR_FILE "/run/nspawn-runner-journal-cursor"
#define END_LINES 15
#define END_LINES_TEXT "15"
#define JOURNAL_BYTES_MAX ((size_t) 1024 * 1024)
#define JOURNAL_TIMEOUT_USEC (10 * USEC_PER_SEC)
/* A longer line is passed on in parts. */
#define LINE_BYTES_MAX ((size_t) 16 * 1024)

/* "[service:postgres-db] ", to be freed. */
static char *make_prefix(const Machine *machine) {
        _cleanup_free_ char *names = NULL;
        char *prefix = NULL;

        for (char **name = machine->names; name && *name; name++)
                if (string_append(&names, "-", "%s", *name) < 0)
                        return NULL;
        return string_printf(&prefix, "[service:%s] ", names ? names : "") < 0 ? NULL : prefix;
}

/* What follows comes with line feeds, which end lines of the log. */
static void tell_lines(OnLine *on_line, const char *prefix, char *text, size_t size) {
        for (char *line = text, *end = text + size; line < end;) {
                char *newline = memchr(line, '\n', (size_t) (end - line));
                size_t n = newline ? (size_t) (newline - line) : (size_t) (end - line);
                _cleanup_free_ char *whole = NULL;

                if (string_printf(&whole, "%s%.*s", prefix, (int) n, line) >= 0)
                        on_line(whole);
                line += n + 1;
        }
}

static void tell_lost(OnLine *on_line, const char *prefix, uint64_t bytes) {
        _cleanup_free_ char *line = NULL;

        if (string_printf(&line, "%s(%" PRIu64 " bytes more than there is room for)", prefix, bytes) >= 0)
                on_line(line);
}

static void tell_full(OnLine *on_line, const char *prefix) {
        _cleanup_free_ char *line = NULL;

        if (string_printf(&line, "%s(its journal may have more, for which there is no room)", prefix) >= 0)
                on_line(line);
}

/* How many bytes of @text are whole lines. The rest may go on later. */
static size_t whole_lines(const char *text, size_t size) {
        const char *newline = size > 0 ? memrchr(text, '\n', size) : NULL;

        return newline ? (size_t) (newline - text) + 1 : size >= LINE_BYTES_MAX ? size : 0;
}

static uint64_t read_shown(const MachineDirectory *directory) {
        _cleanup_free_ char *text = machine_file_read(directory, SHOWN_FILE);
        uint64_t offset;

        return text && parse_uint64(text, &offset) >= 0 ? offset : 0;
}

static void write_shown(const MachineDirectory *directory, uint64_t offset) {
        char text[32];

        snprintf(text, sizeof(text), "%" PRIu64, offset);
        (void) machine_file_write(directory, SHOWN_FILE, text);
}

/* What the container has printed by now. It may print faster than anybody reads, so this ends after as much as there can be at
 * one moment. */
static void copy_console(const MachineDirectory *directory, const char *prefix, bool all, OnLine *on_line) {
        uint64_t offset = read_shown(directory);
        size_t size;

        for (size_t copied = 0; copied < MACHINE_LOG_BYTES_MAX; copied += size) {
                _cleanup_free_ char *text = NULL;
                uint64_t lost, next = offset;

                if (machine_log_read(directory, &next, &text, &size, &lost) < 0 || size == 0)
                        return;
                size_t n = all ? size : whole_lines(text, size);
                if (lost > 0)
                        tell_lost(on_line, prefix, lost);
                tell_lines(on_line, prefix, text, n);
                offset = next - (size - n);
                write_shown(directory, offset);
                if (n < size)
                        return;
        }
}

/* A file in memory that holds JOURNAL_BYTES_MAX, whoever writes: what is more is thrown away. */
static int open_limited(void) {
        _cleanup_close_ int fd = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, JOURNAL_BYTES_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* Asks the journal of a container that booted, which may have been taken over: it answers in time, and not too much, or that
 * is all. What it says is to be freed, NULL where it says nothing. */
static char *ask_journal(const MachineDirectory *directory, char *const *arguments, size_t *ret_size) {
        StepRequest request = STEP_REQUEST_PLAIN;
        _cleanup_strv_ char **argv = NULL;
        StepOutcome outcome;
        char *text = NULL;

        _cleanup_close_ int output_fd = open_limited();
        _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        _cleanup_close_ int socket_fd = channel_connect(directory->path);
        if (output_fd < 0 || null_fd < 0 || socket_fd < 0 ||
            strv_extend_many(&argv, "journalctl", "--boot", "--no-pager", "--quiet", "--output=cat") < 0 ||
            strv_extend_strv(&argv, arguments) < 0)
                return NULL;
        request.argv = argv;
        request.stdout_fd = output_fd;
        request.stderr_fd = null_fd;
        request.kill_timeout_usec = USEC_PER_SEC;
        request.timeout_usec = JOURNAL_TIMEOUT_USEC;
        if (step_run(socket_fd, &request, &outcome) < 0)
                return NULL;
        off_t size = lseek(output_fd, 0, SEEK_CUR);
        if (size < 0 || ftruncate(output_fd, size) < 0 || lseek(output_fd, 0, SEEK_SET) < 0 ||
            fd_read_all(output_fd, JOURNAL_BYTES_MAX, &text, ret_size) < 0)
                return NULL;
        return text;
}

void service_log_copy(const Machine *machine, const MachineDirectory *directory, bool thorough, OnLine *on_line) {
        _cleanup_free_ char *prefix = make_prefix(machine), *journal = NULL;
        size_t size;

        if (!prefix)
                return;
        copy_console(directory, prefix, thorough, on_line);
        if (!machine->boot_target || !thorough)
                return;
        journal = ask_journal(directory, ARGV("--cursor-file=" CURSOR_FILE), &size);
        if (journal)
                tell_lines(on_line, prefix, journal, size);
        if (journal && size == JOURNAL_BYTES_MAX)
                tell_full(on_line, prefix);
}

void service_log_end(const Machine *machine, const MachineDirectory *directory, OnLine *on_line) {
        _cleanup_free_ char *text = NULL, *prefix = make_prefix(machine);
        size_t size = 0;

        text = machine_file_read(directory, MACHINE_FILE_CONSOLE);
        if (machine->boot_target) {
                free(TAKE_PTR(text));
                text = ask_journal(directory, ARGV("--lines=" END_LINES_TEXT), &size);
        }
        if (!text || !prefix)
                return;
        size = strlen(text);
        while (size > 0 && text[size - 1] == '\n')
                size--;
        const char *begin = text + size;
        for (unsigned lines = 0; begin > text; begin--)
                if (begin[-1] == '\n' && ++lines == END_LINES)
                        break;
        on_line("The last lines of its log:");
        tell_lines(on_line, "  ", (char *) begin, size - (size_t) (begin - text));
}
