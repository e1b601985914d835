"""A small checkpoint, and a copy of it that a test may spoil."""

import shutil

import pytest

from tests.checkpoints import make_checkpoint


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    return make_checkpoint("clip", tmp_path_factory.mktemp("clip"))


@pytest.fixture
def copy(clip, tmp_path):
    return shutil.copytree(clip, tmp_path / "copy")
