"""From a photo to an answer: open, find faces, crop, name the expression, draw."""

from .annotate import annotate
from .detect import Found, crop_faces, find_faces, whole_face
from .open import ACCEPTED, PORTRAIT, Photo, is_address, open_photo
from .predictor import Face, Predictor
