/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Warns of files in a new image whose owners do not exist in jobs. make.c and image-cache.c call this before they
 * publish a tree. It must change nothing. */

#include "maintain/owners.h"

#include <inttypes.h>

#include "base/string.h"
#include "tree/size.h"

int owners_warning(int tree_fd, const Settings *settings, char **ret) {
        ForeignOwners foreign = { 0 };

        if (settings->private_users) {
                int r = tree_foreign_owners(tree_fd, settings->uid_range, &foreign);
                if (r < 0)
                        return r;
        }
        _cleanup_free_ char *example = foreign.example;
        *ret = NULL;
        if (foreign.n == 0)
                return 0;
        return string_printf(ret,
                             "%" PRIu64 " of its files belong to users or groups that jobs do not have ('%.200s' "
                             "belongs to %u:%u). In jobs they are nobody's and cannot be changed, unless uid_range "
                             "(%" PRIu64 ") is raised above that",
                             foreign.n, example, foreign.uid, foreign.gid, settings->uid_range);
}
