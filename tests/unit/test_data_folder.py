"""A user's own folder: what is good comes out, what is bad is listed, nothing escapes."""

import os
import struct
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mindgap.data.folder import read_table
from mindgap.data.medium import Limits
from mindgap.data.store import MediaStore
from mindgap.runtime.errors import UserError
from tests.samples import build, picture, sound


def lay(tmp_path, files, table, archive=False):
    if archive:
        with zipfile.ZipFile(tmp_path / "media.zip", "w", zipfile.ZIP_DEFLATED) as target:
            for name, data in files.items():
                target.writestr(name, data)
    else:
        for name, data in files.items():
            path = tmp_path / "media" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    return {
        "kind": "folder",
        "media": str(tmp_path / ("media.zip" if archive else "media")),
        "modality": "image",
        "table": str(tmp_path / "table.csv"),
    }


@pytest.mark.parametrize("archive", [False, True])
def test_good_items_come_out_unchanged(tmp_path, archive):
    files = {
        "a.png": picture(),
        "sub/grey.png": picture("L"),
        "cmyk.jpg": picture("CMYK", kind="JPEG"),
        "palette.gif": picture("P", kind="GIF"),
        "moving.png": picture(
            kind="PNG", save_all=True, append_images=[Image.new("RGB", (12, 9), "red")]
        ),
    }
    table = "file,text\n" + "".join(f'{name},"one, of {name}"\n{name},two\n' for name in files)
    rows, failures, counts = build(tmp_path, lay(tmp_path, files, table, archive))
    assert failures == {}
    assert counts == {"items_in": 5, "items_out": 5, "captions_in": 10, "captions_out": 10}
    for name, data in files.items():
        assert rows[name]["image"] == data
        assert rows[name]["text"] == [f"one, of {name}", "two"]


def test_bad_items_are_listed_with_their_reason(tmp_path):
    whole = picture(kind="JPEG", size=(200, 200))
    files = {
        "good.png": picture(),
        "truncated.jpg": whole[: len(whole) // 2],
        "empty.png": b"",
        "text.png": b"not a picture",
        "long.png": picture(size=(1, 5000)),
        "huge.png": picture(size=(400, 300)),
        "heavy.png": picture(size=(300, 300)),
        "silent.png": picture(),
        "unnamed.png": picture(),
    }
    names = [name for name in files if name != "unnamed.png"]
    table = "file,text\n" + "".join(f"{n},{'' if n == 'silent.png' else n}\n" for n in names)
    table += "good.png,\nabsent.png,nothing here\n../secret.png,outside\n/etc/hostname,absolute\n,nameless\n"
    (tmp_path / "secret.png").write_bytes(picture())
    definition = lay(tmp_path, files, table) | {"max_pixels": 100_000, "max_bytes": 200_000}
    rows, failures, counts = build(tmp_path, definition)
    assert list(rows) == ["good.png"]
    assert rows["good.png"]["text"] == ["good.png"]
    assert counts["items_in"] == 13
    expected = {
        "truncated.jpg": "not a readable picture",
        "empty.png": "not a readable picture",
        "text.png": "not a readable picture",
        "long.png": "1 x 5000 is longer than 50 to 1",
        "huge.png": "bytes exceed the limit",
        "heavy.png": "bytes exceed the limit",
        "silent.png": "all captions are empty",
        "unnamed.png": "the table does not name this file",
        "absent.png": "no such file",
        "../secret.png": "the name leaves the folder",
        "/etc/hostname": "the name leaves the folder",
    }
    assert failures.pop(np.nan) == "the table gives no file name"  # an empty cell
    assert failures.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in failures[name], name


def test_a_bomb_of_pixels_is_not_decoded(tmp_path):
    """A PNG header that promises 60,000 x 60,000 pixels in a few bytes."""
    import zlib

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999))
    )
    definition = lay(tmp_path, {"a.png": picture(), "b.png": bomb}, "file,text\na.png,x\nb.png,y\n")
    _, failures, _ = build(tmp_path, definition)
    assert list(failures) == ["b.png"]
    assert "pixels" in failures["b.png"]


def test_links_do_not_leave_the_folder(tmp_path):
    definition = lay(tmp_path, {"a.png": picture()}, "file,text\na.png,x\nb.png,y\nc.png,z\n")
    (tmp_path / "outside.png").write_bytes(picture())
    os.symlink(tmp_path / "outside.png", tmp_path / "media/b.png")
    os.symlink("a.png", tmp_path / "media/c.png")
    rows, failures, _ = build(tmp_path, definition)
    assert failures == {"b.png": "a link that leaves the folder"}
    assert list(rows) == ["a.png", "c.png"]


def test_hostile_archives(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    names = ["a.png", "../up.png", "/abs.png", "link.png", "bomb.png"]
    with zipfile.ZipFile(tmp_path / "media.zip", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a.png", picture())
        target.writestr("../up.png", picture())
        target.writestr("/abs.png", picture())
        target.writestr(link, "/etc/passwd")
        target.writestr("bomb.png", b"\0" * 50_000_000)
    definition = lay(tmp_path, {}, "file,text\n" + "".join(f"{n},x\n" for n in names))
    definition |= {"media": str(tmp_path / "media.zip"), "max_bytes": 1_000_000}
    before = {p.name for p in tmp_path.parent.iterdir()}
    rows, failures, _ = build(tmp_path, definition)
    assert list(rows) == ["a.png"]
    assert failures["../up.png"] == failures["/abs.png"] == "the name leaves the folder"
    assert failures["link.png"] == "a link inside an archive"
    assert "unpacks to more than the 1,000,000 bytes" in failures["bomb.png"]
    assert {p.name for p in tmp_path.parent.iterdir()} == before
    assert not (tmp_path / "media").exists()


def test_damaged_member_is_a_failure(tmp_path):
    definition = lay(
        tmp_path, {"a.png": picture(), "b.png": picture("L")}, "file,text\na.png,x\nb.png,y\n", True
    )
    data = bytearray((tmp_path / "media.zip").read_bytes())
    start = data.find(b"b.png") + 30
    data[start : start + 10] = b"\xff" * 10
    (tmp_path / "media.zip").write_bytes(bytes(data))
    rows, failures, _ = build(tmp_path, definition)
    assert list(rows) == ["a.png"]
    assert "damaged in the archive" in failures["b.png"]


def test_sounds(tmp_path):
    tone = (np.sin(np.arange(800) / 3) * 9000).astype("<i2").tobytes()
    files = {
        "tone.wav": sound(tone),
        "byte.wav": sound(bytes(range(100, 200)), 1),
        "silent.wav": sound(b"\0" * 1600),
        "silent8.wav": sound(b"\x80" * 800, 1),
        "empty.wav": sound(b""),
        "cut.wav": sound(tone)[:-200],
        "text.wav": b"RIFFnothing",
    }
    definition = lay(tmp_path, files, "file,text\n" + "".join(f"{n},x\n" for n in files))
    rows, failures, _ = build(tmp_path, definition | {"modality": "audio"})
    assert list(rows) == ["tone.wav", "byte.wav"]
    assert failures["silent.wav"] == failures["silent8.wav"] == failures["empty.wav"] == "no signal"
    assert failures["cut.wav"] == "truncated wave file"
    assert "not a readable sound" in failures["text.wav"]


def test_labels_groups_and_classes(tmp_path):
    table = "name,what,who\na.png,cat,x\nb.png,dog,y\nc.png,unicorn,z\n"
    files = {f"{n}.png": picture() for n in "abc"}
    definition = lay(tmp_path, files, table) | {
        "columns": {"file": "name", "text": None, "label": "what", "group": "who"},
        "classes": ["cat", "dog"],
    }
    rows, failures, _ = build(tmp_path, definition)
    assert [(r["label"], r["group"]) for r in rows.values()] == [("cat", "x"), ("dog", "y")]
    assert all("text" not in row for row in rows.values())
    assert failures == {"c.png": "label 'unicorn' is not among the classes"}


def test_items_are_counted_by_the_table(tmp_path):
    files = {f"{i}.png": picture() for i in range(8)}
    table = "file,text\n" + "".join(f"{i}.png,x\n" for i in range(4, 8))
    definition = lay(tmp_path, files, table)
    rows, failures, _ = build(tmp_path, definition)
    assert list(rows) == ["4.png", "5.png", "6.png", "7.png"]
    assert set(failures) == {"0.png", "1.png", "2.png", "3.png"}
    rows, failures, _ = build(tmp_path, definition | {"items": 2})
    assert (list(rows), failures) == (["4.png", "5.png"], {})
    rows, failures, _ = build(tmp_path, definition | {"items": 2, "seed": 1})
    assert (len(rows), failures) == (2, {})


def test_names_within_archives(tmp_path):
    """A tar of `.`, a wrapping folder, what macOS leaves behind, and the table itself."""
    import tarfile

    media = tmp_path / "media"
    (media / "pics").mkdir(parents=True)
    (media / "__MACOSX").mkdir()
    for name in ("pics/a.png", "b.png"):
        (media / name).write_bytes(picture())
    (media / "__MACOSX/._b.png").write_bytes(b"junk")
    (media / ".DS_Store").write_bytes(b"junk")
    (media / "table.csv").write_text("file,text\na.png,x\n./b.png,y\n")
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
        tar.add(media / "pics", "./pics")
        tar.add(media / "b.png", "./b.png")
    common = {"kind": "folder", "modality": "image", "table": str(media / "table.csv")}
    for path in (media, tmp_path / "m.tar.gz"):
        rows, failures, _ = build(tmp_path, common | {"media": str(path)})
        assert sorted(rows) == ["a.png", "b.png"]
        assert failures == {}


def test_a_quote_that_never_closes_names_its_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('file,text\na.png,"hello\nb.png,y\nc.png,z\n')
    columns = {"file": "file", "text": "text"}
    with pytest.raises(UserError, match=r"from line 2 on: .*a quote is not closed"):
        read_table(path, columns)
    path.write_text("file;text\na.png;x\n")
    with pytest.raises(UserError, match="separated by semicolons; save it with commas"):
        read_table(path, columns)
    path.write_text("file,text\na.png," + "x" * 200_000 + "\n")
    assert len(read_table(path, columns)["a.png"].captions[0]) == 200_000


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path):
    import tarfile

    inner = lay(tmp_path, {"inner.png": picture()}, "file,text\n", archive=True)["media"]
    with tarfile.open(tmp_path / "o.tar", "w") as tar:
        tar.add(inner, "last.zip")
    assert MediaStore(tmp_path / "o.tar", Limits()).names() == ["last.zip"]


def test_stop_refuses_and_leaves_nothing(tmp_path):
    definition = lay(tmp_path, {"a.png": picture(), "b.png": b"x"}, "file,text\na.png,x\nb.png,y\n")
    with pytest.raises(
        UserError, match=r"out: 2 items or captions cannot be used; the first is b\.png"
    ):
        build(tmp_path, definition | {"failures": "stop"})
    assert not (tmp_path / "out.parquet").exists()
    assert not list(tmp_path.glob(".part-*"))


def test_unquoted_commas_and_bad_tables(tmp_path):
    path = tmp_path / "t.csv"
    columns = {"file": "file", "text": "text", "label": None, "group": None}
    path.write_text('file,text\na.png,red, green\na.png,"quoted, too"\n\n', encoding="utf-8-sig")
    assert read_table(path, columns)["a.png"].captions == ["red, green", "quoted, too"]
    path.write_text("text,file\nred, green,a.png\n")
    with pytest.raises(UserError, match="line 2: 3 fields where the header has 2"):
        read_table(path, columns)
    path.write_text("image,caption\n")
    with pytest.raises(UserError, match=r"no column 'file' \(it has: 'image', 'caption'\)"):
        read_table(path, columns)
    path.write_text("file,text\n./a.png,one\na.png,two\n")
    assert read_table(path, columns)["a.png"].captions == ["one", "two"]
    path.write_bytes("file,text\na.png,caf\xe9\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"t\.csv is not UTF-8 \(byte 19\)"):
        read_table(path, columns)
    path.write_text("")
    with pytest.raises(UserError, match="is empty"):
        read_table(path, columns)


def test_neither_folder_nor_zip(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"x")
    with pytest.raises(UserError, match="neither a folder nor a zip"):
        MediaStore(tmp_path / "x.tar", Limits())


def test_a_set_in_which_everything_fails_is_refused(tmp_path):
    definition = lay(tmp_path, {"a.png": b"x"}, "file,text\na.png,x\n")
    with pytest.raises(UserError, match=r"2 items or captions .* first is a\.png: not a readable"):
        build(tmp_path, definition)


def test_many_items_stream_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("mindgap.data.items.BATCH", 7)
    files = {f"{i:03d}.png": picture() for i in range(50)}
    definition = lay(tmp_path, files, "file,text\n" + "".join(f"{n},x\n" for n in files), True)
    rows, _, _ = build(tmp_path, definition)
    assert list(rows) == sorted(files)
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 8
