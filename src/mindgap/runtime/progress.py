"""What a run says on the console: one line per chapter as it begins, and what goes wrong."""

from __future__ import annotations

import csv
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

#: Rule -> (chapter, its question). The Snakefile fills it in for the process that runs it.
CHAPTERS: dict[str, tuple[str, str]] = {}

#: Seconds per job of each rule where no run of this machine has timed one.
REFERENCE = Path("workflow/durations.csv")
#: No estimate before this share of the work is done: the first jobs say little about the machine.
_ENOUGH = 0.02


def announce_chapters(rules: Mapping[str, str | Path]) -> None:
    """Fill `CHAPTERS` from rule -> file, named after its chapter, which opens with a question."""
    for rule, file in rules.items():
        text = Path(file).read_text(encoding="utf-8")
        question = text.partition('"""')[2].partition("\n")[0].rstrip('"')
        CHAPTERS[rule] = (Path(file).stem, question)


def read_durations(results: Path, reference: Path = REFERENCE) -> dict[str, float]:
    """Rule -> median seconds of its jobs in earlier runs here, or else as `reference` has it."""
    seconds = {}
    if reference.exists():
        with open(reference, encoding="utf-8") as stream:
            seconds = {row["rule"]: float(row["seconds"]) for row in csv.DictReader(stream)}
    timed = defaultdict(list)
    for file in results.glob("*/benchmarks/**/*.tsv"):
        rule = Path(file.relative_to(results).parts[2]).stem
        with open(file, encoding="utf-8") as stream:
            timed[rule] += [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
    return seconds | {rule: statistics.median(some) for rule, some in timed.items() if some}


class Progress:
    """Counts the jobs of a run and says when a chapter begins.

    Parameters
    ----------
    jobs
        Rule -> number of jobs.
    seconds
        Rule -> expected seconds of one job; others count as much as the median of these.
    begun
        When the run began, in seconds.
    """

    def __init__(
        self,
        jobs: Mapping[str, int],
        seconds: Mapping[str, float],
        begun: float,
    ) -> None:
        self.jobs = dict(jobs)
        self.total = sum(self.jobs.values())
        self.done = 0
        usual = statistics.median(seconds.values()) if seconds else 1.0
        self._weights = {rule: seconds.get(rule, usual) for rule in self.jobs}
        self._all = sum(self._weights[rule] * count for rule, count in self.jobs.items())
        self._gone: Counter[str] = Counter()
        self._begun: set[str] = set()
        self._start = begun

    def start(self, rule: str, now: float) -> str | None:
        """Note that a job has started; return the line of its chapter if it is the first of it."""
        chapter, question = CHAPTERS.get(rule, ("other", ""))
        if chapter in self._begun:
            return None
        self._begun.add(chapter)
        left = self.left(now)
        ahead = f", about {duration(left)} left" if left is not None else ""
        state = f"{self.done:>4} of {self.total} jobs, {duration(now - self._start)}{ahead}"
        return f"[{state}] {chapter}: {question}".rstrip(": ")

    def finish(self, rule: str) -> None:
        """Note that a job has ended."""
        self.done += 1
        self._gone[rule] += 1

    def left(self, now: float) -> float | None:
        """Seconds left, if what is done has gone as expected; None while it is too early to say."""
        done = sum(self._weights.get(rule, 0.0) * count for rule, count in self._gone.items())
        if not self._all or done < _ENOUGH * self._all:
            return None
        return (now - self._start) * (self._all - done) / done


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def why_failed(log: str | Path) -> Iterator[str]:
    """The sentences that a failed job has left in its log, or the last line of its traceback."""
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    sentences = [line for line in lines if line.startswith("error: ")]
    filled = [line for line in lines if line.strip()]
    yield from sentences or [f"error: {line.strip()}" for line in filled[-1:]]
