"""Readers of pairs from biology and medicine: protein sequences, chest X-rays."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.data.items import Item
from mindgap.data.store import BadItem, Limits, MediaStore
from mindgap.errors import UserError

_HEADING = re.compile(r"^\s*([A-Z][A-Z /&]{3,}):", re.MULTILINE)


def uniprot(
    options: dict[str, Any], files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Descriptions and amino-acid sequences of UniProt entries, as published with CLASP.

    The text joins the entry's non-empty fields before the sequence's own two. With `published` the
    lines are cut as the published code cuts them: at every comma, quoted or not, and without the
    last residue. `window` takes that many characters of each from a random place (100 in Fig. 1).
    """
    text = Path(files["table"]).read_text(encoding="utf-8")
    _, _, body = text.partition("\n")
    if options.get("published"):
        rows = [line[:-1].split(",") for line in body.splitlines()]
    else:
        rows = list(csv.reader(io.StringIO(body, newline="")))
    rng = np.random.default_rng(options.get("window_seed", 0))

    def crop(value: str) -> str:
        window = options.get("window")
        if not window or len(value) <= window:
            return value
        start = rng.integers(len(value) - window + 1)
        return value[start : start + window]

    def items() -> Iterator[Item]:
        for number, row in enumerate(rows):
            fields = [value.strip() for value in row if value.strip()]
            name = f"{number:06d}"
            if len(fields) < 3:
                yield Item(name, problem="no sequence after the description")
                continue
            name = fields[0].partition(" ")[0]
            description, protein = " ".join(fields[:-2]), fields[-1]
            yield Item(name, {}, [crop(description)], {"protein": crop(protein)})

    return len(rows), items()


def mimic_cxr(
    options: dict[str, Any], files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """MIMIC-CXR-JPG: chest X-rays with the findings and the impression of their report.

    A report without these sections is taken whole. A study with several pictures gives several
    items with one text.
    """
    raw = Path(files["splits"]).read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    rows = [
        row
        for row in csv.DictReader(io.StringIO(text))
        if options["split"] in ("all", row.get("split"))
    ]
    if rows and {"dicom_id", "study_id", "subject_id"} - set(rows[0]):
        raise UserError(f"{files['splits']} needs dicom_id, study_id and subject_id, as published")
    pictures, reports = MediaStore(files["pictures"], limits), MediaStore(files["reports"], limits)
    if pictures.packed or reports.packed:
        raise UserError("the pictures and reports are read in no order; unpack the tar first")

    def items() -> Iterator[Item]:
        for row in rows:
            subject, study = f"p{row['subject_id']}", f"s{row['study_id']}"
            folder = f"{subject[:3]}/{subject}"
            picture = pictures.find(f"{folder}/{study}/{row['dicom_id']}.jpg")
            try:
                report = reports.read(reports.find(f"{folder}/{study}.txt")).decode("utf-8")
            except BadItem as failure:
                yield Item(row["dicom_id"], problem=f"report: {failure}")
                continue
            medium = {"image": pictures.medium(picture)}
            yield Item(row["dicom_id"], medium, [sections(report)], {"group": study})

    return len(rows), items()


def sections(report: str) -> str:
    """Findings and impression of a report on one line; the whole report where it has neither."""
    pieces = _HEADING.split(report)
    wanted = [
        body
        for heading, body in zip(pieces[1::2], pieces[2::2], strict=True)
        if heading.strip() in ("FINDINGS", "IMPRESSION")
    ]
    return " ".join(" ".join(wanted or [report]).split())
