"""A clean clone, and commands in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def clone(root, tmp_path_factory):
    """Call a command in a clean clone of the last commit; the environment of the tests is its own."""
    folder = tmp_path_factory.mktemp("clone") / "mindgap"
    subprocess.run(["git", "clone", "--quiet", root, folder], check=True)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONFIG")}
    # The package of the clone, not that of the environment.
    env["PYTHONPATH"] = str(folder / "src")
    env["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{env['PATH']}"

    def call(*words, **more):
        more = {**env, **more}
        return subprocess.run(words, cwd=folder, env=more, text=True, capture_output=True)

    call.folder = folder
    return call
