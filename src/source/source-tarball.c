/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Source of images: an archive with a root file system, from a file or a URL. Called through the struct at the end
 * only. The archive is not trusted: curl, sha256sum and tar run confined, and nothing may be unpacked before the digest
 * was checked. */

#include <fcntl.h>
#include <string.h>

#include "base/curl-config.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "source/source.h"

#define SHA256_DIGITS 64

static bool is_url(const char *tarball) {
        return startswith(tarball, "http://") || startswith(tarball, "https://");
}

/* For curl, in the file @path, which only we can read. */
static int write_url(const char *path, const char *url) {
        _cleanup_free_ char *text = NULL;

        int r = curl_config_url(url, &text);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

static int download(const SourceRequest *request, const char *file, Problem *reterr_problem) {
        _cleanup_free_ char *config = NULL;

        int r = string_printf(&config, "%s/url", request->work);
        if (r < 0)
                return r;
        r = write_url(config, request->spec->tarball);
        if (r < 0)
                return r;
        /* Gives up a transfer that makes no progress. */
        char **argv = ARGV("curl", "--fail", "--location", "--silent", "--show-error", "--proto", "=http,https",
                           "--retry", "3", "--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60",
                           "--output", file, "--config", config);

        if (!program_exists("curl"))
                return problem_set(reterr_problem, -EINVAL,
                                   "curl, which downloads tarballs, is missing: install the package curl.");
        return source_run(request, &(SourceProgram){ .trust = SOURCE_PROGRAM_FETCH, .argv = argv });
}

static bool is_sha256_line(const char *line) {
        return strspn(line, "0123456789abcdef") == SHA256_DIGITS && line[SHA256_DIGITS] == ' ';
}

static int file_sha256(const SourceRequest *request, const char *file, char **ret) {
        /* Reads stdin, because sha256sum escapes some file names in its output. */
        char **argv = ARGV("/bin/sh", "-c", "exec sha256sum <\"$1\"", "sha256sum", file);
        char **readable = ARGV(file);
        SourceProgram program = { .trust = SOURCE_PROGRAM_READ, .argv = argv, .readable = readable };
        _cleanup_free_ char *line = NULL;

        int r = source_run_for_line(request, &program, is_sha256_line, &line);
        if (r != 0)
                return r;
        line[SHA256_DIGITS] = 0;
        *ret = TAKE_PTR(line);
        return 0;
}

/* Finds out the digest of @file before it is unpacked, and compares it with the definition's. */
static int check(const SourceRequest *request, const char *file, char **ret_digest, Problem *reterr_problem) {
        const char *wanted = request->spec->sha256;
        _cleanup_free_ char *sha256 = NULL;

        int r = file_sha256(request, file, &sha256);
        if (r != 0)
                return r;
        if (wanted && !streq(wanted, sha256)) {
                _cleanup_free_ char *shown = NULL;

                r = source_without_credentials(request->spec->tarball, &shown);
                return r < 0 ? r :
                               problem_set(reterr_problem, -EINVAL,
                                           "%s does not have the SHA-256 in the definition, but %s.", shown, sha256);
        }
        return string_printf(ret_digest, "sha256:%s", sha256);
}

static int unpack(const SourceRequest *request, const char *file) {
        /* The archive must not set attributes that mean something to the kernel or to this program ("trusted."). */
        char **argv = ARGV("tar", "--extract", "--file", file, "--force-local", "--directory", request->target,
                           "--numeric-owner", "--same-owner", "--preserve-permissions", "--acls", "--xattrs",
                           "--xattrs-include=user.*", "--xattrs-include=security.capability", "--warning=no-timestamp");
        char **readable = ARGV(file);
        SourceProgram program = { .trust = SOURCE_PROGRAM_UNPACK, .argv = argv, .readable = readable };

        return source_run(request, &program);
}

static int fill(const SourceRequest *request, SourceResult *result, Problem *reterr_problem) {
        const SourceSpec *spec = request->spec;
        _cleanup_free_ char *downloaded = NULL;
        const char *file = spec->tarball;

        if (is_url(spec->tarball)) {
                /* A URL comes with the digest of its file: there is no need to fetch it. */
                int r = string_printf(&result->digest, "sha256:%s", spec->sha256);
                if (r < 0)
                        return r;
                if (streq_null(result->digest, request->old_digest)) {
                        result->unchanged = true;
                        return 0;
                }
                r = string_printf(&downloaded, "%s/tarball", request->work);
                if (r < 0)
                        return r;
                r = download(request, downloaded, reterr_problem);
                if (r != 0)
                        return r;
                file = downloaded;
        } else if (access(file, R_OK) < 0)
                return problem_set(reterr_problem, -EINVAL, "The tarball %s cannot be read: %m.", file);

        _cleanup_free_ char *digest = NULL;
        int r = check(request, file, &digest, reterr_problem);
        if (r != 0)
                return r;
        free(result->digest);
        result->digest = TAKE_PTR(digest);
        result->unchanged = streq_null(result->digest, request->old_digest);
        return result->unchanged ? 0 : unpack(request, file);
}

static const char *subject(const SourceSpec *spec) {
        return spec->tarball;
}

const Source source_tarball = { .kind = SOURCE_TARBALL, .name = "tarball", .fill = fill, .subject = subject };
