"""Sources: schemes, filters as the downloader applies them, and what may be shown of a URI."""

from __future__ import annotations

import fnmatch
import string

import pytest
from huggingface_hub.utils._paths import filter_repo_objects
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.model import Source, parse_patterns
from pullsizer.pulls import TOKENIZER_FILES


@pytest.mark.parametrize(
    ("uri", "scheme", "pulled", "measurable"),
    [
        ("hf://meta/llama", "hf", True, True),
        ("HF://meta/llama", "hf", True, True),
        ("https://example.com/model.tar.gz", "https", True, True),
        ("http://example.com/model.bin", "http", True, True),
        ("s3://bucket/key", "s3", True, True),
        ("gs://bucket/key", "gs", True, True),
        ("oci://registry/model:1", "oci", True, True),
        ("oci+native://registry/model:1", "oci+native", False, False),
        ("pvc://claim/path", "pvc", False, False),
        ("file:///mnt/model", "file", False, False),
        ("brand-new://x", "brand-new", True, False),
        ("/mnt/pvc", "", False, False),
        ("", "", False, False),
    ],
)
def test_the_scheme_says_whether_something_is_pulled_and_measured(
    uri: str, scheme: str, pulled: bool, measurable: bool
) -> None:
    source = Source(uri)
    assert (source.scheme, source.pulled, source.measurable) == (scheme, pulled, measurable)


@pytest.mark.parametrize(
    ("uri", "store"),
    [
        ("hf://meta/llama", "hf"),
        ("S3://bucket/key", "s3"),
        ("gs://bucket/key", "gs"),
        ("http://example.com/model.git", "http"),
        ("https://example.com/model.bin", "http"),
        ("https://example.com/team/model.git", "git"),
        ("https://me@example.com/team/model.git", "git"),
        # KServe's pattern is that wide: what it clones, we must take for a repository
        ("https://raw.githubusercontent.com/a/b/main/model.bin", "git"),
        ("https://account.blob.core.windows.net/container/model", "azure"),
        ("https://account.z12.blob.storage.azure.net/container/model", "azure"),
        ("https://account.file.core.windows.net/share/model", "azure-file"),
        ("https://account.z1.file.storage.azure.net/share/model", "azure-file"),
        ("https://account.blob.core.windows.net/", "http"),
        ("oci://registry/model:1", "oci"),
        ("oci+fetch://registry/model:1", "oci"),
        ("modelscope://owner/model", "modelscope"),
        ("hdfs://user/model", "hdfs"),
        ("webhdfs://user/model", "hdfs"),
        ("pvc://claim/path", None),
        ("ftp://example.com/model", None),
        ("/mnt/models", None),
    ],
)
def test_the_store_is_the_client_that_kserves_downloader_would_use(uri: str, store: str | None) -> None:
    assert Source(uri).store == store


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://example.com/a/b.tar.gz", "https://example.com/a/b.tar.gz"),
        ("https://me:secret@example.com/a", "https://example.com/a"),
        (f"oci://registry/model@sha256:{'0' * 64}", f"oci://registry/model@sha256:{'0' * 64}"),
        (f"oci://me:secret@registry/model@sha256:{'0' * 64}", f"oci://registry/model@sha256:{'0' * 64}"),
        ("oci://registry/secret@sha256:0", "oci://sha256:0"),
        ("https://token@example.com:8443/a", "https://example.com:8443/a"),
        ("https://me:se@cret@example.com/a", "https://example.com/a"),
        ("https://acct.blob.core.windows.net/c/m?sv=1&sig=secret", "https://acct.blob.core.windows.net/c/m"),
        ("https://example.com/a#secret", "https://example.com/a"),
        ("https://example.com?X-Amz-Signature=secret", "https://example.com"),
        ("HTTPS://me:secret@example.com/a", "HTTPS://example.com/a"),
        ("webhdfs://me:secret@namenode:9870/model", "webhdfs://namenode:9870/model"),
        ("s3://key:secret@bucket/model", "s3://bucket/model"),
        ("hf://meta/llama:refs/pr/1", "hf://meta/llama:refs/pr/1"),
        ("gs://bucket/name@2/x", "gs://2/x"),
        ("https://me:se/cret@host/f", "https://host/f"),
        ("https://me:se#cret@host/f", "https://…"),
        ("https://host/f?mail=me@secret", "https://…"),
        ("hf://me:secret@huggingface.co/o/m", "hf://huggingface.co/o/m"),
        ("hf://owner/model?token=secret", "hf://owner/model"),
        ("me:secret@host/f?token=secret", "host/f"),
        ("pvc://claim/path", "pvc://claim/path"),
        ("no uri at all", "no uri at all"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(uri: str, shown: str) -> None:
    assert Source(uri).public_uri == shown


ODD = st.text(string.ascii_letters + ":%@/?#", max_size=6)
PART = st.text(string.ascii_lowercase + "/.", max_size=10)


@given(scheme=st.sampled_from(["https", "http", "s3", "webhdfs", "gs", "hf"]), before=ODD, after=ODD, path=PART)
def test_no_part_of_user_information_is_ever_shown(scheme: str, before: str, after: str, path: str) -> None:
    shown = Source(f"{scheme}://{before}SECRET{after}@host/{path}?x#y").public_uri
    assert shown in (f"{scheme}://host/{path}", f"{scheme}://…")


@given(
    scheme=st.sampled_from(["https://", "http://", "s3://", "webhdfs://", "gs://", "hf://", ""]),
    mark=st.sampled_from("?#"),
    before=ODD,
    after=ODD,
    path=PART,
)
def test_no_part_of_a_query_is_ever_shown(scheme: str, mark: str, before: str, after: str, path: str) -> None:
    assert "SECRET" not in Source(f"{scheme}host/{path}{mark}{before}SECRET{after}").public_uri


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        (None, ()),
        ("", ()),
        ("  ", ()),
        ('["*.safetensors", "*.json"]', ("*.safetensors", "*.json")),
        (' ["a"] ', ("a",)),
        ("[]", ()),
        ('["", "a", null]', ("a",)),
        ("*.safetensors, *.json ,", ("*.safetensors", "*.json")),
        ("*.bin", ("*.bin",)),
        ("[ab]*.bin", ("[ab]*.bin",)),
        ('["a"', ('["a"',)),
        ("[" * 10_000, ("[" * 10_000,)),
    ],
)
def test_patterns_are_a_json_array_or_names_with_commas(text: str | None, patterns: tuple[str, ...]) -> None:
    assert parse_patterns(text) == patterns


@given(st.text(max_size=40))
def test_any_text_is_patterns(text: str) -> None:
    assert all(isinstance(pattern, str) and pattern for pattern in parse_patterns(text))


NAME = st.text("ab.", min_size=1, max_size=4)
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)
PATTERN = st.text("ab./*?[]!-", min_size=1, max_size=7)


@given(
    paths=st.lists(PATH, max_size=8),
    allow=st.lists(PATTERN, max_size=3),
    ignore=st.lists(PATTERN, max_size=3),
)
def test_filters_take_the_very_files_that_the_downloader_takes(
    paths: list[str], allow: list[str], ignore: list[str]
) -> None:
    source = Source("hf://a/b", tuple(allow), tuple(ignore))
    expected = list(filter_repo_objects(paths, allow_patterns=allow or None, ignore_patterns=ignore or None))
    assert list(filter(source.selector(), paths)) == expected


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("tokenizer.json", True),
        ("config.json", True),
        ("model-00001-of-00002.safetensors", False),
        ("original/config.json", False),
        ("Tokenizer.json", False),
    ],
)
def test_of_a_tokenizer_pull_only_the_tokenizers_files_count(path: str, taken: bool) -> None:
    assert Source("hf://a/b", TOKENIZER_FILES).selector()(path) is taken


def test_a_folder_is_everything_below_it() -> None:
    selects = Source("hf://a/b", allow=("onnx/",), ignore=("onnx/old/",)).selector()
    assert selects("onnx/deep/model.onnx")
    assert not selects("onnx/old/model.onnx")
    assert not selects("model.onnx")


@pytest.mark.parametrize("uri", ["s3://b/m", "gs://b/m", "https://a.blob.core.windows.net/c/m", "hdfs://m"])
def test_where_the_downloader_filters_by_itself_a_folder_is_nothing(uri: str) -> None:
    assert Source(uri, ignore=("onnx/",)).selector()("onnx/model.onnx")
    assert not Source(uri, ignore=("onnx/*",)).selector()("onnx/model.onnx")


def test_patterns_are_forgotten_with_their_question() -> None:
    matched = fnmatch._compile_pattern  # type: ignore[attr-defined]  # where fnmatch keeps 32,768 of them, for ever
    kept = matched.cache_info().currsize
    source = Source("hf://a/b", ("*forgotten*",), ("*forgotten?",))
    assert source.selector()("a/forgotten/model.bin")
    assert matched.cache_info().currsize == kept


@pytest.mark.parametrize("pattern", ["*a" * 64 + "b", "*" * 1000 + "b", "*[!b]" * 64 + "b"])
def test_many_wildcards_are_told_in_steps_of_the_name_and_not_of_their_powers(pattern: str) -> None:
    selects = Source("hf://a/b", (pattern,)).selector()
    assert not selects("a" * 4000)
    assert selects("a" * 4000 + "b")


def test_a_name_too_long_for_a_file_is_held_against_nothing() -> None:
    assert Source("hf://a/b", ("*.bin",)).selector()("a" * 4097)


def test_what_stands_before_the_slashes_is_a_scheme_only_if_it_can_be_one() -> None:
    odd = Source("host?token=hf_SECRET://y")
    assert odd.scheme == ""
    assert odd.public_uri == "host"
    assert Source("OCI+fetch://registry/model").scheme == "oci+fetch"


@pytest.mark.parametrize("part", ["https://", "https://a.blob", ".git", "z1.blob.storage.azure", "@", "a" * 50])
def test_no_uri_takes_time_that_grows_with_its_square(part: str) -> None:
    """A second for a megabyte would be a thousand times too much; a search from each place took minutes."""
    source = Source("https://" + part * ((1 << 20) // len(part)))
    assert source.store is None
    assert source.public_uri
    assert Source(f"https://{part * (4000 // len(part))}"[:4096]).store in {"http", "git"}
