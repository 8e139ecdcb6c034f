# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated gitlab-runner: the order of a job's calls, with retries, cancellation and time limits.

What one call of the driver looks like is in build.py and stagecall.py, the scripts are in shellscript.py, the job
itself in jobspec.py.
"""

import re
import threading
import time
from dataclasses import dataclass

from .build import Build, Call, Failure, Runner, Stop
from .jobspec import Job

PREPARE_ATTEMPTS = 3
AFTER_SCRIPT_TIMEOUT = 300


@dataclass
class Result:
    """How the job would be reported to the server, and what was called."""

    state: str
    failure_reason: str
    exit_code: int
    message: str
    log: str
    runner_log: str
    calls: list[Call]

    def __str__(self) -> str:
        return f"{self.state} {self.failure_reason} {self.exit_code} {self.message!r}: {self.names()}\n" \
               f"--- job log\n{self.log}\n--- runner's log\n{self.runner_log}"

    def names(self) -> list[str]:
        """Names of all calls, in order."""
        return [call.name for call in self.calls]

    def call(self, name: str) -> Call:
        """The last call of that name."""
        return next(call for call in reversed(self.calls) if call.name == name)


def run_job(runner: Runner, job: Job) -> Result:
    """Plays a whole job."""
    return play(Build(runner, job))


def play(build: Build) -> Result:
    """Plays the whole job of @build, which other threads may cancel or abort meanwhile."""
    failure = _play(build)
    return Result("failed" if failure else "success", failure.reason if failure else "",
                  failure.exit_code if failure else 0, failure.message if failure else "",
                  build.log.decode(errors="replace"), build.runner_log.decode(errors="replace"), build.calls)


def _play(build: Build) -> Failure | None:
    stop = build.job_stop
    stop.deadline = time.monotonic() + build.job.timeout
    try:
        _prepare(build, stop)
    except Failure as failure:
        return _reported(stop, failure, build)
    outcome: list[Failure | None] = []
    scripts = threading.Thread(target=lambda: outcome.append(_scripts(build, stop)), daemon=True)
    scripts.start()
    try:
        while scripts.is_alive() and not stop.why():
            scripts.join(0.02)
        if stop.why():
            scripts.join(build.runner.abort_wait)
            return _reported(stop, Failure("", ""), build)
        return outcome[0]
    finally:
        build.cleanup()


def _reported(stop: Stop, failure: Failure, build: Build) -> Failure:
    """What the server hears when the job's context has ended, whatever the stage returned."""
    if stop.why() == "deadline":
        return Failure(f"execution took longer than {build.job.timeout} seconds", "job_execution_timeout")
    return Failure("canceled", "job_canceled") if stop.why() else failure


def _prepare(build: Build, stop: Stop) -> None:
    """Config and prepare, three times at most, with cleanup after each failed attempt."""
    if not build.runner.run_exec:
        raise Failure("custom executor is missing RunExec", "runner_configuration_error")
    failure: Failure | None = None
    for _ in range(PREPARE_ATTEMPTS):
        build.start_attempt()
        try:
            build.config(stop)
            build.prepare(stop)
            return
        except Failure as error:
            failure = error
        build.cleanup()
        if failure.final or stop.why():
            break
        build.write_log(f"Preparation failed: {failure.message}")
        build.write_log(f"Will be retried in {build.runner.retry_delay}s ...")
        time.sleep(build.runner.retry_delay)
    assert failure
    raise failure


def duration(text: str) -> float:
    """Seconds of a Go duration such as 1m30s; 0 when empty or malformed."""
    units: dict[str, float] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    if not re.fullmatch(r"([0-9.]+(ms|s|m|h))+", text.strip()):
        return 0
    return sum(float(n) * units[u] for n, u in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def _number(build: Build, key: str, default: int) -> int:
    text = build.variable(key)
    return int(text) if text.isdigit() else default


def _attempts(build: Build, stage: str, stop: Stop, attempts: int) -> None:
    delay = build.runner.stage_retry_delay
    for attempt in range(max(1, min(10, attempts))):
        if attempt:
            time.sleep(delay)
            delay = min(delay * 2, 300)
        try:
            if stage == "get_sources" and attempt == 1:
                build.run_stage("clear_worktree", stop)
            build.run_stage(stage, stop)
            return
        except Failure as error:
            failure = error
    raise failure


def _scripts(build: Build, stop: Stop) -> Failure | None:
    """All run stages. Cleaning up file variables is last, on every path but an early failure or an abort."""
    try:
        build.run_stage("prepare_script", stop)
    except Failure as failure:
        failure.message = f"prepare environment: {failure.message}. Check ... for more information"
        return failure
    result: Failure | None = None
    try:
        _attempts(build, "get_sources", stop, _number(build, "GET_SOURCES_ATTEMPTS", 1))
        _attempts(build, "restore_cache", stop, _number(build, "RESTORE_CACHE_ATTEMPTS", 1))
        _attempts(build, "download_artifacts", stop, _number(build, "ARTIFACT_DOWNLOAD_ATTEMPTS", 1))
    except Failure as failure:
        result = failure
    if not result:
        result = _user_scripts(build, stop)
    ending = ["archive_cache_on_failure", "upload_artifacts_on_failure"] if result else \
        ["archive_cache", "upload_artifacts_on_success"]
    for stage in ending:
        try:
            build.run_stage(stage, stop)
        except Failure as failure:
            result = result or failure
    try:
        build.run_stage("cleanup_file_variables", stop)
    except Failure:
        pass  # gitlab-runner only logs it
    return result


def _user_scripts(build: Build, stop: Stop) -> Failure | None:
    script = build.script_stop = Stop(stop, duration(build.variable("RUNNER_SCRIPT_TIMEOUT")))
    result: Failure | None = None
    for step in build.job.steps:
        if step["name"] == "after_script":
            continue
        try:
            build.run_stage("step_" + step["name"], script)
        except Failure as failure:
            result = failure
            break
    status = "failed" if result else "success"
    if not stop.why() and script.why() == "canceled":
        result, status = Failure("canceled", "job_canceled"), "canceled"
        build.write_log("script canceled externally (UI, API)")
    elif not stop.why() and script.why() == "deadline":
        result, status = Failure("script timeout", "job_execution_timeout"), "timedout"
    build.job_status = status
    build.refresh_variables()
    limit = duration(build.variable("RUNNER_AFTER_SCRIPT_TIMEOUT")) or AFTER_SCRIPT_TIMEOUT
    try:
        build.run_stage("after_script", Stop(stop, limit))
    except Failure as failure:
        if build.variable("AFTER_SCRIPT_IGNORE_ERRORS").lower() != "false":
            build.write_log("after_script failed, but job will continue unaffected")
        else:
            result = result or failure
    return result
