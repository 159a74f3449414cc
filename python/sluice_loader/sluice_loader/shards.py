"""Where each sample of a version's tar shards lies, and its bytes."""

import glob
import hashlib
import http.client
import json
import os
import urllib.parse

BLOCK = 512
# Hops that a URL may take to where its file lies, as those of a hub do
REDIRECTS = 5


class Shards:
    """Tar shards of a version: paths, or http(s) URLs of a server that answers ranges (a presigned URL does).

    `cache`: a file that keeps where the samples lie, so that shards over HTTP are read through once only. `digests`: the shards' SHA-256 by their
    names, as a version's manifest has them, compared as shards are read through. `check`: compare each image with its sample's SHA-256 as it is read.
    """

    def __init__(self, shards, cache=None, digests=None, check=True):
        self.shards = list(shards)
        self.digests, self.check = digests or {}, check
        self._open = {}
        self._pid = os.getpid()
        known = _cached(cache, self.shards)
        # (name, shard, start, end), in the order of the shards
        self.samples = known if known is not None else [place for at in range(len(self.shards)) for place in self._scan(at)]
        if len({name for name, *_ in self.samples}) < len(self.samples):
            raise ValueError(f"expected each sample once in {len(self.shards)} shards, found one twice: is a shard named twice?")
        if cache is not None and known is None:
            beside = f"{cache}.{os.getpid()}"
            with open(beside, "w") as file:
                json.dump({"shards": [_without_query(shard) for shard in self.shards], "samples": self.samples}, file)
            os.replace(beside, cache)

    @classmethod
    def folder(cls, folder, cache=None, digests=None, check=True):
        """The shards of a version's folder, or of what `sluice versions export --as webdataset` wrote."""
        found = sorted(glob.glob(os.path.join(glob.escape(folder), "shards", "*.tar")))
        if not found:
            raise FileNotFoundError(f"expected shards/*.tar in {folder}, found none")
        return cls(found, cache, digests, check)

    def read(self, at):
        """One sample: `__key__`, `jpg` (the image's bytes, of whatever format), `cls` (a number) and `json`."""
        name, shard, start, end = self.samples[at]
        content = self._range(shard, start, end)
        sample = {"__key__": name}
        for entry, begin, size in _entries(content, self.shards[shard]):
            own, _, extension = entry.partition(".")
            if own != name:
                raise OSError(f"expected sample {name} at byte {start} of {_without_query(self.shards[shard])}, found {own}: the shard was written anew, as an erasure does. Find the samples again, without the old cache")
            sample[extension] = content[begin : begin + size]
        sample["cls"] = int(sample["cls"])
        sample["json"] = json.loads(sample["json"])
        expected = sample["json"].get("sha256") if self.check else None
        if expected is not None and hashlib.sha256(sample["jpg"]).hexdigest() != expected:
            raise OSError(f"expected the image of SHA-256 {expected} in sample {name} of {_without_query(self.shards[shard])}, found other bytes: restore the shard")
        return sample

    def _scan(self, shard):
        where = self.shards[shard]
        content = self._whole(shard)
        expected = self.digests.get(_name_of(where))
        if expected is not None and hashlib.sha256(content).hexdigest() != expected:
            raise OSError(f"expected a shard of SHA-256 {expected} at {_without_query(where)}, found other bytes: restore it from a copy")
        name, start, end = None, 0, 0
        for entry, begin, size in _entries(content, where):
            own = entry.split(".", 1)[0]
            if own != name:
                if name is not None:
                    yield [name, shard, start, end]
                name, start = own, begin - BLOCK
            end = begin + -(-size // BLOCK) * BLOCK
        if name is not None:
            yield [name, shard, start, end]

    def _whole(self, shard):
        where = self.shards[shard]
        if not _is_url(where):
            with open(where, "rb") as file:
                return file.read()
        return self._request(where, {})

    def _range(self, shard, start, end):
        where = self.shards[shard]
        if _is_url(where):
            content = self._request(where, {"Range": f"bytes={start}-{end - 1}"})
        else:
            content = os.pread(self._handle(where), end - start, start)
        if len(content) != end - start:
            raise OSError(f"expected {end - start} bytes at {start} of {where}, found {len(content)}: was the shard cut off or replaced?")
        return content

    def _handle(self, path):
        self._after_fork()
        if path not in self._open:
            self._open[path] = os.open(path, os.O_RDONLY)
        return self._open[path]

    def _request(self, url, headers):
        where = url
        for _ in range(REDIRECTS + 1):
            answer, content = self._ask(where, headers)
            if answer.status not in (301, 302, 303, 307, 308) or answer.getheader("Location") is None:
                break
            where = urllib.parse.urljoin(where, answer.getheader("Location"))
            if not _is_url(where):
                break
        if answer.status != (206 if headers else 200):
            raise OSError(f"expected {'a range' if headers else 'the file'} at {_without_query(url)}, found status {answer.status}")
        return content

    def _ask(self, url, headers):
        self._after_fork()
        parts = urllib.parse.urlsplit(url)
        server = (parts.scheme, parts.netloc)
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        for last in (False, True):
            if server not in self._open:
                kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
                self._open[server] = kind(parts.netloc, timeout=60)
            try:
                self._open[server].request("GET", path, headers=headers)
                answer = self._open[server].getresponse()
                return answer, answer.read()
            except (http.client.HTTPException, OSError):
                # A server closes a connection that rested; the second failure is the caller's.
                self._open.pop(server).close()
                if last:
                    raise

    def _after_fork(self):
        """A connection belongs to one process."""
        if self._pid != os.getpid():
            self._open, self._pid = {}, os.getpid()

    def __getstate__(self):
        return {**self.__dict__, "_open": {}}


def _entries(content, where):
    """(name, start, size) of each file of a tar archive as Sluice writes it."""
    at = 0
    while at + BLOCK <= len(content):
        head = content[at : at + BLOCK]
        name = head[:100].rstrip(b"\0").decode()
        if name == "":
            return
        if head[257:262] != b"ustar":
            raise ValueError(f"expected the tar entry of a sample at byte {at} of {where}, found other bytes")
        size = int(head[124:136].rstrip(b"\0 "), 8)
        yield name, at + BLOCK, size
        at += BLOCK + -(-size // BLOCK) * BLOCK


def _cached(cache, shards):
    if cache is None or not os.path.exists(cache):
        return None
    with open(cache) as file:
        known = json.load(file)
    if known["shards"] != [_without_query(shard) for shard in shards]:
        raise ValueError(f"expected in {cache} where the samples of these shards lie, found those of others: name another file")
    return known["samples"]


def _name_of(where):
    return _without_query(where).replace(os.sep, "/").rsplit("/", 1)[-1]


def _is_url(where):
    return where.startswith(("http://", "https://"))


def _without_query(where):
    """A presigned URL's query holds a signature, and is another one each time."""
    return where.split("?", 1)[0] if _is_url(where) else where
