"""From a photo to an answer: open, find faces, crop, name the expression, draw."""

from .annotate import annotate
from .crop import Found, crop_faces, looks_cropped, whole_face
from .detect import find_faces
from .face import Face, Sighting
from .open import ACCEPTED, PORTRAIT, Photo, is_address, open_photo
from .predictor import Predictor
from .table import to_frame
from .track import Tracker
