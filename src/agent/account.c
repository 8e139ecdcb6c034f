/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the user and groups that a step runs as, in passwd and group of the image. step.c calls this. The functions
 * of libc for this load libraries of the host's libc, which the image does not have, so the files are read directly.
 * They are the image's, so their size is limited and nothing is waited for. */

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"

void account_done(Account *account) {
        free(account->groups);
        free(account->name);
        free(account->home);
        *account = (Account){ 0 };
}

/* A larger file is no list of users; reading it would only keep us busy. */
#define DATABASE_BYTES_MAX (16 * 1024 * 1024)

/* Opens a file's content for reading, copied into memory; NULL when there is none. @data gets the memory, to be freed
 * after the stream is closed. */
static FILE *open_database(const char *path, char **data) {
        size_t size;

        _cleanup_close_ int fd = file_open_regular(path);
        if (fd < 0 || fd_read_all(fd, DATABASE_BYTES_MAX, data, &size) < 0 || size == 0)
                return NULL;
        return fmemopen(*data, size, "r");
}

static bool parse_id(const char *text, unsigned *ret) {
        uint64_t id;

        /* The highest number belongs to nobody: to chown(2) it means "leave as it is". */
        if (parse_uint64(text, &id) < 0 || id >= UINT32_MAX)
                return false;
        *ret = (unsigned) id;
        return true;
}

static int set_user(Account *account, uid_t uid, gid_t gid, const char *name, const char *home) {
        account->uid = uid;
        account->gid = gid;
        int r = string_replace(&account->name, name);
        return r < 0 ? r : string_replace(&account->home, isempty(home) ? "/" : home);
}

static int find_user(const char *text, const char *passwd, Account *account) {
        _cleanup_free_ char *data = NULL;
        _cleanup_fclose_ FILE *file = open_database(passwd, &data);
        unsigned uid = 0;
        bool numeric = parse_id(text, &uid);
        const struct passwd *entry;

        while (file && (entry = fgetpwent(file)))
                if (numeric ? entry->pw_uid == uid : streq(entry->pw_name, text))
                        return set_user(account, entry->pw_uid, entry->pw_gid, entry->pw_name, entry->pw_dir);
        if (numeric)
                return set_user(account, uid, 0, text, "/");
        /* Images without the file have a root all the same. */
        return streq(text, "root") ? set_user(account, 0, 0, "root", "/root") : -ESRCH;
}

static int find_group(const char *text, const char *group, gid_t *ret) {
        _cleanup_free_ char *data = NULL;
        _cleanup_fclose_ FILE *file = open_database(group, &data);
        const struct group *entry;
        unsigned gid;

        while (file && (entry = fgetgrent(file)))
                if (streq(entry->gr_name, text)) {
                        *ret = entry->gr_gid;
                        return 0;
                }
        if (!parse_id(text, &gid))
                return -ESRCH;
        *ret = gid;
        return 0;
}

/* The groups that name the user as a member. */
static int find_memberships(const char *group, Account *account) {
        _cleanup_free_ char *data = NULL;
        _cleanup_fclose_ FILE *file = open_database(group, &data);
        const struct group *entry;

        while (file && (entry = fgetgrent(file)))
                for (char **member = entry->gr_mem; *member; member++) {
                        if (!streq(*member, account->name))
                                continue;
                        gid_t *grown = reallocarray(account->groups, account->n_groups + 1, sizeof(gid_t));
                        if (!grown)
                                return -ENOMEM;
                        account->groups = grown;
                        account->groups[account->n_groups++] = entry->gr_gid;
                        break;
                }
        return 0;
}

int account_find(const char *user, const char *passwd, const char *group, Account *ret) {
        _cleanup_account_ Account account = { 0 };
        const char *colon = strchr(user, ':');
        _cleanup_free_ char *name = strndup(user, colon ? (size_t) (colon - user) : strlen(user));

        if (!name)
                return -ENOMEM;
        int r = find_user(isempty(name) ? "0" : name, passwd, &account);
        if (r < 0)
                return r;
        r = colon && colon[1] ? find_group(colon + 1, group, &account.gid) : find_memberships(group, &account);
        if (r < 0)
                return r;
        *ret = account;
        account = (Account){ 0 };
        return 0;
}
