"""Run an encoder over batches: decode ahead in threads, encode on the device, survive full memory.

Pillow, the tokenizers and PyTorch all work without Python's global lock, so threads suffice for
decoding to go on while the device computes, and nothing is copied between processes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

import torch

from mindgap.data.medium import BadItem
from mindgap.embed.encoders.base import Encoder, Inputs
from mindgap.runtime.errors import UserError

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
T = TypeVar("T")


def choose_precision(name: str, device: torch.device) -> str:
    """`auto` is bfloat16 on a CUDA device and float32 elsewhere; the vectors are always float32."""
    if name != "auto":
        return name
    return "bfloat16" if device.type == "cuda" else "float32"


def ahead(
    pool: ThreadPoolExecutor, function: Callable[[Any], T], jobs: Iterable[Any], depth: int
) -> Iterator[T]:
    """Results of `function` in the order of the jobs, with up to `depth` of them under way."""
    waiting: deque = deque()
    for job in jobs:
        waiting.append(pool.submit(function, job))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def prepare(
    encoder: Encoder, modality: str, values: list[Any]
) -> tuple[Inputs | None, list[int], list[tuple[int, str]]]:
    """Decode a batch: its inputs, the positions that are in it, and the failures with reasons."""
    good, kept, failed = [], [], []
    for position, value in enumerate(values):
        try:
            if value is None:
                raise BadItem(f"no {modality}")
            good.append(encoder.preprocess(modality, value))
            kept.append(position)
        except BadItem as failure:
            failed.append((position, str(failure)))
    return (encoder.collate(modality, good) if good else None), kept, failed


class Runner:
    """An encoder on its device, with the batch size that its memory allows.

    When a batch does not fit, it is halved, and so are all later ones.
    """

    def __init__(self, encoder: Encoder, device: torch.device, precision: str) -> None:
        self.encoder, self.device = encoder.to(device), device
        self.dtype, self.limit = PRECISIONS[precision], None

    @torch.inference_mode()
    def __call__(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Float32 vectors of a batch, (n, d), on the device."""
        count = len(next(iter(inputs.values())))
        found, done = [], 0
        while done < count:
            size, full = min(count - done, self.limit or count), False
            try:
                part = {k: v[done : done + size] for k, v in inputs.items()}
                found.append(self._encode(modality, part))
                done += size
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if size == 1:
                    raise UserError(
                        f"one {modality} does not fit into the memory of {self.device}; "
                        "set device: cpu or take a smaller model"
                    ) from None
                self.limit, full = size // 2, True
                logging.info("%s is full: batches of %s from now on", self.device, self.limit)
            if full and self.device.type == "cuda":
                torch.cuda.empty_cache()  # after the error is gone, which held on to the batch
        rows = found[0] if len(found) == 1 else torch.cat(found)
        if tuple(rows.shape) != (count, self.encoder.dimension):
            raise AssertionError(
                f"{modality}: vectors of shape {tuple(rows.shape)} in place of "
                f"{(count, self.encoder.dimension)}"
            )
        return rows

    def _encode(self, modality: str, inputs: Inputs) -> torch.Tensor:
        if self.device.type == "cuda":
            inputs = {k: v.pin_memory() for k, v in inputs.items()}
        inputs = {k: v.to(self.device, non_blocking=True) for k, v in inputs.items()}
        half = torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext()
        with half:
            return self.encoder.encode(modality, inputs).float()


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
