/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What `exec` shows of a run: lines of jobs with sections, the lines at the bottom of a terminal, the summary. */

#include "pipeline.h"

#include "base/utf8.h"
#include "exec/live.h"
#include "exec/log.h"
#include "exec/section.h"
#include "exec/spool.h"
#include "exec/summary.h"
#include "terminal/ansi.h"

static void test_utf8(_unused_ void **state) {
        static const struct {
                const char *text;
                size_t length;
                unsigned columns;
        } rows[] = { { "a", 1, 1 },        { "ä", 2, 1 },           { "€", 3, 1 },    { "日", 3, 2 },
                     { "😀", 4, 2 },        { "\xcc\x81", 2, 0 },    { "\xff", 0, 1 }, { "\xc3", 0, 1 },
                     { "\xc0\xaf", 0, 1 }, { "\xed\xa0\x80", 0, 1 } };
        unsigned columns;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_row(utf8_length(rows[i].text) == rows[i].length, i, rows[i].text);
                assert_row(utf8_columns(rows[i].text, rows[i].length) == rows[i].columns, i, rows[i].text);
        }
        assert_int_equal(utf8_fit("a日b", 3, &columns), 4);
        assert_int_equal(columns, 3);
        assert_int_equal(utf8_fit("a日b", 2, &columns), 1);
        assert_int_equal(columns, 1);
}

/* Parts between "|", styles as "<...>". */
static const char *parts(const char *line) {
        static char result[256];
        AnsiPart part;
        size_t n = 0;

        line = ansi_begin(line);
        while (ansi_next(&line, &part))
                n += (size_t) snprintf(result + n, sizeof(result) - n, part.is_style ? "<%.*s>" : "%.*s|",
                                       (int) part.size - 2 * part.is_style, part.text + 2 * part.is_style);
        result[n] = 0;
        return result;
}

static void test_ansi(_unused_ void **state) {
        static const struct {
                const char *line, *parts;
        } rows[] = {
                { "", "" },
                { "plain\ttext", "plain\ttext|" },
                { "\033[31;1mred\033[0m", "<31;1m>red|<0m>" },
                { "\033[38:5:1mx", "<38:5:1m>x|" },
                { "\033[2J\033[1;1Hx\033[K", "x|" },
                { "\033[?25lx\033[>cm", "x|m|" },
                { "\033]0;title\ax\033]8;;http://a\033\\y", "x|y|" },
                { "\033Pdevice\033\\x", "x|" },
                { "\033(Bx\033cy\0337z", "x|y|z|" },
                { "a\bb\x7f"
                  "c\x01",
                  "a|b|c|" },
                { "a\xc2\x9b"
                  "31mb\x9b"
                  "31m\xff",
                  "a|31mb|31m\xff|" },
                { "äöü\xc2\xa0€", "äöü\xc2\xa0€|" },
                { "1%\r50%\r100%", "100%|" },
                { "text\r", "text|" },
                { "text\r\r", "text|" },
                { "\033[", "" },
                { "\033", "" },
                { "\033]0;", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_row(streq(parts(rows[i].line), rows[i].parts), i, parts(rows[i].line));
        _cleanup_free_ char *plain = ansi_plain("a\033[1mb\tc\nd");
        assert_string_equal(plain, "ab cd");
}

static void test_section_marks(_unused_ void **state) {
        static const struct {
                const char *line;
                SectionMark mark;
                const char *name, *rest;
                bool collapsed;
        } rows[] = {
                { "section_start:1560896352:my_first.section-1\r\033[0KTitle", SECTION_START, "my_first.section-1",
                  "Title", false },
                { "\033[0Ksection_start:1:a[collapsed=true]\r\033[0KTitle", SECTION_START, "a", "Title", true },
                { "section_start:1:a[hide_duration=true,collapsed=true]\r\033[0KT", SECTION_START, "a", "T", true },
                { "section_start:1:a[collapsed=false]\r\033[0KT", SECTION_START, "a", "T", false },
                { "section_start:1:a[collapsed=trueish]\r\033[0KT", SECTION_START, "a", "T", false },
                { "section_end:1:a\r\033[0K", SECTION_END, "a", "", false },
                { "section_end:1:a\r\033[0Ksection_start:2:b\r\033[0KT", SECTION_END, "a",
                  "section_start:2:b\r\033[0KT", false },
                { "section_end:1:a", SECTION_END, "a", "", false },
                { "section_end:x:a", SECTION_NONE, "", "section_end:x:a", false },
                { "section_start:1:", SECTION_NONE, "", "section_start:1:", false },
                { "section_start:1:a b", SECTION_NONE, "", "section_start:1:a b", false },
                { "section_start:1:a[collapsed=true", SECTION_NONE, "", "section_start:1:a[collapsed=true", false },
                { "echo section_end:1:a", SECTION_NONE, "", "echo section_end:1:a", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *line = rows[i].line;
                Section section;

                section_take(&line, &section);
                assert_row(section.mark == rows[i].mark && streq(section.name, rows[i].name) &&
                                   streq(line, rows[i].rest) && section.collapsed == rows[i].collapsed,
                           i, line);
        }
}

typedef struct Memory {
        char *text;
        size_t size;
        ExecScreen screen;
} Memory;

static void memory_begin(Memory *memory, bool terminal, bool colours) {
        *memory = (Memory){ 0 };
        memory->screen = (ExecScreen){ open_memstream(&memory->text, &memory->size), terminal, colours };
        assert_non_null(memory->screen.to);
}

static void memory_expect(Memory *memory, const char *expected) {
        assert_int_equal(fclose(memory->screen.to), 0);
        assert_string_equal(memory->text, expected);
        free(memory->text);
}

static void show(const ExecScreen *screen, bool failed) {
        ExecLog log;

        assert_int_equal(exec_log_init(&log, "build", 0, 8), 0);
        exec_log_stage(&log, screen, "Getting source", false, 0);
        exec_log_line(&log, screen, "Cloning", 0);
        exec_log_stage(&log, screen, "Executing", true, 1500000);
        exec_log_line(&log, screen, "\033[32;1m$ make\033[0;m", 0);
        exec_log_line(&log, screen, "section_start:1:deps[collapsed=true]\r\033[0KInstall", 0);
        exec_log_line(&log, screen, "one", 0);
        exec_log_line(&log, screen, "section_start:1:inner\r\033[0KInner", 0);
        exec_log_line(&log, screen, "section_end:1:inner\r\033[0K", 0);
        exec_log_line(&log, screen, "section_end:2:deps\r\033[0K", 2 * USEC_PER_SEC);
        exec_log_line(&log, screen, "section_start:3:test\r\033[0KTest", 0);
        exec_log_line(&log, screen, "section_end:3:test\r\033[0Kmore", 0);
        exec_log_stage(&log, screen, "Saving cache", false, 2 * USEC_PER_SEC);
        exec_log_line(&log, screen, "10%\r100%", 0);
        exec_log_end(&log, screen, failed, 3 * USEC_PER_SEC);
        exec_log_done(&log);
}

static void test_log(_unused_ void **state) {
        Memory memory;

        /* In a file: everything, and no colours. */
        memory_begin(&memory, false, false);
        show(&memory.screen, false);
        memory_expect(&memory,
                      "build    | Getting source\nbuild    | Cloning\nbuild    | Executing\nbuild    | $ make\n"
                      "build    | Install\nbuild    | one\nbuild    | Inner\nbuild    | Test\nbuild    | more\n"
                      "build    | Saving cache\nbuild    | 100%\n");
        /* On a terminal: what went well is one line. */
        memory_begin(&memory, true, false);
        show(&memory.screen, false);
        memory_expect(&memory,
                      "build    | Getting source (1.5s)\nbuild    | Executing\nbuild    | $ make\n"
                      "build    | Install (2.0s)\nbuild    | Test\nbuild    | more\nbuild    | Saving cache (1.0s)\n");
        memory_begin(&memory, true, false);
        show(&memory.screen, true);
        memory_expect(&memory, "build    | Getting source (1.5s)\nbuild    | Executing\nbuild    | $ make\n"
                               "build    | Install (2.0s)\nbuild    | Test\nbuild    | more\nbuild    | Saving cache\n"
                               "build    | 100%\n");
        /* In colours, which end with the line. */
        memory_begin(&memory, false, true);
        ExecLog log;
        assert_int_equal(exec_log_init(&log, "a long\033[2J näme", 1, 8), 0);
        exec_log_line(&log, &memory.screen, "\033[31mred", 0);
        exec_log_say(&log, &memory.screen, "1;31", "Job failed");
        exec_log_done(&log);
        memory_expect(&memory, "\033[33ma long …\033[0m | \033[31mred\033[0m\n"
                               "\033[33ma long …\033[0m | \033[1;31mJob failed\033[0m\n");
}

/* A job's endless output in a folded stage takes no endless memory. */
static void test_log_keeps_the_end(_unused_ void **state) {
        Memory memory;
        ExecLog log;
        char line[32];

        memory_begin(&memory, true, false);
        assert_int_equal(exec_log_init(&log, "b", 0, 1), 0);
        exec_log_stage(&log, &memory.screen, "Prepare", false, 0);
        for (unsigned i = 1; i <= EXEC_LOG_KEPT_MAX + 2; i++) {
                snprintf(line, sizeof(line), "%u", i);
                exec_log_line(&log, &memory.screen, line, 0);
        }
        assert_int_equal(log.n_kept, EXEC_LOG_KEPT_MAX);
        exec_log_end(&log, &memory.screen, true, 0);
        exec_log_done(&log);
        assert_int_equal(fflush(memory.screen.to), 0);
        assert_non_null(strstr(memory.text, "b | Prepare\nb | (2 earlier lines)\nb | 3\nb | 4\n"));
        fclose(memory.screen.to);
        free(memory.text);
}

static const char yaml[] = "build: {stage: build, script: x}\n"
                           "lint: {stage: build, script: x, allow_failure: true}\n"
                           "test: {script: x, retry: 1}\n"
                           "\"e\\e[2Jvil\": {script: x}\n"
                           "after: {stage: deploy, script: x}\n"
                           "ship: {stage: deploy, script: x, when: manual, allow_failure: false, needs: []}\n"
                           "mend: {stage: deploy, script: x, when: on_failure, needs: [build]}\n";

static void test_live(_unused_ void **state) {
        static const MemoryFile files[] = { { NULL, ".gitlab-ci.yml", yaml }, { 0 } };
        TestPipeline test;
        RunState run;
        Memory memory;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        assert_string_equal(test_pipeline_problems(&test), "");
        run_state_init(&run, test.pipeline, NULL);
        run_state_start(&run, 0);
        run_state_start(&run, 1);
        (void) run_state_finish(&run, 0, &(RunEnd){ .success = true });
        memory_begin(&memory, true, false);
        ExecLive live = { .screen = memory.screen };
        const ExecLiveJob jobs[] = { { 1, 2 * USEC_PER_SEC, "Executing" }, { 3, 0, NULL } };
        exec_live_draw(&live, &run, jobs, 2, 80, 24, 0, 65 * USEC_PER_SEC);
        assert_int_equal(live.n_lines, 3);
        /* Drawn anew in a small terminal: no line is wider than it is, and rows for jobs that do not fit are left out. */
        exec_live_draw(&live, &run, jobs, 2, 12, 4, 0, 3605 * USEC_PER_SEC);
        assert_int_equal(live.n_lines, 3);
        exec_live_clear(&live);
        exec_live_clear(&live);
        memory_expect(&memory, "1:05  build 1/2  test 0/2  deploy 1/3  \n"
                               "  ● lint  1:03  Executing\n"
                               "  … evil  1:05\n"
                               "\r\033[3A\033[J"
                               "1:00:05  bu\n"
                               "  ● lint  1\n"
                               "    and 1 m\n"
                               "\r\033[3A\033[J");
        test_pipeline_done(&test);
}

static void test_summary(_unused_ void **state) {
        static const MemoryFile files[] = { { NULL, ".gitlab-ci.yml", yaml }, { 0 } };
        static const char xml[] =
                "<testsuite name='s'><testcase name='a'/><testcase name='b\t'><failure message='no'/></testcase>"
                "</testsuite>";
        JunitSummary tests = { 0 };
        TestPipeline test;
        RunState run;
        Memory memory;
        ExecTry tries[8];
        char *problem = NULL;
        size_t n = 0;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        run_state_init(&run, test.pipeline, NULL);
        for (size_t i; (i = run_state_next(&run)) != SIZE_MAX; n++) {
                bool fails = i == 1 || i == 2;

                run_state_start(&run, i);
                tries[n] = (ExecTry){ i, 0, (i + 1) * 61 * USEC_PER_SEC, fails ? JOB_FAILED : JOB_SUCCESS, "" };
                if (fails)
                        strcpy(tries[n].reason, "script failed");
                (void) run_state_finish(&run, i,
                                        fails ? &(RunEnd){ false, "script_failure", 1 } : &(RunEnd){ .success = true });
        }
        assert_int_equal(junit_add(&tests, xml, strlen(xml), &problem), 0);
        memory_begin(&memory, false, false);
        assert_int_equal(exec_summary_print(&memory.screen, &run, tries, n, 4000 * USEC_PER_SEC, &tests), 0);
        memory_expect(&memory,
                      "\nJOB    STAGE   STATUS                TIME  REASON\n"
                      "build  build   passed              1m 01s\n"
                      "lint   build   failed (allowed)    2m 02s  script failed\n"
                      "test   test    failed              6m 06s  script failed, in the last try\n"
                      "evil   test    passed              4m 04s\n"
                      "after  deploy  skipped                  -  'test' failed\n"
                      "ship   deploy  manual                   -  start it with --manual; later jobs wait for it\n"
                      "mend   deploy  skipped                  -  nothing before it failed\n"
                      "\nTests: 2, failed: 1, skipped: 0\n  s: b: no\n"
                      "\nPipeline: failed in 1h 06m (manual in GitLab, as a manual job has yet to be started)\n"
                      "It waits for somebody to start: ship (--manual JOB)\n");
        junit_done(&tests);
        test_pipeline_done(&test);
}

static void write_line(FILE *to, ExecLineKind kind, const char *text) {
        fprintf(to, "%d %.20s\n", kind, text);
}

static char *spooled(Spool *spool, size_t job) {
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);

        assert_non_null(file);
        assert_int_equal(spool_read(spool, job, write_line, file), 0);
        assert_int_equal(fclose(file), 0);
        return text;
}

static void test_spool(_unused_ void **state) {
        _cleanup_free_ char *long_line = calloc(1, SPOOL_JOB_BYTES_MAX / 2 + 1);
        Spool spool;

        assert_non_null(long_line);
        memset(long_line, 'x', SPOOL_JOB_BYTES_MAX / 2);
        assert_int_equal(spool_open(&spool, 3), 0);
        spool_add(&spool, 0, EXEC_LINE_SECTION, "one");
        spool_add(&spool, 2, EXEC_LINE_LOG, "other");
        spool_add(&spool, 0, EXEC_LINE_LOG, "");
        spool_add(&spool, 0, EXEC_LINE_TRY, "two");
        for (unsigned i = 0; i < 3; i++)
                spool_add(&spool, 2, EXEC_LINE_LOG, long_line);
        static const char *const expected[] = { "1 one\n2 \n0 two\n", "",
                                                "2 other\n2 xxxxxxxxxxxxxxxxxxxx\n1 The log is longer; t\n" };
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                _cleanup_free_ char *text = spooled(&spool, i);

                assert_string_equal(text, expected[i]);
        }
        spool_done(&spool);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_ansi),
        cmocka_unit_test(test_section_marks),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_keeps_the_end),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_spool),
};
UNIT_FILE(tests);
