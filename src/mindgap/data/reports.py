"""Readers of pairs from biology and medicine: protein sequences, chest X-rays."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from mindgap.config.datasets import Published, Uniprot
from mindgap.data.items import Item
from mindgap.data.medium import BadItem, Limits
from mindgap.data.store import MediaStore
from mindgap.data.tables import read_records, read_rows, read_text
from mindgap.runtime.errors import UserError

_HEADING = re.compile(r"^\s*([A-Z][A-Z /&]{3,}):", re.MULTILINE)


def uniprot(
    options: Uniprot, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Descriptions and amino-acid sequences of UniProt entries, as published with CLASP.

    The text joins the entry's non-empty fields before the sequence's own two. With `published` the
    lines are cut as the published code cuts them: at every comma, quoted or not, and without the
    last residue. `window` takes that many characters of each from a random place (100 in Fig. 1).
    """
    if options.published:
        lines = read_text(files["table"]).split("\n")[1:]
        rows = [line.removesuffix("\r")[:-1].split(",") for line in lines if line]
    else:
        rows = [row for _, row in read_rows(files["table"])][1:]
    rng = np.random.default_rng(options.window_seed)

    def crop(value: str) -> str:
        window = options.window
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
    options: Published, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """MIMIC-CXR-JPG: chest X-rays with the findings and the impression of their report.

    A report without these sections is taken whole. A study with several pictures gives several
    items with one text.
    """
    columns = ("dicom_id", "study_id", "subject_id", "split")
    rows = [
        row
        for row in read_records(files["splits"], columns)
        if options.split in ("all", row["split"])
    ]
    pictures, reports = MediaStore(files["pictures"], limits), MediaStore(files["reports"], limits)
    if pictures.packed or reports.packed:
        raise UserError("pictures and reports are read in random order; unpack the tar first")

    def items() -> Iterator[Item]:
        for row in rows:
            subject, study = f"p{row['subject_id']}", f"s{row['study_id']}"
            folder = f"{subject[:3]}/{subject}"
            try:
                report = reports.medium(f"{folder}/{study}.txt").read().decode("utf-8")
            except (BadItem, UnicodeDecodeError) as failure:
                why = failure if isinstance(failure, BadItem) else "not UTF-8"
                yield Item(row["dicom_id"], problem=f"report: {why}")
                continue
            medium = {"image": pictures.medium(f"{folder}/{study}/{row['dicom_id']}.jpg")}
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
