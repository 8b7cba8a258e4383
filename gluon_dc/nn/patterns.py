"""Per-layer settings: one value for all layers, or a dict of fnmatch patterns over structural names."""
from fnmatch import fnmatchcase


def resolve(settings, names, what):
    """Give every name its setting.

    Parameters
    ----------
    settings : value or dict
        One value for every name, or ``{pattern: value}``: the first pattern that matches a
        name wins, ``None`` and no match leave it alone. A pattern is matched against the whole
        structural name (``features.0.weight``) and against it without ``.weight``
        (``features.0``), so both ways of writing it work.
    names : list of str
        Structural names of the weights that can be set.
    what : str
        The setting's name, for messages.

    Returns
    -------
    dict
        ``{name: value}`` without the names left alone, in the order of `names`.

    Raises
    ------
    ValueError
        A pattern that matches no name. The message lists the names.
    """
    if not names:
        raise ValueError(f"{what}: the net has no layer for it; those whose weight can be compressed "
                         "are Dense, Conv1D/2D/3D and Embedding")
    if not isinstance(settings, dict):
        return {} if settings is None else {name: settings for name in names}
    for pattern in settings:
        if not any(_matches(name, pattern) for name in names):
            raise ValueError(f"{what}: pattern {pattern!r} matches no layer; the layers are "
                             f"{', '.join(names)}")
    found = {name: _first_match(settings, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _first_match(settings, name):
    for pattern, value in settings.items():
        if _matches(name, pattern):
            return value
    return None


def _matches(name, pattern):
    return fnmatchcase(name, pattern) or fnmatchcase(name.removesuffix(".weight"), pattern)
