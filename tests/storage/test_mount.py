"""`Mount` checks its arguments and keeps them."""

from __future__ import annotations

import copy
import pickle

import pytest

from lightning_lite.storage import Mount


def test_a_mount_keeps_what_it_was_given():
    mount = Mount("s3://bucket/a/b/", "/somewhere")
    assert (mount.source, mount.mount_path) == ("s3://bucket/a/b/", "/somewhere")
    assert pickle.loads(pickle.dumps(mount)) == copy.deepcopy(mount) == mount
    assert Mount(source="s3://bucket/", mount_path="/x") != mount


@pytest.mark.parametrize(
    ("source", "path"), [("s3://bucket/a/b/", "/data/b"), ("s3://bucket/", "/data/bucket")]
)
def test_the_usual_path_is_the_last_name_below_data(source: str, path: str):
    assert Mount(source).mount_path == path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gs://bucket/",), "Unknown protocol for the mount 'source' argument 'gs://bucket/'"),
        (("",), "Unknown protocol"),
        (("s3://bucket/file",), "must end in a trailing slash"),
        (("s3://bucket/", "relative"), "must be an absolute path"),
    ],
)
def test_a_mount_with_wrong_arguments_is_refused(arguments: tuple[str, ...], words: str):
    with pytest.raises(ValueError, match=words):
        Mount(*arguments)
