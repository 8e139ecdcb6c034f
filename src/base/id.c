/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides whether a text may be the id of a job or a machine. Whoever makes an id or finds one in a directory calls
 * this, before it becomes part of a path, a unit or a host name. */

#include "base/id.h"

#include <string.h>

#define ID_MAX 40

const char *id_problem(const char *id) {
        size_t n = strlen(id);

        if (n == 0)
                return "is empty";
        if (n > ID_MAX)
                return "is longer than 40 characters";
        for (const char *p = id; *p; p++)
                if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                      strchr("-.", *p)))
                        return "has a character that is not a letter, a digit, '-' or '.'";
        if (strchr("-.", id[0]) || strchr("-.", id[n - 1]))
                return "does not begin and end with a letter or a digit";
        /* Each part of a host name is to begin and end so. */
        if (strstr(id, "..") || strstr(id, ".-") || strstr(id, "-."))
                return "has a '.' that is not between letters or digits";
        return NULL;
}
