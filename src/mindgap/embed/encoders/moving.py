"""Dual encoders of what moves in time and texts: CLAP for sound, X-CLIP for clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mindgap.embed.decode import decode_frames, decode_sound
from mindgap.embed.encoders.base import LOCAL, Adapter, Inputs, vectors


class Clap(Adapter):
    """CLAP (Wu et al., ICASSP 2023); its feature functions give unit rows.

    The library's extractor cuts a long sound at random and marks one random sound of a batch as
    long; here a sound is its first `max_length_s` seconds and none is long, so that a row depends
    on its sound alone.
    """

    modalities = ("audio", "text")
    pooling = "projection, normalised by the model"

    def __init__(self, model: torch.nn.Module, folder: Any) -> None:
        from transformers import AutoFeatureExtractor

        self.extractor = AutoFeatureExtractor.from_pretrained(folder, **LOCAL)
        super().__init__(model, folder)
        self.facts |= {
            "sampling_rate": self.extractor.sampling_rate,
            "seconds": self.extractor.max_length_s,
            "audio_padding": self.extractor.padding,
            "activation_audio": model.config.audio_config.hidden_act,
        }

    def preprocess(self, modality: str, value: Any) -> Any:
        """Log-mel features of one sound, float32 (channels, frames, mels)."""
        if modality == "text":
            return value
        rate = self.extractor.sampling_rate
        sound = decode_sound(value, rate)[: self.extractor.nb_max_samples]
        given = self.extractor(sound, sampling_rate=rate, return_tensors="np")
        return np.asarray(given["input_features"][0], np.float32)

    def collate(self, modality: str, items: list[Any]) -> Inputs:
        """Batch of features, none of them of a long sound."""
        if modality == "text":
            return self.tokenise(items)
        features = torch.from_numpy(np.stack(items))
        return {"input_features": features, "is_longer": torch.zeros(len(items), 1).bool()}

    def encode(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch."""
        if modality == "text":
            return self.texts(inputs)
        return vectors(self.model.get_audio_features(**inputs))


class Xclip(Adapter):
    """X-CLIP (Ni et al., ECCV 2022): frames talk to each other before they are averaged.

    Texts are embedded alone, without the prompts that the model's forward pass makes from a clip:
    those differ from clip to clip, and a text would have no one place in the space.
    """

    modalities = ("video", "text")
    pooling = "mean over frames (video), end token projected (text)"

    def load_pixels(self) -> None:
        """Load the image processor and the number of frames."""
        super().load_pixels()
        self.frames = self.vision.num_frames
        self.facts |= {"frames": self.frames, "frame_choice": "evenly spaced, first to last"}

    def preprocess(self, modality: str, value: Any) -> Any:
        """Frames of one clip, (frames, ...) as the image processor gives each."""
        if modality == "text":
            return value
        return np.stack([self.pixels(frame) for frame in decode_frames(value, self.frames)])

    def pictures(self, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch of clips, (n, frames, 3, height, width)."""
        return vectors(self.model.get_video_features(**inputs))
