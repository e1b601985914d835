"""The commands inside a checkout, and what the command says of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import typer
import yaml

from mindgap import checkout, cli
from mindgap.report import dry
from mindgap.report.audit import COLUMNS
from mindgap.report.record import SCHEMA, describe_files
from tests.unit.test_joined import CLAIMS, FIGURES, answer

COMMANDS = typer.main.get_command(cli.app).commands
HIDDEN = {"run-name", "outs-without", "manual", "keep-snapshot", "fill-pages"}
OUTSIDE = {
    "plan": ["c.yaml"],
    "rehearse": ["c.yaml"],
    "check": ["c.yaml"],
    "scorecard": [],
    "audit": ["c.yaml"],
    "run-name": ["c.yaml"],
    "outs-without": ["pairs"],
    "manual": [],
    "keep-snapshot": [],
    "fill-pages": [],
}


@pytest.fixture
def call(monkeypatch, capsys):
    """Call the command; returns its exit status, and what it says on stdout and on stderr."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["mindgap", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        if isinstance(end.value.code, str):  # Python prints it and exits with 1
            return 1, said.out, said.err + end.value.code + "\n"
        return end.value.code or 0, said.out, said.err

    return run


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with the files by which a checkout is known, and one run."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "Snakefile").touch()
    (tmp_path / "workflow/claims.yaml").write_text(yaml.safe_dump(CLAIMS))
    (tmp_path / "workflow/figures.yaml").write_text(yaml.safe_dump(FIGURES))
    (tmp_path / "c.yaml").write_text("run: mine\n")
    (tmp_path / "results/mine/gap").mkdir(parents=True)
    (tmp_path / "results/mine/gap/gap.csv").write_text("gap\n0.5\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_outside_a_checkout_there_is_one_sentence(call, tmp_path, monkeypatch):
    assert set(OUTSIDE) == {
        info.name or info.callback.__name__.replace("_", "-")
        for info in checkout.app.registered_commands
    }
    monkeypatch.chdir(tmp_path)
    for name, words in OUTSIDE.items():
        status, out, said = call(name, *words)
        assert (status, out) == (1, "")
        assert said.startswith(f"error: {tmp_path} is no checkout of mindgap: "), name
        assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_inside_a_checkout_without_the_extra(call, clone, monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] in ("yaml", "jsonschema")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [n for n in sys.modules if n.startswith(("mindgap.config", "mindgap.overlay"))]:
        monkeypatch.delitem(sys.modules, name)
    found = call("check", "c.yaml")
    assert found == (1, "", "error: runs need yaml: pip install 'mindgap[workflow]'\n")


def test_check_compares_with_the_record(call, clone):
    status, out, said = call("check", "c.yaml")
    assert status == 1 and "results/mine has no readable record.json" in said
    record = {
        "schema": SCHEMA,
        "files": describe_files("results/mine"),
        "code": {"commit": None, "dirty": None},
        "written": "today",
    }
    Path("results/mine/record.json").write_text(json.dumps(record))
    assert call("check", "c.yaml")[:2] == (
        0,
        "results/mine: 1 of 1 files as recorded (commit no clone, today)\n",
    )
    table = Path("results/mine/gap/gap.csv")
    table.write_text("gap\n0.6\n")
    status, out, said = call("check", "c.yaml")
    assert status == 1 and "0 of 1 files as recorded" in out
    assert said.startswith("error: results/mine/gap/gap.csv: not the file of the record")
    table.unlink()
    assert call("check", "c.yaml")[0] == 1
    assert call("check", "c.yaml", "--partial")[0] == 0


def test_the_scorecard_joins_the_runs(call, clone):
    status, _, said = call("scorecard")
    assert status == 1 and "call `make reproduce` first" in said
    Path("results/mine/scorecard.json").write_text(json.dumps([answer("a", "reproduced")]))
    status, out, _ = call("scorecard")
    assert status == 0 and out.startswith("1 runs, 3 claims: 1 reproduced")
    assert Path("results/scorecard.md").exists()


def test_the_plan_hands_options_to_the_workflow(call, root, monkeypatch):
    monkeypatch.chdir(root)
    given = []

    def dry_run(options):
        given.append(options)
        return [dry.Job("save_config", {"run": "smoke"})]

    monkeypatch.setattr(dry, "dry_run", dry_run)
    status, out, _ = call("plan", "config/smoke.yaml", "--", "--cores", "2")
    assert status == 0 and out.startswith("run smoke: 1 jobs\n\nDOWNLOAD\n")
    assert given == [["--cores", "2", "--configfile", "config/smoke.yaml"]]


@pytest.mark.parametrize("command", ["plan", "check", "audit", "run-name"])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run: x\n__use_yte__: true", "is a program for Snakemake"),
        ("seed: 1", "gives its run no name"),
        ("run: ../x", "is not a name"),
    ],
)
def test_a_config_is_refused_before_the_workflow_reads_it(
    call, clone, monkeypatch, command, text, sentence
):
    def never(*_, **__):
        raise AssertionError("the workflow was started")

    monkeypatch.setattr(subprocess, "run", never)
    monkeypatch.setattr(dry, "dry_run", never)
    (clone / "c.yaml").write_text(text + "\n")
    (clone / "config").mkdir()
    (clone / "config/default.yaml").write_text("run: x\n")
    status, out, said = call(command, "c.yaml")
    assert (status, out) == (1, "")
    assert sentence in said and said.count("\n") == 1


@pytest.fixture
def snakemake(monkeypatch):
    """Stands in for the workflow engine: notes the words of its calls, and ends as it is told."""
    engine = SimpleNamespace(calls=[], status=0)

    def run(words, **_):
        engine.calls.append(words)
        return subprocess.CompletedProcess(words, engine.status)

    monkeypatch.setattr(checkout.subprocess, "run", run)
    return engine


def test_the_audit_names_claims_that_cannot_fail(call, clone, snakemake):
    claims = [{**CLAIMS[0], "noop": {"none": "it has none"}}]
    (clone / "workflow/claims.yaml").write_text(yaml.safe_dump(claims))
    head = dict.fromkeys(COLUMNS, "x") | {"claim": "a", "size": 0.2, "before": "reproduced"}
    turned = [
        head | {"kind": "scale", "after": "differs", "flips": 1},
        head | {"kind": "scale", "after": "differs", "flips": 1},
    ]
    still = [{**row, "after": "reproduced", "flips": 0} for row in turned]
    lost = head | {"kind": "cell", "after": "broken", "flips": 1}
    table = Path("results/mine/audit.csv")
    sizes = [{**row, "size": 0.05} for row in turned]
    for rows, status, sentence in (
        (sizes, 0, ""),
        (still, 1, "error: a: nothing turns it\n"),
        (turned, 1, "error: a: does not notice an error of 10%, and does not say why\n"),
    ):
        pd.DataFrame([*rows, lost], columns=COLUMNS).to_csv(table, index=False)
        found, out, said = call("audit", "c.yaml", "--", "--cores", "2")
        assert (found, said[: len(sentence)]) == (status, sentence)
        assert out.startswith("1 claims, 3 changes of what they read\n")
    assert snakemake.calls[0][1:] == [
        *["-m", "snakemake", "--cores", "2", "--logger", "mindgap"],
        *["--configfile", "c.yaml", "--", "results/mine/audit.csv"],
    ]
    snakemake.status = 3
    assert call("audit", "c.yaml") == (3, "", "")


def test_what_make_asks_for(call, root, monkeypatch):
    monkeypatch.chdir(root)
    assert call("run-name", "config/smoke.yaml") == (0, "smoke\n", "")
    every = call("outs-without", "nothing")[1].split()
    some = call("outs-without", "pairs", "embeddings")[1].split()
    assert {Path(name).name for name in set(every) - set(some)} == {"pairs", "embeddings"}


def test_the_name_of_a_run_loads_no_numbers(root):
    code = (
        "import sys; sys.argv = ['mindgap', 'run-name', 'config/smoke.yaml']\n"
        "from mindgap.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in 'numpy numba pandas snakemake rich'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout == "smoke\n[]\n", done.stderr


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - HIDDEN))
def test_each_command_teaches_by_an_example(name):
    command = COMMANDS[name]
    examples = [line for line in command.help.splitlines() if line.startswith(f"mindgap {name}")]
    assert examples and not command.hidden
    for example in examples:
        words = example.split()[2:]
        command.make_context(name, words)


def test_what_only_make_needs_is_not_shown(call):
    assert {name for name, command in COMMANDS.items() if command.hidden} == HIDDEN
    status, out, _ = call("--help")
    assert status == 0 and out.index("measure") < out.index(checkout.PANEL) < out.index("audit")
    assert not any(name in out for name in HIDDEN)


def test_words_are_completed():
    env = {**os.environ, "_MINDGAP_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    env["COMP_WORDS"] = "mindgap me"
    command = Path(sys.executable).with_name("mindgap")
    done = subprocess.run([command], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["measure", "methods"]
