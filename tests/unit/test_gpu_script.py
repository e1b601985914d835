"""The script that tries a GPU: what it needs, and one check of it on the CPU."""

import subprocess
import sys

#: What a machine with a GPU and torch need not have.
ABSENT = "pydantic snakemake umap numba pyarrow av datasets pooch jsonschema"

CODE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in "{ABSENT}".split():
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, "tests/gpu")
import run, torch, tempfile, pathlib
with tempfile.TemporaryDirectory() as folder:
    print(run.codebook(torch.device("cpu"), pathlib.Path(folder)))
    print(run.training(torch.device("cpu"), pathlib.Path(folder)))
"""


def test_it_runs_with_torch_and_its_kin_alone(root):
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "six steps, loss" in done.stdout and "on the CPU to" in done.stdout


def test_without_a_device_it_says_what_to_do(root):
    import torch

    if torch.cuda.is_available():
        return
    done = subprocess.run(
        [sys.executable, "tests/gpu/run.py"], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "error: no CUDA device; give --device cpu to try everything but the device"
    )
