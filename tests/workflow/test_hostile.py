"""Names and paths of a configuration that would be commands if a shell ever saw them."""

import pytest

from tests.samples import picture

#: A folder as a user may call it, and as an attacker would.
NAME = "my 'pictures'; touch ran & $(touch ran) `touch ran` \""


@pytest.fixture
def mine(make_house, tmp_path):
    house = make_house(tmp_path / "house")
    folder = house.path / NAME
    folder.mkdir()
    rows = ["file,text"]
    for i in range(4):
        (folder / f"{i}; touch ran.png").write_bytes(picture(seed=i))
        rows.append(f"{i}; touch ran.png,$(touch ran) {i}")
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    yield house
    assert not [p for p in house.path.rglob("ran")]


def test_a_path_reaches_no_shell(mine):
    quoted = NAME.replace("'", "''")
    (mine.path / "mine.yaml").write_text(
        "run: mine\n"
        "select: {datasets: [own], models: [tiny], landscapes: [full], chapters: []}\n"
        "models:\n  tiny: {kind: clip, label: '$(touch ran) $\\x', architecture: tiny,"
        " weights: random, seeds: [0], captions: first, batch_size: 4}\n"
        "gap: {bootstrap: 100, bins: 20, projection: {methods: [svd]}}\n"
        "datasets:\n  own:\n    kind: folder\n    modality: image\n"
        f"    media: '{quoted}'\n    table: '{quoted}/t.csv'\n"
    )
    mine.snakemake(
        "mine.yaml", "--", "results/mine/gap/gap.csv", "results/mine/figures/cosines.png"
    )
    assert (mine.path / "results/mine/pairs/own.parquet").exists()
    assert (
        "Nothing to be done"
        in mine.snakemake("mine.yaml", "-n", "--", "results/mine/gap/gap.csv").both
    )


@pytest.mark.parametrize("target", ["reproduce", "report", "check", "plan"])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run: 'x; touch ran'", "run: 'x; touch ran' is not a name"),
        ("run: $(touch ran)", "is not a name"),
        ("seed: 1", "gives its run no name"),
        ("__use_yte__: true\nrun: ?open('ran', 'w').name", "is a program for Snakemake"),
        ('run: !!python/object/apply:os.system ["touch ran"]', "is not plain YAML"),
    ],
)
def test_make_refuses_a_config_that_is_more_than_data(mine, target, text, sentence):
    (mine.path / "bad.yaml").write_text(text + "\n")
    done = mine.make(target, "CONFIG=bad.yaml", check=False)
    assert done.returncode != 0
    (said,) = [line for line in done.both.splitlines() if line.startswith("error: ")]
    assert sentence in said
    assert "Traceback" not in done.both


def test_a_config_of_an_odd_name_is_a_file_like_any_other(mine):
    path = mine.path / NAME / "c.yaml"
    path.write_text("run: mine\nseed: 1\n")
    named = f"CONFIG={path}".replace("$", "$$")  # make has a dollar of its own
    done = mine.make("check", named, check=False)
    assert "results/mine has no readable record.json" in done.both
    assert mine.make("plan", named).returncode == 0
    done = mine.make("reproduce", named, "ARGS=-n --quiet", check=False)
    assert done.returncode == 0, done.both[-3000:]
