import cv2
import numpy as np
import pytest

from bench.report.site.pictures import PictureError, embed_pictures


def test_pictures_are_embedded_by_name_up_to_the_limit(tmp_path):
    for name in ("b.png", "a.jpg", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.full((40, 60, 3), 128, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    embedded = embed_pictures(tmp_path, limit=2)
    assert [caption for caption, _ in embedded] == ["a", "b"]
    assert all(uri.startswith("data:image/jpeg;base64,") for _, uri in embedded)
    assert embed_pictures(tmp_path / "nowhere") == []
    (tmp_path / "0.png").write_text("not a picture")
    with pytest.raises(PictureError, match=r"0\.png"):
        embed_pictures(tmp_path)
