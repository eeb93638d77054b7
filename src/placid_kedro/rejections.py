"""Why an object does not enter a data set: one word a reason, for tables and charts, and a sentence."""

from enum import StrEnum

from placid_kedro.errors import AssetError


class Reason(StrEnum):
    """What is wrong with an object.

    The first group is found while libraries are read, the second while a file is opened, the third in the
    process that renders it, the fourth by the filter.
    """

    BAD_ROW = "bad_row"
    BAD_UID = "bad_uid"
    DUPLICATE_UID = "duplicate_uid"
    NOT_IN_LIBRARY = "not_in_library"
    NOT_DOWNLOADED = "not_downloaded"

    MISSING_FILE = "missing_file"
    CHANGED_FILE = "changed_file"
    UNKNOWN_FORMAT = "unknown_format"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    TOO_MANY_FACES = "too_many_faces"
    NO_FACES = "no_faces"
    NOT_FINITE = "not_finite"
    NO_EXTENT = "no_extent"
    PATH_OUTSIDE = "path_outside"
    TEXTURE_UNREADABLE = "texture_unreadable"

    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    WORKER_DIED = "worker_died"

    LISTED_OUT = "listed_out"
    STOP_WORD = "stop_word"
    TOO_MANY_COMMAS = "too_many_commas"
    NO_CAPTION = "no_caption"
    LOW_SCORE = "low_score"
    EMPTY_MASK = "empty_mask"
    OUT_OF_CUBE = "out_of_cube"
    NO_COLOR = "no_color"
    FLAT_COLOR = "flat_color"
    TOO_FEW_FACES = "too_few_faces"


class RejectedAsset(AssetError):
    """An object cannot be used, with the reason by which it is counted.

    Attributes:
        reason: the word.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
