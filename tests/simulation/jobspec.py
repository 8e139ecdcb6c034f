# SPDX-License-Identifier: GPL-3.0-or-later
"""A CI job as the server sends it, and the variables gitlab-runner derives from it."""

import itertools
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

# Numbers are unique to this test run, so that what a job leaves behind can be told from everyone else's.
_numbers = itertools.count(os.getpid() * 100_000 + 1)

FEATURE_FLAGS = {
    "FF_NETWORK_PER_BUILD": False, "FF_USE_DIRECT_DOWNLOAD": True, "FF_USE_FASTZIP": True,
    "FF_ENABLE_BASH_EXIT_CODE_CHECK": False, "FF_USE_LEGACY_BASH_EVAL": False,
    "FF_SCRIPT_SECTIONS": False, "FF_ENABLE_JOB_CLEANUP": False, "FF_POSIXLY_CORRECT_ESCAPES": False,
    "FF_TIMESTAMPS": True, "FF_GIT_URLS_WITHOUT_TOKENS": False,
    "FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY": True,
}


@dataclass
class Variable:
    """One job variable with the flags the server gives it."""

    key: str
    value: str = ""
    public: bool = True
    file: bool = False
    masked: bool = False
    raw: bool = False


def expand(text: str, values: dict[str, str]) -> str:
    """Replaces $NAME and ${NAME}; unknown names become empty and $$ a dollar sign, as Go's os.Expand."""
    def value(match: re.Match) -> str:
        name = match.group(1) or match.group(2)
        return "$" if name == "$" else values.get(name, "")
    return re.sub(r"\$(?:\{([^}]*)\}|(\$|\w+))", value, text)


def expand_all(variables: list[Variable]) -> list[Variable]:
    """Expands each variable against all of them; raw ones are left alone, files are not expanded into others."""
    values = {v.key: v.value for v in variables}
    return [v if v.raw else Variable(v.key, expand(v.value, values), v.public, v.file, v.masked)
            for v in variables]


def go_json(value: Any) -> str:
    """JSON as Go's encoding/json writes it: compact, and <>& as \\u escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


@dataclass
class Job:
    """The job payload. Fields left alone make a job that runs @script without git in @image."""

    script: list[str] = field(default_factory=lambda: ["echo hello"])
    after_script: list[str] = field(default_factory=list)
    image: str | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    variables: list[Variable] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    cache: list[dict[str, Any]] = field(default_factory=list)
    dependencies: list[dict[str, Any]] = field(default_factory=list)
    extra_steps: list[dict[str, Any]] = field(default_factory=list)
    run: list[dict[str, Any]] = field(default_factory=list)  # in the place of @script
    git: dict[str, Any] = field(default_factory=dict)
    server: str = "http://gitlab.invalid"
    token: str = ""
    name: str = "test-job"
    stage: str = "test"
    project: int = 1
    timeout: int = 3600

    def __post_init__(self) -> None:
        self.token = self.token or f"jobtoken-{self.number}"
        self.git = {"repo_url": f"{self.server}/group/project.git", "repo_object_format": "",
                    "ref": "main", "sha": "0" * 40, "before_sha": "0" * 40, "ref_type": "branch",
                    "refspecs": ["+refs/heads/main:refs/remotes/origin/main"], "depth": 0,
                    "protected": None, **self.git}
        self.variables = [v if isinstance(v, Variable) else Variable(*v) for v in self.variables]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The payload's steps: script, further named steps, after_script."""
        def step(name: str, script: list[str], when: str = "on_success") -> dict[str, Any]:
            return {"name": name, "script": script, "timeout": self.timeout, "when": when,
                    "allow_failure": when == "always"}
        steps = [step("run" if self.run else "script", [] if self.run else self.script)] + self.extra_steps
        if self.after_script:
            steps.append(step("after_script", self.after_script, "always"))
        return steps

    def server_variables(self) -> list[Variable]:
        """What the server itself sends, before the job's own variables."""
        return [Variable("CI_JOB_ID", str(self.number)), Variable("CI_JOB_TOKEN", self.token, False, masked=True),
                Variable("CI_PROJECT_ID", str(self.project)), Variable("CI_SERVER_URL", self.server),
                Variable("CI_JOB_NAME", self.name), Variable("CI_JOB_STAGE", self.stage),
                Variable("CI_JOB_URL", f"{self.server}/group/project/-/jobs/{self.number}"),
                Variable("GITLAB_USER_LOGIN", "somebody"), Variable("GIT_STRATEGY", "none")]

    def payload(self) -> dict[str, Any]:
        """The job as POST /jobs/request answers it; also the content of response.json."""
        variables = [vars(v) for v in self.server_variables() + self.variables]
        options = {"docker": {"platform": "", "user": ""}, "kubernetes": {"user": ""}}
        image = {"name": self.image or "", "executor_opts": options}
        services = [{**service, "executor_opts": service.get("executor_opts", options)} for service in self.services]
        return {
            "id": self.number, "token": self.token, "allow_git_fetch": False,
            "job_info": {"name": self.name, "stage": self.stage, "pipeline_id": 7,
                         "project_id": self.project, "project_name": "project",
                         "project_full_path": "group/project", "namespace_id": 1, "root_namespace_id": 0,
                         "organization_id": 0, "instance_id": "", "instance_uuid": "", "user_id": 1,
                         "time_in_queue_seconds": 0,
                         "project_jobs_running_on_instance_runners_count": "0", "queue_size": 0,
                         "queue_depth": 0},
            "git_info": self.git, "runner_info": {"uuid": "", "timeout": self.timeout},
            "inputs": {}, "variables": variables, "steps": self.steps, "image": image,
            "services": services or None, "artifacts": self.artifacts or None,
            "cache": self.cache or None, "credentials": None,
            "dependencies": self.dependencies or None,
            "features": {"trace_sections": True, "token_mask_prefixes": None, "failure_reasons": [],
                         "tracing": None},
            "policy_options": {"execution_policy_job": False, "policy_name": ""},
            "suspend_options": {}, **({"run": json.dumps(self.run)} if self.run else {}),
        }

    def response_json(self) -> str:
        """The content of response.json: the payload and a final newline."""
        return go_json(self.payload()) + "\n"

    def services_json(self, values: dict[str, str]) -> str:
        """CI_JOB_SERVICES: empty without services, else one object per service."""
        if not self.services:
            return ""
        out = []
        for service in self.services:
            aliases = re.split(r"[\s,]+", service.get("alias") or "")
            entry = {"name": service["name"], "alias": aliases[0],
                     "entrypoint": service.get("entrypoint"), "command": service.get("command")}
            if service.get("variables"):
                own = {v["key"]: v["value"] for v in service["variables"]}
                entry["variables"] = {k: expand(v, {**values, **own}) for k, v in own.items()}
            out.append(entry)
        return go_json(out)
