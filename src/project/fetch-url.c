/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Fetches single files with curl, and keeps them. Called by fetch.c for what servers have, and for GitLab's templates.
 * A URL may have something secret in it: it must get into no command line, and into no message. */

#include "project/fetch-url.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/curl-config.h"
#include "base/fd.h"
#include "base/string.h"

#define CONTENT "content"
#define FILES "files"
#define DIGEST_BYTES 32U

/* Passes the URL on through the standard input. */
static int write_config(const char *url, int *ret_fd) {
        _cleanup_free_ char *text = NULL;

        int r = curl_config_url(url, &text);
        if (r < 0)
                return r;
        int fd = memfd_new_sealed("url", text, strlen(text));
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

/* Into the file @fd. A redirection from https to http is refused. */
static int run_curl(Fetch *fetch, const char *url, int fd) {
        const char *redirections = startswith(url, "https:") ? "=https" : "=https,http";
        _cleanup_close_ int config_fd = -EBADF;

        int r = write_config(url, &config_fd);
        if (r < 0)
                return r;
        const FetchProgram curl = {
                .argv = ARGV("curl", "--config", "-", "--silent", "--show-error", "--fail", "--globoff", "--location",
                             "--max-redirs", "5", "--proto", "=https,http", "--proto-redir", redirections,
                             "--connect-timeout", "20", "--max-time", "100", "--max-filesize", "4194304"),
                .stdin_fd = config_fd,
                .stdout_fd = fd,
                .file_bytes_max = FETCH_FILE_BYTES_MAX,
        };
        return fetch_run(fetch, &curl);
}

static int download(Fetch *fetch, const char *url, const char *shown, char **ret_data, size_t *ret_size) {
        for (const char *p = url; *p; p++)
                if ((unsigned char) *p <= ' ' || *p == 0x7f)
                        return fetch_fail(fetch, -EREMOTEIO, "its URL has blanks or control characters");
        if (fetch->note)
                fetch->note(shown);
        _cleanup_close_ int fd = memfd_create(CONTENT, MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = run_curl(fetch, url, fd);
        if (r < 0)
                return r;
        return lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, FETCH_FILE_BYTES_MAX, ret_data, ret_size);
}

static int keep(Fetch *fetch, const char *url, const char *data, size_t size) {
        _cleanup_free_ char *directory = NULL;

        int r = fetch_entry(fetch, FILES, url, true, &directory);
        r = r < 0 ? r : fetch_write(directory, CONTENT, data, size);
        return r < 0 ? fetch_fail(fetch, -EREMOTEIO, "it cannot be kept in '%s': %s", fetch->cache, strerror(-r)) : 0;
}

static int load_content(const Fetch *fetch, const char *url, char **ret_data, size_t *ret_size) {
        _cleanup_free_ char *directory = NULL;

        int r = fetch_entry(fetch, FILES, url, false, &directory);
        if (r < 0)
                return r == -EEXIST ? -EUNATCH : r;
        r = fetch_load(directory, CONTENT, ret_data, ret_size);
        return r == -ENOENT ? -EUNATCH : r;
}

/* Into "sha256-..." as @integrity has it: from the digits that sha256sum prints. False: they are none. */
static bool encode_digest(const char *hex, char ret[static 52]) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        uint8_t bytes[DIGEST_BYTES + 1] = { 0 };

        for (size_t i = 0; i < DIGEST_BYTES; i++)
                if (sscanf(hex + 2 * i, "%2hhx", bytes + i) != 1)
                        return false;
        char *end = stpcpy(ret, "sha256-");
        for (size_t i = 0; i < DIGEST_BYTES; i += 3) {
                unsigned word = (unsigned) bytes[i] << 16 | (unsigned) bytes[i + 1] << 8 |
                                (i + 2 < DIGEST_BYTES ? bytes[i + 2] : 0U);

                for (unsigned k = 0; k < 4; k++)
                        *end++ = digits[word >> (18 - 6 * k) & 63];
        }
        end[-1] = '='; /* 32 bytes leave two for the last four digits */
        *end = 0;
        return true;
}

static int check_integrity(Fetch *fetch, const char *integrity, const char *data, size_t size) {
        char digest[64 + 1] = "", actual[52];

        _cleanup_close_ int data_fd = memfd_new_sealed(CONTENT, data, size);
        if (data_fd < 0)
                return data_fd;
        _cleanup_close_ int fd = memfd_create("digest", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        const FetchProgram sum = { .argv = ARGV("sha256sum"), .stdin_fd = data_fd, .stdout_fd = fd };
        int r = fetch_run(fetch, &sum);
        if (r < 0)
                return r;
        if (pread(fd, digest, sizeof(digest) - 1, 0) != sizeof(digest) - 1 || !encode_digest(digest, actual))
                return fetch_fail(fetch, -EREMOTEIO, "sha256sum does not print a digest");
        return streq(actual, integrity) ? 0 : fetch_fail(fetch, -EBADMSG, "%s", actual);
}

int fetch_url_read(Fetch *fetch, const char *url, const char *shown, const char *integrity, char **ret_data,
                   size_t *ret_size) {
        _cleanup_free_ char *data = NULL;

        int r = fetch->online ? download(fetch, url, shown, &data, ret_size) :
                                load_content(fetch, url, &data, ret_size);
        if (r < 0)
                return r;
        r = integrity ? check_integrity(fetch, integrity, data, *ret_size) : 0;
        if (r < 0)
                return r;
        r = fetch->online ? keep(fetch, url, data, *ret_size) : 0;
        if (r < 0)
                return r;
        *ret_data = TAKE_PTR(data);
        return 0;
}
