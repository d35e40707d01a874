import numpy as np
from PIL import Image


def state(folder):
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def test_inspect_counts_and_changes_nothing(umeta, make, tmp_path):
    folder = tmp_path / "photos"
    paths = make.folder(folder, 12)
    paths[0].write_bytes(b"")
    (folder / "copy.png").write_bytes(paths[2].read_bytes())
    Image.fromarray(make.drawings(1)[0]).save(folder / "gray.png")
    (folder / "notes.txt").write_text("x")
    (folder / "odd \udcff name.png").write_bytes(b"\x89PNG")
    before = state(tmp_path)
    found = umeta("inspect", folder, "--json").json
    assert (found["n_files"], found["n_readable"], found["n_bad"]) == (15, 13, 2)
    assert (found["n_distinct"], found["n_duplicates"], found["n_other"]) == (12, 1, 1)
    assert found["modes"] == {"gray": 1, "color": 12}
    assert {entry["name"] for entry in found["bad"]} == {str(paths[0].relative_to(folder)), "odd \udcff name.png"}
    shown = umeta("inspect", folder)
    assert shown.code == 0
    assert "15 images, 13 readable, 2 bad" in shown.out and "odd \\udcff name.png" in shown.out
    assert state(tmp_path) == before


def test_inspect_arrays_and_benchmarks(umeta, source):
    assert "240 images, 240 readable, 0 bad" in umeta("inspect", source).out
    found = umeta("inspect", "glyphs", "--json").json
    assert found["n_duplicates"] == 0
    assert found["sizes"]["most_common"][0]["height"] == 28


def test_inspect_nothing(umeta, make, tmp_path):
    for spec in (tmp_path, tmp_path / "gone", make.npz(tmp_path / "x.npz", np.zeros((2, 2)))):
        answer = umeta("inspect", spec)
        assert answer.code == 2
        assert str(spec) in answer.error


def test_one_image_all_the_same(umeta, make, tmp_path):
    path = make.npz(tmp_path / "x.npz", np.zeros((5, 1, 1), np.uint8))
    assert "1 distinct, 4 exact duplicates" in umeta("inspect", path).out
