"""Definitions of data sets, one class for each kind."""

from typing import Annotated, Any, Literal, Self, Union

from pydantic import Field, TypeAdapter, create_model, model_validator

from mindgap.config.base import FilePath, Name, Number, Options, Seed, Template, some, text_or
from mindgap.data.medium import Limits

_LIMITS = Limits()
_SPLIT = "Part of the set."
Hub = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class Shapes(Options):
    """Rendered scenes of moving objects: picture, clip, sound, captions and the ground truth."""

    kind: Literal["shapes"]
    items: int = Field(ge=2, description="Number of scenes.")
    size: int = Field(ge=16, le=256, description="Side of picture and clip in pixels.")
    frames: int = Field(ge=2, le=64, description="Frames of the clip.")
    seed: Seed = Field(description="Seed of the scenes.")
    objects: Literal[1, 2] = Field(2, description="Objects in a scene at most.")
    detail: Literal["all", "half", "one"] = Field(
        "all", description="What captions name: everything, colour and shape, or the colour."
    )


class Digits(Options):
    """scikit-learn's handwritten digits, 8x8 pixels, with captions."""

    kind: Literal["digits"]
    items: int = Field(ge=2, le=1797, description="How many of the 1797 digits.")
    seed: Seed = Field(description="Seed of the sample and of the captions.")


class Reading(Options):
    """What every set that is read from files has."""

    items: int | None = Field(
        None, ge=2, description="Items at most: the first ones or, with `seed`, a draw."
    )
    skip: int | None = Field(
        None,
        ge=1,
        description="Items that are left out first, of the set or of the draw, for a test part.",
    )
    failures: Literal["skip", "stop"] = Field(
        "skip", description="skip lists what cannot be used in a file; stop refuses the set."
    )
    keep: Literal["bytes", "references"] | None = Field(
        None,
        description="Whether the pairs hold the media or refer to them (default: sets of more than "
        "a few GB refer).",
    )
    max_bytes: int = Field(
        _LIMITS.max_bytes, ge=1, description="Bytes of an unpacked file at most."
    )
    max_pixels: int = Field(_LIMITS.max_pixels, ge=1, description="Pixels of a picture at most.")
    max_aspect: Number = Field(
        _LIMITS.max_aspect, ge=1, description="Longer over shorter side of a picture at most."
    )


class Drawn(Reading):
    """A set whose size is known before it is read, so that items can be drawn from it."""

    seed: Seed | None = Field(
        None, description="Draw `items` items with this seed; they keep the order of the set."
    )


class Columns(Options):
    """Names of the columns of a table of captions."""

    file: str = Field("file", description="File name below `media`.")
    text: str | None = Field("text", description="Caption; null where there is none.")
    label: str | None = Field(None, description="Class of the item.")
    group: str | None = Field(None, description="Group of the item.")


class Folder(Drawn):
    """Your own pictures, clips or sounds with a table of captions, one row per caption."""

    kind: Literal["folder"]
    media: FilePath = Field(description="A folder, a zip or a tar.")
    modality: Literal["image", "video", "audio"] = Field(
        description="What the files are: pictures; animated pictures or films; sounds."
    )
    table: FilePath = Field(description="CSV with a header (UTF-8).")
    columns: Columns = Field(
        default_factory=Columns, description="Names of the columns of the table."
    )
    classes: list[str] | None = Field(
        None, description="Labels that exist; an item with another one fails."
    )


class Fields(Options):
    """Where each column of the pairs comes from."""

    image: str | None = Field(None, description="Pictures.")
    audio: str | None = Field(None, description="Sounds.")
    video: str | None = Field(None, description="Clips.")
    text: str | None = Field(None, description="Captions.")
    label: str | None = Field(None, description="Class of an item.")
    group: str | None = Field(None, description="Group of an item.")


class Webdataset(Reading):
    """Numbered tars in which the files of an item share a key."""

    kind: Literal["webdataset"]
    shards: text_or(
        Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)],
        Annotated[str, Field(min_length=1)],
    ) = Field(description="Patterns of paths: shard-{000000..000099}.tar, shards/*.tar.")
    fields: Fields | None = Field(
        None, description="Extensions separated by semicolons, such as jpg;png, or json:key."
    )


class Huggingface(Drawn):
    """A data set of the Hugging Face hub: name and revision, or the path of a copy."""

    kind: Literal["huggingface"]
    name: Hub | None = Field(None, description="owner/name.")
    revision: Name | None = Field(None, description="Commit or tag.")
    path: FilePath | None = Field(None, description="A folder with the files of the data set.")
    config: str | None = Field(None, description="Configuration of a data set that has several.")
    split: str = Field(description="train, test, ...")
    patterns: list[str] | None = Field(
        None, description="Files to download, such as data/test-*; all without it."
    )
    fields: Fields | None = Field(None, description="Column of the set behind each of ours.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = {key for key in ("name", "revision", "path") if getattr(self, key)}
        if given not in ({"name", "revision"}, {"path"}):
            raise ValueError("give either name and revision, or path")
        return self


class Published(Drawn):
    """A published set whose files are in workflow/sources.yaml."""

    files: dict[str, FilePath] = Field(
        {}, description="Your own copies of its files: name in workflow/sources.yaml -> path."
    )


class Labelled(Published):
    """A published set whose captions are the prompts of its classes."""

    template: Template | None = Field(
        None,
        description="Prompt with {} for the class and {a} for its article (default: "
        "workflow/prompts.yaml).",
    )


class Mscoco(Published):
    """MSCOCO 2017 with all captions of each picture."""

    kind: Literal["mscoco"]
    split: Literal["val", "train"] = Field(description=_SPLIT)
    order: Literal["id", "annotations"] = Field(
        "id", description="Order of pictures: by id, or as the annotation file first names them."
    )


class MsrVtt(Published):
    """MSR-VTT clips with their captions."""

    kind: Literal["msr_vtt"]
    split: Literal["test_1ka", "train", "validate", "test", "all"] = Field(description=_SPLIT)
    joined: bool = Field(
        False, description="All captions of a clip as one text, joined by full stops."
    )


class Fairface(Labelled):
    """FairFace with race and gender as label, race as group."""

    kind: Literal["fairface"]
    split: Literal["val", "train"] = Field(description=_SPLIT)
    margin: Literal["025", "125"] = Field(
        "025", description="Margin around the face: 0.25 or 1.25."
    )


class MnistFsdd(Labelled):
    """MNIST pictures, each with a recording of its digit; no speaker is in both splits."""

    kind: Literal["mnist_fsdd"]
    split: Literal["test", "train"] = Field(description=_SPLIT)
    pictures: Literal["test", "train"] | None = Field(
        None, description="Part of MNIST (default: that of the split)."
    )
    rows: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)] | None = (
        Field(None, description="First row of the pictures and the one after the last.")
    )
    test_speakers: some(str) = Field(
        description="Speakers of the test set; all others speak in the training set."
    )
    pairing_seed: Seed = Field(description="Seed of the pairing.")


class SpokenScenes(Published):
    """Pictures of two to four MNIST digits, and a speaker of FSDD who names them in random order.

    The text has the names in the order in which they are spoken. Columns `places` and `words` hold
    the truth: the box of each digit in pixels, onset and end of each word in seconds. Of six
    speakers four train, one validates, one tests; a picture or recording is in one split only.
    """

    kind: Literal["spoken_scenes"]
    split: Literal["train", "validation", "test"] = Field(description=_SPLIT)
    scenes: int = Field(ge=2, description="Number of scenes.")
    scene_seed: Seed = Field(description="Seed of the scenes.")
    validation_speaker: str = Field(description="Speaker of the split `validation`.")
    test_speaker: str = Field(description="Speaker of the split `test`; all others train.")
    size: int = Field(48, ge=32, le=256, description="Side of the pictures in pixels.")
    control: Literal["none", "silent", "shuffled"] = Field(
        "none",
        description="silent leaves the noise floor alone of each sound; shuffled gives each "
        "picture the sound of the next scene.",
    )


class Uniprot(Published):
    """Texts and amino-acid sequences of UniProt as published with CLASP."""

    kind: Literal["uniprot"]
    published: bool = Field(False, description="Cut the lines as the published code does.")
    window: int | None = Field(
        None, ge=1, description="Characters of text and sequence from a random place."
    )
    window_seed: Seed = Field(0, description="Seed of those places.")


#: Published sets with no more options than a split: kind -> what it is, and its splits.
_CAPTIONED = {
    "flickr8k": ("Flickr8k with five captions per picture.", "all train val test"),
    "flickr30k": (
        "Flickr30k with five captions per picture, in Karpathy's splits.",
        "all train val test",
    ),
    "hateful_memes": (
        "Hateful Memes with the text of each meme.",
        "train dev dev_seen dev_unseen test_seen test_unseen",
    ),
    "places_audio": (
        "Places Audio captions: pictures of Places205 with a spoken caption.",
        "val train",
    ),
    "smit": ("Spoken Moments in Time: clips with a spoken caption.", "train val test"),
    "mimic_cxr": (
        "MIMIC-CXR-JPG with findings and impression of each report.",
        "train validate test all",
    ),
}
_LABELLED = {
    "cifar10": ("CIFAR-10 with the prompt of each class.", "test train all"),
    "cifar100": ("CIFAR-100, fine labels, with the prompt of each class.", "test train all"),
    "svhn": ("SVHN, cropped digits, with the prompt of each class.", "test train extra"),
    "mnist": ("MNIST with the prompt of each class.", "test train"),
    "eurosat": ("EuroSAT, all 27,000 pictures, with the prompt of each class.", ""),
    "imagenet": (
        "ImageNet 2012: the 50,000 pictures for validation with the prompt of each class.",
        "",
    ),
    "fsdd": (
        "Free Spoken Digit Dataset with the word of each digit; the group is the speaker, and the "
        "split `test` has the recordings 0 to 4 of each speaker and digit.",
        "test train all",
    ),
}


def _plain(kind: str, base: type[Published], text: str, splits: str) -> type[Published]:
    fields: dict[str, Any] = {"kind": Literal[kind]}
    if splits:
        fields["split"] = (Literal[*splits.split()], Field(description=_SPLIT))
    return create_model(kind.title().replace("_", ""), __base__=base, __doc__=text, **fields)


KINDS = [
    *(Shapes, Digits, Folder, Webdataset, Huggingface),
    *(Mscoco, MsrVtt, Fairface, MnistFsdd, SpokenScenes, Uniprot),
    *(_plain(kind, Published, *one) for kind, one in _CAPTIONED.items()),
    *(_plain(kind, Labelled, *one) for kind, one in _LABELLED.items()),
]
DatasetDefinition = Annotated[Union[*KINDS], Field(discriminator="kind")]


def read_definition(definition: dict[str, Any]) -> Options:
    """Typed options of a set, from the plain values that a rule hands to its job."""
    return TypeAdapter(DatasetDefinition).validate_python(definition)
