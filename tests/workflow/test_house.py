"""The rules of the house: lint, file lengths, pins, what is imported when."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

LIMITS = {"Snakefile": 50, "rules/*.smk": 200, "scripts/*.py": 60, "src/mindgap/**/*.py": 300}


def test_file_lengths(root):
    for pattern, most in LIMITS.items():
        for path in root.glob(pattern):
            lines = len(path.read_text().splitlines())
            assert lines <= most, f"{path.relative_to(root)} has {lines} lines"


def test_no_large_file_and_no_result_is_tracked(root):
    names = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True).stdout
    for name in names.splitlines():
        assert not name.startswith(("results/", "data/", ".snakemake/")), name
        if (root / name).exists():
            shipped = name.startswith("resources/mind-the-gap-features/")
            assert shipped or (root / name).stat().st_size <= 500_000, name


#: Prints what Snakemake knows of each rule.
FACTS = """
import json
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

with SnakemakeApi(OutputSettings()) as api:
    workflow = api.workflow(
        resource_settings=ResourceSettings(cores=1),
        config_settings=ConfigSettings(configfiles=[Path("config/smoke.yaml")]),
        snakefile=Path("Snakefile"),
    )._workflow
    keys = ("docstring", "script", "log", "benchmark")
    facts = {r.name: {k: str(getattr(r, k) or "") for k in keys} for r in workflow.rules}
    for rule in workflow.rules:
        facts[rule.name] |= {"params": list(rule.params.keys()), "local": workflow.is_local(rule)}
print(json.dumps(facts))
"""


def test_each_script_has_its_rule(house, root):
    rules = json.loads(house.run(sys.executable, "-c", FACTS).stdout.splitlines()[-1])
    rules.pop("all")
    assert {path.stem for path in (root / "scripts").glob("*.py")} == set(rules)
    for name, rule in rules.items():
        assert rule["script"] == f"../scripts/{name}.py", f"{name} has another script"
        assert rule["docstring"], f"{name} does not say what it is for"
        # A download is settled by its checksum, whatever the code that fetched it.
        assert "library" in rule["params"] or name.startswith("fetch_"), f"{name} hashes no code"
        assert rule["log"], name
        assert rule["benchmark"] or rule["local"], name


#: Print what each rule says of itself, as Snakemake parses it.
RULES = """
import json
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake import ruleinfo, workflow
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

parsed = []

class Recorded(ruleinfo.RuleInfo):
    def __init__(self, func=None):
        super().__init__(func)
        parsed.append(self)

workflow.RuleInfo = Recorded
with SnakemakeApi(OutputSettings(quiet=set())) as api:
    configs = ConfigSettings(configfiles=[Path("config/smoke.yaml")])
    api.workflow(ResourceSettings(), config_settings=configs, snakefile=Path("Snakefile"))._workflow

def given(rule):
    more = rule.resources[1] if rule.resources else {}
    memory = more.get("mem_mb")
    return {
        "local": bool(rule.localrule),
        "named": [n for n in ("log", "benchmark", "threads") if getattr(rule, n) is not None]
        + [n for n in ("mem_mb", "runtime") if n in more],
        "memory": [memory(None, attempt) for attempt in (1, 2)] if memory else None,
    }

print("RULES", json.dumps({r.func.__name__.removeprefix("__"): given(r) for r in parsed}))
"""


@pytest.fixture(scope="module")
def rules(house):
    done = house.run(sys.executable, "-c", RULES)
    return json.loads(done.stdout.partition("RULES ")[2])


def test_rules_that_compute_name_what_a_cluster_must_know(rules):
    wanted = {"log", "benchmark", "threads", "mem_mb", "runtime"}
    computing = {name: rule for name, rule in rules.items() if not rule["local"]}
    assert {"embed_pairs", "measure_gap", "shift_classes", "merge_sums"} <= set(computing)
    lacking = {name: sorted(wanted - set(rule["named"])) for name, rule in computing.items()}
    assert {name: missing for name, missing in lacking.items() if missing} == {}


def test_a_second_attempt_has_twice_the_memory(rules):
    pairs = {name: rule["memory"] for name, rule in rules.items() if rule["memory"]}
    assert len(pairs) > 15
    assert {name: both for name, both in pairs.items() if both[1] != 2 * both[0]} == {}


def test_snakemake_lint(house):
    """One known lint stays: all rules share one locked environment, so none names its own."""
    text = house.run("snakemake", "--lint", check=False).both
    assert set(re.findall(r"^    \* (.*):$", text, re.MULTILINE)) <= {
        "Specify a conda environment or container for each rule."
    }


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "import mindgap.config.run, mindgap.digest, mindgap.data.sources, mindgap.report.summary",
            "torch transformers umap pandas sklearn matplotlib requests",
        ),
        ("import mindgap.gap.measures, mindgap.embed.store", "torch transformers umap matplotlib"),
        ("import mindgap.cli", "torch numpy numba pandas sklearn yaml matplotlib snakemake"),
        ("import mindgap.gap.figures", "torch transformers umap sklearn"),
        (
            "import mindgap.downstream.plan",
            "torch transformers umap pandas sklearn matplotlib numba",
        ),
        ("import mindgap.downstream.compare", "torch transformers umap matplotlib"),
        ("import mindgap.data.sets", "torch transformers umap matplotlib"),
    ],
)
def test_heavy_imports_stay_out(code, absent):
    check = f"import sys; {code}; print([m for m in {absent.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def locked(root):
    lines = (root / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {pin.name.lower().replace("_", "-"): str(pin.specifier) for pin in pins}


def test_lock_holds_every_dependency_exactly(root):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())
    pins = locked(root)
    assert pins["torch"] == "==2.13.0"
    assert all(re.fullmatch(r"==[0-9][^,+]*", pin) for pin in pins.values())
    wanted = [
        *project["project"]["dependencies"],
        *(text for some in project["project"]["optional-dependencies"].values() for text in some),
        *project["build-system"]["requires"],
    ]
    for need in map(Requirement, wanted):
        if need.name == "mindgap":  # an extra that includes others
            continue
        pin = pins[need.name.lower().replace("_", "-")]
        assert need.specifier.contains(pin.removeprefix("==")), need


def test_environment_is_the_lock(root):
    from importlib.metadata import version

    for name, pin in locked(root).items():
        assert version(name).partition("+")[0] == pin.removeprefix("=="), name


def test_conda_takes_its_pins_from_the_lock(root):
    import tomllib

    environment = yaml.safe_load((root / "environment.yml").read_text())
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == ["-r requirements.lock", "-e ."]
    assert {re.split("[=<>]", d)[0] for d in conda} == {"python", "pip", "make", "git"}
    python = next(d for d in conda if d.startswith("python=")).split("=")[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert Requirement(f"python{project['requires-python']}").specifier.contains(python)


def test_pages_name_every_figure_and_run(root):
    readme = (root / "README.md").read_text()
    for path in (root / "config").glob("*.yaml"):
        assert f"config/{path.name}" in readme
    tables = (root / "docs/reference/tables.md").read_text()
    rules = "".join(path.read_text() for path in (root / "rules").glob("*.smk"))
    for rule in re.findall(r"^rule (plot_\w+):", rules, re.MULTILINE):
        assert f"`{rule}`" in tables


def test_links_outside_the_site_lead_somewhere(root):
    """Those between its pages are checked by `mkdocs build --strict`."""
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", (root / page).read_text()):
            assert (root / target).exists(), f"{page}: {target}"


def test_every_quoted_table_is_explained(root):
    """Each table that pages quote has a row in docs/reference/tables.md."""
    text = (root / "docs/reference/tables.md").read_text()
    for table in yaml.safe_load((root / "docs/snapshot.yaml").read_text())["tables"]:
        name = table.rpartition("/")[2]
        assert f"`{name}`" in text or f"`{table}`" in text or "decisions/" in table, table


def test_project_speaks_of_itself_alone(root):
    words = re.compile("/wo" + r"rk/|/ro" + r"ot/|pypi\.|files\.pythonhosted")
    names = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True).stdout
    for name in names.splitlines():
        if (root / name).suffix in {
            ".py",
            ".smk",
            ".md",
            ".yaml",
            ".yml",
            ".toml",
            ".lock",
            ".cff",
        }:
            assert not words.search((root / name).read_text()), name
