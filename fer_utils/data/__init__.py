"""FER2013: loading, splits, duplicates, votes, and a small sample without a network."""

from .fer2013 import FER2013, PROTOCOLS, USAGES, Audit, Splits
from .load import load_fer2013
from .votes import VOTES, majority, read_votes, vote_shares
