"""A life of certificates: whatever happens, what is served is trusted by what is published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pullsizer.controller.certificates import CA_LIFE, LEAF_LIFE, Pair, bundle, make_ca, names, signed_by
from pullsizer.controller.rotation import Material, _trusted, step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ("webhook.ns.svc",)


def steps(material: Material, now: datetime, *, published: bytes = b"", settled: bool = False) -> Material:
    """Until there is nothing left to do."""
    for _ in range(5):
        following = step(material, HOSTS, published=published, settled=settled, now=now)
        if following == material:
            return material
        material = following
    raise AssertionError("it never ends")


def test_from_nothing_there_is_a_ca_and_a_leaf_of_it() -> None:
    found = steps(Material(), NOW)
    assert found.ca is not None
    assert found.leaf is not None
    assert signed_by(found.leaf, found.ca.certificate)
    assert names(found.leaf) == set(HOSTS)
    assert found.trusted == found.ca.certificate


def test_a_leaf_that_ages_is_renewed_by_the_same_ca() -> None:
    first = steps(Material(), NOW)
    later = steps(first, NOW + LEAF_LIFE * 0.7, published=first.trusted, settled=True)
    assert later.leaf != first.leaf
    assert later.ca == first.ca


def test_a_new_ca_is_published_before_a_leaf_of_it_is_served() -> None:
    first = steps(Material(), NOW)
    late = NOW + CA_LIFE * 0.7
    first = Material(
        first.ca, steps(first, NOW + CA_LIFE * 0.6, published=first.trusted, settled=True).leaf, first.trusted
    )
    second = steps(first, late, published=first.trusted, settled=True)
    assert first.ca is not None
    assert second.ca is not None
    assert second.leaf is not None
    assert second.ca != first.ca
    assert second.leaf == first.leaf
    assert second.trusted == second.ca.certificate + first.ca.certificate

    assert steps(second, late, published=second.trusted, settled=False) == second
    third = steps(second, late, published=second.trusted, settled=True)
    assert third.leaf is not None
    assert signed_by(third.leaf, second.ca.certificate)

    end = steps(third, NOW + CA_LIFE * 1.01, published=third.trusted, settled=True)
    assert end.trusted == second.ca.certificate


def test_a_lost_ca_is_made_anew_and_what_is_served_stays_trusted() -> None:
    first = steps(Material(), NOW)
    found = steps(Material(None, first.leaf, first.trusted), NOW)
    assert found.leaf == first.leaf
    assert found.ca is not None
    assert found.trusted == found.ca.certificate + first.trusted


def test_a_leaf_that_nobody_trusts_is_replaced_at_once() -> None:
    first, other = steps(Material(), NOW), steps(Material(), NOW)
    found = steps(Material(first.ca, other.leaf, first.trusted), NOW)
    assert found.leaf is not None
    assert first.ca is not None
    assert signed_by(found.leaf, first.ca.certificate)


def test_a_leaf_for_other_hosts_is_replaced_at_once() -> None:
    first = steps(Material(), NOW)
    found = step(first, ("other.ns.svc", *HOSTS), published=b"", settled=False, now=NOW)
    assert found.leaf is not None
    assert names(found.leaf) == {"other.ns.svc", *HOSTS}


def test_a_leaf_that_ended_is_replaced_at_once() -> None:
    first = steps(Material(), NOW)
    found = steps(first, NOW + LEAF_LIFE * 1.1, published=b"", settled=False)
    assert found.leaf != first.leaf


def test_rubbish_in_the_secrets_is_replaced() -> None:
    rubbish = Pair(b"rubbish", b"rubbish")
    found = steps(Material(rubbish, rubbish, b"rubbish"), NOW)
    assert found.ca is not None
    assert found.trusted == found.ca.certificate


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 200),  # days that pass
            st.sampled_from(["nothing", "lose ca", "lose leaf", "wipe", "foreign ca"]),
            st.booleans(),  # whether the bundle gets published
        ),
        max_size=12,
    )
)
def test_whatever_happens_what_is_served_is_trusted_by_what_we_publish(events: list[tuple[int, str, bool]]) -> None:
    material, published, now = steps(Material(), NOW), b"", NOW
    for days, accident, publishes in events:
        now += timedelta(days=days)
        if accident == "lose ca":
            material = Material(None, material.leaf, material.trusted)
        elif accident == "lose leaf":
            material = Material(material.ca, None, material.trusted)
        elif accident == "wipe":
            published = b""
        elif accident == "foreign ca":
            material = Material(make_ca(now), material.leaf, material.trusted)
        material = steps(material, now, published=published, settled=publishes)
        if publishes:
            published = material.trusted
        assert material.leaf is not None
        assert _trusted(material.leaf, material.trusted)
        assert bundle([material.trusted], now) == material.trusted
        assert material.trusted.count(b"BEGIN") <= 2 + len(events)
