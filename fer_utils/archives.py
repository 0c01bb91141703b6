"""The files in a folder, a zip or a tar archive, one by one; nothing is unpacked."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tqdm.auto import tqdm

from .config import FerError

IMAGES = {".jpg", ".jpeg", ".png"}
AGAIN = "download or unpack it again"
# What reading a damaged archive raises. RuntimeError is zipfile's word for a password
# or a compression that it does not know.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError)
BROKEN = (*ZIP_ERRORS, tarfile.TarError, lzma.LZMAError, EOFError)


class Member(NamedTuple):
    """One file of a folder or archive: its relative name and an open binary stream."""

    name: str
    stream: BinaryIO


Members = Generator[Member, None, None]


def open_members(path: Path) -> Members:
    """Yield the images and CSV files in a folder or archive.

    Raises `FerError` at a member that is not to be trusted, one of `BROKEN` where the
    archive is damaged, `OSError` where a file cannot be opened. Close it after use.
    """
    if path.is_dir():
        return _folder(path)
    return _zip(path) if zipfile.is_zipfile(path) else _tar(path)


def is_data(name: str) -> bool:
    """Whether a file of this name can hold images or a table of them."""
    return os.path.splitext(name)[1].lower() in IMAGES | {".csv"}


def _csv_first(name: str) -> tuple[bool, str]:
    # A CSV that carries the pixels stands for the whole.
    return not name.lower().endswith(".csv"), name


def list_files(folder: Path) -> list[str]:
    """Return the paths of all images and CSV files in a folder tree."""

    def fail(error: OSError):  # os.walk by itself skips an unreadable folder, silently
        raise error

    files = []  # as text: 35,887 `Path`s would cost most of a cached load
    for parent, _, names in os.walk(folder, onerror=fail):
        files += [os.path.join(parent, name) for name in names if is_data(name)]
    return sorted(files, key=_csv_first)


def _folder(path: Path) -> Members:
    files = list_files(path)
    for file in tqdm(files, desc="Reading FER2013", unit=" files", disable=not files):
        if not os.path.isfile(file):  # opening a pipe would wait for ever
            raise FerError(f"{file}: a broken link, or no regular file; remove it")
        with open(file, "rb") as stream:
            yield Member(Path(file).relative_to(path).as_posix(), stream)


def _zip(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        for name in infos:
            _check_name(path, name)
        names = sorted(filter(is_data, infos), key=_csv_first)
        for name in tqdm(names, desc="Reading FER2013", unit=" files"):
            with archive.open(infos[name]) as stream:
                yield Member(name, stream)


class _Header(tarfile.TarInfo):
    """Ends an archive only where it says so.

    tarfile takes a damaged or a missing header for the end, and a part of FER2013 would
    pass for the whole.
    """

    @classmethod
    def fromtarfile(cls, archive):
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"no tar, damaged or cut short: {error}") from None


def _tar(path: Path) -> Members:
    # Streamed: a second pass over an .xz archive would decompress it all again.
    size = path.stat().st_size
    with (
        path.open("rb") as file,
        tqdm.wrapattr(file, "read", total=size, desc="Reading FER2013") as stream,
        tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as archive,
    ):
        for info in archive:
            _check_name(path, info.name)
            if info.isfile() and is_data(info.name):
                yield Member(info.name, archive.extractfile(info))
            elif not info.isdir() and is_data(info.name):
                raise FerError(
                    f"{path}: member {info.name!r} is a link or a device; pack the "
                    "files themselves (tar --dereference --hard-dereference)"
                )


def _check_name(path: Path, name: str) -> None:
    # Nothing is ever unpacked to disk; such a name still means a doctored archive.
    if ".." in name.replace("\\", "/").split("/") or name.startswith(("/", "\\")):
        raise FerError(f"{path}: member {name!r} climbs out of the archive; {AGAIN}")
