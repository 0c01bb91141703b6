"""Who is who from one frame to the next, and what each face shows over time."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .face import Face, Sighting, judge

SMOOTHING = 0.5  # seconds, the time constant of exponential smoothing
LOST = 1.0  # seconds without being seen, after which somebody is somebody new
OVERLAP = 0.2  # intersection over union, from which two boxes are one person


@dataclass
class _Person:
    number: int
    box: tuple[int, int, int, int]
    time: float
    probabilities: dict[str, float] = field(default_factory=dict)


class Tracker:
    """Joins the faces of frame after frame to people, by the overlap of their boxes.

    Where a person was last seen, the face that covers most of the same place is theirs
    (intersection over union, the best pairs first). Probabilities are smoothed
    exponentially: a sight `t` seconds after the last one weighs 1 − exp(−t / 0.5 s). A
    face whose smoothed confidence is under `abstain_below` is "unsure".
    """

    def __init__(self, abstain_below: float = 0.0, smoothing: float = SMOOTHING):
        self.abstain_below, self.smoothing = abstain_below, smoothing
        self.people: list[_Person] = []
        self._count = 0

    def add(self, time: float, faces: Sequence[Face]) -> list[Sighting]:
        """Return who is seen at `time` (seconds, rising), in the order of `faces`."""
        self.people = [p for p in self.people if time - p.time <= LOST]
        known = dict(self._pairs(faces))
        seen = []
        for index, face in enumerate(faces):
            person = known.get(index) or self._new(face, time)
            weight = 1.0
            if self.smoothing and person.probabilities:
                weight = -math.expm1((person.time - time) / self.smoothing)
            person.probabilities = {
                name: weight * chance + (1 - weight) * person.probabilities.get(name, 0)
                for name, chance in face.probabilities.items()
            }
            person.box, person.time = face.box, time
            seen.append(self._sighting(person))
        return seen

    def _pairs(self, faces: Sequence[Face]) -> Iterable[tuple[int, _Person]]:
        """Pair faces, by index, with people: the largest overlaps first."""
        overlaps = [
            (overlap(person.box, face.box), index, place)
            for index, face in enumerate(faces)
            for place, person in enumerate(self.people)
        ]
        taken_faces, taken_people = set(), set()
        for share, index, place in sorted(overlaps, reverse=True):
            free = index not in taken_faces and place not in taken_people
            if share >= OVERLAP and free:
                taken_faces.add(index)
                taken_people.add(place)
                yield index, self.people[place]

    def _new(self, face: Face, time: float) -> _Person:
        self._count += 1
        person = _Person(self._count, face.box, time)
        self.people.append(person)
        return person

    def _sighting(self, person: _Person) -> Sighting:
        chances = dict(person.probabilities)
        said = judge(chances, self.abstain_below)
        return Sighting(person.box, chances, *said, person.time, person.number)


def overlap(one: Sequence[float], two: Sequence[float]) -> float:
    """Return the intersection of two boxes over their union, 0..1."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = ((b[2] - b[0]) * (b[3] - b[1]) for b in (one, two))
    return width * height / (sum(areas) - width * height)
