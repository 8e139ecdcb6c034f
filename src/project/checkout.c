/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Asks git about the working copy at hand. Called by the command `exec`, as the user who called it. Facts that git does
 * not know stay NULL; a directory without git is allowed. It must write nothing, and run nothing of the repository. */

#include "project/checkout.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "project/git.h"

void checkout_free(Checkout *checkout) {
        if (!checkout)
                return;
        char *strings[] = { checkout->top,     checkout->branch,      checkout->tag,          checkout->default_branch,
                            checkout->remote,  checkout->user_name,   checkout->user_email,   checkout->commit,
                            checkout->parent,  checkout->author_name, checkout->author_email, checkout->commit_date,
                            checkout->message, checkout->other_root,  checkout->changes_base, checkout->trap };
        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(strings[i]);
        foreign_done(&checkout->foreign);
        strv_free(checkout->paths);
        strv_free(checkout->other_paths);
        strv_free(checkout->changes);
        closep(&checkout->top_fd);
        free(checkout);
}

/* Asks git for something that may be missing: returns only real failures. */
static int ask(const Checkout *checkout, char *const *arguments, char **ret) {
        int r = git_ask(checkout->top, arguments, ret);

        return r == -ENOENT ? 0 : r;
}

int checkout_find_commit(const Checkout *checkout, const char *revision, char **ret) {
        _cleanup_free_ char *name = NULL;

        int r = string_printf(&name, "%s^{commit}", revision);
        return r < 0 ? r :
                       git_ask(checkout->top, ARGV("rev-parse", "--verify", "--quiet", "--end-of-options", name), ret);
}

bool checkout_has_tag(const Checkout *checkout, const char *name) {
        _cleanup_free_ char *ref = NULL, *commit = NULL;

        return string_printf(&ref, "refs/tags/%s", name) >= 0 && checkout_find_commit(checkout, ref, &commit) >= 0;
}

/* Reads the branch and a tag from "HEAD -> refs/heads/main, tag: refs/tags/v1". */
static int read_decoration(Checkout *checkout, const char *text) {
        static const char branch[] = "HEAD -> refs/heads/", tag[] = "tag: refs/tags/";

        for (const char *p = text; *p;) {
                size_t n = strcspn(p, ",");
                const char *name = startswith(p, branch);
                char **field = name ? &checkout->branch : &checkout->tag;

                if (!name)
                        name = startswith(p, tag);
                if (name && !*field && !(*field = strndup(name, n - (size_t) (name - p))))
                        return -ENOMEM;
                p += n + strspn(p + n, ", ");
        }
        return 0;
}

/* Writes a time in UTC as Ruby does, and git from 2.45 on. */
static void shorten_utc(char *date) {
        size_t n = date ? strlen(date) : 0;

        if (n > 6 && streq(date + n - 6, "+00:00"))
                strcpy(date + n - 6, "Z");
}

/* Reads the commit that is checked out: git prints a field in each line, and the message in the remaining lines. */
static int read_commit(Checkout *checkout) {
        _cleanup_free_ char *text = NULL, *decoration = NULL;

        int r = ask(
                checkout,
                ARGV("log", "-1", "--no-show-signature", "--decorate=full", "--format=%H%n%P%n%an%n%ae%n%cI%n%D%n%B"),
                &text);
        if (r < 0)
                return r;
        if (!text) /* no commit yet */
                return ask(checkout, ARGV("symbolic-ref", "--quiet", "--short", "HEAD"), &checkout->branch);
        char **fields[] = { &checkout->commit,       &checkout->parent,      &checkout->author_name,
                            &checkout->author_email, &checkout->commit_date, &decoration };
        char *rest = text;
        for (size_t i = 0; i < ELEMENTSOF(fields) && rest; i++) {
                char *line = strsep(&rest, "\n");

                if (fields[i] == &checkout->parent)
                        line[strcspn(line, " ")] = 0;
                r = string_replace(fields[i], *line ? line : NULL);
                if (r < 0)
                        return r;
        }
        shorten_utc(checkout->commit_date);
        r = string_replace(&checkout->message, rest ? rest : "");
        return r < 0 || !decoration ? r : read_decoration(checkout, decoration);
}

/* Finds the default branch: the remote's; else main or master, if it exists; else the branch that is checked out. */
static int read_default_branch(Checkout *checkout) {
        _cleanup_free_ char *remote = NULL, *local = NULL;

        if (checkout->remote) {
                int r = ask(checkout, ARGV("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"), &remote);
                if (r < 0)
                        return r;
        }
        if (remote && startswith(remote, "origin/"))
                return string_replace(&checkout->default_branch, startswith(remote, "origin/"));
        int r = ask(
                checkout,
                ARGV("for-each-ref", "--count=1", "--format=%(refname:short)", "refs/heads/main", "refs/heads/master"),
                &local);
        if (r < 0)
                return r;
        return string_replace(&checkout->default_branch, local ? local : checkout->branch ? checkout->branch : "main");
}

/* Reads git's configuration: each item is a name and, in the next line, its value. */
static int read_configuration(Checkout *checkout) {
        _cleanup_strv_ char **items = NULL;

        int r = git_list(checkout->top,
                         ARGV("config", "--null", "--get-regexp", "^(remote\\.origin\\.url|user\\.name|user\\.email)$"),
                         &items);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        for (char **item = items; item && *item; item++) {
                const char *value = strchr(*item, '\n');
                char **to = startswith(*item, "remote")    ? &checkout->remote :
                            startswith(*item, "user.name") ? &checkout->user_name :
                                                             &checkout->user_email;

                r = value ? string_replace(to, value + 1) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_facts(Checkout *checkout) {
        int r = read_commit(checkout);
        if (r < 0)
                return r;
        r = read_configuration(checkout);
        return r < 0 ? r : read_default_branch(checkout);
}

/* Finds what the directory @top, or one above it, has of git's. *ret is a path, or NULL. 0 or -ENOMEM. */
static int find_repository(const char *top, char **ret) {
        char path[PATH_MAX + 8];

        *ret = NULL;
        for (size_t length = strlen(top); length > 0 && length < PATH_MAX; length--) {
                if (length < strlen(top) && top[length] != '/')
                        continue;
                snprintf(path, sizeof(path), "%.*s/.git", (int) length, top);
                if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                        return string_replace(ret, path);
        }
        return 0;
}

/* Would who opens @path wait for somebody, or for ever? */
static bool is_trap(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return false;
        bool null = S_ISCHR(st.st_mode) &&
                    st.st_rdev == makedev(1, 3); /* /dev/null: in place of files that are not wanted */
        return S_ISFIFO(st.st_mode) || S_ISBLK(st.st_mode) || (S_ISCHR(st.st_mode) && !null);
}

/* Looks for a trap in a directory of a repository. *ret is its path, or unchanged. 0 or -errno. */
static int find_trap_in(const char *directory, char **ret) {
        _cleanup_closedir_ DIR *dir = opendir(directory);

        if (!dir) /* git finds none there either */
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES ? 0 : -errno;
        for (;;) {
                _cleanup_free_ char *path = NULL;

                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                int r = string_printf(&path, "%s/%s", directory, entry->d_name);
                if (r < 0)
                        return r;
                if (is_trap(path)) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
}

/* Looks for traps where git reads at each call. Elsewhere, git is given up after a while. */
static int find_trap(const char *repository, char **ret) {
        static const char *const files[] = { "", "ignore", "attributes", "modules" }; /* behind ".git" */
        static const char *const places[] = { "", "/info", "/objects/info", "/refs", "/refs/heads" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *file = NULL;

                int r = string_printf(&file, "%s%s", repository, files[i]);
                if (r < 0)
                        return r;
                if (is_trap(file)) {
                        *ret = TAKE_PTR(file);
                        return 0;
                }
        }
        for (size_t i = 0; i < ELEMENTSOF(places) && !*ret; i++) {
                _cleanup_free_ char *directory = NULL;

                int r = string_printf(&directory, "%s%s", repository, places[i]);
                if (r < 0)
                        return r;
                r = find_trap_in(directory, ret);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Finds out whether git has a repository for @directory, and where its working copy begins. */
static int find_top(Checkout *checkout, const char *directory) {
        _cleanup_free_ char *repository = NULL, *resolved = realpath(directory, NULL);

        if (!resolved)
                return -errno;
        int r = string_replace(&checkout->top, resolved);
        if (r < 0)
                return r;
        r = find_repository(resolved, &repository);
        if (r < 0)
                return r;
        r = repository ? find_trap(repository, &checkout->trap) : 0;
        if (r < 0 || checkout->trap)
                return r;
        r = git_ask(resolved, ARGV("rev-parse", "--show-toplevel"), &checkout->top);
        checkout->is_git = r >= 0;
        checkout->git_refuses = r == -ENOENT && repository;
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return foreign_find(resolved, checkout->top, &checkout->foreign);
}

/* The working copy may begin above the directory that was opened. */
static int read_repository(Checkout *checkout) {
        closep(&checkout->top_fd);
        checkout->top_fd = open(checkout->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return checkout->top_fd < 0 ? -errno : read_facts(checkout);
}

int checkout_open(const char *directory, Checkout **ret, const char **reterr_what) {
        _cleanup_checkout_ Checkout *checkout = calloc(1, sizeof(Checkout));

        *reterr_what = "Cannot open the directory";
        if (!checkout)
                return -ENOMEM;
        checkout->top_fd = -EBADF;
        checkout->top_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (checkout->top_fd < 0)
                return -errno;
        *reterr_what = "Cannot ask git about the repository of";
        int r = find_top(checkout, directory);
        if (r < 0)
                return r;
        r = checkout->foreign.problem ? 0 :
            checkout->is_git          ? read_repository(checkout) :
                                        string_replace(&checkout->default_branch, "main");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(checkout);
        return 0;
}
