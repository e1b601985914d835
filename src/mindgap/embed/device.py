"""Where to compute; apart from the encoders, which take seconds to import."""

from __future__ import annotations

import torch


def choose_device(name: str) -> torch.device:
    """Return the torch device for a config's `device`; `auto` prefers an accelerator."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
