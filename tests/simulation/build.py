# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated gitlab-runner's side of one job: environment, files, and each single call of the driver.

Runner holds what config.toml would; Build is one job on it. gitlabrunner.play() plays a whole job with these;
tests that need one call at a time use begin(), run_stage(), run_script(), start_script() and cleanup().
"""

import json
import os
import re
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

from .jobspec import FEATURE_FLAGS, Job, Variable, expand, expand_all
from .shellscript import StageScripts, envelope
from .stagecall import KillError, Sink, StageCall

BUILD_FAILURE, SYSTEM_FAILURE = 1, 2
SHELLS = ("bash", "sh", "pwsh", "powershell")


class Failure(Exception):
    """Why a stage, and with it the job, failed. Failures of class "build" are never retried."""

    def __init__(self, message: str, reason: str, exit_code: int = 0):
        super().__init__(message)
        self.message, self.reason, self.exit_code = message, reason, exit_code

    @property
    def final(self) -> bool:
        """Whether prepare is not tried again after this."""
        return self.reason != "runner_system_failure"


def build_failure(message: str, code: int) -> Failure:
    """The job's own fault."""
    return Failure(message, "script_failure", code)


def system_failure(message: str) -> Failure:
    """The driver's or the runner's fault."""
    return Failure(message, "runner_system_failure")


@dataclass
class Runner:
    """The [[runners]] section. Commands are argument vectors; None leaves one out."""

    config_exec: list[str] | None = None
    prepare_exec: list[str] | None = None
    run_exec: list[str] | None = None
    cleanup_exec: list[str] | None = None
    builds_dir: str = ""
    cache_dir: str = ""
    shell: str = ""
    environment: list[str] = field(default_factory=list)
    token: str = "glrt-t3sttoken-abcdef"
    config_exec_timeout: float = 3600
    prepare_exec_timeout: float = 3600
    cleanup_exec_timeout: float = 3600
    graceful_kill_timeout: float = 600
    force_kill_timeout: float = 10
    retry_delay: float = 3        # the real one; tests set it to 0
    stage_retry_delay: float = 5  # doubles with each attempt
    abort_wait: float = 300       # how long cleanup waits for a run call that does not end
    own_environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    tmpdir: str = ""

    @property
    def short_token(self) -> str:
        """CI_RUNNER_SHORT_TOKEN: known prefixes stripped, nine characters."""
        return re.sub(r"^(glrt-|GR1348941)", "", self.token)[:9]

    def build(self, job: Job) -> "Build":
        """One job on this runner; nothing is started yet."""
        return Build(self, job)


@dataclass
class Call:
    """A finished call of the driver: the stage argument (or config, prepare, cleanup), and what it did."""

    name: str
    returncode: int
    stdout: bytes
    stderr: bytes
    argv: list[str]

    def __str__(self) -> str:
        return f"{self.name}: exit status {self.returncode}\n{(self.stdout + self.stderr).decode(errors='replace')}"


class Stop:
    """A context in Go's sense: can be cancelled, has a deadline, and ends with its parent."""

    def __init__(self, parent: "Stop | None" = None, timeout: float = 0):
        self.parent = parent
        self.deadline = time.monotonic() + timeout if timeout else None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ends this context and those below it."""
        self._cancelled.set()

    def why(self) -> str:
        """Empty while it lasts; else "canceled" or "deadline"."""
        if self._cancelled.is_set():
            return "canceled"
        if self.deadline is not None and time.monotonic() > self.deadline:
            return "deadline"
        return self.parent.why() if self.parent else ""


class Build:
    """One job: its variables, its temporary directory, its calls of the driver."""

    runner_command = "gitlab-runner"

    def __init__(self, runner: Runner, job: Job):
        self.runner, self.job = runner, job
        self.builds_dir = self.cache_dir = self.shell = ""
        self.root_dir = self.project_dir = self.hostname = self.tempdir = ""
        self.shared_builds_dir = False
        self.driver: dict[str, str] = {}
        self.job_env: dict[str, str] = {}
        self.job_status = "running"
        self.calls: list[Call] = []
        self.running: StageCall | None = None
        self.on_start: Callable[[str, StageCall], None] = lambda name, call: None
        self.log, self.runner_log, self._lock = bytearray(), bytearray(), threading.Lock()
        self.job_stop = Stop()
        self.script_stop: Stop | None = None
        self.refresh_variables()

    # Variables and environment

    def refresh_variables(self) -> None:
        """Computes the job's variables, in gitlab-runner's order of precedence (the last one wins)."""
        job, runner = self.job, self.runner
        own = job.server_variables() + job.variables
        given = {v.key: v.value for v in own}
        flags = [Variable(k, given.get(k, str(d).lower()).lower()) for k, d in FEATURE_FLAGS.items()]
        base = [Variable("CI_JOB_IMAGE", job.image)] if job.image else []
        base.append(Variable("CI_RUNNER_SHORT_TOKEN", runner.short_token))
        base += [Variable(*line.split("=", 1)) for line in runner.environment]
        base += [Variable("CI_BUILDS_DIR", self.root_dir), Variable("CI_PROJECT_DIR", self.project_dir),
                 Variable("CI_CONCURRENT_ID", "0"), Variable("CI_CONCURRENT_PROJECT_ID", "0"),
                 Variable("CI_SERVER", "yes"), Variable("CI_JOB_STATUS", self.job_status),
                 Variable("CI_JOB_TIMEOUT", str(job.timeout))]
        after = [Variable("CI_SHARED_ENVIRONMENT", "true"), Variable("CI_RUNNER_VERSION", "19.4.0"),
                 Variable("CI_RUNNER_REVISION", "d79f3e7b8"),
                 Variable("CI_RUNNER_EXECUTABLE_ARCH", "linux/amd64"),
                 Variable("RUNNER_TEMP_PROJECT_DIR", self.project_dir + ".tmp")]
        own = [v for v in own if v.key not in FEATURE_FLAGS]
        self.variables = expand_all(flags + base + own + after)
        if job.image:
            job.image = expand(job.image, self.values())

    def values(self) -> dict[str, str]:
        """The variables as a dictionary; of two with one name the last wins."""
        return {v.key: v.value for v in self.variables}

    def variable(self, key: str) -> str:
        """The value of one variable, or an empty string."""
        return self.values().get(key, "")

    def flag(self, name: str) -> bool:
        """Whether a feature flag is on."""
        return self.variable(name).lower() in ("true", "1")

    @property
    def git_strategy(self) -> str:
        """none, empty, clone or fetch."""
        return self.variable("GIT_STRATEGY") or "clone"

    @property
    def exit_code_file(self) -> str:
        """BUILD_EXIT_CODE_FILE of this attempt."""
        return self.tempdir + "/build_exit_code"

    def environment(self) -> dict[str, str]:
        """The environment of a driver call: four layers, the last wins."""
        env = dict(self.runner.own_environ)
        env.update({"TMPDIR": self.tempdir, "BUILD_FAILURE_EXIT_CODE": str(BUILD_FAILURE),
                    "SYSTEM_FAILURE_EXIT_CODE": str(SYSTEM_FAILURE),
                    "BUILD_EXIT_CODE_FILE": self.exit_code_file,
                    "JOB_RESPONSE_FILE": self.tempdir + "/response.json"})
        env.update(self.job_env)
        values = self.values()
        env.update({"CUSTOM_ENV_" + key: value for key, value in values.items()})
        env["CUSTOM_ENV_CI_JOB_SERVICES"] = self.job.services_json(values)
        return env

    # Logs

    def write_log(self, line: str) -> None:
        """A line of gitlab-runner's own in the job log."""
        with self._lock:
            self.log += line.encode() + b"\n"

    def _tee(self, keep: bytearray, log: bytearray | None) -> Sink:
        def write(data: bytes) -> None:
            with self._lock:
                keep.extend(data)
                if log is not None:
                    log.extend(data)
        return write

    # Single calls

    def start(self, name: str, argv: list[str] | None, sinks: tuple[Sink, Sink] | None = None) -> StageCall:
        """Starts one driver process without waiting for it. @sinks replace both log streams."""
        if not argv:
            raise Failure("custom executor is missing RunExec", "runner_configuration_error")
        try:
            call = StageCall(argv, self.environment(), self.tempdir, *(sinks or (None, None)))
        except OSError as error:
            raise system_failure(f"failed to start command: {error}") from error
        self.running = call
        self.on_start(name, call)
        return call

    def _execute(self, name: str, argv: list[str], stop: Stop, timeout: float = 0) -> Call:
        out, err = bytearray(), bytearray()
        log = self.runner_log if name == "cleanup" else self.log
        call = self.start(name, argv, (self._tee(out, None if name == "config" else log), self._tee(err, log)))
        context = Stop(stop, timeout)
        killed = None
        while not call.wait(0.02):
            if context.why():
                try:
                    call.terminate(self.runner.graceful_kill_timeout, self.runner.force_kill_timeout)
                except KillError as error:
                    killed = error
                break
        self.running = None
        done = Call(name, -1 if call.returncode is None else call.returncode, bytes(out), bytes(err), argv)
        self.calls.append(done)
        if killed:
            raise system_failure(str(killed))
        return done

    def judge(self, returncode: int) -> None:
        """Turns a driver's exit status into a Failure, as gitlab-runner does; 0 is success."""
        if returncode == 0:
            return
        if returncode == SYSTEM_FAILURE:
            raise system_failure("exit status 2")
        if returncode != BUILD_FAILURE:
            raise system_failure(f"unknown Custom executor executable exit code {returncode}")
        try:
            with open(self.exit_code_file, "rb") as file:
                line = file.read().split(b"\n")[0].removesuffix(b"\r").decode(errors="replace")
        except OSError:
            raise build_failure("exit status 1", 1) from None
        if not re.fullmatch(r"[+-]?[0-9]+", line):
            raise system_failure(f"unknown Custom executor executable exit code {SYSTEM_FAILURE}")
        raise build_failure(f"exit status {line}", int(line))

    def _accept(self, call: Call) -> Call:
        """The call if it succeeded; else the failure, with what the call printed for whoever reads the traceback."""
        try:
            self.judge(call.returncode)
        except Failure as failure:
            failure.args = (f"{failure.message}: {(call.stdout + call.stderr).decode(errors='replace')}",)
            raise
        return call

    def start_attempt(self) -> None:
        """A new temporary directory with response.json, as for each prepare attempt."""
        self.builds_dir, self.cache_dir = self.runner.builds_dir, self.runner.cache_dir
        self.shell, self.driver, self.job_env = self.runner.shell, {}, {}
        base = self.runner.tmpdir or self.runner.own_environ.get("TMPDIR") or "/tmp"
        self.tempdir = tempfile.mkdtemp(prefix="custom-executor", dir=base)
        path = self.tempdir + "/response.json"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(self.job.response_json())

    def config(self, stop: Stop | None = None) -> Call | None:
        """The config stage; applies what it printed."""
        if not self.runner.config_exec:
            return None
        self.refresh_variables()
        call = self._execute("config", self.runner.config_exec, stop or self.job_stop,
                             self.runner.config_exec_timeout)
        self.judge(call.returncode)
        if call.stdout:
            self._apply(call.stdout)
        return call

    def _apply(self, text: bytes) -> None:
        types = {"builds_dir": str, "cache_dir": str, "hostname": str, "shell": str,
                 "builds_dir_is_shared": bool, "job_env": dict, "driver": dict}
        try:
            parsed = json.loads(text.decode())
            if not isinstance(parsed, dict):
                raise ValueError("not an object")
            config = {k.lower(): v for k, v in parsed.items() if v is not None}
            for key, kind in types.items():
                if key in config and not isinstance(config[key], kind):
                    raise ValueError(f"{key}: not a {kind.__name__}")
            for value in config.get("job_env", {}).values():
                if not isinstance(value, str):
                    raise ValueError("job_env: not a string")
        except ValueError as error:
            raise system_failure(f"error while parsing JSON output: {error}") from error
        self.builds_dir = config.get("builds_dir", self.builds_dir)
        self.cache_dir = config.get("cache_dir", self.cache_dir)
        self.hostname = config.get("hostname", self.hostname)
        self.shell = config.get("shell", self.shell)
        self.shared_builds_dir = config.get("builds_dir_is_shared", self.shared_builds_dir)
        self.job_env = config.get("job_env", {})
        self.driver = config.get("driver", {})

    def start_build(self) -> None:
        """Settles shell and directories, after config and before prepare."""
        driver = " ".join(self.driver[k] for k in ("name", "version") if "name" in self.driver and k in self.driver)
        self.write_log(f"Using Custom executor{' with driver ' + driver if driver else ''}...")
        if (self.shell or "bash") not in SHELLS:
            raise system_failure(f"shell {self.shell} not found")
        for name in ("builds_dir", "cache_dir"):
            if not getattr(self, name):
                raise Failure(f"the {name} is not configured", "runner_configuration_error")
        self.root_dir = self.builds_dir
        self.project_dir = os.path.join(self.builds_dir, self._project_path())
        self.refresh_variables()

    def _project_path(self) -> str:
        match = re.match(r"\w+://[^/]+/(.+?)(\.git)?/?$", self.job.git["repo_url"])
        path = match.group(1) if match else f"project-{self.job.project}"
        if self.shared_builds_dir:
            path = f"{self.runner.short_token}/0/{path}"
        return path + ("-empty" if self.git_strategy == "empty" else "")

    def prepare(self, stop: Stop | None = None) -> Call | None:
        """The prepare stage, with config's results applied."""
        self.start_build()
        if not self.runner.prepare_exec:
            return None
        call = self._execute("prepare", self.runner.prepare_exec, stop or self.job_stop,
                             self.runner.prepare_exec_timeout)
        return self._accept(call)

    def begin(self) -> "Build":
        """One attempt up to and including prepare; for tests that then call stages themselves. The job's time limit
        only runs from then on: on no machine is it over before."""
        self.start_attempt()
        self.config()
        self.prepare()
        self.job_stop.deadline = time.monotonic() + self.job.timeout
        return self

    def script_file(self, text: str) -> str:
        """Stores a stage script as gitlab-runner does: script<random>/script, 0700."""
        path = tempfile.mkdtemp(prefix="script", dir=self.tempdir) + "/script"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o700), "w", encoding="utf-8",
                  errors="surrogateescape") as file:
            file.write(text)
        return path

    def run_argv(self, text: str, stage: str = "build_script") -> list[str]:
        """The command line of a run call for script @text."""
        stage = "build_script" if stage == "step_script" else stage
        return [*(self.runner.run_exec or []), self.script_file(text), stage]

    def start_script(self, body: str, stage: str = "build_script", sinks: tuple[Sink, Sink] | None = None,
                     raw: bool = False) -> StageCall:
        """Starts a run call of the commands in @body (@raw: of exactly that script) without waiting."""
        return self.start(stage, self.run_argv(body if raw else envelope(body + "\n"), stage), sinks)

    def run_script(self, body: str, stage: str = "build_script", raw: bool = False) -> Call:
        """Runs the commands in @body in one run call; raises Failure as gitlab-runner would judge it."""
        call = self._execute(stage, self.run_argv(body if raw else envelope(body + "\n"), stage), self.job_stop)
        return self._accept(call)

    def run_stage(self, stage: str, stop: Stop | None = None) -> Call | None:
        """One stage of the job with its real script; None when there is nothing to do in it."""
        stop = stop or self.job_stop
        if stop.why():
            raise Failure(stop.why(), "interrupted")
        text = StageScripts(self).write(stage)
        if text is None:
            return None
        argv = self.run_argv(text, stage)
        call = self._execute(argv[-1], argv, stop)
        return self._accept(call)

    def cleanup(self) -> Call | None:
        """The cleanup stage: not bound to the job's own time; its failure is only logged."""
        try:
            if not self.runner.cleanup_exec:
                return None
            call = self._execute("cleanup", self.runner.cleanup_exec, Stop(), self.runner.cleanup_exec_timeout)
            self.judge(call.returncode)
            return call
        except Failure as failure:
            self.runner_log += f"Cleanup script failed: {failure.message}\n".encode()
            return self.calls[-1] if self.calls and self.calls[-1].name == "cleanup" else None
        finally:
            self.cleanup_temporary()

    def cleanup_temporary(self) -> None:
        """Removes this attempt's temporary directory."""
        shutil.rmtree(self.tempdir, ignore_errors=True)

    # Ending it early

    def cancel(self) -> None:
        """The server said "canceling": ends the user script, or the whole job before that has begun."""
        (self.script_stop or self.job_stop).cancel()

    def abort(self) -> None:
        """The server said "canceled": ends everything; only cleanup follows."""
        self.job_stop.cancel()
