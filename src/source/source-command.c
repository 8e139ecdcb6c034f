/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Source of images: a command of the administrator's that fills the tree. Called through the struct at the end only.
 * The command is trusted and may do anything, but of the caller's environment it must see only PATH and proxies. */

#include "base/string.h"
#include "source/source.h"

static int fill(const SourceRequest *request, _unused_ SourceResult *result, _unused_ Problem *reterr_problem) {
        _cleanup_strv_ char **environment = NULL;

        int r = strv_extendf(&environment, "ROOT=%s", request->target);
        if (r < 0)
                return r;
        SourceProgram program = {
                .trust = SOURCE_PROGRAM_FREE,
                .argv = request->spec->create_command,
                .environment = environment,
                .directory = request->spec->directory,
        };
        return source_run(request, &program);
}

static bool is_script(char *const *argv) {
        return strv_length(argv) == 4 && streq(argv[0], "/bin/sh") && streq(argv[1], "-e") && streq(argv[2], "-c");
}

static const char *subject(const SourceSpec *spec) {
        /* For a script, its first line says more than the shell's name. */
        return spec->create_command[is_script(spec->create_command) ? 3 : 0];
}

const Source source_command = { .kind = SOURCE_COMMAND, .name = "command", .fill = fill, .subject = subject };
