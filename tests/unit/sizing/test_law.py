"""What a pull needs: shapes of the law that no single measurement shows (test_measured.py has those)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.model import Archive, ModelFacts, Source
from pullsizer.policy import Policy, Profile
from pullsizer.quantity import GI, MI
from pullsizer.sizing import table
from pullsizer.sizing.downloader import CHUNK_CACHE, generation, rows
from pullsizer.sizing.law import (
    Downloader,
    Need,
    combined,
    cpu_limit,
    cpu_request,
    hungriest_of,
    in_memory,
    need,
    round_memory,
)
from pullsizer.sizing.table import ROWS, Row
from pullsizer.sizing.tuning import TUNED
from tests.unit.sizing.examples import KSERVE_ENVIRONMENT, LARGE, SMALL

KSERVE: Final = Downloader(KSERVE_ENVIRONMENT, "v0.20")
URIS: Final = {
    "hf": "hf://a/b",
    "s3": "s3://bucket/model",
    "https": "https://example.com/model",
    "gs": "gs://bucket/model",
    "oci": "oci://registry/model",
    "azure": "https://account.blob.core.windows.net/container/model",
    "azure-file": "https://account.file.core.windows.net/share/model",
    "git": "https://example.com/model.git",
    "modelscope": "modelscope://a/b",
    "hdfs": "hdfs://user/model",
    "brand-new": "brand-new://x",
}


def of(scheme: str, facts: ModelFacts, downloader: Downloader = KSERVE) -> Need:
    return need(Source(URIS[scheme]), facts, downloader)


def one(size: int) -> ModelFacts:
    return ModelFacts(bytes=size, files=1, largest=size)


def ten(size: int) -> ModelFacts:
    return ModelFacts(bytes=size, files=10, largest=-(-size // 10))


@pytest.mark.parametrize(
    ("scheme", "facts", "environment", "most"),
    [
        ("https", one(600 * GI), {}, 96),
        ("gs", one(600 * GI), {}, 96),
        ("s3", one(600 * GI), {}, 288),
        ("s3", ten(600 * GI), {}, 704),
        ("s3", ten(600 * GI), {"S3_MAX_FILE_CONCURRENCY": "8"}, 1280),
        ("hf", one(600 * GI), TUNED, 128),
        ("hf", ten(600 * GI), TUNED, 416),
        ("hf", one(600 * GI), {"HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_HUB_DISABLE_XET": "1"}, 3840),
        ("hf", one(600 * GI), {}, 3328),
        ("hf", one(600 * GI), KSERVE_ENVIRONMENT, 21760),
        ("azure", ten(600 * GI), {}, 640),
    ],
)
def test_no_limit_grows_past_what_the_downloader_can_hold(
    scheme: str, facts: ModelFacts, environment: dict[str, str], most: int
) -> None:
    assert round_memory(of(scheme, facts, Downloader(environment, "v0.20")).memory_limit) == most * MI


@pytest.mark.parametrize("largest", [200 * MI, 950 * MI, 3000 * MI, 3105 * MI, 5000 * MI])
def test_where_the_hub_chooses_between_two_ways_the_limit_is_enough_for_both(largest: int) -> None:
    both = of("hf", one(largest))
    ways = list(rows("hf", KSERVE_ENVIRONMENT, "v0.20"))
    assert ways == [table.TRANSFER, table.XET_HIGH]
    assert both.working_set == round(max(row.working_set(1, largest / MI) for row in ways) * MI)
    assert both.memory_limit == round(max(row.limit(1, largest / MI) for row in ways) * MI)


def test_the_same_bytes_need_thirty_times_more_over_xet_than_over_http() -> None:
    assert of("hf", one(10 * 10**9)).memory_limit > 30 * of("https", one(10 * 10**9)).memory_limit


def test_tuned_no_model_of_the_hub_needs_more_than_416_mebibytes() -> None:
    tuned = Downloader({**KSERVE_ENVIRONMENT, **TUNED}, "v0.20")
    assert round_memory(of("hf", ModelFacts(600 * 10**9, 80, 10**10), tuned).memory_limit) == 416 * MI


@pytest.mark.parametrize("scheme", ["azure", "azure-file", "hdfs", "modelscope", "git", "brand-new"])
def test_what_was_never_measured_says_so(scheme: str) -> None:
    assert "never measured" in of(scheme, SMALL).why


def test_what_is_decrypted_after_the_download_is_held_four_times() -> None:
    secret = Downloader({**KSERVE_ENVIRONMENT, "CONFIDENTIAL_ENABLED": "true"}, "v0.20")
    plain, found = of("s3", one(GI)), of("s3", one(GI), secret)
    assert found.working_set == plain.working_set + 4 * GI
    assert found.memory_limit == plain.memory_limit + 4 * GI


# -- which downloader -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "profile", "release"),
    [
        ("kserve/storage-initializer:v0.20.0", None, "v0.20"),
        ("kserve/storage-initializer:v0.16.1", "v0.20", "v0.16"),
        ("r.example.com:5000/x/storage-initializer:0.19", None, "v0.19"),
        ("kserve/storage-initializer:v0.15.0-rc1", None, "v0.15"),
        ("kserve/storage-initializer:v0.20.0@sha256:0b17c0de", None, "v0.20"),
        ("kserve/storage-initializer@sha256:0b17c0de", None, None),
        ("kserve/storage-initializer@sha256:0b17c0de", "v0.20", "v0.20"),
        ("kserve/storage-initializer:latest", "hub-2", "hub-2"),
        ("kserve/storage-initializer:v0.99.0", None, None),
        ("", None, None),
    ],
)
def test_the_tag_names_the_release_or_else_the_administrator_does(
    image: str, profile: Profile | None, release: Profile | None
) -> None:
    assert generation(image, profile) == release


@pytest.mark.parametrize(
    ("scheme", "environment", "release", "expected"),
    [
        ("hf", KSERVE_ENVIRONMENT, "v0.20", ["TRANSFER", "XET_HIGH"]),
        ("hf", KSERVE_ENVIRONMENT, None, ["TRANSFER", "XET_HIGH"]),
        ("hf", KSERVE_ENVIRONMENT, "hub-2", ["PLAIN_HUB_2", "XET_1_8"]),
        ("hf", {}, "v0.20", ["PLAIN", "XET"]),
        ("hf", {"HF_HUB_DISABLE_XET": "true"}, "v0.20", ["PLAIN"]),
        ("hf", {"HF_HUB_ENABLE_HF_TRANSFER": " YES "}, "v0.20", ["TRANSFER", "XET"]),
        ("hf", TUNED, "v0.20", ["PLAIN"]),
        ("hf", TUNED, "hub-2", ["PLAIN_HUB_2"]),
        ("hf", {"HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "320mb"}, "v0.20", ["PLAIN", "XET"]),
        ("azure", {}, "v0.20", ["AZURE"]),
        ("azure", {}, "v0.16", ["AZURE_WHOLE"]),
        ("azure", {}, None, ["AZURE", "AZURE_WHOLE"]),
        ("https", {}, None, ["HTTP"]),
        ("brand-new", {}, None, ["S3"]),
    ],
)
def test_the_rows_are_those_of_the_release_and_its_environment(
    scheme: str, environment: dict[str, str], release: Profile | None, expected: list[str]
) -> None:
    found = rows(Source(URIS[scheme]).store, environment, release)
    assert list(found) == [getattr(table, name) for name in expected]


@pytest.mark.parametrize(
    ("text", "release", "workers"),
    [
        ("8", "v0.20", 8),
        (" 2 ", None, 2),
        ("0", "v0.20", 1),
        ("many", "v0.20", 4),
        ("", "v0.20", 4),
        ("-1", "v0.20", 4),
        ("999999999", "v0.20", 64),
        ("8", "v0.16", 1),
        ("²", "v0.20", 4),
    ],
)
def test_how_many_files_s3_fetches_at_once_is_what_its_variable_says(text: str, release: Profile, workers: int) -> None:
    (row,) = rows("s3", {"S3_MAX_FILE_CONCURRENCY": text}, release)
    assert row.workers == workers


def test_every_row_of_the_table_is_one_that_some_pull_is_in() -> None:
    environments: tuple[dict[str, str], ...] = ({}, KSERVE_ENVIRONMENT, TUNED, {
        "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "256mb",
        "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_PERFILE_SIZE": "64mb",
        "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "320mb",
    })  # fmt: skip
    releases: tuple[Profile | None, ...] = (None, "v0.16", "v0.20", "hub-2")
    used = {
        row.name
        for uri in URIS.values()
        for environment in environments
        for release in releases
        for row in rows(Source(uri).store, environment, release)
    }
    assert used == {row.name for row in ROWS}


# -- disk -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "archive", "times"),
    [
        ("https", "", 1.0),
        ("https", "tar", 2.0),
        ("https", "tar.gz", 2.0 / 0.82),
        ("https", "zip", 1 + 1 / 0.82),
        ("s3", "", 1.0),
        ("s3", "tar.gz", 1 + 1 / 0.82),
        ("s3", "zip", 1 + 1 / 0.82),
        ("gs", "", 1.0),
    ],
)
def test_the_disk_holds_the_measured_peak_while_an_archive_is_unpacked(
    scheme: str, archive: Archive, times: float
) -> None:
    found = of(scheme, ModelFacts(10 * GI, 1, 10 * GI, archive)).disk
    assert times * 10 * GI < found
    assert found < (times * 1.4) * 10 * GI + 64 * MI


@pytest.mark.parametrize(
    ("scheme", "archive", "most"),
    [
        ("https", "tar.gz", 2 * 12),  # a whole tar, and what is extracted from it
        ("https", "zip", 10 + 12),
        ("s3", "tar.gz", 10 + 12),
        ("azure", "zip", 10 + 12),
        ("oci", "tar.gz", 12),
    ],
)
def test_where_the_content_of_an_archive_is_known_the_disk_is_computed_from_it(
    scheme: str, archive: Archive, most: int
) -> None:
    found = of(scheme, ModelFacts(10 * GI, 1, 10 * GI, archive, unpacked=12 * GI)).disk
    assert found == most * GI * 105 // 100 + 64 * MI


def test_many_small_files_of_the_hub_take_a_block_and_a_note_each() -> None:
    few, many = (of("hf", ModelFacts(GI, files, MI)).disk for files in (1, 2001))
    assert many - few == 2000 * 6 * 1024


@pytest.mark.parametrize("release", ["v0.16", "v0.19", None])
def test_the_chunk_cache_of_older_images_is_on_the_disk_too(release: Profile | None) -> None:
    old = Downloader(KSERVE_ENVIRONMENT, release)
    assert of("hf", one(4 * GI), old).disk - of("hf", one(4 * GI)).disk == 4 * GI
    assert of("hf", one(80 * GI), old).disk - of("hf", one(80 * GI)).disk == CHUNK_CACHE
    assert of("s3", one(80 * GI), old).disk == of("s3", one(80 * GI)).disk


# -- CPU --------------------------------------------------------------------------------------------------------------


def wanted(seconds: float, stored: int = 0, cores: int = 2) -> Need:
    return Need(MI, MI, seconds, stored, seconds / stored if stored else 0, cores, 0, "")


@pytest.mark.parametrize(
    ("seconds", "millicores"), [(0, 100), (0.5, 100), (30, 100), (31, 150), (150, 500), (300, 1000), (10**9, 1000)]
)
def test_the_cpu_request_brings_a_pull_home_in_five_minutes_within_kserves_own_and_a_core(
    seconds: float, millicores: int
) -> None:
    assert cpu_request(wanted(seconds), Policy()) == millicores


def test_a_nearer_goal_asks_for_more_cpu() -> None:
    assert cpu_request(wanted(30), Policy.model_validate({"pullTimeGoal": "1m"})) == 500


def test_a_slow_link_asks_for_no_more_cpu_than_it_can_feed() -> None:
    a_thousand_seconds = wanted(200, stored=125 * 10**9)
    assert cpu_request(a_thousand_seconds, Policy()) == 700
    assert cpu_request(a_thousand_seconds, Policy.model_validate({"linkSpeed": "1G"})) == 200


@pytest.mark.parametrize(
    ("scheme", "size", "link", "limit"),
    [
        ("s3", 40, "10G", 2000),
        ("hf", 40, "10G", 2000),
        ("https", 40, "10G", 1000),  # a single stream
        ("s3", 40, "2G", 1000),  # a core keeps up with the link
        ("s3", 8, "10G", 1000),  # and is done in no time
    ],
)
def test_a_second_core_is_for_large_models_where_it_is_of_use(scheme: str, size: int, link: str, limit: int) -> None:
    assert cpu_limit(of(scheme, one(size * GI)), Policy.model_validate({"linkSpeed": link})) == limit


# -- together ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        (1, 32 * MI),
        (512 * MI, 512 * MI),
        (512 * MI + 1, 576 * MI),
        (2 * GI, 2 * GI),
        (2 * GI + 1, 2 * GI + 256 * MI),
    ],
)
def test_memory_is_rounded_up_to_a_step_that_a_person_would_write(amount: int, rounded: int) -> None:
    assert round_memory(amount) == rounded


def test_several_sources_are_pulled_one_after_another() -> None:
    base, adapter = of("hf", LARGE), of("s3", SMALL)
    both = combined([base, adapter])
    assert (both.working_set, both.memory_limit) == (base.working_set, base.memory_limit)
    assert both.disk == base.disk + adapter.disk
    assert both.core_seconds == pytest.approx(base.core_seconds + adapter.core_seconds)
    assert both.stored == base.stored + adapter.stored
    assert both.cores == 2
    assert both.why == f"{base.why}; {adapter.why}"


def test_of_many_sources_three_are_explained() -> None:
    why = combined([of("https", one(size * 10**9)) for size in range(1, 6)]).why
    assert "3.0 GB" in why
    assert "4.0 GB" not in why
    assert why.endswith("; …")


def test_in_memory_the_model_itself_counts_and_no_disk() -> None:
    disk = of("https", one(GI))
    found = in_memory(disk)
    assert found.disk == 0
    assert found.working_set - disk.working_set >= GI
    assert found.memory_limit - disk.memory_limit >= GI
    assert found.memory_limit - disk.memory_limit < GI * 11 // 10 + 128 * MI
    assert "stays charged to the serving container" in found.why


def test_where_it_is_not_known_which_source_is_the_large_one_the_hungriest_counts() -> None:
    def hungriest(*schemes: str) -> Need:
        return hungriest_of([Source(URIS[scheme]) for scheme in schemes], LARGE, KSERVE)

    assert hungriest("https", "hf", "s3") == of("hf", LARGE)
    assert hungriest("https", "https") == of("https", LARGE)


@given(
    scheme=st.sampled_from(sorted(URIS)),
    size=st.integers(0, 1 << 45),
    files=st.integers(1, 5000),
    archive=st.sampled_from(["", "tar", "tar.gz", "zip"]),
    downloader=st.builds(
        Downloader,
        st.sampled_from([KSERVE_ENVIRONMENT, {}, TUNED, {"CONFIDENTIAL_ENABLED": "1"}]),
        st.sampled_from([None, "v0.15", "v0.16", "v0.19", "v0.20", "hub-2"]),
    ),
)
def test_a_larger_model_never_needs_less(
    scheme: str, size: int, files: int, archive: Archive, downloader: Downloader
) -> None:
    def of_size(total: int) -> Need:
        facts = ModelFacts(total, files, -(-total // files), archive)
        return of(scheme, facts, downloader)

    small, large = of_size(size), of_size(2 * size + 1)
    assert small.working_set <= large.working_set
    assert small.memory_limit <= large.memory_limit
    assert small.disk < large.disk
    assert small.core_seconds < large.core_seconds
    assert small.working_set < small.memory_limit
    assert small.disk >= size
    assert cpu_request(small, Policy()) <= cpu_request(large, Policy())
    assert cpu_limit(small, Policy()) <= cpu_limit(large, Policy())


@given(row=st.sampled_from(ROWS), files=st.integers(1, 5000), largest=st.floats(0, 1e6))
def test_more_files_or_larger_ones_never_need_less_memory(row: Row, files: int, largest: float) -> None:
    assert row.working_set(files, largest) <= row.working_set(files + 1, largest)
    assert row.working_set(files, largest) <= row.working_set(files, 2 * largest)
    assert row.room > 1


def test_an_estimate_is_called_one() -> None:
    assert of("git", replace(SMALL, basis="estimated")).why.startswith("about 200.0 MB")


@pytest.mark.parametrize(
    ("scheme", "release", "unsure"),
    [("hf", None, True), ("azure", None, True), ("s3", None, False), ("hf", "v0.20", False)],
)
def test_where_the_release_matters_and_is_not_known_the_remedy_is_named(
    scheme: str, release: Profile | None, unsure: bool
) -> None:
    found = of(scheme, SMALL, Downloader(KSERVE_ENVIRONMENT, release))
    assert ("downloader.profile" in found.unsure) is unsure
    assert in_memory(combined([of("https", SMALL), found])).unsure == found.unsure
