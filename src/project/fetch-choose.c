/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which commit a ref or the version of a component means, from what a server has. Called by fetch-tree.c. It
 * must decide as GitLab does (Gitlab::Ci::Components::InstancePath): versions first, then tags, then branches. */

#include "project/fetch-choose.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/string.h"

#define LATEST "~latest"
#define PARTS 3U /* of a version */

typedef struct Version {
        uint64_t parts[PARTS];
} Version;

/* The beginning of a version: its first @ret_n parts. False: @text is something else, or has more than numbers. */
static bool parse_version(const char *text, Version *ret, size_t *ret_n) {
        for (size_t n = 0; n < PARTS; n++) {
                _cleanup_free_ char *part = strndup(text, strcspn(text, "."));

                if (!part || parse_uint64(part, ret->parts + n) < 0)
                        return false;
                text += strlen(part);
                if (!*text) {
                        *ret_n = n + 1;
                        return true;
                }
                text++;
        }
        return false;
}

/* "1.2.3" or "v1.2.3". Those with something behind it are not what a person means who asks for the latest one. */
static bool parse_release(const char *tag, Version *ret) {
        size_t n;

        return parse_version(tag + (tag[0] == 'v'), ret, &n) && n == PARTS;
}

static int compare(const Version *a, const Version *b) {
        for (size_t i = 0; i < PARTS; i++)
                if (a->parts[i] != b->parts[i])
                        return a->parts[i] < b->parts[i] ? -1 : 1;
        return 0;
}

bool fetch_is_version(PipelineRootKind kind, const char *ref) {
        Version version;
        size_t n;

        return kind == ROOT_COMPONENT && ref && (streq(ref, LATEST) || (parse_version(ref, &version, &n) && n < PARTS));
}

static bool is_commit(const char *ref) {
        size_t n = ref ? strspn(ref, "0123456789abcdef") : 0;

        return (n == 40 || n == 64) && !ref[n];
}

/* What was found so far, the strongest first. */
typedef struct Choice {
        const char *wanted;
        bool is_version;
        Version beginning, best;
        size_t n_beginning;
        const char *best_commit, *best_tag;
        const char *tag, *branch, *exact;
} Choice;

static void consider_version(Choice *choice, const char *tag, const char *commit) {
        Version version;

        if (!choice->is_version || !parse_release(tag, &version))
                return;
        for (size_t i = 0; i < choice->n_beginning; i++)
                if (version.parts[i] != choice->beginning.parts[i])
                        return;
        /* Of an annotated tag, the line of its commit follows that of the tag. */
        if (choice->best_commit && compare(&version, &choice->best) < 0)
                return;
        choice->best = version;
        choice->best_commit = commit;
        choice->best_tag = tag;
}

static void consider(Choice *choice, char *name, const char *commit) {
        const char *tag = startswith(name, "refs/tags/"), *branch = startswith(name, "refs/heads/");
        char *peeled = (char *) endswith(name, "^{}");

        if (peeled)
                *peeled = 0;
        if (tag)
                consider_version(choice, tag, commit);
        if (tag && streq(tag, choice->wanted))
                choice->tag = commit;
        if (branch && streq(branch, choice->wanted))
                choice->branch = commit;
        if (streq(name, choice->wanted))
                choice->exact = commit;
}

static int take(const Choice *choice, const char *ref, char **ret_commit, char **ret_version) {
        const char *commit = choice->best_commit ? choice->best_commit :
                             choice->tag         ? choice->tag :
                             choice->branch      ? choice->branch :
                                                   choice->exact;
        const char *tag = choice->best_commit ? choice->best_tag : choice->tag ? ref : NULL;
        Version version;

        if (!commit || !is_commit(commit))
                return -ENOENT;
        int r = string_replace(ret_commit, commit);
        if (r < 0 || !tag || !parse_release(tag, &version))
                return r;
        return string_replace(ret_version, tag + (tag[0] == 'v'));
}

int fetch_choose(char *lines, PipelineRootKind kind, const char *ref, char **ret_commit, char **ret_version) {
        Choice choice = { .wanted = ref ? ref : "HEAD", .is_version = fetch_is_version(kind, ref) };

        if (is_commit(ref))
                return string_replace(ret_commit, ref);
        if (choice.is_version && !parse_version(ref, &choice.beginning, &choice.n_beginning))
                choice.n_beginning = 0;
        for (char *line; lines && (line = strsep(&lines, "\n"));) {
                char *tab = strchr(line, '\t');

                if (!tab)
                        continue;
                *tab = 0;
                consider(&choice, tab + 1, line);
        }
        return take(&choice, ref, ret_commit, ret_version);
}
