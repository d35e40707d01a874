import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from umeta.benchmarks import glyphs as glyphs_module
from umeta.benchmarks.glyphs import FACES, Glyphs, render_glyphs, split_of

SPLITS = ("meta_train", "meta_val", "meta_test")


@pytest.fixture(scope="module")
def splits():
    return {name: Glyphs().split("scripts", name) for name in SPLITS}


def stacked(source):
    return np.stack([source.read(i) for i in range(len(source))])[:, None]


def hashes(images):
    return {image.tobytes() for image in images}


def test_counts(splits):
    # Pinned on matplotlib's DejaVu 2.37; another FreeType may make a handful of images equal or different.
    counts = {name: split.n_classes for name, split in splits.items()}
    assert counts["meta_train"] == pytest.approx(838, abs=8)
    assert counts["meta_val"] == pytest.approx(79, abs=3)
    assert counts["meta_test"] == pytest.approx(153, abs=3)
    for split in splits.values():
        assert np.bincount(split.labels).tolist() == [12] * split.n_classes
        assert split.images.shape == (12 * split.n_classes, 1, 28, 28)


def test_every_class_is_in_one_split_and_every_image_in_one_class(splits):
    names = [name for split in splits.values() for name in split.class_names]
    assert len(set(names)) == len(names)
    images = render_glyphs().images
    assert len(hashes(images.reshape(-1, 28, 28))) == images.shape[0] * 12
    assert sum(len(split.images) for split in splits.values()) == images.shape[0] * 12


def test_scripts_are_held_out_whole(splits):
    for name, scripts in {
        "meta_test": {"GREEK", "ARMENIAN", "GEORGIAN"},
        "meta_val": {"CYRILLIC"},
    }.items():
        assert {c.split()[0] for c in splits[name].class_names} == scripts
    assert not {"GREEK", "ARMENIAN", "GEORGIAN", "CYRILLIC"} & {c.split()[0] for c in splits["meta_train"].class_names}


def test_characters_known_to_everybody_are_where_they_belong(splits):
    for letter in ("LATIN CAPITAL LETTER A", "LATIN SMALL LETTER E WITH ACUTE", "DIGIT SEVEN", "QUESTION MARK"):
        assert letter in splits["meta_train"].class_names
    for letter in ("GREEK SMALL LETTER LAMDA", "ARMENIAN CAPITAL LETTER AYB", "GEORGIAN LETTER AN"):
        assert letter in splits["meta_test"].class_names
    assert "CYRILLIC SMALL LETTER ZHE" in splits["meta_val"].class_names


@pytest.mark.parametrize("look_alike", ["Α", "ο", "А", "о", "Օ"])
def test_the_held_out_side_gives_way_to_latin_look_alikes(look_alike):
    assert split_of(look_alike) != "meta_train"
    assert look_alike not in render_glyphs().characters
    assert {"A", "o", "O"} <= set(render_glyphs().characters)


@pytest.mark.parametrize("left_out", ["ά", "ἄ", "ѝ", "՛", "ʰ", "´", "─", " "])
def test_accented_held_out_letters_marks_and_unvaried_signs_are_left_out(left_out):
    assert left_out not in render_glyphs().characters


def test_ink_is_centered_and_unclipped():
    ink = render_glyphs().images > 0
    for axis in (-1, -2):
        filled = ink.any(axis=axis)
        first = filled.argmax(-1)
        last = filled.shape[-1] - 1 - filled[..., ::-1].argmax(-1)
        assert first.min() >= 1 and last.max() <= 26
        assert set(np.unique(first - (27 - last))) <= {-1, 0}
    assert (render_glyphs().images.max(axis=(-1, -2)) >= 128).all()


@pytest.mark.parametrize("character", ["A", "g", "λ", "б", "ა"])
def test_a_glyph_is_what_pillow_draws(character):
    glyphs = render_glyphs()
    drawn = glyphs.images[glyphs.characters.index(character)]
    for face, image in zip(FACES, drawn, strict=True):
        font = ImageFont.truetype(glyphs_module._face_path(face), 24, layout_engine=ImageFont.Layout.BASIC)
        sheet = Image.new("L", (80, 80))
        ImageDraw.Draw(sheet).text((20, 20), character, fill=255, font=font)
        expected = np.asarray(sheet.crop(sheet.getbbox()))
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert np.array_equal(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], expected)


def test_a_wide_glyph_is_drawn_smaller_until_its_ink_fits():
    glyphs = render_glyphs()
    for character in ("W", "ж", "Ǽ", "Щ"):
        widths = glyphs.images[glyphs.characters.index(character)].any(-2).sum(-1)
        assert widths.min() >= 10
        assert 24 <= widths.max() <= 26


def test_pool_is_the_training_images_without_labels(splits):
    pool = stacked(Glyphs().pool("scripts"))
    assert pool.shape == splits["meta_train"].images.shape
    assert hashes(pool) == hashes(splits["meta_train"].images)
    assert not hashes(pool) & (hashes(splits["meta_test"].images) | hashes(splits["meta_val"].images))
    assert not np.array_equal(pool, splits["meta_train"].images)


def test_rendering_is_deterministic_and_a_caller_cannot_spoil_it():
    first = render_glyphs()
    spoiled = Glyphs().split("scripts", "meta_test")
    spoiled.images[:] = 0
    render_glyphs.cache_clear()
    again = render_glyphs()
    assert again is not first
    assert again.characters == first.characters
    assert np.array_equal(again.images, first.images)
    assert Glyphs().split("scripts", "meta_test").images.any()


def test_defaults_fit_the_images_there_are():
    benchmark = Glyphs()
    assert max(benchmark.shots) + benchmark.n_query("scripts") <= 12
    assert benchmark.fixed_tasks("scripts") == ()


def test_a_missing_font_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    with pytest.raises(Exception, match=r"DejaVuSans\.ttf not found.*matplotlib"):
        glyphs_module._face_path("DejaVuSans")


def test_neither_torch_nor_matplotlib_is_imported_to_list_what_there_is():
    code = (
        "import sys; from umeta.benchmarks.benchmark import benchmark_names, get_benchmark;"
        "[get_benchmark(n) for n in benchmark_names()];"
        "assert not {'torch', 'matplotlib', 'fontTools'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
