"""The stub is what others' tests stand on: it is worth a few of its own."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st

from tests.stubs.hub import FILES, HubStub
from tests.stubs.repository import Shape, siblings, sizes


@given(files=st.integers(1, 200), largest=st.integers(0, 10**12), part=st.floats(0, 1))
def test_the_files_of_a_shape_sum_up_to_it(files: int, largest: int, part: float) -> None:
    shape = Shape(largest + int(part * largest * (files - 1)), files, largest)
    found = sizes(shape)
    assert (sum(found), len(found), max(found)) == (shape.bytes, files, largest)
    assert len({file["rfilename"] for file in siblings(shape, blobs=True)}) == files


def test_a_shape_that_no_files_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no files have"):
        sizes(Shape(bytes=100, files=2, largest=10))


async def test_it_tells_what_it_was_asked_and_serves_files() -> None:
    async with HubStub() as hub, ClientSession(hub.url) as session:
        async with session.get("/files/iris/model.zip") as answer:
            assert len(await answer.read()) == FILES["iris/model.zip"]
        async with session.get("/files/iris/model.zip", headers={"Range": "bytes=0-0"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"\0")
        async with session.get("/requests") as answer:
            assert await answer.json() == {"total": 2, "paths": {"/files/iris/model.zip": 2}}
