# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/profile: where the time of a job goes."""

import shutil
import subprocess
from pathlib import Path

import pytest

import host
from lab import Lab

SOURCE = Path(__file__).resolve().parents[2]
STRACE = shutil.which("strace")


@pytest.mark.skipif(not STRACE, reason="strace is not in PATH")
def test_profile(lab: Lab) -> None:
    """Each command has its table, with the stations that it passes."""
    done = subprocess.run([SOURCE / "bench/profile", "--driver", lab.driver, "--image", lab.tiny_image()],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tables = {part.split(",")[0]: part for part in done.stdout.split("### ")[1:]}
    assert list(tables) == ["prepare", "run", "cleanup"]
    for table in tables.values():
        assert table.rstrip().endswith("| host | it ends |"), table
    assert "the plan is written" in tables["prepare"] and "its program starts" in tables["run"], done.stdout
    assert "the layer is out of the way" in tables["cleanup"], done.stdout
    if not host.has_systemd():
        assert "the agent takes the connection" in tables["prepare"], done.stdout
