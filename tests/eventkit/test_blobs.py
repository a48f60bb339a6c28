"""Files in a folder: kept whole, once, under the hash of their content, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventkit.blobs import FolderStore, ObjectHead, key_of, store_at
from eventkit.errors import BadSettings, NotFound, Unavailable

CONTENT = "发票".encode()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def test_a_file_is_given_back_as_it_was(store: FolderStore) -> None:
    store.put_object(key_of(CONTENT), CONTENT, "text/plain")
    assert store.get_object(key_of(CONTENT)) == CONTENT
    assert store.head_object(key_of(CONTENT)) == ObjectHead(len(CONTENT), "text/plain")


def test_the_same_content_is_kept_once(store: FolderStore, tmp_path: Path) -> None:
    for content_type in ("text/plain", "image/png"):
        store.put_object(key_of(CONTENT), CONTENT, content_type)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and not path.suffix] == [key_of(CONTENT)]
    assert store.head_object(key_of(CONTENT)) == ObjectHead(len(CONTENT), "text/plain")


def test_what_was_deleted_is_not_there(store: FolderStore, tmp_path: Path) -> None:
    store.put_object(key_of(CONTENT), CONTENT, "text/plain")
    for _ in range(2):
        store.delete_object(key_of(CONTENT))
    assert store.head_object(key_of(CONTENT)) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    with pytest.raises(NotFound):
        store.get_object(key_of(CONTENT))


@pytest.mark.parametrize("key", ["../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n", "/" + "a" * 63])
def test_no_key_leads_out_of_the_folder(store: FolderStore, key: str) -> None:
    for call in (store.get_object, store.head_object, store.delete_object):
        with pytest.raises(ValueError, match="is not"):
            call(key)
    with pytest.raises(ValueError, match="SHA-256"):
        store.put_object(key, CONTENT, "text/plain")


def test_half_a_file_is_never_seen(store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("eventkit.blobs.os.fsync", full)
        with pytest.raises(Unavailable, match="No space left"):
            store.put_object(key_of(CONTENT), CONTENT, "text/plain")
    assert store.head_object(key_of(CONTENT)) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_folder_is_a_setting(tmp_path: Path) -> None:
    assert store_at({}) is None
    assert store_at({"LIAISON_BLOBS": str(tmp_path / "new")}) is not None
    assert (tmp_path / "new").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match="LIAISON_BLOBS"):
        store_at({"LIAISON_BLOBS": str(tmp_path / "file" / "x")})
