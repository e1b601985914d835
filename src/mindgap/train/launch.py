"""Start several processes that train one model together."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_json


def spread(work: Any, processes: int, module: str = "mindgap.train.fit") -> Any:
    """Train in several processes of torchrun; the first one writes the checkpoint.

    `module` is called with the path of a file that holds the fields of `work`, and leaves what it
    found beside it.
    """
    spec = Path(f"{work.state}.json")
    write_json(spec, asdict(work))
    command = ["torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    # With the job's lock, which they hold on to if the job is killed and they are not.
    done = subprocess.run(
        [sys.executable, "-m", *command, "-m", module, str(spec)], close_fds=False
    )
    if done.returncode:
        raise UserError(f"one of {processes} training processes failed; the log above says why")
    found = json.loads(spec.with_suffix(".done").read_text())
    for path in (spec, spec.with_suffix(".done")):
        path.unlink()
    return found
