"""What a source is said to hold, counted by hand."""

import io
import json

import numpy as np
from PIL import Image

from umeta.images.inspection import inspect_source
from umeta.images.source import ArraySource, FolderSource

GRAY = np.random.default_rng(0).integers(0, 256, (25, 12, 12), dtype=np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (2, 40, 30, 3), dtype=np.uint8)


def png_bytes(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_files(folder, contents):
    folder.mkdir(exist_ok=True)
    for index, content in enumerate(contents):
        (folder / f"{index:03d}.png").write_bytes(content)
    return FolderSource(folder)


def test_inspect_counts_what_is_there_and_changes_nothing(tmp_path):
    folder = tmp_path / "in"
    images = [GRAY[0], GRAY[1], GRAY[0], COLOR[0], COLOR[1, :20], GRAY[0]]
    write_files(folder, [png_bytes(image) for image in images])
    (folder / "z.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    (folder / "loop").symlink_to(folder)
    before = sorted(folder.iterdir())
    report = json.loads(json.dumps(inspect_source(FolderSource(folder), n_workers=2)))
    assert sorted(folder.iterdir()) == before
    assert report == {
        "source": str(folder),
        "n_files": 7,
        "n_readable": 6,
        "n_bad": 1,
        "bad": [{"name": "z.jpg", "reason": "empty file"}],
        "n_other": 1,
        "skipped_folders": ["loop"],
        "modes": {"gray": 4, "color": 2},
        "sizes": {
            "height": {"min": 12, "median": 12.0, "max": 40},
            "width": {"min": 12, "median": 12.0, "max": 30},
            "n_distinct": 3,
            "most_common": [
                {"height": 12, "width": 12, "n": 4},
                {"height": 40, "width": 30, "n": 1},
                {"height": 20, "width": 30, "n": 1},
            ],
        },
        "n_distinct": 4,
        "n_duplicates": 2,
        "n_duplicate_groups": 1,
        "duplicate_groups": [{"n": 3, "names": ["000.png", "002.png", "005.png"]}],
    }


def test_inspect_lists_at_most_twenty_groups_of_twenty_and_survives_nothing_readable(tmp_path):
    report = inspect_source(ArraySource(np.repeat(GRAY[:25], 30, axis=0), "a"))
    assert (report["n_duplicate_groups"], len(report["duplicate_groups"])) == (25, 20)
    assert {(group["n"], len(group["names"])) for group in report["duplicate_groups"]} == {(30, 20)}
    nothing = inspect_source(write_files(tmp_path, [b"", b"text"]))
    assert (nothing["n_readable"], nothing["sizes"]) == (0, None)
