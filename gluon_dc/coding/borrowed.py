"""Arrays inside a numba kernel without reference counting.

numba counts references whenever a kernel takes an array out of a tuple, with atomic instructions: in a loop over
weights that takes longer than the work itself. Whoever calls a kernel holds its arguments until it returns, so that
there is no need.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def borrowed(typing_context, value):
    """`value`, an array or a tuple (of tuples) of arrays and numbers, its arrays without an owner.

    Assumes that someone else owns them for as long as they are used, such as the caller of the kernel: they must not be
    returned to Python, and not be all that is left of an array made in the kernel.
    """
    def generate(context, builder, signature, arguments):
        return _without_owner(context, builder, signature.args[0], arguments[0])
    return value(value), generate


def _without_owner(context, builder, kind, value):
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        for name in ("meminfo", "parent"):
            setattr(array, name, cgutils.get_null_value(getattr(array, name).type))
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for place, member in enumerate(kind.types):
            part = _without_owner(context, builder, member, builder.extract_value(value, place))
            value = builder.insert_value(value, part, place)
    return value
