"""The files in a folder, a zip or a tar archive, one by one; nothing is unpacked."""

import gzip
import lzma
import os
import re
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from tqdm.auto import tqdm

from ..errors import FerError, shorten

AGAIN = "download or unpack it again"
# What reading a damaged archive raises. RuntimeError: zipfile raises it for a password
# or a compression that it does not know.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError)
BROKEN = (*ZIP_ERRORS, tarfile.TarError, lzma.LZMAError, gzip.BadGzipFile, EOFError)
# What may hold data, by the end of its name. The last two are not read, but told about.
KINDS = {
    "table": (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.xz", ".tsv.xz"),
    "image": (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif"),
    "other image": (".tif", ".tiff", ".avif", ".heic", ".jp2", ".pgm", ".ppm"),
    "archive": (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".rar", ".7z"),
}
# Members of a tar that hold a long name or the like: tarfile reads them into memory.
NOTES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
NOTES += (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
MAX_HEADER = 1 << 20
MAX_NAME = 1000  # characters; arrays of names are as wide as the longest
Members = Generator[tuple[str, BinaryIO], None, None]


def tell(text: str) -> None:
    """Print a line beside the progress bars; `?` for what the output cannot show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    tqdm.write(text.encode(encoding, "replace").decode(encoding))


def open_members(path: Path) -> Members:
    """Yield name and open stream of the images and CSV files in a folder or archive.

    Raises `FerError` at a member that cannot be trusted, one of `BROKEN` where the
    archive is damaged, `OSError` where a file cannot be opened. Close it after use.
    """
    if path.is_dir():
        return _folder(path)
    return _zip(path) if zipfile.is_zipfile(path) else _tar(path)


def kind_of(name: str) -> str:
    """Return what a file is by its name: a key of `KINDS`, or nothing."""
    name = name.lower()
    return next((kind for kind, ends in KINDS.items() if name.endswith(ends)), "")


def _order(name: str) -> tuple[bool, str]:
    # CSV files first: where one holds all the pixels, no image needs to be read.
    return kind_of(name) != "table", name


def list_files(folder: Path) -> list[str]:
    """Return the paths of all files in a folder tree that hold, or may hold, data."""

    def fail(error: OSError):  # os.walk by itself skips an unreadable folder, silently
        raise error

    files, seen = [], set()  # as text: 35,887 `Path`s would cost most of a cached load
    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            why = "a link to a folder that is read already"
            raise FerError(f"{parent}: {why}; remove one of the two")
        seen.add(real)
        folders.sort()
        files += [os.path.join(parent, name) for name in names]
    return sorted(filter(kind_of, files), key=_order)


def _folder(path: Path) -> Members:
    files = list_files(path)
    for file in tqdm(files, desc="Reading FER2013", unit=" files", disable=not files):
        if not os.path.isfile(file):  # opening a pipe would wait for ever
            raise FerError(f"{file}: a broken link or not a regular file; remove it")
        with open(file, "rb") as stream:
            yield Path(file).relative_to(path).as_posix().replace("\\", "/"), stream


def _zip(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) % 2**16 != _zip_entries(path):
            raise zipfile.BadZipFile("its list of files is damaged")
        # By their entries, not their names: a name can occur twice.
        found = [(_checked(path, info.filename), info) for info in archive.infolist()]
        found = [(name, info) for name, info in found if kind_of(name)]
        found.sort(key=lambda entry: _order(entry[0]))
        for name, info in tqdm(found, desc="Reading FER2013", unit=" files"):
            with archive.open(info) as stream:
                yield name, stream


def _zip_entries(path: Path) -> int:
    """Return how many files a zip says it has, modulo 2^16; zipfile does not compare.

    With a damaged list of files, a part of FER2013 would pass for the whole.
    """
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 2**16 + 22), os.SEEK_END)
        tail = file.read()
    end = tail[tail.rindex(b"PK\5\6") :]
    return int.from_bytes(end[10:12], "little")


class _Header(tarfile.TarInfo):
    # A note can claim any size, and tarfile would read all of it into memory. A damaged
    # or a missing header is the end of the archive to it, and a part of FER2013 would
    # pass for the whole.
    @classmethod
    def frombuf(cls, buf, encoding, errors):
        header = super().frombuf(buf, encoding, errors)
        if header.type in NOTES and header.size > MAX_HEADER:
            raise tarfile.ReadError("a name or note of more than 1 MB")
        return header

    @classmethod
    def fromtarfile(cls, archive):
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged or cut short: {error}") from None


def _tar(path: Path) -> Members:
    # Streamed: a second pass over an .xz archive would decompress it all again.
    size = path.stat().st_size
    with (
        path.open("rb") as file,
        tqdm.wrapattr(file, "read", total=size, desc="Reading FER2013") as stream,
        tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as archive,
    ):
        archive.fileobj.seekable = lambda: False  # TextIOWrapper asks for it
        for info in archive:
            name = _checked(path, info.name)
            if info.isfile() and kind_of(name):
                yield name, archive.extractfile(info)
            elif not info.isdir() and kind_of(name):
                raise FerError(
                    f"{path}: member {shorten(name)!r} is a link or a device; pack the "
                    "files themselves (tar --dereference --hard-dereference)"
                )


def _checked(path: Path, name: str) -> str:
    """Return a member's name with slashes; some programs on Windows write `\\`."""
    # Nothing is unpacked to disk; such a name still shows that somebody means harm.
    plain = name.replace("\\", "/")
    if ".." in plain.split("/") or re.match("/|[A-Za-z]:", plain):
        why = "points outside the archive"
    elif len(name) > MAX_NAME:
        why = "has too long a name"
    else:
        return plain
    raise FerError(f"{path}: member {shorten(name)!r} {why}; {AGAIN}")
