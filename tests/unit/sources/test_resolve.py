from __future__ import annotations

import asyncio
import threading
from ipaddress import ip_address

from pullsizer.sources.resolve import Resolver


async def test_those_who_ask_together_ask_once() -> None:
    asked: list[str] = []
    free = threading.Event()

    def look_up(host: str) -> list[str]:
        asked.append(host)
        free.wait(5)
        return ["1.1.1.1", "fe80::1%lo"]

    resolver = Resolver(look_up)
    both = asyncio.gather(*(resolver.addresses("a", trusted=False) for _ in range(3)))
    impatient = asyncio.ensure_future(resolver.addresses("a", trusted=False))
    await asyncio.sleep(0)
    impatient.cancel()
    free.set()
    assert await both == [(ip_address("1.1.1.1"), ip_address("fe80::1"))] * 3
    assert asked == ["a"]
    resolver.close()


async def test_a_name_that_was_not_found_is_looked_up_again() -> None:
    known: list[str] = []

    def look_up(_: str) -> list[str]:
        if not known:
            raise OSError("no such name")
        return known

    resolver = Resolver(look_up)
    assert await resolver.addresses("a", trusted=False) == ()
    known.append("1.1.1.1")
    assert await resolver.addresses("a", trusted=False) == (ip_address("1.1.1.1"),)
    resolver.close()


async def test_slow_names_of_users_do_not_hold_up_the_administrators() -> None:
    free = threading.Event()

    def look_up(host: str) -> list[str]:
        if host != "hub":
            free.wait(5)
        return ["1.1.1.1"]

    resolver = Resolver(look_up)
    slow = [asyncio.ensure_future(resolver.addresses(f"slow{index}", trusted=False)) for index in range(100)]
    assert await resolver.addresses("hub", trusted=True)
    free.set()
    await asyncio.gather(*slow)
    resolver.close()
