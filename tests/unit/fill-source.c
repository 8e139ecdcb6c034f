/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <jansson.h>
#include <stdio.h>

#include "base/log.h"
#include "base/string.h"
#include "source/source.h"

/* fill-source TARGET WORK OLD-DIGEST KIND VALUE...: calls source_fill(), prints what came of it as JSON, and on stderr
 * what the programs print. An empty OLD-DIGEST stands for none. VALUE is the script of a command, the reference of an
 * OCI image, or the place and perhaps the sha256 of a tarball. */

static void print_line(_unused_ void *userdata, const char *line) {
        fprintf(stderr, "%s\n", line);
}

static int set_source(SourceSpec *spec, const char *kind, char **values) {
        static char *command[] = { (char *) "/bin/sh", (char *) "-e", (char *) "-c", NULL, NULL };

        if (streq(kind, "command")) {
                spec->kind = SOURCE_COMMAND;
                command[3] = values[0];
                spec->create_command = command;
        } else if (streq(kind, "oci")) {
                spec->kind = SOURCE_OCI;
                spec->oci = values[0];
        } else if (streq(kind, "tarball")) {
                spec->kind = SOURCE_TARBALL;
                spec->tarball = values[0];
                spec->sha256 = values[1];
        } else
                return -EINVAL;
        return 0;
}

int main(int argc, char **argv) {
        SourceSpec spec = { .directory = getenv("DIRECTORY") };
        _cleanup_source_result_ SourceResult result = { 0 };
        Problem problem = { 0 };

        if (argc < 6 || set_source(&spec, argv[4], argv + 5) < 0)
                return EXIT_FAILURE;
        uint64_t max_bytes = 0;
        if (getenv("MAX_BYTES") && parse_uint64(getenv("MAX_BYTES"), &max_bytes) < 0)
                return EXIT_FAILURE;
        const Listener listener = { .cancel_fd = -EBADF, .on_line = print_line };
        SourceRequest request = {
                .spec = &spec,
                .target = argv[1],
                .work = argv[2],
                .old_digest = isempty(argv[3]) ? NULL : argv[3],
                .listener = &listener,
                .max_bytes = max_bytes,
        };
        int r = source_fill(&request, &result, &problem);

        json_auto_t *env = json_array();
        for (char **variable = result.config.env; variable && *variable; variable++)
                json_array_append_new(env, json_string(*variable));
        json_auto_t *root = json_pack("{si ss* ss* ss* ss* ss* sO sb}", "status", r, "problem",
                                      problem.text[0] ? problem.text : NULL, "description", result.description,
                                      "digest", result.digest, "working_dir", result.config.working_dir, "user",
                                      result.config.user, "env", env, "unchanged", result.unchanged);
        if (!root || json_dumpf(root, stdout, 0) < 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}
