/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the report of a run that never was to standard output, for test-exec-page.py. Its names and its logs try to get out
 * of their place in the page. */

#include "pipeline.h"

#include "exec/page.h"

static const char yaml[] =
        "stages: [build, '</text><script>alert(1)</script>', deploy]\n"
        "compile: {script: x, stage: build}\n"
        "compile for an architecture with a long name: {script: x, stage: build, allow_failure: true}\n"
        "docs: {script: x, stage: build}\n"
        "unit: {script: x, stage: '</text><script>alert(1)</script>', parallel: 3, needs: [compile]}\n"
        "\"<img src=x onerror='document.title=1'>\": {script: x, stage: '</text><script>alert(1)</script>', needs: [compile, docs], "
        "retry: 1}\n"
        "\"\\\"><b>&amp;\": {script: x, stage: '</text><script>alert(1)</script>', needs: [unit]}\n"
        "publish: {script: x, stage: deploy}\n"
        "clean: {script: x, stage: deploy, when: always, needs: [compile]}\n"
        "by hand: {script: x, stage: deploy, when: manual, needs: []}\n";

/* One after the other, a second each; the one with an image for a name fails twice. */
static size_t run(RunState *state, ExecTry *tries) {
        size_t n = 0;
        uint64_t now = 1000 * USEC_PER_SEC;

        for (size_t i; (i = run_state_next(state)) != SIZE_MAX; n++) {
                const char *name = state->pipeline->jobs[i].name;
                bool fails = *name == '<' || strlen(name) > 30;

                run_state_start(state, i);
                tries[n] = (ExecTry){ i, now, now + USEC_PER_SEC + n * 300000, fails ? JOB_FAILED : JOB_SUCCESS, "" };
                if (fails)
                        snprintf(tries[n].reason, sizeof(tries[n].reason), "its script ended with <1>");
                now = n % 2 ? tries[n].end_usec : now + USEC_PER_SEC / 2;
                (void) run_state_finish(state, i,
                                        fails ? &(RunEnd){ false, "script_failure", 1 } : &(RunEnd){ .success = true });
        }
        return n;
}

static int write_log(_unused_ void *userdata, size_t job, void (*line)(FILE *to, ExecLineKind kind, const char *text),
                     FILE *to) {
        line(to, EXEC_LINE_SECTION, "Step script </b><script>");
        line(to, EXEC_LINE_LOG,
             "\033[32;1m$ make </pre></details><script>document.title='out'</script>\033[0;m done & gone");
        line(to, EXEC_LINE_LOG,
             "progress 1%\rprogress 100%\033[2J\033]0;title\a \xff \033[38;5;1mx\xc2\x9b"
             "31m");
        if (job == 0)
                line(to, EXEC_LINE_TRY, "Try 2");
        return 0;
}

int main(void) {
        static const MemoryFile files[] = { { NULL, ".gitlab-ci.yml", yaml }, { 0 } };
        JunitSummary tests = { 0 };
        char *problem = NULL;
        TestPipeline test;
        RunState state;
        ExecTry tries[32];
        static const char xml[] =
                "<testsuite name='s'><testcase name='a'/><testcase classname='&lt;i>' name='&lt;script>'>"
                "<failure message='&lt;/ul>'/></testcase></testsuite>";

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        if (*test_pipeline_problems(&test) || junit_add(&tests, xml, strlen(xml), &problem) < 0)
                errx(1, "%s", test_pipeline_problems(&test));
        run_state_init(&state, test.pipeline, NULL);
        ExecPage page = { .state = &state,
                          .tries = tries,
                          .begin_usec = 1000 * USEC_PER_SEC,
                          .project = "group/<project>",
                          .ref = "topic\"'",
                          .commit = "0123abcd",
                          .date = "2024-01-02 03:04",
                          .tests = &tests,
                          .log = write_log };
        page.n_tries = run(&state, tries);
        page.end_usec = tries[page.n_tries - 1].end_usec;
        if (exec_page_write(&page, stdout) < 0)
                errx(1, "cannot write the page");
        junit_done(&tests);
        test_pipeline_done(&test);
        return 0;
}
