"""The files in a folder, a zip or a tar archive, one by one; nothing is unpacked."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import BinaryIO

from tqdm.auto import tqdm

from ..errors import FerError

AGAIN = "download or unpack it again"
# What reading a damaged archive raises. RuntimeError: zipfile raises it for a password
# or a compression that it does not know.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError)
BROKEN = (*ZIP_ERRORS, tarfile.TarError, lzma.LZMAError, EOFError)
Members = Generator[tuple[str, BinaryIO], None, None]


def open_members(path: Path) -> Members:
    """Yield name and open stream of the images and CSV files in a folder or archive.

    Raises `FerError` at a member that cannot be trusted, one of `BROKEN` where the
    archive is damaged, `OSError` where a file cannot be opened. Close it after use.
    """
    if path.is_dir():
        return _folder(path)
    return _zip(path) if zipfile.is_zipfile(path) else _tar(path)


def _is_data(name: str) -> bool:
    return name.lower().endswith((".jpg", ".jpeg", ".png", ".csv"))


def _data_files(names: Iterable[str]) -> list[str]:
    # CSV files first: where one holds all the pixels, no image needs to be read.
    found = filter(_is_data, names)
    return sorted(found, key=lambda name: (not name.lower().endswith(".csv"), name))


def list_files(folder: Path) -> list[str]:
    """Return the paths of all images and CSV files in a folder tree."""

    def fail(error: OSError):  # os.walk by itself skips an unreadable folder, silently
        raise error

    files = []  # as text: 35,887 `Path`s would cost most of a cached load
    for parent, _, names in os.walk(folder, onerror=fail):
        files += [os.path.join(parent, name) for name in names]
    return _data_files(files)


def _folder(path: Path) -> Members:
    files = list_files(path)
    for file in tqdm(files, desc="Reading FER2013", unit=" files", disable=not files):
        if not os.path.isfile(file):  # opening a pipe would wait for ever
            raise FerError(f"{file}: a broken link or not a regular file; remove it")
        with open(file, "rb") as stream:
            yield Path(file).relative_to(path).as_posix(), stream


def _zip(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            _check_name(path, name)
        files = _data_files(set(archive.namelist()))
        for name in tqdm(files, desc="Reading FER2013", unit=" files"):
            with archive.open(name) as stream:
                yield name, stream


class _Header(tarfile.TarInfo):
    # tarfile takes a damaged or a missing header for the end of the archive, and a part
    # of FER2013 would pass for the whole.
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
            _check_name(path, info.name)
            if info.isfile() and _is_data(info.name):
                yield info.name, archive.extractfile(info)
            elif not info.isdir() and _is_data(info.name):
                raise FerError(
                    f"{path}: member {info.name!r} is a link or a device; pack the "
                    "files themselves (tar --dereference --hard-dereference)"
                )


def _check_name(path: Path, name: str) -> None:
    # Nothing is unpacked to disk; such a name still shows that somebody means harm.
    if ".." in name.replace("\\", "/").split("/") or name.startswith(("/", "\\")):
        raise FerError(f"{path}: member {name!r} points outside the archive; {AGAIN}")
