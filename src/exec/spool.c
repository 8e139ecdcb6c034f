/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps what jobs print until the report is written. Called by output.c, if there is to be a report. It must not fill
 * the memory, however much jobs print, nor need a file for each of thousands of jobs. */

#include "exec/spool.h"

#include <sys/mman.h>

#include "base/fd.h"
#include "base/new-file.h"
#include "base/string.h"

/* A line in the file; its text follows. */
typedef struct Record {
        uint64_t before; /* offset of the one before it, plus 1; 0: it is the first */
        uint32_t size, kind;
} Record;

struct SpoolJob {
        uint64_t last; /* as Record.before */
        uint64_t bytes;
        size_t n;
};

int spool_open(Spool *spool, size_t n_jobs) {
        const char *directory = getenv("TMPDIR");

        *spool = (Spool){ .jobs = calloc(n_jobs + 1, sizeof(SpoolJob)) };
        if (!spool->jobs)
                return -ENOMEM;
        int fd = file_open_unnamed(isempty(directory) ? "/tmp" : directory);
        if (fd < 0)
                fd = memfd_create("nspawn-runner-logs", MFD_CLOEXEC);
        spool->file = file_stream(fd, "w+");
        return spool->file ? 0 : -errno;
}

void spool_done(Spool *spool) {
        if (spool->file)
                (void) fclose(spool->file);
        free(spool->jobs);
        *spool = (Spool){ 0 };
}

static void add(Spool *spool, size_t job, ExecLineKind kind, const char *text) {
        const Record record = { spool->jobs[job].last, (uint32_t) strlen(text), kind };

        if (fwrite(&record, sizeof(record), 1, spool->file) != 1 ||
            fwrite(text, 1, record.size, spool->file) != record.size) {
                spool->broken = true;
                return;
        }
        spool->jobs[job].last = spool->size + 1;
        spool->jobs[job].n++;
        spool->size += sizeof(record) + record.size;
}

void spool_add(Spool *spool, size_t job, ExecLineKind kind, const char *text) {
        /* Without a report, there is nothing to read from either. */
        if (!spool->file || spool->broken || spool->jobs[job].bytes > SPOOL_JOB_BYTES_MAX)
                return;
        SpoolJob *of = spool->jobs + job;
        of->bytes += strlen(text) + 1;
        if (of->bytes <= SPOOL_JOB_BYTES_MAX)
                add(spool, job, kind, text);
        else
                add(spool, job, EXEC_LINE_SECTION, "The log is longer; the rest of it is not in this report.");
}

static int read_at(const Spool *spool, void *data, size_t size, uint64_t offset) {
        ssize_t n = pread(fileno(spool->file), data, size, (off_t) offset);

        return n < 0 ? -errno : (size_t) n != size ? -EIO : 0;
}

int spool_read(Spool *spool, size_t job, void (*line)(FILE *to, ExecLineKind kind, const char *text), FILE *to) {
        const SpoolJob *of = spool->jobs + job;
        _cleanup_free_ uint64_t *offsets = calloc(of->n + 1, sizeof(uint64_t));
        _cleanup_free_ char *text = NULL;
        Record record = { of->last };

        if (!offsets)
                return -ENOMEM;
        if (fflush(spool->file) != 0)
                return -errno;
        for (size_t i = of->n; i > 0; i--) {
                offsets[i - 1] = record.before - 1;
                int r = read_at(spool, &record, sizeof(record), offsets[i - 1]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < of->n; i++) {
                int r = read_at(spool, &record, sizeof(record), offsets[i]);
                if (r < 0)
                        return r;
                char *larger = realloc(text, (size_t) record.size + 1);
                if (!larger)
                        return -ENOMEM;
                text = larger;
                r = read_at(spool, text, record.size, offsets[i] + sizeof(record));
                if (r < 0)
                        return r;
                text[record.size] = 0;
                line(to, (ExecLineKind) record.kind, text);
        }
        if (spool->broken)
                line(to, EXEC_LINE_SECTION, "The logs could not be kept: the disk is full, or broken.");
        return 0;
}
