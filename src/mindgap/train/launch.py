"""Start several processes that train one model together."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mindgap.errors import UserError
from mindgap.files import write_json
from mindgap.train.fit import Job


def spread(work: Job, processes: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train in several processes of torchrun; the first one writes the checkpoint."""
    spec = Path(work.state).with_suffix(".json")
    write_json(spec, asdict(work))
    command = ["torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    done = subprocess.run([sys.executable, "-m", *command, "-m", "mindgap.train.fit", str(spec)])
    if done.returncode:
        raise UserError(f"one of {processes} training processes failed; the log above says why")
    found = json.loads(spec.with_suffix(".done").read_text())
    for path in (spec, spec.with_suffix(".done")):
        path.unlink()
    return found
