/* SPDX-License-Identifier: GPL-3.0-or-later */

/* peak FILE COMMAND...: runs a command and writes the peak of its resident memory, in KiB, to a file. The figure that
 * the kernel hands to a waiting parent would not do: it includes what the process was before it executed the command,
 * and the programs that the command ran. So the process is stopped when it exits, and asked before its memory is gone.
 */

#define _GNU_SOURCE 1

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(long r, const char *what) {
        if (r < 0)
                err(125, "%s", what);
}

static long peak_kib(pid_t pid) {
        char path[64], line[256];
        long kib = -1;

        snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        FILE *f = fopen(path, "re");
        if (!f)
                err(125, "%s", path);
        while (kib < 0 && fgets(line, sizeof(line), f))
                (void) sscanf(line, "VmHWM: %ld", &kib);
        fclose(f);
        return kib;
}

/* Lets the process go on until it exits. Returns its wait status. */
static int follow(pid_t pid, long *ret_peak_kib) {
        int status;

        for (;;) {
                check(waitpid(pid, &status, 0), "waitpid");
                if (!WIFSTOPPED(status))
                        return status;

                int event = status >> 16, signal = 0;
                if (event == PTRACE_EVENT_EXIT)
                        *ret_peak_kib = peak_kib(pid);
                else if (event == 0)
                        signal = WSTOPSIG(status); /* meant for the command */
                check(ptrace(PTRACE_CONT, pid, NULL, signal), "PTRACE_CONT");
        }
}

int main(int argc, char **argv) {
        long kib = -1;
        int go[2];
        char byte;

        if (argc < 3)
                errx(125, "usage: peak FILE COMMAND...");
        check(pipe2(go, O_CLOEXEC), "pipe");

        pid_t pid = fork();
        check(pid, "fork");
        if (pid == 0) {
                close(go[1]);
                if (read(go[0], &byte, 1) != 1)
                        _exit(125);
                execv(argv[2], argv + 2);
                err(125, "%s", argv[2]);
        }
        check(ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT), "PTRACE_SEIZE");
        if (write(go[1], "", 1) != 1)
                err(125, "write");
        int status = follow(pid, &kib);
        if (kib < 0)
                errx(125, "%s was gone before its memory could be seen", argv[2]);

        FILE *f = fopen(argv[1], "we");
        if (!f || fprintf(f, "%ld\n", kib) < 0 || fclose(f) != 0)
                err(125, "%s", argv[1]);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
