# SPDX-License-Identifier: GPL-3.0-or-later
"""A git repository for jobs to check out."""

import subprocess
from pathlib import Path

from coordinator import Coordinator
from simulation.jobspec import Job, Variable


class Repository:
    """A git repository served over HTTP."""

    def __init__(self, directory: Path, server: Coordinator):
        self.work, self.bare = directory / "work", directory / "www/group/project.git"
        self.url = f"{server.url}/group/project.git"
        subprocess.run(["git", "init", "-q", "-b", "main", self.work], check=True)
        (self.work / "file").write_text("from the repository\n")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "first")
        subprocess.run(["git", "clone", "-q", "--bare", self.work, self.bare], check=True)
        subprocess.run(["git", "-C", self.bare, "update-server-info"], check=True)
        self.sha = self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Runs git in the work tree."""
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(["git", *identity, "-C", self.work, *arguments], check=True, capture_output=True,
                              text=True).stdout.strip()

    def job(self, script: list[str], *variables: tuple[str, str]) -> Job:
        """A job that checks it out."""
        return Job(script, variables=[Variable(*v) for v in variables], git={"sha": self.sha, "repo_url": self.url})
