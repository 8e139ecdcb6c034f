/* SPDX-License-Identifier: GPL-3.0-or-later */

/* peak FILE COMMAND...: runs a command and writes its peak resident memory, in KiB, to a file. The kernel
 * counts what a process was before it executed the command as part of that command's peak, so an
 * interpreter cannot measure anything smaller than itself: this program is small and static. */

#define _GNU_SOURCE 1

#include <err.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
        struct rusage usage;
        int status;

        if (argc < 3)
                errx(125, "usage: peak FILE COMMAND...");

        FILE *f = fopen(argv[1], "we");
        if (!f)
                err(125, "%s", argv[1]);

        pid_t pid = fork();
        if (pid < 0)
                err(125, "fork");
        if (pid == 0) {
                execv(argv[2], argv + 2);
                err(125, "%s", argv[2]);
        }
        if (wait4(pid, &status, 0, &usage) < 0)
                err(125, "wait4");

        if (fprintf(f, "%ld\n", usage.ru_maxrss) < 0 || fclose(f) != 0)
                err(125, "%s", argv[1]);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
