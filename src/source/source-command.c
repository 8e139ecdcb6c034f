/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/string.h"
#include "source/source.h"

/* The directory of the definition, in which scripts beside it are "./script". */
static int definition_directory(const char *path, char **ret) {
        const char *slash = path ? strrchr(path, '/') : NULL;

        if (!slash)
                return string_replace(ret, NULL);
        return slash == path ? string_replace(ret, "/") : string_printf(ret, "%.*s", (int) (slash - path), path);
}

static int fill(const SourceRequest *request, _unused_ SourceResult *result, _unused_ char **ret_problem) {
        _cleanup_free_ char *directory = NULL;
        _cleanup_strv_ char **environment = NULL;

        int r = definition_directory(request->definition->path, &directory);
        if (r >= 0)
                r = strv_extendf(&environment, "ROOT=%s", request->target);
        if (r < 0)
                return r;
        return source_run(request, SOURCE_PROGRAM_FREE, request->definition->create_command, environment, directory);
}

static bool is_script(char *const *argv) {
        return strv_length(argv) == 4 && streq(argv[0], "/bin/sh") && streq(argv[1], "-e") && streq(argv[2], "-c");
}

static const char *subject(const Definition *definition) {
        /* A script's first line says more than the shell's name. */
        return definition->create_command[is_script(definition->create_command) ? 3 : 0];
}

const Source source_command = { .kind = SOURCE_COMMAND, .name = "command", .fill = fill, .subject = subject };
