"""huggingface_hub as the judge of our cache, and our cache's reader as the judge of the library's.

  check_hub_library.py read ENDPOINT CACHE FILE…   the library finds every FILE of owner/name in the cache, offline; then,
                                                   online, it finds nothing to download
  check_hub_library.py fill ENDPOINT CACHE         the library downloads owner/name into the cache

Prints the snapshot folder that the library names.
"""

import os
import pathlib
import sys

job, endpoint, cache, *files = sys.argv[1:]
os.environ.update(HF_ENDPOINT=endpoint, HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_XET="1")

import huggingface_hub as hub

NAME = "owner/name"


def read():
    found = hub.snapshot_download(NAME, cache_dir=cache, local_files_only=True)
    for file in files:
        path = hub.try_to_load_from_cache(NAME, file, cache_dir=cache)
        assert isinstance(path, str) and pathlib.Path(path).is_file(), (file, path)
        assert pathlib.Path(path) == pathlib.Path(found) / file, (file, path)
    report = hub.scan_cache_dir(cache)
    assert not report.warnings, report.warnings
    (repo,) = report.repos
    (revision,) = repo.revisions
    assert repo.repo_id == NAME and revision.refs == {"main"}, repo
    listed = {str(file.file_path.relative_to(revision.snapshot_path)) for file in revision.files}
    assert listed == set(files), listed
    before = {path: path.stat().st_mtime_ns for path in pathlib.Path(cache).rglob("blobs/*")}
    assert hub.snapshot_download(NAME, cache_dir=cache, allow_patterns=files, endpoint=endpoint) == found
    assert before == {path: path.stat().st_mtime_ns for path in pathlib.Path(cache).rglob("blobs/*")}
    return found


def fill():
    return hub.snapshot_download(NAME, cache_dir=cache, endpoint=endpoint, ignore_patterns=["*.bin"])


print({"read": read, "fill": fill}[job]())
