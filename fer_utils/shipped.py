"""The networks that come with the package, by name; the first is the usual one."""

from pathlib import Path

FOLDER = Path(__file__).parent / "models" / "weights"
# people: learned what ten people said of each face, for photos from anywhere.
# fer2013-labels: learned FER2013's own labels, which its records are measured by.
SHIPPED = ("people", "fer2013-labels")


def weights_path(weights: str | Path | None, suffix: str) -> Path:
    """Return the file of a shipped network (None: the usual), or else `weights`."""
    name = SHIPPED[0] if weights is None else str(weights)
    return FOLDER / f"{name}{suffix}" if name in SHIPPED else Path(name)
