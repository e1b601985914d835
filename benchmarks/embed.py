"""Race: extraction by `mindgap.embed` against the loops that users write.

    python benchmarks/embed.py [--pictures folder or zip] [--threads 2] [--count 192]

*Plain*: open a picture, processor, model, one picture at a time. *Batched*: the same in batches,
as the documentation of transformers does it. Same checkpoint, same encoded pictures, float32 on a
CPU (on a GPU ours in bfloat16 too), one process, warm, in turns; medians. The checkpoints are
random: CLIP ViT-B/32, where the network rules, and a tiny one, where decoding rules. Without
`--pictures` JPEG pictures of noise and gradients are made. Vectors must agree.
"""

import os

# As in the workflow, and for all three ways: on a shared machine busy waiting spoils any race.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import io
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image

from mindgap.data.pairs import write_pairs
from mindgap.embed.clip import ARCHITECTURES, random_clip
from mindgap.embed.device import choose_device
from mindgap.embed.encoders.base import Adapter
from mindgap.embed.extract import Work, extract
from mindgap.embed.run import Runner


class Pictures(Adapter):
    """A CLIP checkpoint of which only the picture tower runs."""

    modalities = ("image",)


def make_pictures(count, seed=0):
    """JPEG pictures of 320 x 240 pixels with some structure, so that they decode like photos."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
        noise = rng.normal(0, 8, (240, 320, 3))
        picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=85)
        made.append(stream.getvalue())
    return made


def read_pictures(path, count):
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
        return [file.read_bytes() for file in files[:count]]
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.lower().endswith((".jpg", ".png")))
        return [archive.read(name) for name in names[:count]]


def save_checkpoint(architecture, folder):
    """A random CLIP of one of our architectures with the image processor of its size."""
    model = random_clip(architecture, 0)
    model.save_pretrained(folder)
    side = model.config.vision_config.image_size
    transformers.CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    ).save_pretrained(folder)
    return folder


@torch.inference_mode()
def plain(model, processor, pictures, device):
    """One picture at a time."""
    rows = []
    for data in pictures:
        picture = Image.open(io.BytesIO(data))
        inputs = processor(images=picture, return_tensors="pt").to(device)
        rows.append(model.get_image_features(**inputs).pooler_output.float().cpu())
    return torch.cat(rows).numpy()


@torch.inference_mode()
def batched(model, processor, pictures, device, size):
    """Whole batches through the processor and the model."""
    rows = []
    for i in range(0, len(pictures), size):
        some = [Image.open(io.BytesIO(data)) for data in pictures[i : i + size]]
        inputs = processor(images=some, return_tensors="pt").to(device)
        rows.append(model.get_image_features(**inputs).pooler_output.float().cpu())
    return torch.cat(rows).numpy()


def ours(encoder, pairs, count, work, device):
    with tempfile.TemporaryDirectory() as folder:
        found, failures = extract(encoder, pairs, 0, count, work, device, folder, "race")
    assert not failures
    return found.rows["image"]


def seconds(function, *args):
    """Seconds on the clock, seconds of the processor (all threads), and the result."""
    start, busy = time.perf_counter(), time.process_time()
    found = function(*args)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, time.process_time() - busy, found


def race(folder, pictures, size, threads, device, rounds, folder_pairs):
    """Seconds a picture of each way, and the largest difference of our vectors from theirs."""
    model = transformers.AutoModel.from_pretrained(folder).eval().to(device)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    encoder = Pictures(transformers.AutoModel.from_pretrained(folder).eval(), folder)
    pairs = folder_pairs / f"{len(pictures)}.parquet"
    ids = [str(i) for i in range(len(pictures))]
    write_pairs(pairs, [{"id": ids, "image": pictures}])
    work = Work(batch_size=size, precision="float32", threads=threads)
    ways = {
        "plain": (plain, model, processor, pictures, device),
        "batched": (batched, model, processor, pictures, device, size),
        "ours": (ours, encoder, pairs, len(pictures), work, device),
    }
    for way, *args in ways.values():  # warm
        few = [a[:size] if a is pictures else a for a in args]
        way(*few)
    times, found = {name: [] for name in ways}, {}
    for _ in range(rounds):
        for name, (way, *args) in ways.items():
            *spent, found[name] = seconds(way, *args)
            times[name].append(np.array(spent) / len(pictures))
    scale = np.abs(found["plain"]).max()
    error = max(np.abs(found[name] - found["plain"]).max() for name in ("ours", "batched")) / scale
    return {name: np.median(spent, axis=0) for name, spent in times.items()}, error


def on_gpu(folder, pictures, threads, device):
    """Pictures a second from decoded tensors and from JPEG, beside the card's matrix rate."""
    encoder = Pictures(transformers.AutoModel.from_pretrained(folder).eval(), folder)
    runner = Runner(encoder, device, "bfloat16")
    size = 512
    raw = torch.randint(0, 256, (size, 224, 224, 3), dtype=torch.uint8).pin_memory()
    for _ in range(5):
        runner("image", {"pixel_values": raw})
    torch.cuda.synchronize()
    spent = seconds(lambda: [runner("image", {"pixel_values": raw}) for _ in range(20)])[0]
    rate = 20 * size / spent
    a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    a @ a
    torch.cuda.synchronize()
    matrix = 20 * 2 * 8192**3 / seconds(lambda: [a @ a for _ in range(20)])[0]
    work = 8.8e9  # floating-point operations of ViT-B/32 for one picture
    print(
        f"{torch.cuda.get_device_name()}: {rate:.0f} pictures/s from decoded tensors in bfloat16,"
    )
    print(f"  {rate * work / matrix:.0%} of its {matrix / 1e12:.0f} TFLOP/s matrix rate")
    with tempfile.TemporaryDirectory() as scratch:
        pairs = Path(scratch) / "pairs.parquet"
        many = pictures * max(1, 8192 // len(pictures))
        write_pairs(pairs, [{"id": [str(i) for i in range(len(many))], "image": many}])
        setting = Work(batch_size=size, precision="bfloat16", part_items=10**6, threads=threads)
        spent = seconds(ours, encoder, pairs, len(many), setting, device)[0]
    print(f"  {len(many) / spent:.0f} pictures/s from JPEG with {threads} decoding threads")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", help="folder or zip of pictures")
    parser.add_argument("--count", type=int, default=192)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    device = choose_device("auto")
    found = (
        read_pictures(options.pictures, options.count)
        if options.pictures
        else make_pictures(options.count)
    )
    print(f"{len(found)} pictures, {options.threads} threads, batches of {options.batch}, {device}")
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("vit-b-32", "tiny"):
            assert name in ARCHITECTURES
            folder = save_checkpoint(name, Path(scratch) / name)
            pictures = found if name == "vit-b-32" else found * 4
            times, error = race(
                folder,
                pictures,
                options.batch,
                options.threads,
                device,
                options.rounds,
                Path(scratch),
            )
            ways = ", ".join(
                f"{way} {spent[0] * 1e3:.2f} ms ({spent[1] * 1e3:.2f} of processors)"
                for way, spent in times.items()
            )
            print(f"{name}: a picture takes {ways}; largest relative difference {error:.1e}")
            for other in ("batched", "plain"):
                clock, busy = times[other] / times["ours"]
                lines.append(
                    f"ratio {clock:.2f} x embed (ours vs {other} loop, {name}, {len(pictures)} "
                    f"pictures, {options.threads} threads; {busy:.2f} x in processor time)"
                )
        if device.type == "cuda":
            on_gpu(Path(scratch) / "vit-b-32", found, options.threads, device)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
