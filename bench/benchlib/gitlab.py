# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that is measured, with what gitlab-runner hands to a custom executor for it: see tests/simulation."""

from simulation.build import Build, Runner
from simulation.jobspec import Job
from simulation.shellscript import StageScripts

# As gitlab-runner calls them: the runs of a job without sources.
STAGES = ("prepare_script", "get_sources", "build_script", "after_script", "upload_artifacts_on_success",
          "cleanup_file_variables")

# What the job prints when a later step found what an earlier one wrote.
MARKER = "written by the step before"
SCRIPT = [f"echo {MARKER} > file", 'printf "%s\\n" "$CI_COMMIT_MESSAGE"']
AFTER_SCRIPT = ["read -r line < file && echo $line"]

CONTAINER_BUILDS = "/builds"

SERVER = "https://gitlab.example.org"
SHA = "0123456789abcdef0123456789abcdef01234567"
OWN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
}


def variables(number):
    """What a real server sends beside what the simulation has: about this many."""
    return {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER_HOST": "gitlab.example.org",
        "CI_SERVER_PORT": "443",
        "CI_SERVER_PROTOCOL": "https",
        "CI_SERVER_NAME": "GitLab",
        "CI_SERVER_VERSION": "18.4.0",
        "CI_API_V4_URL": f"{SERVER}/api/v4",
        "CI_JOB_URL": f"{SERVER}/bench/project/-/jobs/{number}",
        "CI_JOB_NAME_SLUG": "bench",
        "CI_JOB_STARTED_AT": "2026-01-01T00:00:00Z",
        "CI_PIPELINE_ID": "4711",
        "CI_PIPELINE_IID": "42",
        "CI_PIPELINE_SOURCE": "push",
        "CI_PIPELINE_URL": f"{SERVER}/bench/project/-/pipelines/4711",
        "CI_PROJECT_NAME": "project",
        "CI_PROJECT_PATH": "bench/project",
        "CI_PROJECT_PATH_SLUG": "bench-project",
        "CI_PROJECT_NAMESPACE": "bench",
        "CI_PROJECT_ROOT_NAMESPACE": "bench",
        "CI_PROJECT_URL": f"{SERVER}/bench/project",
        "CI_PROJECT_VISIBILITY": "private",
        "CI_DEFAULT_BRANCH": "main",
        "CI_CONFIG_PATH": ".gitlab-ci.yml",
        "CI_COMMIT_SHA": SHA,
        "CI_COMMIT_SHORT_SHA": SHA[:8],
        "CI_COMMIT_BEFORE_SHA": "0" * 40,
        "CI_COMMIT_REF_NAME": "main",
        "CI_COMMIT_REF_SLUG": "main",
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_MESSAGE": "Measure what a job costs\n\nIn milliseconds, it's the ratios that count.",
        "CI_COMMIT_TITLE": "Measure what a job costs",
        "CI_COMMIT_AUTHOR": "A Developer <developer@example.org>",
        "CI_RUNNER_ID": "3",
        "CI_RUNNER_DESCRIPTION": "bench",
        "CI_RUNNER_TAGS": '["bench"]',
        "CI_REGISTRY": "registry.example.org",
        "CI_REGISTRY_IMAGE": "registry.example.org/bench/project",
        "CI_DEPENDENCY_PROXY_SERVER": "gitlab.example.org:443",
        "GITLAB_USER_ID": "1",
        "GITLAB_USER_LOGIN": "developer",
        "GITLAB_USER_NAME": "A Developer",
        "GITLAB_USER_EMAIL": "developer@example.org",
        "GITLAB_FEATURES": "audit_events,burndown_charts,code_owners,description_diffs,group_webhooks",
    }


def write_job(jobs, number, image, builds, services=()):
    """Lays out a job below the directory @jobs as the runner does. @builds is the path of the builds directory where
    {directory} stands for that of the job. Returns the Build, and the paths of its scripts by stage."""
    job = Job(script=SCRIPT, after_script=AFTER_SCRIPT, image=image, number=number, token="glcbt-64_" + "x" * 20,
              variables=list(variables(number).items()), artifacts=[{"when": "on_success"}], name="bench",
              server=SERVER, project=7, services=list(services), timeout=3600, git={"repo_url": f"{SERVER}/bench/project.git", "sha": SHA})
    build = Build(Runner(run_exec=["run"], own_environ=OWN_ENVIRONMENT, tmpdir=jobs), job)
    build.start_attempt()
    build.builds_dir, build.cache_dir = builds.format(directory=build.tempdir), "/cache"
    build.hostname = "bench"
    build.start_build()
    paths = {}
    for stage in STAGES:
        *_, path, name = build.run_argv(StageScripts(build).write("step_script" if stage == "build_script" else stage))
        paths[stage] = path
    return build, paths
