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


# Before the hook of xdist, which reads the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep together what shares a fixture: a worker takes a file, or all tests on the smoke run."""
    for item in items:
        shared = "smoke" if "smoke" in item.fixturenames else item.path.name
        item.add_marker(pytest.mark.xdist_group(shared))


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
