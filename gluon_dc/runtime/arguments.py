"""What the attributes of operators mean for an input of a given shape: windows, axes, slices. No arrays here."""

from ..coding import FormatError
from .attributes import choice, flag, integer, integers, text, where

# Of a window and its padding, in pixels: a loop over more says nothing that one over fewer would not.
MAX_REACH = 2**12


def weight_axes(node) -> tuple[tuple, tuple, tuple, int]:
    """(stride, pad, dilate, groups) of a 2-D Convolution; FormatError for others."""
    kernel = integers(node, "kernel", least=1)
    if len(kernel) != 2:
        raise FormatError(f"{where(node)}: a kernel of {len(kernel)} dimensions; only 2-D convolutions are known")
    check_layout(node)
    pad, dilate = _pair(node, "pad", 0, 0), _pair(node, "dilate", 1, 1)
    _check_reach(node, [d * (k - 1) + 1 for d, k in zip(dilate, kernel)], pad)
    return _pair(node, "stride", 1, 1), pad, dilate, integer(node, "num_group", 1, 1)


def pooling_window(node, shape) -> tuple[tuple, tuple, tuple]:
    """(kernel, stride, pad) of a 2-D Pooling of an input of this shape."""
    expect_axes(node, shape, 4)
    if flag(node, "global_pool"):
        return shape[2:], (1, 1), (0, 0)
    kernel = integers(node, "kernel", least=1)
    if len(kernel) != 2:
        raise FormatError(f"{where(node)}: a kernel of {len(kernel)} dimensions; only 2-D pooling is known")
    _check_reach(node, kernel, _pair(node, "pad", 0, 0))
    return kernel, _pair(node, "stride", 1, 1), _pair(node, "pad", 0, 0)


def softmax_axis(node) -> int:
    """The axis of softmax; the operator SoftmaxActivation called it a mode."""
    return 1 if text(node, "mode", "") == "channel" else integer(node, "axis", -1)


def axes_of(node, name, n_axes, default=None) -> tuple[int, ...]:
    """An attribute of axes, each counted from the front; all of them where it is not given and has no default."""
    found = integers(node, name, default)
    if found is None or found == ():
        return tuple(range(n_axes))
    return tuple(axis_of(node, axis, n_axes) for axis in found)


def reduced_axes(node, n_axes) -> tuple[int, ...]:
    """The axes that mean, sum and max run over, sorted."""
    axes = axes_of(node, "axis", n_axes)
    return tuple(sorted(set(range(n_axes)) - set(axes) if flag(node, "exclude") else set(axes)))


def transposed_axes(node, n_axes) -> tuple[int, ...]:
    """The order of axes that `transpose` or `SwapAxis` makes."""
    if node.op == "transpose":
        given = integers(node, "axes", ())
        return axes_of(node, "axes", n_axes, ()) if given else tuple(range(n_axes))[::-1]
    order = list(range(n_axes))
    a, b = (axis_of(node, integer(node, key, 0), n_axes) for key in ("dim1", "dim2"))
    order[a], order[b] = order[b], order[a]
    return tuple(order)


def slices_of(node, shape) -> tuple[slice, ...]:
    """What `slice` or `slice_axis` cuts out: one slice for each axis, of step 1."""
    slices = [slice(0, size) for size in shape]
    if node.op == "slice_axis":
        axis = axis_of(node, integer(node, "axis"), len(shape))
        begins, ends = {axis: integer(node, "begin")}, {axis: integer(node, "end", None)}
    else:
        begin, end = (integers(node, key, none=True) for key in ("begin", "end"))
        if len(begin) != len(end) or len(begin) > len(shape):
            raise FormatError(f"{where(node)}: begin and end must have one number for each axis of {shape}")
        if any(step not in (None, 1) for step in integers(node, "step", (), none=True)):
            raise FormatError(f"{where(node)}: only a step of 1 is known, got {node.attrs['step'][:80]!r}")
        begins, ends = dict(enumerate(begin)), dict(enumerate(end))
    for axis in begins:
        first, last, _ = slice(begins[axis], ends[axis]).indices(shape[axis])
        if last <= first:
            raise ValueError(f"{where(node)}: cuts nothing out of axis {axis} of {shape}")
        slices[axis] = slice(first, last)
    return tuple(slices)


def pad_widths(node, shape) -> tuple[tuple[int, int], ...]:
    """(before, after) of every axis for `Pad`."""
    flat = integers(node, "pad_width", count=2 * len(shape), least=0)
    widths = tuple(zip(flat[::2], flat[1::2]))
    if choice(node, "mode", "constant", ("constant", "edge", "reflect")) == "reflect" and any(
            max(pair) >= size for pair, size in zip(widths, shape)):
        raise ValueError(f"{where(node)}: reflects more than there is of {shape}")
    return widths


def axis_of(node, axis: int, n_axes: int) -> int:
    """An axis counted from the front; ValueError where there is none such."""
    if not -n_axes <= axis < n_axes:
        raise ValueError(f"{where(node)}: there is no axis {axis} among {n_axes}")
    return axis % n_axes


def expect_axes(node, shape, n_axes: int) -> None:
    """ValueError unless the input has so many axes."""
    if len(shape) != n_axes:
        raise ValueError(f"{where(node)}: takes an input of {n_axes} axes, got {shape}")


def check_layout(node) -> None:
    """FormatError for another layout than NCHW."""
    if text(node, "layout", "None") not in ("NCHW", "None"):
        raise FormatError(f"{where(node)}: only the layout NCHW is known, got {node.attrs['layout'][:80]!r}")


def _check_reach(node, window, pad):
    if max(*window, *pad) > MAX_REACH:
        raise FormatError(f"{where(node)}: a window of {tuple(window)} with pad {pad}, at most {MAX_REACH} are known")


def _pair(node, name, default, least):
    # MXNet takes "()" for the default.
    pair = (default, default)
    return pair if node.attrs.get(name) == "()" else integers(node, name, pair, 2, least)
