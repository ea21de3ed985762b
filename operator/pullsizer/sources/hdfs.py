"""`hdfs://path`, `webhdfs://path`: how big what lies in a Hadoop file system is, over WebHDFS.

The downloader's library (hdfs) is synchronous and opens sockets of its own; the few of its calls that are needed are
made here: https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.alone import Alone
from pullsizer.sources.archives import archive_kind, unpacked
from pullsizer.sources.client import Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.filtering import Filters
from pullsizer.sources.hdfs_namenodes import Namenodes, cluster_of
from pullsizer.sources.tally import Item, Tally

_MOST_ENTRIES: Final = 200_000
_MOST_FOLDERS: Final = 1000
"""Each is a question."""
_DEEPEST: Final = 32
"""Folders in folders. There are no links in a file system, but who answers need not be one."""
_REMEDY: Final = "write the model's size into the annotation pullsizer.dev/model-size"


@dataclass(frozen=True)
class _Entry:
    """A file, or a folder.

    :param etag: when it was written
    """

    path: str
    folder: bool
    size: int
    etag: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def item(self) -> Item:
        return Item(self.path, self.name, self.size, self.etag)


def parse(uri: str) -> str:
    """The path, as KServe's downloader reads the URI: all behind `://`, with no host in it.

    :raises MeasureError: InvalidURI; UnsupportedSource for what the library would look up first
    """
    path = uri.partition("://")[2]
    if not path.strip("/") or "\0" in path:
        raise failure("InvalidURI", f"{shown(Source(uri).public_uri)} names no path; write it as hdfs://folder/model")
    if "#LATEST" in path:
        raise failure("UnsupportedSource", f"#LATEST in a path is not measured; {_REMEDY}")
    return path


class Hdfs:
    """Asks namenodes about files."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._alone = Alone()

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        parse(source.uri)
        return cluster_of(access).namenodes[0].host or ""

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        return await self.measure(source, access, rules) == facts

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        cluster = cluster_of(access)
        async with self._alone.question() as when_large:
            walk = _Walk(Namenodes(self._client, cluster, rules.timeout, when_large))
            return await walk.facts(parse(source.uri), cluster.root, source)


class _Walk:
    """One model's files, however many questions they take."""

    def __init__(self, namenodes: Namenodes) -> None:
        self._namenodes = namenodes
        self._tally = Tally()
        self._entries = self._folders = 0

    async def facts(self, path: str, root: str, source: Source) -> ModelFacts:
        path = await self._resolved(path, root)
        found = await self._namenodes.ask(path, "GETFILESTATUS")
        model = self._entry(_dig(found, "FileStatus"), *posixpath.split(path))
        if not model.folder:
            self._tally.add(model.item)
            return await self._facts(single=True)
        # Filters apply to what lies in the folder itself: what is in its folders comes with those.
        chosen = await Filters(source).leave(await self._list(path), lambda entry: entry.name)
        folders = self._add(chosen)
        for _ in range(_DEEPEST):
            if not folders:
                return await self._facts(single=len(chosen) == 1 and not chosen[0].folder)
            folders = [inner for folder in folders for inner in self._add(await self._list(folder))]
        raise failure("UnsupportedSource", f"{shown(path)} has more than {_DEEPEST} folders in folders; {_REMEDY}")

    async def _resolved(self, path: str, root: str) -> str:
        """An absolute path, as the library makes one of what the downloader gives it."""
        if not root:
            path = f"/{path}"
        elif not path.startswith("/"):
            if not root.startswith("/"):
                home = _dig(await self._namenodes.ask("/", "GETHOMEDIRECTORY"), "Path")
                if not isinstance(home, str) or not home.startswith("/"):
                    raise self._namenodes.odd()
                root = posixpath.join(home, root)
            path = posixpath.join(root, path)
        return f"/{posixpath.normpath(path).lstrip('/')}"

    async def _list(self, path: str) -> list[_Entry]:
        self._folders += 1
        if self._folders > _MOST_FOLDERS:
            raise failure("UnsupportedSource", f"the model has more than {_MOST_FOLDERS:,} folders; {_REMEDY}")
        found = _dig(await self._namenodes.ask(path, "LISTSTATUS"), "FileStatuses", "FileStatus")
        if not isinstance(found, list):
            raise self._namenodes.odd()
        self._entries += len(found)
        if self._entries > _MOST_ENTRIES:
            raise failure("UnsupportedSource", f"the model has more than {_MOST_ENTRIES:,} files; {_REMEDY}")
        return [self._entry(one, path, _dig(one, "pathSuffix")) for one in found]

    def _add(self, entries: list[_Entry]) -> list[str]:
        """Adds the files; the folders are what is left to do."""
        for entry in entries:
            if not entry.folder:
                self._tally.add(entry.item)
        return [entry.path for entry in entries if entry.folder]

    def _entry(self, one: Any, folder: str, name: Any) -> _Entry:
        kind, size, written = (_dig(one, key) for key in ("type", "length", "modificationTime"))
        if (
            not isinstance(name, str)
            or (name in ("", ".", "..") and folder != "/")
            or "/" in name
            or kind not in ("FILE", "DIRECTORY")
            or type(size) is not int
            or size < 0
        ):
            raise self._namenodes.odd()
        return _Entry(posixpath.join(folder, name), kind == "DIRECTORY", size, str(written)[:20])

    async def _facts(self, *, single: bool) -> ModelFacts:
        """One file that is an archive is unpacked; more are left as they are."""
        tally = self._tally
        if not single or tally.last is None or not (kind := archive_kind(tally.last.name)):
            return tally.facts()
        found, basis = await unpacked(kind, tally.last.size, partial(self._namenodes.read, tally.last.key))
        return tally.facts(kind, found, basis)


def _dig(answer: Any, *keys: str) -> Any:
    """What lies below keys; nothing, where there is no such thing."""
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer
