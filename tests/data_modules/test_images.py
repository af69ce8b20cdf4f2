"""Decoding, and damaged files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data_modules.errors import DataError
from data_modules.loading.images import read_image


def smooth_image() -> np.ndarray:
    y, x = np.mgrid[0:120, 0:160]
    return np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8)  # RGB


def test_channels_are_rgb(tmp_path: Path) -> None:
    Image.fromarray(smooth_image()).save(tmp_path / "a.jpg", quality=98)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - smooth_image()).mean() < 2


def test_orientation_tag_is_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees to show
    Image.fromarray(smooth_image()).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (120, 160, 3)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.995])
def test_truncated_jpeg(tmp_path: Path, part: float, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, progressive=progressive)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0\0trailing")
    assert read_image(path).shape == (120, 160, 3)
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(DataError, match=r"a.jpg: expected a whole JPEG, found a truncated one"):
        read_image(path)


def test_truncated_after_a_whole_thumbnail(tmp_path: Path) -> None:
    """The end marker of a thumbnail in the header is not that of the image."""
    small, path = tmp_path / "small.jpg", tmp_path / "a.jpg"
    Image.fromarray(smooth_image()[:16, :16]).save(small)
    cv2.imwrite(str(path), smooth_image())
    whole, thumbnail = path.read_bytes(), small.read_bytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path.write_bytes(whole[:2] + segment + whole[2:])
    assert read_image(path).shape == (120, 160, 3)
    path.write_bytes((whole[:2] + segment + whole[2:])[:-200])
    with pytest.raises(DataError, match="truncated"):
        read_image(path)


def test_missing_empty_and_nonsense(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected the image .*none.jpg"):
        read_image(tmp_path / "none.jpg")
    for content in (b"", b"this is no image", b"\xff\xd8", b"\xff\xd8\xff\xd9"):
        (tmp_path / "bad.jpg").write_bytes(content)
        with pytest.raises(DataError, match=r"bad.jpg"):
            read_image(tmp_path / "bad.jpg")
