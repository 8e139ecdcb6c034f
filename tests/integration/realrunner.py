# SPDX-License-Identifier: GPL-3.0-or-later
"""A real gitlab-runner, which has to be in PATH, with a driver as its custom executor."""

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from coordinator import Coordinator, Report, runner_config
from pace import PATIENCE
from simulation.build import Runner
from simulation.jobspec import Job


class RealRunner:
    """A gitlab-runner process working on what the coordinator hands out."""

    def __init__(self, directory: Path, coordinator: Coordinator, runner: Runner, wrapper: tuple[str, ...] = ()):
        self.directory, self.coordinator, self.wrapper = directory, coordinator, wrapper
        assert runner.config_exec and runner.prepare_exec and runner.run_exec and runner.cleanup_exec
        self.file = directory / "config.toml"
        self.file.write_text(runner_config(coordinator.url, runner.config_exec, runner.prepare_exec,
                                           runner.run_exec, runner.cleanup_exec))
        (directory / "tmp").mkdir(exist_ok=True)
        self.environ = {**os.environ, "TMPDIR": str(directory / "tmp")}

    @contextmanager
    def working(self) -> Iterator[subprocess.Popen]:
        """Runs `gitlab-runner run`; ends it when the block does."""
        with open(self.directory / "gitlab-runner.log", "wb") as log, \
                subprocess.Popen([*self.wrapper, "gitlab-runner", "run", "-c", self.file], stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log, env=self.environ) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGQUIT)  # it ends with its last job
                try:
                    process.wait(PATIENCE)
                finally:
                    process.kill()

    def log(self) -> str:
        """What gitlab-runner itself has said."""
        return (self.directory / "gitlab-runner.log").read_text()

    def run(self, *jobs: Job) -> list[Report]:
        """Plays the jobs to their end."""
        reports = [self.coordinator.submit(job) for job in jobs]
        with self.working():
            for report in reports:
                assert report.done.wait(PATIENCE), report.text + self.log()
        return reports
