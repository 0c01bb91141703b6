"""How numbers are written for people."""


def duration(seconds: float) -> str:
    """Seconds as people say them: 3.4 ms, 2.5 s, 84 s, 34 min, 2.3 h."""
    if 0 < seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
