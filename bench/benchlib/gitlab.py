# SPDX-License-Identifier: GPL-3.0-or-later
"""What gitlab-runner hands to a custom executor: variables, job response, scripts, environment."""

import json
import os
import string

STAGES = (
    "prepare_script",
    "get_sources",
    "build_script",
    "after_script",
    "upload_artifacts_on_success",
    "cleanup_file_variables",
)

# What the job prints when a later step found what an earlier one wrote.
MARKER = "written by the step before"

CONTAINER_BUILDS = "/builds"

TERM_TRAP = "trap 'exit 1' TERM"

LITERAL = frozenset((string.ascii_letters + string.digits + ",-./@_").encode())
ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 39: "\\'", 92: "\\\\"}


def quote(text):
    """As the runner quotes words: bare if harmless, else $'...'."""
    if not text:
        return "''"
    data = text.encode()
    if LITERAL.issuperset(data):
        return text
    escaped = (ESCAPES.get(c) or (chr(c) if 32 <= c < 127 else f"\\x{c:02x}") for c in data)
    return f"$'{''.join(escaped)}'"


def bash_form(body):
    """The frame that the runner puts around everything it wants a bash to do."""
    return (
        "#!/usr/bin/env bash\n\n"
        f"{TERM_TRAP}\n\n"
        'case "$(set -o)" in *"pipefail"*) set -o pipefail;; esac; set -o errexit\n'
        "set +o noclobber\n"
        f"({TERM_TRAP}; eval {quote(body)}) < /dev/null\n"
        "exit 0\n"
    )


def variables(number, image, builds):
    """The variables of a small job: a real one has about this many."""
    project = f"{builds}/bench/project"
    sha = "0123456789abcdef0123456789abcdef01234567"
    values = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER": "yes",
        "CI_SERVER_URL": "https://gitlab.example.org",
        "CI_SERVER_HOST": "gitlab.example.org",
        "CI_SERVER_PORT": "443",
        "CI_SERVER_PROTOCOL": "https",
        "CI_SERVER_NAME": "GitLab",
        "CI_SERVER_VERSION": "18.4.0",
        "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
        "CI_JOB_ID": str(number),
        "CI_JOB_URL": f"https://gitlab.example.org/bench/project/-/jobs/{number}",
        "CI_JOB_TOKEN": "glcbt-64_" + "x" * 20,
        "CI_JOB_NAME": "bench",
        "CI_JOB_NAME_SLUG": "bench",
        "CI_JOB_STAGE": "test",
        "CI_JOB_STATUS": "running",
        "CI_JOB_TIMEOUT": "3600",
        "CI_JOB_STARTED_AT": "2026-01-01T00:00:00Z",
        "CI_JOB_IMAGE": image,
        "CI_PIPELINE_ID": "4711",
        "CI_PIPELINE_IID": "42",
        "CI_PIPELINE_SOURCE": "push",
        "CI_PIPELINE_URL": "https://gitlab.example.org/bench/project/-/pipelines/4711",
        "CI_PROJECT_ID": "7",
        "CI_PROJECT_NAME": "project",
        "CI_PROJECT_PATH": "bench/project",
        "CI_PROJECT_PATH_SLUG": "bench-project",
        "CI_PROJECT_NAMESPACE": "bench",
        "CI_PROJECT_ROOT_NAMESPACE": "bench",
        "CI_PROJECT_URL": "https://gitlab.example.org/bench/project",
        "CI_PROJECT_VISIBILITY": "private",
        "CI_PROJECT_DIR": project,
        "CI_BUILDS_DIR": builds,
        "CI_DEFAULT_BRANCH": "main",
        "CI_CONFIG_PATH": ".gitlab-ci.yml",
        "CI_COMMIT_SHA": sha,
        "CI_COMMIT_SHORT_SHA": sha[:8],
        "CI_COMMIT_BEFORE_SHA": "0" * 40,
        "CI_COMMIT_REF_NAME": "main",
        "CI_COMMIT_REF_SLUG": "main",
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_MESSAGE": "Measure what a job costs\n\nIn milliseconds, it's the ratios that count.",
        "CI_COMMIT_TITLE": "Measure what a job costs",
        "CI_COMMIT_AUTHOR": "A Developer <developer@example.org>",
        "CI_RUNNER_ID": "3",
        "CI_RUNNER_DESCRIPTION": "bench",
        "CI_RUNNER_SHORT_TOKEN": "RuNnErToK",
        "CI_RUNNER_TAGS": '["bench"]',
        "CI_RUNNER_VERSION": "18.4.0",
        "CI_RUNNER_EXECUTABLE_ARCH": "linux/amd64",
        "CI_CONCURRENT_ID": "0",
        "CI_CONCURRENT_PROJECT_ID": "0",
        "CI_SHARED_ENVIRONMENT": "true",
        "CI_REGISTRY": "registry.example.org",
        "CI_REGISTRY_IMAGE": "registry.example.org/bench/project",
        "CI_DEPENDENCY_PROXY_SERVER": "gitlab.example.org:443",
        "GITLAB_USER_ID": "1",
        "GITLAB_USER_LOGIN": "developer",
        "GITLAB_USER_NAME": "A Developer",
        "GITLAB_USER_EMAIL": "developer@example.org",
        "GITLAB_FEATURES": "audit_events,burndown_charts,code_owners,description_diffs,group_webhooks",
        "GIT_STRATEGY": "none",
        "RUNNER_TEMP_PROJECT_DIR": project + ".tmp",
    }
    for flag in ("NETWORK_PER_BUILD", "USE_DIRECT_DOWNLOAD", "SCRIPT_SECTIONS", "TIMESTAMPS",
                 "ENABLE_JOB_CLEANUP", "USE_LEGACY_BASH_EVAL", "POSIXLY_CORRECT_ESCAPES", "USE_FASTZIP",
                 "GIT_URLS_WITHOUT_TOKENS"):
        values["FF_" + flag] = "false"
    return values


def scripts(values):
    """The six scripts of a job without sources: stage -> text."""
    project = values["CI_PROJECT_DIR"]
    temporary = values["RUNNER_TEMP_PROJECT_DIR"]
    env_file = f"{temporary}/gitlab_runner_env"
    exports = "".join(f"export {key}={quote(value)}\n" for key, value in values.items()) + (
        f"export GITLAB_ENV={quote(env_file)}\n"
        f'mkdir -p "{temporary}"\n'
        f'touch "{env_file}"\n'
        f'while read -r line; do export "$line"; done < "{env_file}"\n'
    )

    def say(text):
        return f"echo {quote(chr(27) + '[32;1m' + text + chr(27) + '[0;m')}\n"

    bodies = {
        "prepare_script": (
            'echo "Running on $(hostname) via bench..."\n'
            f'rm -f "{env_file}"\n'
            f'rm -f "{temporary}/masking.db"\n'
        ),
        "get_sources": (
            exports
            + "export GIT_TERMINAL_PROMPT=0\nexport GCM_INTERACTIVE=Never\n"
            + say("Skipping Git repository setup")
            + f"mkdir -p {quote(project)}\n"
            + say("Skipping Git checkout")
            + say("Skipping Git submodules setup")
        ),
        "build_script": (
            exports
            + f"cd {quote(project)}\n"
            + say(f"$ echo {MARKER} > file")
            + f"echo {MARKER} > file\n"
            + say('$ printf "%s\\n" "$CI_COMMIT_MESSAGE"')
            + 'printf "%s\\n" "$CI_COMMIT_MESSAGE"\n'
        ),
        "after_script": (
            exports
            + f"cd {quote(project)}\n"
            + say("Running after script...")
            + say("$ read -r line < file && echo $line")
            + "read -r line < file && echo $line\n"
        ),
        "upload_artifacts_on_success": (
            exports
            + f"cd {quote(project)}\n"
            + "if gitlab-runner --version >/dev/null 2>&1 ; then\n  exit 99\nelse\n"
            + say("Missing gitlab-runner. Uploading artifacts is disabled.")
            + "fi\n"
        ),
        "cleanup_file_variables": (
            exports
            + "".join(f'rm -f "{temporary}/{name}"\n'
                      for name in ("gitlab_runner_env", "masking.db", ".gitlab-runner.ext.conf"))
        ),
    }
    assert tuple(bodies) == STAGES
    return {stage: bash_form(body) for stage, body in bodies.items()}


def job_response(number, image, values):
    return {
        "id": number,
        "token": values["CI_JOB_TOKEN"],
        "allow_git_fetch": True,
        "job_info": {"name": "bench", "stage": "test", "project_id": 7, "project_name": "project"},
        "git_info": {"repo_url": "", "ref": "main", "sha": values["CI_COMMIT_SHA"],
                     "before_sha": values["CI_COMMIT_BEFORE_SHA"], "ref_type": "branch", "refspecs": [],
                     "depth": 0},
        "runner_info": {"timeout": 3600},
        "variables": [{"key": key, "value": value, "public": True, "file": False, "masked": False,
                       "raw": False} for key, value in values.items()],
        "steps": [{"name": name, "script": ["true"], "timeout": 3600, "when": "on_success",
                   "allow_failure": False} for name in ("script", "after_script")],
        "image": {"name": image},
        "services": [],
        "artifacts": None,
        "cache": None,
        "credentials": None,
        "dependencies": None,
        "features": {"trace_sections": True, "failure_reasons": []},
    }


def write_job(directory, number, image, builds):
    """Lays out the temporary directory of a job as the runner does.

    Returns the environment of its stages and the paths of its scripts.
    """
    os.makedirs(directory, 0o700)
    values = variables(number, image, builds)

    response = f"{directory}/response.json"
    with open(response, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        json.dump(job_response(number, image, values), f)

    paths = {}
    for stage, text in scripts(values).items():
        paths[stage] = write_script(f"{directory}/script-{stage}", text)

    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "USER": "root",
        "LANG": "C.UTF-8",
        "TMPDIR": directory,
        "BUILD_FAILURE_EXIT_CODE": "1",
        "SYSTEM_FAILURE_EXIT_CODE": "2",
        "BUILD_EXIT_CODE_FILE": f"{directory}/build_exit_code",
        "JOB_RESPONSE_FILE": response,
        "CUSTOM_ENV_CI_JOB_SERVICES": "",
    }
    environment.update(("CUSTOM_ENV_" + key, value) for key, value in values.items())
    return environment, paths


def write_script(directory, text):
    os.mkdir(directory, 0o700)
    path = f"{directory}/script"
    with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o700)) as f:
        f.write(text)
    return path
