"""Try a device and time it: `python tests/gpu/run.py [--device cpu]`, without network or workflow.

Needs torch, transformers, numpy, pandas and scikit-learn. Each check compares the device with the CPU in
float32; the rates are ratios of two ways of doing the same on the same device. Exits with 1 if a check
fails.
"""

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
os.environ.update(TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from mindgap.codebook.model import TwoPaths  # noqa: E402
from mindgap.embed.encoders.drawn import drawn_encoder  # noqa: E402
from mindgap.embed.encoders.load import load_encoder  # noqa: E402
from mindgap.embed.run import Runner, prepare  # noqa: E402
from mindgap.rehearsal.checkpoints import CHECKPOINTS, make_checkpoint  # noqa: E402
from mindgap.rehearsal.made import caption, moving, picture, sound  # noqa: E402
from mindgap.train.dual import Dual  # noqa: E402
from mindgap.train.loop import cast, make_optimiser  # noqa: E402
from mindgap.train.parallel import join_group  # noqa: E402
from mindgap.train.trainer import train_step  # noqa: E402

CPU = torch.device("cpu")
ITEMS = 12
#: Cosine to the float32 vector that a vector in bfloat16 keeps: 8 bits of mantissa through a few layers.
NEAR = 0.99
MEDIA = {"image": picture, "audio": sound, "video": moving, "text": caption}
RECIPE = SimpleNamespace(
    **{"optimiser": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1, "betas": [0.9, 0.98]},
    **{"epsilon": 1e-6, "precision": "auto", "accumulate": 1, "largest_scale": 100},
    inverse_temperature=14.2857,
)
CODES = SimpleNamespace(
    **{"width": 32, "layers": 1, "dimension": 32, "paths": "both", "quantiser": "ema", "codes": 32},
    **{"code_dimension": 8, "decay": 0.99, "distance": "euclidean", "gradient": "straight_through"},
    **{"dead": 0.03, "dead_after": None, "replacement": "token", "weighting": "modality"},
    **{"token_norm": "batch", "pooling": "mean_max", "matching": 1.0, "form": "cross_entropy"},
    **{"both_directions": True, "assignment_temperature": 0.3, "score_temperature": 1.0},
    **{"commitment": 0.25, "margin": 0.001, "levels": [8, 8], "precision": "auto"},
    **{"optimiser": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01, "betas": [0.9, 0.98]},
    epsilon=1e-6,
)


class Failed(Exception):
    """A check does not hold."""


def near(a, b, least, what):
    """Smallest cosine of the rows of two arrays, which must be `least` at least."""
    found = F.cosine_similarity(a.float().cpu(), b.float().cpu(), dim=1).min().item()
    if not found >= least:
        raise Failed(f"{what}: smallest cosine {found:.4f}, expected {least} at least")
    return found


def synchronise(device):
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def rate(function, items, device, seconds):
    """Items per second of a function that does `items`: the median of calls, warm."""
    function()
    synchronise(device)
    lengths, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(lengths) < 3:
        start = time.perf_counter()
        function()
        synchronise(device)
        lengths.append(time.perf_counter() - start)
    return items / float(np.median(lengths))


def extraction(device, folder):
    """Every family: vectors in bfloat16 on the device beside float32 on the CPU."""
    least = 1.0
    families = {one.family: one for one in CHECKPOINTS.values()}
    for family, published in families.items():
        if family == "siglip" and find_spec("sentencepiece") is None:
            print("  siglip: left out, sentencepiece is not installed")
            continue
        make_checkpoint(published, folder / family)
        path = folder / family
        if published.pickled:
            from mindgap.embed.pickled import convert_pickled

            convert_pickled(path)
        encoder = load_encoder(path)
        for modality in encoder.modalities:
            values = [MEDIA[modality](k) for k in range(ITEMS)]
            inputs, _, failed = prepare(encoder, modality, values)
            if failed:
                raise Failed(f"{family}, {modality}: {failed[0][1]}")
            exact = Runner(encoder, CPU, "float32")(modality, inputs)
            half = Runner(encoder, device, "bfloat16")(modality, inputs)
            if half.dtype != torch.float32 or half.device.type != device.type:
                raise Failed(f"{family}, {modality}: vectors are {half.dtype} on {half.device}")
            least = min(least, near(half, exact, NEAR, f"{family}, {modality}"))
    return f"{len(families)} families, smallest cosine {least:.4f}"


def make_dual(folder, device):
    """A small CLIP with its parameters of the loss, and a batch for it."""
    if not (folder / "train/config.json").exists():
        make_checkpoint(CHECKPOINTS["laion/CLIP-ViT-B-32-laion2B-s34B-b79K"], folder / "train")
    encoder = load_encoder(folder / "train")
    pictures = prepare(encoder, "image", [picture(k) for k in range(16)])[0]["pixel_values"]
    tokens = prepare(encoder, "text", [caption(k) for k in range(16)])[0]
    model = Dual(encoder, "cross_entropy", "learned", RECIPE.inverse_temperature).to(device)

    def batch(items, captions, trim, draws=None):
        return pictures[items], {k: v[captions] for k, v in tokens.items()}

    return model, SimpleNamespace(batch=batch)


def steps(folder, device, count, group, accumulate=1):
    """Losses of some training steps."""
    model, pool = make_dual(folder, device)
    optimiser = make_optimiser(model, RECIPE)
    recipe = SimpleNamespace(**{**vars(RECIPE), "accumulate": accumulate})
    n = np.arange(16)
    return [train_step(model, optimiser, pool, (n, n, None), recipe, group) for _ in range(count)]


def training(device, folder):
    """Five steps on the device beside the CPU; a batch in pieces beside the whole one."""
    group = join_group()
    exact, ours = (steps(folder, d, 5, group) for d in (CPU, device))
    pieces = steps(folder, device, 5, group, 4)
    for name, other, most in (("the CPU", exact, 0.05), ("a batch in pieces", pieces, 0.02)):
        off = max(abs(a - b) for a, b in zip(ours, other, strict=True)) / exact[0]
        if not off <= most:
            raise Failed(f"losses {ours} are not those of {name}: {other}")
    if not ours[-1] < ours[0]:
        raise Failed(f"the loss does not fall: {ours}")
    return f"loss {ours[0]:.3f} to {ours[-1]:.3f}, on the CPU to {exact[-1]:.3f}"


def codebook(device, folder):
    """Steps of a codebook on the device beside the CPU: encoders, start of the codes, updates."""
    losses = {}
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (16, 1, 32, 32, 3), dtype=np.uint8))
    sizes = {"size": 32, "frames": 1, "span": 1}
    facts = {m: {"kind": "image", "sizes": sizes} for m in ("image", "video")}
    for place in (CPU, device):
        torch.manual_seed(0)
        model = TwoPaths(facts, CODES, 0).to(place)
        optimiser = make_optimiser(model, CODES)
        inputs = ({"pixels": pixels.to(place)}, {"pixels": pixels.flip(3).to(place)})
        for step in range(6):
            if step == 2:
                seen = model(inputs)
                model.quantiser.start(seen.rows.detach(), seen.modality, len(seen.rows))
                model.started.fill_(True)
            with cast(CODES, place):
                seen = model(inputs, True)
            loss = model.loss(seen, None)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if len(seen.codes):
                model.quantiser.update(seen.rows, seen.codes, seen.modality)
            losses.setdefault(place.type, []).append(float(loss.detach()))
        if not all(map(math.isfinite, losses[place.type])):
            raise Failed(f"losses on {place}: {losses[place.type]}")
    exact, ours = losses["cpu"], losses[device.type]
    if not abs(ours[1] - exact[1]) <= 0.05 * abs(exact[1]):
        raise Failed(f"losses {ours} are not those of the CPU: {exact}")
    return f"six steps, loss {ours[0]:.3f} to {ours[-1]:.3f}"


def processes(device, folder):
    """torchrun: the losses of one process, or on a CPU of two, are those of none."""
    count = 1 if device.type == "cuda" else 2
    words = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    own = [__file__, "--device", device.type, "--member", str(folder)]
    done = subprocess.run([sys.executable, *words, *own], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"torchrun ended with {done.returncode}: {done.stderr[-400:]}")
    said = next(line for line in done.stdout.splitlines() if line.startswith("losses "))
    theirs = [float(value) for value in said.split()[1:]]
    ours = steps(folder, device, 3, join_group())
    if max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) > 0.02 * abs(ours[0]):
        raise Failed(f"losses {theirs} of {count} processes are not those of one: {ours}")
    return f"{count} of torchrun's processes, the same losses"


def cones(device, folder):
    """Random towers on noise: the device beside the CPU."""
    least = 1.0
    generator = torch.Generator().manual_seed(42)
    for name in ("vit-b-32", "resnet-18") if device.type == "cuda" else ("tiny", "resnet-tiny"):
        encoder = drawn_encoder(name)
        encoder.draw(0)
        noise = torch.randn(8, 3, encoder.side, encoder.side, generator=generator)
        with torch.inference_mode():
            exact = encoder.encode("image", {"pixel_values": noise})
            ours = encoder.to(device).encode("image", {"pixel_values": noise.to(device)})
        least = min(least, near(ours, exact, 1 - 1e-4, name))
    return f"smallest cosine {least:.6f}"


def rates(device, seconds):
    """Rows of (what, value, unit, ratio): products, extraction and training side by side."""
    cuda = device.type == "cuda"
    side, name, size = (8192, "vit-b-32", 256) if cuda else (512, "tiny", 32)
    kind = torch.bfloat16 if cuda else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    peak = rate(lambda: a @ b, 2 * side**3, device, seconds)
    rows = [(f"matrix product, {str(kind)[6:]}", peak / 1e12, "TFLOP/s", 1.0)]
    encoder = drawn_encoder(name)
    encoder.draw(0)
    vision = encoder.model.config.vision_config
    each = 24.0 * vision.num_hidden_layers * vision.hidden_size**2
    each *= (vision.image_size // vision.patch_size) ** 2 + 1
    data = [picture(k, (256, 256)) for k in range(size)]
    inputs = prepare(encoder, "image", data)[0]
    runner = Runner(encoder, device, "bfloat16" if cuda else "float32")
    there = {k: v.to(device) for k, v in inputs.items()}

    @torch.inference_mode()
    def plain():
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            encoder.encode("image", there)

    bare = rate(plain, size, device, seconds)
    ours = rate(lambda: runner("image", inputs), size, device, seconds)
    rows.append((f"{name}, forward, plain loop", bare, "items/s", bare * each / peak))
    rows.append((f"{name}, forward, from memory", ours, "items/s", ours / bare))
    decode = rate(lambda: prepare(encoder, "image", data[:32]), 32, CPU, seconds)
    rows.append(("decode and resize, one core", decode, "items/s", decode / bare))
    tower = encoder.model.requires_grad_(True)
    optimiser = torch.optim.AdamW(tower.parameters(), fused=True)

    def learn():
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            loss = encoder.encode("image", there).float().square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    learnt = rate(learn, size, device, seconds)
    rows.append((f"{name}, training step", learnt, "items/s", 3 * learnt * each / peak))
    return rows


MEANING = (
    "",
    "share of the product's rate",
    "share of the plain loop",
    "share of the plain loop",
    "share of the product's rate",
)


def main():
    """Run every check, then the rates; print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else None)
    parser.add_argument("--seconds", type=float, default=5.0, help="Time of each rate.")
    parser.add_argument("--member", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.device is None:
        sys.exit("error: no CUDA device; give --device cpu to try everything but the device")
    device = torch.device(given.device)
    if given.member:  # one of torchrun's processes
        group = join_group()
        losses = steps(Path(given.member), device, 3, group)
        if group.first:
            print("losses", *losses)
        return 0
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "CPU"
    print(f"{name}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        for check in (extraction, training, codebook, processes, cones):
            start = time.monotonic()
            try:
                said, state = check(device, Path(place)), "ok"
            except Failed as problem:
                said, state, failed = str(problem), "FAILED", failed + 1
            print(
                f"  {state:6}  {check.__name__:11} {said}  [{time.monotonic() - start:.0f} s]",
                flush=True,
            )
    for (what, value, unit, ratio), meaning in zip(
        rates(device, given.seconds), MEANING, strict=True
    ):
        print(
            f"  {value:10,.1f} {unit:8} {what:34} "
            + (f"{ratio:6.3f} = {meaning}" if meaning else "")
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
