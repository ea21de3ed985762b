"""Git's deltas: an object as copies from another and what is new. https://git-scm.com/docs/gitformat-pack. Pure."""

from __future__ import annotations


def number(data: bytes, at: int, value: int = 0, shift: int = 0) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends.

    :raises IndexError: when it does not end
    """
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if not byte & 128:
            return value, at
        if shift > 63:
            raise ValueError("too big a number")


def result_size(delta: bytes) -> int:
    """How long what a delta makes is; its first bytes tell.

    :raises ValueError: for what is not a delta
    """
    try:
        return number(delta, number(delta, 0)[1])[0]
    except IndexError:
        raise ValueError("not a delta") from None


def applied(base: bytes, delta: bytes) -> bytes:
    """What a delta makes of its base.

    :raises ValueError: for what is not a delta of it
    """
    try:
        return _applied(base, delta)
    except IndexError:
        raise ValueError("half a delta") from None


def _applied(base: bytes, delta: bytes) -> bytes:
    length, at = number(delta, 0)
    size, at = number(delta, at)
    if length != len(base):
        raise ValueError("a delta of something else")
    made = bytearray()
    while at < len(delta):
        order, at = delta[at], at + 1
        if order & 128:
            start = count = 0
            for bit in range(7):
                if order >> bit & 1:
                    if bit < 4:
                        start |= delta[at] << 8 * bit
                    else:
                        count |= delta[at] << 8 * (bit - 4)
                    at += 1
            count = count or 0x10000
            if start + count > len(base):
                raise ValueError("a copy from behind the end")
            made += base[start : start + count]
        elif order:
            made += delta[at : at + order]
            at += order
        else:
            raise ValueError("an order that is reserved")
        if len(made) > size:
            break
    if len(made) != size or at != len(delta):
        raise ValueError("not what it says")
    return bytes(made)
