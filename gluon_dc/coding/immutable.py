"""Records that never change: what copies, deep copies and pickles of them are."""

from dataclasses import fields


class Immutable:
    """Base of frozen dataclasses of read-only arrays, bytes and the like.

    A copy is the record itself. A pickle (to send it to a worker process; no file of ours is one) holds the fields
    alone, and what comes back went through the constructor: checked, its arrays read-only again, which NumPy's own
    pickles are not, and nothing cached.
    """

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return type(self), tuple(getattr(self, field.name) for field in fields(self) if field.init)
