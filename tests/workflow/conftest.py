"""A copy of the working tree, and Snakemake in it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


class House:
    """A copy of the project in which a test may run and break things."""

    def __init__(self, root, folder):
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for name in filter(None, names.split("\0")):
            if (root / name).exists():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, target)
        self.path = Path(folder)

    def run(self, *command, check=True, **more):
        env = {**os.environ, "PYTHONPATH": str(self.path / "src"), **more.pop("env", {})}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        done = subprocess.run(
            command, cwd=self.path, env=env, text=True, capture_output=True, check=False, **more
        )
        done.both = done.stdout + done.stderr
        assert not check or done.returncode == 0, done.both[-6000:]
        return done

    def snakemake(self, config, *args, **more):
        return self.run("snakemake", "--configfile", config, *args, **more)

    def make(self, *words, **more):
        """Call make as a user does, in the environment of the tests."""
        quiet = "--no-print-directory"  # these tests may have been started by make
        return self.run("make", quiet, "-o", "setup", f"VENV={sys.prefix}", *words, **more)

    def plan(self, config, *args):
        """Jobs that a dry run would start: rule -> count, without the collecting rule `all`."""
        text = self.snakemake(config, "-n", *args).both
        table = text.partition("Job stats:")[2].partition("total")[0]
        jobs = dict(re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE))
        return {rule: int(count) for rule, count in jobs.items() if rule != "all"}


@pytest.fixture
def make_house(root):
    def make(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return House(root, folder)

    return make


@pytest.fixture(scope="session")
def house(root, tmp_path_factory):
    """One copy for tests that only look."""
    return House(root, tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="session")
def smoke(root, tmp_path_factory):
    """One copy with a finished smoke run; a test that edits something puts it back."""
    house = House(root, tmp_path_factory.mktemp("smoke"))
    house.first = house.make("reproduce", "CONFIG=config/smoke.yaml")
    return house
