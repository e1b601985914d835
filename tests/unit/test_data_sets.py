"""The named sets, each from a small file in the format in which it is published."""

import gzip
import io
import json
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from mindgap.config import read_yaml
from mindgap.config.datasets import KINDS as DATASETS
from mindgap.data.definitions import find_files, modalities, sources
from mindgap.data.kinds import KINDS
from mindgap.data.prompts import fill
from mindgap.data.reports import sections
from mindgap.data.sources import find_source
from mindgap.runtime.errors import UserError
from tests.samples import build, film, picture, prompts_of, sound

TONE = sound((np.sin(np.arange(400) / 3) * 9000).astype("<i2").tobytes())


def pack_zip(path, files):
    with zipfile.ZipFile(path, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return str(path)


def pack_tar(path, files):
    with tarfile.open(path, "w:gz" if str(path).endswith("gz") else "w") as target:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return str(path)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def make(tmp_path, root):
    """Build a kind from files that stand in for the published ones."""

    def run(kind, files, **options):
        definition = {"kind": kind, "files": files, **options}
        assert {name for _, name in KINDS[kind].files(definition).values()} == set(files), (
            "the stand-ins are not what the set needs"
        )
        return build(tmp_path, definition, prompts_of(root, kind))

    return run


def test_every_kind_has_its_schema_sources_and_prompts(root):
    options = {kind.model_fields["kind"].annotation.__args__[0]: kind for kind in DATASETS}
    table = read_yaml(root / "workflow/sources.yaml")
    prompts = read_yaml(root / "workflow/prompts.yaml")
    assert set(options) == set(KINDS)
    labelled = set()
    for kind, entry in KINDS.items():
        fields = options[kind].model_fields
        if "files" not in fields:
            continue
        for split in fields["split"].annotation.__args__ if "split" in fields else ["all"]:
            definition = {"kind": kind, "split": split}
            for source, name in sources(definition):
                find_source(table, source, name)
            if "scenes" in fields:  # as many as one asks for
                continue
            counts = table[sources(definition)[0][0]].get("items", {})
            assert split in counts, f"{kind}: {split}"
        if entry.reader.startswith("mindgap.data.labelled"):
            labelled.add(kind)
    assert labelled | {"fsdd", "mnist_fsdd", "hateful_memes", "shapes"} == set(prompts)


def test_own_copies_stand_in_for_downloads():
    definition = {"kind": "cifar10", "split": "test"}
    assert find_files(definition) == {"archive": "data/cifar10/cifar-10-binary.tar.gz"}
    definition["files"] = {"cifar-10-binary.tar.gz": "my.tar.gz"}
    assert find_files(definition) == {"archive": "my.tar.gz"}
    assert sources(definition) == []


def test_modalities_of_a_set_follow_its_options():
    folder = {"kind": "folder", "modality": "audio", "columns": {"text": None}}
    assert modalities(folder) == ("audio",)
    assert modalities({"kind": "folder", "modality": "image"}) == ("image", "text")
    assert modalities({"kind": "webdataset"}) == ("image", "text")
    shards = {"kind": "webdataset", "fields": {"audio": "wav", "text": "txt", "image": None}}
    assert modalities(shards) == ("audio", "text")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("id", ["000000000007.jpg", "000000000009.jpg", "000000000030.jpg"]),
        ("annotations", ["000000000030.jpg", "000000000009.jpg", "000000000007.jpg"]),
    ],
)
def test_mscoco(tmp_path, make, order, names):
    images = [{"id": i, "file_name": f"{i:012d}.jpg"} for i in (9, 30, 7)]
    notes = [
        {"id": k, "image_id": i, "caption": text}
        for k, (i, text) in enumerate(
            [(30, "first\n"), (9, "a dog, a cat"), (30, "last "), (7, "x"), (30, "")]
        )
    ]
    captions = json.dumps({"images": images, "annotations": notes})
    files = {
        "val2017.zip": pack_zip(
            tmp_path / "p.zip",
            {f"val2017/{i['file_name']}": picture(kind="JPEG", seed=i["id"]) for i in images},
        ),
        "annotations_trainval2017.zip": pack_zip(
            tmp_path / "a.zip", {"annotations/captions_val2017.json": captions}
        ),
    }
    rows, failures, counts = make("mscoco", files, split="val", order=order)
    assert list(rows) == names
    assert rows["000000000030.jpg"]["text"] == ["first", "last"]
    assert rows["000000000009.jpg"]["text"] == ["a dog, a cat"]
    assert rows["000000000009.jpg"]["image"] == picture(kind="JPEG", seed=9)
    assert failures == {}
    assert counts == {"items_in": 3, "items_out": 3, "captions_in": 5, "captions_out": 4}
    first, _, _ = make("mscoco", files, split="val", order=order, items=2)
    assert list(first) == names[:2]


def flickr(names):
    return "".join(f"{n}#{k}\tcaption {k}, of {n}\n" for n in names for k in range(5))


@pytest.mark.parametrize(("split", "names"), [("all", "abc"), ("train", "ab"), ("test", "c")])
def test_flickr8k(tmp_path, make, split, names):
    text = {
        "Flickr8k.token.txt": flickr(["a.jpg", "b.jpg", "c.jpg", "a.jpg.1"]),
        "Flickr_8k.trainImages.txt": "a.jpg\nb.jpg\n",
        "Flickr_8k.devImages.txt": "",
        "Flickr_8k.testImages.txt": "c.jpg\n",
    }
    pictures = {f"Flicker8k_Dataset/{n}.jpg": picture(seed=ord(n)) for n in "abc"}
    pictures |= {"__MACOSX/Flicker8k_Dataset/._a.jpg": b"junk"}
    files = {
        "Flickr8k_Dataset.zip": pack_zip(tmp_path / "p.zip", pictures),
        "Flickr8k_text.zip": pack_zip(tmp_path / "t.zip", text),
    }
    rows, failures, counts = make("flickr8k", files, split=split)
    assert list(rows) == [f"{n}.jpg" for n in names]
    assert rows["c.jpg" if split == "test" else "a.jpg"]["text"][1].startswith("caption 1, of")
    # The published list names one picture that exists under no such name.
    assert failures == ({"a.jpg.1": "no such file"} if split == "all" else {})
    assert counts["captions_in"] == 5 * counts["items_in"]


def test_flickr30k_from_a_compressed_tar(tmp_path, make):
    pictures = {f"flickr30k-images/{n}.jpg": picture(seed=ord(n)) for n in "dcab"}
    splits = {"images": [{"filename": f"{n}.jpg", "split": "test"} for n in "abe"]}
    files = {
        "flickr30k-images.tar.gz": pack_tar(tmp_path / "p.tar.gz", pictures),
        "flickr30k.tar.gz": pack_tar(
            tmp_path / "t.tar.gz",
            {"results_20130124.token": flickr([f"{n}.jpg" for n in "abcde"]).encode()},
        ),
        "caption_datasets.zip": pack_zip(
            tmp_path / "s.zip", {"dataset_flickr30k.json": json.dumps(splits)}
        ),
    }
    rows, failures, _ = make("flickr30k", files, split="test")
    assert list(rows) == ["a.jpg", "b.jpg"]
    assert rows["b.jpg"]["image"] == picture(seed=ord("b"))
    assert failures == {"e.jpg": "no such file"}


def test_msr_vtt(tmp_path, make):
    clips = {f"MSRVTT/videos/all/video{i}.mp4": film(4 + i) for i in range(3)}
    clips["MSRVTT/videos/all/video3.mp4"] = film()[:300]
    data = {
        "videos": [{"video_id": f"video{i}", "split": "test" if i else "train"} for i in range(4)],
        "sentences": [
            {"video_id": f"video{i}", "caption": f"{w} {i}", "sen_id": 0}
            for i in range(4)
            for w in ("one", "two")
        ],
    }
    table = "key,vid_key,video_id,sentence\nret0,msr2,video2,a man sings\n"
    files = {
        "MSRVTT.zip": pack_zip(tmp_path / "c.zip", clips),
        "msrvtt_data.zip": pack_zip(
            tmp_path / "d.zip",
            {
                "msrvtt_data/MSRVTT_data.json": json.dumps(data),
                "msrvtt_data/MSRVTT_JSFUSION_test.csv": table,
            },
        ),
    }
    rows, failures, _ = make("msr_vtt", files, split="test", joined=True, keep="bytes")
    assert {name: row["text"] for name, row in rows.items()} == {
        "video1": ["one 1. two 1"],
        "video2": ["one 2. two 2"],
    }
    assert list(failures) == ["video3"]
    assert "not a readable clip" in failures["video3"]
    rows, _, _ = make("msr_vtt", files, split="test_1ka")
    assert rows["video2"]["text"] == ["a man sings"]
    assert rows["video2"]["video"]["member"] == "MSRVTT/videos/all/video2.mp4"


def test_hateful_memes(tmp_path, make):
    lines = [
        {"id": 1, "img": "img/01.png", "label": 0, "text": "have a nice day"},
        {"id": 2, "img": "img/02.png", "label": 1, "text": "go away"},
        {"id": 3, "img": "img/03.png", "text": "hidden"},
    ]
    files = {
        "hateful_memes.zip": pack_zip(
            tmp_path / "h.zip",
            {"dev_seen.jsonl": "\n".join(map(json.dumps, lines))}
            | {line["img"]: picture() for line in lines},
        )
    }
    rows, failures, _ = make("hateful_memes", files, split="dev_seen")
    assert [row["label"] for row in rows.values()] == ["meme", "hatespeech meme"]
    assert rows["img/02.png"]["text"] == ["go away"]
    assert failures == {"img/03.png": "label None is not among the classes"}


@pytest.mark.parametrize(
    ("kind", "heads"), [("cifar10", [(3,), (9,)]), ("cifar100", [(1, 3), (7, 99)])]
)
def test_cifar(tmp_path, make, kind, heads):
    rng = np.random.default_rng(0)
    arrays = rng.integers(0, 255, (2, 3, 32, 32), dtype=np.uint8)
    data = b"".join(bytes(h) + a.tobytes() for h, a in zip(heads, arrays, strict=True))
    member = "test_batch.bin" if kind == "cifar10" else "test.bin"
    other = "data_batch_1.bin" if kind == "cifar10" else "train.bin"
    name = f"{kind[:5]}-{kind[5:]}-binary.tar.gz"
    broken = bytes([200] * len(heads[0])) + arrays[0].tobytes()
    path = pack_tar(
        tmp_path / name,
        {f"x/{other}": broken, f"x/{member}": data + b"half a record", "x/readme.html": b""},
    )
    rows, failures, _ = make(kind, {name: path}, split="test")
    classes = prompts_of(tmp_path.__class__(__file__).parents[2], kind)["classes"]
    assert [row["label"] for row in rows.values()] == [classes[h[-1]] for h in heads]
    assert next(iter(rows.values()))["text"] == [f"a photo of a {classes[heads[0][-1]]}."]
    for row, array in zip(rows.values(), arrays, strict=True):
        np.testing.assert_array_equal(pixels(row["image"]), array.transpose(1, 2, 0))
    assert list(failures.values()) == [f"a record of 13 bytes, not {3072 + len(heads[0])}"]
    _, failures, counts = make(kind, {name: path}, split="all")
    assert counts["items_in"] == 4
    assert f"label 200 is none of the {len(classes)} classes" in failures.values()


def test_the_pickled_version_of_cifar_is_refused(tmp_path, make):
    path = pack_tar(tmp_path / "py.tar.gz", {"cifar-10-batches-py/test_batch": b"\x80\x04"})
    with pytest.raises(UserError, match="give the binary version"):
        make("cifar10", {"cifar-10-binary.tar.gz": path}, split="test")


def test_svhn(tmp_path, make):
    from scipy.io import savemat

    arrays = np.random.default_rng(0).integers(0, 255, (32, 32, 3, 4), dtype=np.uint8)
    path = tmp_path / "test_32x32.mat"
    savemat(path, {"X": arrays, "y": np.array([[1], [10], [9], [11]], np.uint8)})
    rows, failures, _ = make("svhn", {"test_32x32.mat": str(path)}, split="test")
    assert [row["label"] for row in rows.values()] == ["1", "0", "9"]
    assert rows["test/000001"]["text"] == ['a street sign of the number: "0".']
    np.testing.assert_array_equal(pixels(rows["test/000002"]["image"]), arrays[..., 2])
    assert failures == {"test/000003": "label 11 is none of the 10 classes"}
    path.write_bytes(b"not matlab")
    with pytest.raises(UserError, match="is not a MATLAB file"):
        make("svhn", {"test_32x32.mat": str(path)}, split="test")


def idx(array):
    return gzip.compress(
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    )


@pytest.fixture
def digits(tmp_path):
    """MNIST's test files with 40 pictures, and recordings of three speakers."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (40, 28, 28), dtype=np.uint8)
    labels = np.arange(40, dtype=np.uint8) % 10
    files = {
        "t10k-images-idx3-ubyte.gz": str(tmp_path / "images.gz"),
        "t10k-labels-idx1-ubyte.gz": str(tmp_path / "labels.gz"),
    }
    (tmp_path / "images.gz").write_bytes(idx(pictures))
    (tmp_path / "labels.gz").write_bytes(idx(labels))
    wavs = {
        f"fsdd-1.0.10/recordings/{d}_{who}_{i}.wav": TONE
        for d in range(10)
        for who in ("theo", "jackson", "lucas")
        for i in (0, 7)
    }
    wavs["fsdd-1.0.10/recordings/3_theo_0.wav"] = sound(b"\0" * 400)
    wavs["fsdd-1.0.10/README.md"] = b"words"
    return pictures, labels, files, {"v1.0.10.zip": pack_zip(tmp_path / "fsdd.zip", wavs)}


def test_mnist(make, digits):
    pictures, labels, files, _ = digits
    rows, failures, _ = make("mnist", files, split="test")
    assert [row["label"] for row in rows.values()] == [str(n) for n in labels]
    np.testing.assert_array_equal(pixels(rows["test/00007"]["image"]), pictures[7])
    assert failures == {}


def test_mnist_files_must_fit_together(tmp_path, make, digits):
    files = dict(digits[2])
    (tmp_path / "short.gz").write_bytes(idx(np.zeros(3, np.uint8)))
    files["t10k-labels-idx1-ubyte.gz"] = str(tmp_path / "short.gz")
    with pytest.raises(UserError, match="do not fit together"):
        make("mnist", files, split="test")
    (tmp_path / "short.gz").write_bytes(b"\x1f\x8bjunk")
    with pytest.raises(UserError, match="is not an idx file"):
        make("mnist", files, split="test")


@pytest.mark.parametrize("unpacked", [False, True])
@pytest.mark.parametrize(("split", "count"), [("test", 29), ("train", 30), ("all", 59)])
def test_spoken_digits(tmp_path, make, digits, unpacked, split, count):
    files = dict(digits[3])
    if unpacked:
        with zipfile.ZipFile(files["v1.0.10.zip"]) as archive:
            archive.extractall(tmp_path / "wavs")
        files = {"v1.0.10.zip": str(tmp_path / "wavs")}
    rows, failures, _ = make("fsdd", files, split=split)
    assert len(rows) == count
    assert failures == ({} if split == "train" else {"3_theo_0.wav": "no signal"})
    row = rows["8_lucas_7.wav" if split == "train" else "8_lucas_0.wav"]
    assert (row["label"], row["group"], row["text"]) == ("eight", "lucas", ["eight"])
    assert row["audio"] == TONE


def test_pictures_and_spoken_digits_share_class_and_no_speaker(make, digits):
    _, labels, files, sounds = digits
    common = {"test_speakers": ["theo"], "pairing_seed": 3, "pictures": "test"}
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    seen = {}
    for split, rows in (("train", [0, 30]), ("test", [30, 40])):
        found, _, counts = make("mnist_fsdd", files | sounds, split=split, rows=rows, **common)
        for name, row in found.items():
            assert row["label"] == words[labels[int(name.partition("/")[2])]]
            assert row["text"] == [f"the digit {row['label']}"]
        assert counts["items_in"] == rows[1] - rows[0]
        seen[split] = {row["group"] for row in found.values()}
    assert seen == {"train": {"jackson", "lucas"}, "test": {"theo"}}
    again, _, _ = make("mnist_fsdd", files | sounds, split="test", rows=[30, 40], **common)
    assert again == found


def test_pairing_refuses_what_cannot_be(make, digits):
    files = digits[2] | digits[3]
    common = {"split": "train", "pictures": "test", "pairing_seed": 0}
    with pytest.raises(UserError, match="there is no recording of nobody"):
        make("mnist_fsdd", files, test_speakers=["nobody"], **common)
    with pytest.raises(UserError, match="none is left"):
        make("mnist_fsdd", files, test_speakers=["theo", "jackson", "lucas"], **common)
    with pytest.raises(UserError, match="goes beyond the 40 pictures"):
        make("mnist_fsdd", files, test_speakers=["theo"], rows=[0, 41], **common)


def test_eurosat(tmp_path, make):
    names = ["2750/River/River_1.jpg", "2750/AnnualCrop/AnnualCrop_1.jpg", "2750/Moon/Moon_1.jpg"]
    path = pack_zip(tmp_path / "e.zip", {n: picture(kind="JPEG") for n in names})
    rows, failures, _ = make("eurosat", {"EuroSAT.zip": path})
    assert rows["2750/River/River_1.jpg"]["text"] == ["a centered satellite photo of river."]
    assert {row["label"] for row in rows.values()} == {"river", "annual crop land"}
    assert failures == {"2750/Moon/Moon_1.jpg": "'Moon' is none of the 10 classes"}


def test_imagenet(tmp_path, make):
    from scipy.io import savemat

    synsets = np.array(
        [
            (1, "n01440764", "tench, Tinca tinca", 0),
            (2, "n01443537", "goldfish, Carassius auratus", 0),
            (1001, "n02512053", "fish", 2),
        ],
        dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")],
    )
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets[:, None]})
    kit = {
        "ILSVRC2012_devkit_t12/data/meta.mat": meta.getvalue(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": b"2\n1\n2\n7\n",
    }
    names = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in (3, 1, 2)]
    files = {
        "ILSVRC2012_img_val.tar": pack_tar(
            tmp_path / "val.tar", {n: picture(kind="JPEG", seed=i) for i, n in enumerate(names)}
        ),
        "ILSVRC2012_devkit_t12.tar.gz": pack_tar(tmp_path / "kit.tar.gz", kit),
    }
    rows, failures, _ = make("imagenet", files, keep="bytes")
    assert {name: row["label"] for name, row in rows.items()} == dict(
        zip(names, ["goldfish", "goldfish", "tench"], strict=True)
    )
    assert rows[names[2]]["text"] == ["a photo of a tench."]
    assert failures == {"ILSVRC2012_val_00000004.JPEG": "label 7 is none of 2 classes"}


def test_fairface(tmp_path, make):
    table = tmp_path / "fairface_label_val.csv"
    table.write_text(
        "file,age,gender,race,service_test\n"
        "val/1.jpg,3-9,Male,East Asian,False\n"
        "val/2.jpg,50-59,Female,Latino_Hispanic,True\n"
        "val/3.jpg,50-59,Female,Martian,True\n"
    )
    files = {
        "fairface-img-margin025-trainval.zip": pack_zip(
            tmp_path / "f.zip", {f"val/{i}.jpg": picture(kind="JPEG") for i in (1, 2, 3)}
        ),
        "fairface_label_val.csv": str(table),
    }
    rows, failures, _ = make("fairface", files, split="val")
    assert rows["val/1.jpg"]["text"] == ["a photo of an east asian man"]
    assert rows["val/2.jpg"]["label"] == "latino woman"
    assert [row["group"] for row in rows.values()] == ["east asian", "latino"]
    assert failures == {"val/3.jpg": "Martian, Female: none of the classes"}


def test_places_audio_and_spoken_moments(tmp_path, make):
    notes = [
        {
            "uttid": "u1",
            "speaker": "s",
            "asr_text": "a barn",
            "wav": "wavs/1.wav",
            "image": "b/1.jpg",
        },
        {
            "uttid": "u2",
            "speaker": "s",
            "asr_text": "a sea",
            "wav": "wavs/2.wav",
            "image": "b/2.jpg",
        },
    ]
    files = {
        "Places205": pack_zip(tmp_path / "p.zip", {"data/b/1.jpg": picture(kind="JPEG")}),
        "PlacesAudio_400k_distro": pack_zip(
            tmp_path / "a.zip",
            {
                "distro/metadata/val.json": json.dumps({"data": notes}),
                "distro/wavs/1.wav": TONE,
                "distro/wavs/2.wav": TONE,
            },
        ),
    }
    rows, failures, _ = make("places_audio", files, split="val", keep="bytes")
    assert rows["u1"]["text"] == ["a barn"]
    assert rows["u1"]["audio"] == TONE
    assert failures == {"u2": "no such file"}

    table = tmp_path / "val.csv"
    table.write_text('video,audio,text\n1.mp4,1.wav,"a dog, running"\n,2.wav,x\n')
    files = {
        "videos": pack_zip(tmp_path / "v.zip", {"1.mp4": film()}),
        "audio": pack_zip(tmp_path / "w.zip", {"1.wav": TONE, "2.wav": TONE}),
        "val.csv": str(table),
    }
    rows, failures, _ = make("smit", files, split="val", keep="bytes")
    assert rows["1.wav"]["text"] == ["a dog, running"]
    assert rows["1.wav"]["video"] == film()
    assert list(failures) == ["2.wav"]


def test_uniprot_as_it_should_be_and_as_published(tmp_path, make):
    path = tmp_path / "uniprot_100_reduced.csv"
    path.write_text(
        "id,accn,title,seqh,seq\n"
        'P1_X Unreviewed,P1;,"Folds, twists",SEQUENCE 6 AA,MVEALI\n'
        "P2_X Reviewed,,,SEQUENCE 4 AA,MGLI\n"
        "P3_X\n"
    )
    files = {"uniprot_100_reduced.csv": str(path)}
    rows, failures, _ = make("uniprot", files)
    assert rows["P1_X"] == {
        "id": "P1_X",
        "text": ["P1_X Unreviewed P1; Folds, twists"],
        "protein": "MVEALI",
    }
    assert failures == {"000002": "no sequence after the description"}
    rows, _, _ = make("uniprot", files, published=True)
    assert rows["P1_X"]["protein"] == "MVEAL"
    assert rows["P1_X"]["text"] == ['P1_X Unreviewed P1; "Folds twists"']
    rows, _, _ = make("uniprot", files, window=3, window_seed=1)
    assert rows["P2_X"]["protein"] in ("MGL", "GLI")
    assert len(rows["P1_X"]["text"][0]) == 3


def test_mimic_cxr(tmp_path, make):
    report = "FINAL REPORT\n INDICATION: cough\n\n FINDINGS:\n The lungs\n are clear.\n IMPRESSION: Normal.\n"
    folder = tmp_path / "files/p10/p10000032/s50414267"
    folder.mkdir(parents=True)
    (folder / "aa.jpg").write_bytes(picture("L", kind="JPEG"))
    (folder / "bb.jpg").write_bytes(picture("L", kind="JPEG"))
    splits = "dicom_id,study_id,subject_id,split\n" + "".join(
        f"{d},{s},10000032,{part}\n"
        for d, s, part in [("aa", 50414267, "test"), ("bb", 9, "test"), ("cc", 1, "train")]
    )
    (tmp_path / "s.csv.gz").write_bytes(gzip.compress(splits.encode()))
    files = {
        "files": str(tmp_path / "files"),
        "mimic-cxr-reports.zip": pack_zip(
            tmp_path / "r.zip", {"files/p10/p10000032/s50414267.txt": report}
        ),
        "mimic-cxr-2.0.0-split.csv.gz": str(tmp_path / "s.csv.gz"),
    }
    rows, failures, _ = make("mimic_cxr", files, split="test", keep="bytes")
    assert rows["aa"]["text"] == ["The lungs are clear. Normal."]
    assert failures == {"bb": "report: no such file"}
    assert sections("no headings\n at all") == "no headings at all"


def test_articles_follow_the_name():
    assert fill("a photo of {a} {}", "orangutan") == "a photo of an orangutan"
    assert fill("a photo of {a} {}", "suspicious person") == "a photo of a suspicious person"


def test_another_template_and_an_unpacked_archive(tmp_path, make):
    record = bytes([3]) + bytes(3072)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "test_batch.bin").write_bytes(record * 3)
    files = {"cifar-10-binary.tar.gz": str(tmp_path / "cifar-10-batches-bin")}
    rows, _, _ = make("cifar10", files, split="test", template="{a} {}, seen from above")
    assert [row["text"] for row in rows.values()] == [["a cat, seen from above"]] * 3


def test_names_that_do_not_tell(tmp_path, make):
    text = {"Flickr8k.token.txt": flickr(["a.jpg", "b.jpg"]).replace("of b", "of\u2028b")}
    pictures = {"x/a.jpg": picture(), "y/a.jpg": picture(seed=1), "x/b.jpg": picture()}
    files = {
        "Flickr8k_Dataset.zip": pack_zip(tmp_path / "p.zip", pictures),
        "Flickr8k_text.zip": pack_zip(tmp_path / "t.zip", text),
    }
    rows, failures, _ = make("flickr8k", files, split="all")
    assert failures == {"a.jpg": "2 files end in that name: x/a.jpg, y/a.jpg"}
    assert rows["b.jpg"]["text"][0] == "caption 0, of\u2028b.jpg"


def test_a_draw_keeps_the_order_of_the_set(make, digits):
    every, _, _ = make("mnist", digits[2], split="test")
    some, _, _ = make("mnist", digits[2], split="test", items=15, seed=4)
    other, _, _ = make("mnist", digits[2], split="test", items=15, seed=5)
    assert len(some) == len(other) == 15
    assert list(some) == [name for name in every if name in some]
    assert set(some) != set(other)


def test_parts_of_one_draw_share_no_item(make, digits):
    every, _, _ = make("mnist", digits[2], split="test")
    for seed in ({}, {"seed": 4}):
        first, _, _ = make("mnist", digits[2], split="test", items=15, **seed)
        rest, _, _ = make("mnist", digits[2], split="test", skip=15, **seed)
        assert not set(first) & set(rest)
        assert {*first, *rest} == set(every)
        some, _, _ = make("mnist", digits[2], split="test", skip=15, items=2, **seed)
        assert list(some) == [name for name in rest if name in some]
        assert len(some) == 2
    with pytest.raises(UserError, match="skip: 1000 leaves none of its"):
        make("mnist", digits[2], split="test", skip=1000)
