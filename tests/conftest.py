"""Shared fixtures: the repository, clouds of embeddings, the mirror."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def mirror():
    """Folder of real data; tests that need it are skipped, visibly, where it is not given."""
    folder = os.environ.get("MINDGAP_MIRROR")
    if not folder:
        pytest.skip("MINDGAP_MIRROR is not set: no published files to compare with")
    return Path(folder)


@pytest.fixture(scope="session")
def published(root):
    """Path of a file of the published features: shipped, or in the mirror; skips where it is neither."""

    def find(name):
        path = root / "resources/mind-the-gap-features" / name
        if path.exists():
            return path
        folder = os.environ.get("MINDGAP_MIRROR")
        path = Path(folder or "", "mind-the-gap-features", name)
        if not folder or not path.exists():
            pytest.skip(f"{name} derives from patient data and is not in the mirror")
        return path

    return find


#: Files whose tests share one finished smoke run.
SMOKE = ("workflow/test_runs.py", "workflow/test_faults.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each worker whole files, and the files that share the smoke run to one worker."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return "smoke" if file.endswith(SMOKE) else file

    return ByFile(config, log)


def make_clouds(n, d, seed=0, gap=1.0, noise=0.3):
    """Two clouds of paired, unnormalised float32 rows around different centres."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, d))
    centres = rng.standard_normal((2, d)) * gap
    return [
        (rng.uniform(0.5, 2, (n, 1)) * (c + shared + noise * rng.standard_normal((n, d)))).astype(
            np.float32
        )
        for c in centres
    ]


@pytest.fixture
def clouds():
    return make_clouds
