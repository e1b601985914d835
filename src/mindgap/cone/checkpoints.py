"""Trained weights: checkpoints from a folder or from the local cache of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm
from transformers import AutoModel, AutoTokenizer
from transformers.image_processing_base import ImageProcessingMixin

from mindgap.cone.inputs import MEAN, STD, prepare
from mindgap.data.media import open_picture
from mindgap.data.pairs import read_pairs
from mindgap.embed.store import check_rows
from mindgap.runtime.errors import UserError


class Checkpoint:
    """A trained model with the preprocessing that its own files ask for.

    CLIP models give image and text embeddings; any other vision model gives what it pools.
    Nothing is downloaded.
    """

    def __init__(self, where: str, revision: str | None, device: torch.device):
        options = {"revision": revision or "main", "local_files_only": True}
        options["trust_remote_code"] = False  # nor asked about, as the library would
        try:
            model = AutoModel.from_pretrained(where, **options)
            form, _ = ImageProcessingMixin.get_image_processor_dict(where, **options)
            self.clip = hasattr(model, "get_text_features")
            self.tokeniser = AutoTokenizer.from_pretrained(where, **options) if self.clip else None
        except (OSError, ValueError) as error:
            if Path(where).is_dir():
                raise UserError(
                    f"{where} is not a checkpoint folder: it needs config.json, weights "
                    "(model.safetensors) and preprocessor_config.json, and for CLIP a tokeniser"
                ) from error
            raise UserError(
                f"{where} (revision {options['revision']}) is neither a folder nor in the local "
                f"cache; fetch it once with: hf download {where}"
            ) from error
        self.model, self.device = model.eval().to(device), device
        size = form.get("crop_size") or form.get("size") or 224
        self.size = size if isinstance(size, int) else size.get("height", size.get("shortest_edge"))
        # Some processors enlarge first and then cut this share out of the middle.
        self.shortest = int(self.size / (form.get("crop_pct") or 1))
        self.mean = np.array(form.get("image_mean", MEAN), np.float32)
        self.std = np.array(form.get("image_std", STD), np.float32)
        self.filter = Image.Resampling(form.get("resample", Image.Resampling.BILINEAR))

    @torch.inference_mode()
    def embed(self, pictures: list[Image.Image], texts: list[str]) -> dict[str, np.ndarray]:
        """Embed a batch: modality -> float32 of shape (n, d)."""
        pixels = np.stack([prepare(p, self.size, self.filter, self.shortest) for p in pictures])
        pixels = ((pixels.astype(np.float32) / 255 - self.mean) / self.std).transpose(0, 3, 1, 2)
        x = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
        if not self.clip:
            return {"image": _vectors(self.model(pixel_values=x)).flatten(1).cpu().numpy()}
        tokens = self.tokeniser(texts, padding=True, truncation=True, return_tensors="pt")
        image = self.model.get_image_features(pixel_values=x)
        text = self.model.get_text_features(**tokens.to(self.device))
        return {"image": _vectors(image).cpu().numpy(), "text": _vectors(text).cpu().numpy()}


def _vectors(output: object) -> torch.Tensor:
    return getattr(output, "pooler_output", output).float()


def embed_checkpoints(
    checkpoints: list[str],
    revision: str | None,
    pairs: dict[str, str],
    items: int,
    batch: int,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Embed the first items of pairs files: `{dataset}/{modality}` -> (checkpoints, n, d)."""
    found: dict[str, list[np.ndarray]] = {}
    for where in tqdm(checkpoints, desc=f"checkpoints on {device}", unit=" checkpoints"):
        checkpoint = Checkpoint(where, revision, device)
        for dataset, path in pairs.items():
            parts: dict[str, list[np.ndarray]] = {}
            done = 0
            for some in read_pairs(path, ["image", "text"], rows=batch):
                some = some.slice(0, min(len(some), items - done))
                if not len(some):
                    break
                done += len(some)
                pictures = [open_picture(image.as_py()) for image in some["image"]]
                texts = [captions.as_py()[0] for captions in some["text"]]
                for modality, vectors in checkpoint.embed(pictures, texts).items():
                    parts.setdefault(modality, []).append(vectors)
            for modality, vectors in parts.items():
                rows = np.concatenate(vectors)
                check_rows(rows, f"{where} on {dataset}, {modality}")
                found.setdefault(f"{dataset}/{modality}", []).append(rows)
    sizes = {name: {rows.shape for rows in members} for name, members in found.items()}
    if mixed := [name for name, shapes in sizes.items() if len(shapes) > 1]:
        raise UserError(
            f"the checkpoints differ in the size of their {mixed[0]} embeddings; "
            "a list of checkpoints holds one architecture"
        )
    return {name: np.stack(members) for name, members in found.items()}
