"""Ask the addresses of downloads for their sizes, where there is a network."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mindgap.embed.checkpoint import choose_files

_TIMEOUT_S = 8
_ASKED_AT_ONCE = 8


@dataclass(frozen=True)
class Answer:
    """What an address says: bytes, or None; and why there is no size, or what it needs."""

    bytes: int | None
    note: str = ""


def ask_sizes(urls: Iterable[str]) -> dict[str, Answer]:
    """Address -> its answer to a HEAD request; empty where there is no network.

    The first address is asked alone: if it cannot be reached at all, and neither can the second,
    the others are not tried.
    """
    urls = list(dict.fromkeys(urls))
    found = {}
    for url in urls[:2]:
        found[url] = _head(url)
        if found[url].note != _NOWHERE:
            break
    else:
        return {}
    rest = [url for url in urls if url not in found]
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return found | dict(zip(rest, pool.map(_head, rest), strict=True))


_NOWHERE = "cannot be reached"


def _head(url: str) -> Answer:
    import requests

    try:
        given = requests.head(url, allow_redirects=True, timeout=_TIMEOUT_S)
    except (requests.ConnectionError, requests.Timeout):
        return Answer(None, _NOWHERE)
    except requests.RequestException as error:
        return Answer(None, type(error).__name__)
    if given.status_code in (401, 403):
        return Answer(None, "needs an account")
    if not given.ok:
        return Answer(None, f"answers with status {given.status_code}")
    length = given.headers.get("Content-Length", "")
    # A page that stands in for a file, such as a form, is no size of the file.
    if "text/html" in given.headers.get("Content-Type", ""):
        return Answer(None, "answers with a page")
    return Answer(int(length)) if length.isdigit() else Answer(None, "gives no size")


def ask_checkpoints(names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Answer]:
    """(Checkpoint, revision) -> bytes of the files that would be fetched, as the hub says."""
    os.environ["HF_HUB_OFFLINE"] = "0"
    import huggingface_hub as hub
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    api = hub.HfApi()

    def ask(one: tuple[str, str]) -> Answer:
        try:
            about = api.model_info(one[0], revision=one[1], files_metadata=True, timeout=_TIMEOUT_S)
        except GatedRepoError:
            return Answer(None, "needs an account")
        except (HfHubHTTPError, OSError) as error:
            return Answer(None, f"the hub gives no answer ({type(error).__name__})")
        sizes = {f.rfilename: f.size for f in about.siblings}
        wanted = [sizes[name] for name in choose_files(list(sizes))]
        gated = "needs an account" if getattr(about, "gated", False) else ""
        return Answer(None if None in wanted else sum(wanted), gated)

    names = list(names)
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))
