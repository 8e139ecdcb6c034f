/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out whether a service of a job is ready. `prepare` asks again and again until it is. Nothing may be sent to
 * the service: databases count connections that break off, and some refuse hosts that break off too many. */

#include "machine/ready.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "container/channel.h"
#include "machine/inside.h"
#include "machine/step.h"

#define TABLE_BYTES_MAX ((size_t) 16 * 1024 * 1024)
/* proc_pid_net(5): the state of a socket that listens. */
#define TCP_LISTENING "0A"

static bool contains(char *const *ports, unsigned port) {
        char text[8];

        snprintf(text, sizeof(text), "%u", port);
        for (; ports && *ports; ports++)
                if (streq(*ports, text))
                        return true;
        return false;
}

/* As the kernel prints addresses: words of 32 bits, whose bytes are those of the address in the order of this processor. */
static bool read_address(const char *text, size_t n_words, uint8_t *ret) {
        for (size_t i = 0; i < n_words; i++) {
                unsigned word;

                if (sscanf(text + 8 * i, "%8x", &word) != 1)
                        return false;
                memcpy(ret + 4 * i, &word, 4);
        }
        return true;
}

static bool is_loopback(const char *address) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        static const uint8_t loopback6[16] = { [15] = 1 };
        size_t n = strcspn(address, ":");
        uint8_t bytes[16];

        if (n == 8)
                return read_address(address, 1, bytes) && bytes[0] == 127;
        if (n != 32 || !read_address(address, 4, bytes))
                return false;
        return memcmp(bytes, loopback6, 16) == 0 || (memcmp(bytes, mapped, 12) == 0 && bytes[12] == 127);
}

/* A line: "  0: 00000000:1538 00000000:0000 0A ...". */
static bool listens(const char *line, char *const *ports) {
        char local[64], state[8];
        unsigned port;

        if (sscanf(line, " %*[^:]: %63s %*s %7s", local, state) != 2 || !streq(state, TCP_LISTENING))
                return false;
        const char *colon = strchr(local, ':');
        return colon && sscanf(colon + 1, "%x", &port) == 1 && contains(ports, port) && !is_loopback(local);
}

bool service_is_listening(pid_t pid, char *const *ports) {
        static const char *const tables[] = { "tcp", "tcp6" };

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                _cleanup_free_ char *text = NULL;
                char path[64], *state = NULL;

                snprintf(path, sizeof(path), "/proc/%d/net/%s", (int) pid, tables[i]);
                if (file_read_at(AT_FDCWD, path, TABLE_BYTES_MAX, &text, NULL) < 0)
                        continue;
                for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
                        if (listens(line, ports))
                                return true;
        }
        return false;
}

static bool is_listening(const Machine *machine) {
        int first = machine_first_process(machine);

        return first > 0 && service_is_listening(first, machine->ports);
}

/* Asks the systemd inside: it says "starting" until it has tried everything that its target wants. */
static ServiceState ask_systemd(const Machine *machine, const MachineDirectory *directory, uint64_t timeout_usec) {
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        _cleanup_close_ int socket_fd = channel_connect(directory->path);
        _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (socket_fd < 0 || null_fd < 0)
                return SERVICE_STARTING;
        request.argv = ARGV("systemctl", "is-active", "--quiet", machine->boot_target);
        request.stdout_fd = request.stderr_fd = null_fd;
        request.kill_timeout_usec = USEC_PER_SEC;
        request.timeout_usec = MAX(timeout_usec, UINT64_C(1));
        if (step_run(socket_fd, &request, &outcome) < 0)
                return SERVICE_STARTING;
        if (outcome.result == STEP_CANCELLED && outcome.signal != SIGALRM)
                return SERVICE_CANCELLED;
        return step_exit_status(&outcome) == 0 ? SERVICE_READY : SERVICE_STARTING;
}

ServiceState service_state(const Machine *machine, const MachineDirectory *directory, uint64_t timeout_usec) {
        if (faccessat(directory->fd, MACHINE_FILE_ENDED, F_OK, 0) >= 0)
                return SERVICE_ENDED;
        ServiceState booted = machine->boot_target ? ask_systemd(machine, directory, timeout_usec) : SERVICE_READY;
        if (booted != SERVICE_READY)
                return booted;
        if (machine->ports && !is_listening(machine))
                return SERVICE_STARTING;
        return SERVICE_READY;
}
