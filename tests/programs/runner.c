/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Stands for GitLab Runner's program where there is none, for the integration tests: linked statically as that one is,
 * called by GitLab's scripts as that one is, and able to call the driver as that one does. Does nothing else.
 *
 *      gitlab-runner --version
 *      gitlab-runner call LOCK PROGRAM [ARGUMENT...] runs the program as the child of a process that lives until nobody holds
 *                                                    the file LOCK locked any more, as jobs end with GitLab Runner
 *      gitlab-runner cache-archiver                  saves the file `cached` of the current directory in /cache
 *      gitlab-runner cache-extractor                 brings it back
 *      gitlab-runner artifacts-uploader              sends the file `artifact` to $CI_SERVER_URL
 *      gitlab-runner artifacts-downloader            fetches it from there
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CACHE "/cache/saved"
#define BYTES_MAX 4096

static int fail(const char *what) {
        perror(what);
        return 1;
}

static int run(char *argv[]) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                execv(argv[0], argv);
                perror(argv[0]);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return fail("call");
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int stay(int lock_fd) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        /* Nobody waits for what this process could print. */
        for (int fd = 0; fd < 3; fd++)
                dup2(null_fd, fd);
        return flock(lock_fd, LOCK_SH) < 0;
}

static int call(const char *lock, char *argv[]) {
        int lock_fd = open(lock, O_RDONLY | O_CLOEXEC), ends[2];
        unsigned char status;

        if (lock_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return fail(lock);
        if (fork() == 0) {
                status = (unsigned char) run(argv);
                _exit(write(ends[1], &status, 1) == 1 ? stay(lock_fd) : 1);
        }
        close(ends[1]);
        return read(ends[0], &status, 1) == 1 ? status : fail("call");
}

static ssize_t read_file(const char *path, char data[BYTES_MAX]) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, data, BYTES_MAX);

        if (fd >= 0)
                close(fd);
        return n;
}

static int write_file(const char *path, const char *data, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        ssize_t n = fd < 0 ? -1 : write(fd, data, size);

        if (fd >= 0)
                close(fd);
        return n == (ssize_t) size ? 0 : fail(path);
}

static int copy(const char *from, const char *to) {
        char data[BYTES_MAX];
        ssize_t n = read_file(from, data);

        return n < 0 ? fail(from) : write_file(to, data, (size_t) n);
}

/* To http://ADDRESS:PORT, as a number each. */
static int connect_server(void) {
        const char *url = getenv("CI_SERVER_URL");
        struct sockaddr_in address = { .sin_family = AF_INET };
        char host[64];
        unsigned port;

        if (!url || sscanf(url, "http://%63[0-9.]:%u", host, &port) != 2 || inet_aton(host, &address.sin_addr) == 0)
                return -1;
        address.sin_port = htons((unsigned short) port);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -1 : fd;
}

/* Sends a request and reads what comes until the server closes. */
static ssize_t ask(const char *method, const char *body, size_t size, char reply[BYTES_MAX]) {
        char head[256];
        ssize_t n, sum = 0;
        int fd = connect_server();

        int length = snprintf(head, sizeof(head), "%s /artifact HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", method, size);
        if (fd < 0 || write(fd, head, (size_t) length) != length || write(fd, body, size) != (ssize_t) size)
                return -1;
        while (sum < BYTES_MAX - 1 && (n = read(fd, reply + sum, (size_t) (BYTES_MAX - 1 - sum))) > 0)
                sum += n;
        reply[sum] = 0;
        close(fd);
        return sum;
}

static int upload(void) {
        char data[BYTES_MAX], reply[BYTES_MAX];
        ssize_t n = read_file("artifact", data);

        if (n < 0 || ask("PUT", data, (size_t) n, reply) < 0)
                return fail("artifact");
        return strstr(reply, " 20") ? 0 : 1;
}

static int download(void) {
        char reply[BYTES_MAX];

        if (ask("GET", "", 0, reply) < 0)
                return fail("artifact");
        const char *body = strstr(reply, "\r\n\r\n");
        return body && strstr(reply, " 200") ? write_file("artifact", body + 4, strlen(body + 4)) : 1;
}

int main(int argc, char *argv[]) {
        const char *command = argc > 1 ? argv[1] : "";

        if (strcmp(command, "--version") == 0)
                return printf("Version: 19.4.0\n") < 0;
        if (strcmp(command, "call") == 0 && argc > 3)
                return call(argv[2], argv + 3);
        if (strcmp(command, "cache-archiver") == 0)
                return copy("cached", CACHE);
        if (strcmp(command, "cache-extractor") == 0)
                return copy(CACHE, "cached");
        if (strcmp(command, "artifacts-uploader") == 0)
                return upload();
        if (strcmp(command, "artifacts-downloader") == 0)
                return download();
        fprintf(stderr, "gitlab-runner: unknown command '%s'\n", command);
        return 1;
}
