"""Stand-ins for sounds, reports, proteins and published embeddings."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np

from mindgap.rehearsal.made import caption, film, pack_zip, picture, sound, write

ITEMS = 40
_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def fsdd(folder: Path, names: set[str]) -> None:
    """Free Spoken Digit Dataset: six speakers, of whom the recordings 0 to 4 are the test."""
    root = "free-spoken-digit-dataset-1.0.10"
    files = {
        f"{root}/recordings/{digit}_{who}_{k}.wav": sound(100 * digit + 10 * n + k)
        for digit in range(10)
        for n, who in enumerate(_SPEAKERS)
        for k in (0, 7)
    }
    files |= {f"{root}/README.md": b"stand-in", f"{root}/utils/spectogramer.py": b""}
    pack_zip(folder / "v1.0.10.zip", files)


def places_audio(folder: Path, names: set[str]) -> None:
    """Places Audio: unpacked folders of pictures and of spoken captions with their lists."""
    for split, first in (("train", 0), ("val", 500)):
        rows = []
        for k in range(first, first + ITEMS):
            rows.append(
                {
                    "uttid": f"A{k:06d}_GSUN_{k:08X}",
                    "speaker": f"A{k % 4:06d}",
                    "asr_text": caption(k).lower(),
                    "wav": f"wavs/{k % 9}/utterance_{k}.wav",
                    "image": f"a/abbey/gsun_{k:08x}.jpg",
                }
            )
            sounds = folder / "PlacesAudio_400k_distro"
            write(sounds / rows[-1]["wav"], sound(k, 1.0, 16000))
            image = folder / "Places205/data/vision/torralba/deeplearning/images256"
            write(image / rows[-1]["image"], picture(k))
        listed = {"image_base_path": "/", "audio_base_path": "/", "data": rows}
        write(sounds / f"metadata/{split}.json", json.dumps(listed))


def smit(folder: Path, names: set[str]) -> None:
    """Spoken Moments in Time: clips, spoken captions, and tables that a user writes."""
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        if f"{split}.csv" not in names:
            continue
        rows = []
        for k in range(first, first + ITEMS):
            write(folder / f"videos/cooking/clip{k}.mp4", film(k))
            write(folder / f"audio/clip{k}.wav", sound(k, 1.0, 16000))
            rows.append(f'cooking/clip{k}.mp4,clip{k}.wav,"{caption(k)}, and more"')
        write(folder / f"{split}.csv", "video,audio,text\n" + "\n".join(rows) + "\n")


def clasp(folder: Path, names: set[str]) -> None:
    """UniProt texts and sequences: some titles have commas and quotes, some fields are empty."""
    rng = np.random.default_rng(0)
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    lines = ["id,accn,title,seqh,seq"]
    for k in range(ITEMS):
        protein = "".join(rng.choice(letters, 80 + 5 * k))
        title = f'"Folds, twists {k}"' if k % 3 else caption(k)
        accession = "" if k % 7 == 3 else f"P{k:05d};"
        head = f"SEQUENCE   {len(protein)} AA"
        lines.append(f"P{k:05d}_ECOLI Reviewed,{accession},{title},{head},{protein}")
    write(folder / "uniprot_100_reduced.csv", "\n".join(lines) + "\n")


def mimic_cxr(folder: Path, names: set[str]) -> None:
    """MIMIC-CXR-JPG: grey pictures, two of some studies; one report has no sections."""
    rows, reports = [], {}
    for k in range(ITEMS + 32):
        subject, study = 10000032 + k // 2, 50414267 + k // 2
        place = f"p{str(subject)[:2]}/p{subject}"
        dicom = f"{k:08x}-stand-in"
        part = "test" if k < ITEMS else ("train", "validate")[k // 2 % 2]
        rows.append(f"{dicom},{study},{subject},{part}")
        write(folder / f"files/{place}/s{study}/{dicom}.jpg", picture(k, mode="L"))
        said = f" FINDINGS:\n {caption(k)}\n is clear.\n\n IMPRESSION:\n Normal {k}.\n"
        text = caption(k) if k == 4 else f"FINAL REPORT\n INDICATION: cough\n\n{said}"
        reports[f"files/{place}/s{study}.txt"] = text
    pack_zip(folder / "mimic-cxr-reports.zip", reports)
    table = "dicom_id,study_id,subject_id,split\n" + "\n".join(rows) + "\n"
    write(folder / "mimic-cxr-2.0.0-split.csv.gz", gzip.compress(table.encode(), mtime=0))


def features(folder: Path, names: set[str]) -> None:
    """Features of Figure 1: one float32 array (2, n, d), two clouds of unit rows."""
    for number, name in enumerate(sorted(names)):
        rng = np.random.default_rng(number)
        rows = rng.standard_normal((1, ITEMS, 512)) + rng.standard_normal((2, 1, 512))
        rows = rows + 0.3 * rng.standard_normal((2, ITEMS, 512))
        rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
        stream = io.BytesIO()
        np.save(stream, rows.astype(np.float32))
        write(folder / name, stream.getvalue())


def clip_pairs(folder: Path, names: set[str]) -> None:
    """Published embeddings of pairs: one float32 array (n, d) for each modality."""
    for number, name in enumerate(sorted(names)):
        rng = np.random.default_rng(number)
        stream = io.BytesIO()
        np.save(stream, rng.standard_normal((ITEMS, 512)).astype(np.float32) + number)
        write(folder / name, stream.getvalue())


def cifar10_clip(folder: Path, names: set[str]) -> None:
    """Published embeddings of labelled pictures: vectors and classes in one file."""
    rng = np.random.default_rng(0)
    labels = np.arange(ITEMS) % 10
    classes = rng.standard_normal((10, 64))
    rows = {
        "vision_emb": classes[labels] + rng.standard_normal((ITEMS, 64)),
        "text_emb": (classes + 1)[labels],
    }
    stream = io.BytesIO()
    arrays = {name: array.astype(np.float32) for name, array in rows.items()}
    np.savez(stream, **arrays, label_ids=labels.astype(np.int64))
    for name in names:
        write(folder / name, stream.getvalue())
