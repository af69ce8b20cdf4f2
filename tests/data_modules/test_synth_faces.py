"""The drawn faces: what is on disk is WIDER's layout, deterministic, consistent, and of the published scales."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from data_modules.synth_faces.draw import draw_image, plan_image
from data_modules.synth_faces.generate import generate
from data_modules.synth_faces.head import Head
from data_modules.synth_faces.labels import AnnotatedImage, Attributes, Face, counted, occlusion_label
from data_modules.synth_faces.manifest import SYNTH_FACES_VERSION, is_complete
from data_modules.synth_faces.render import camera, render
from data_modules.synth_faces.scales import PUBLISHED

TRAIN, VAL = 3, 26  # small; val reaches an image without faces (index 20) and two workers (24)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synth_faces")
    generate(root, seed=3, train_images=TRAIN, val_images=VAL, workers=2)
    return root


def hashes(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*.jpg")}


def read_boxes(path: Path) -> dict[str, list[list[int]]]:
    lines, images = iter(path.read_text().splitlines()), {}
    for name in lines:
        count = int(next(lines))
        rows = [[int(value) for value in next(lines).split()] for _ in range(max(count, 1))]
        assert count or rows == [[0] * 10]
        images[name] = rows[:count]
    return images


def test_layout_has_every_file_of_wider(drawn: Path) -> None:
    split, truth = drawn / "wider_face_split", drawn / "eval_tools" / "ground_truth"
    for part, count in (("train", TRAIN), ("val", VAL)):
        assert len(list((drawn / f"WIDER_{part}" / "images").glob("*--*/*.jpg"))) == count
        for name in (f"wider_face_{part}_bbx_gt.txt", f"wider_face_{part}.mat", f"wider_face_{part}_landmarks.txt"):
            assert (split / name).is_file()
    assert {path.name for path in truth.iterdir()} == {
        f"wider_{name}_val.mat" for name in ("face", "easy", "medium", "hard")
    }
    manifest = json.loads((drawn / "synth_faces.json").read_text())
    assert manifest["version"] == SYNTH_FACES_VERSION
    assert manifest["val_faces"] == sum(len(rows) for rows in read_boxes(split / "wider_face_val_bbx_gt.txt").values())


def test_text_mat_and_landmarks_agree(drawn: Path) -> None:
    split = drawn / "wider_face_split"
    boxes = read_boxes(split / "wider_face_val_bbx_gt.txt")
    mat = loadmat(drawn / "eval_tools" / "ground_truth" / "wider_face_val.mat")
    names = ["blur", "expression", "illumination", "invalid", "occlusion", "pose"]
    seen = 0
    for i, event in enumerate(mat["event_list"]):
        for j, file in enumerate(mat["file_list"][i][0]):
            rows = boxes[f"{event[0][0]}/{file[0][0]}.jpg"]
            expected = np.array(rows or [[0] * 10])
            np.testing.assert_array_equal(mat["face_bbx_list"][i][0][j][0], expected[:, :4])
            for k, name in enumerate(names, 4):
                np.testing.assert_array_equal(mat[f"{name}_label_list"][i][0][j][0][:, 0], expected[:, k])
            seen += 1
    assert seen == VAL == len(boxes)
    from_landmarks: dict[str, list[list[int]]] = {}
    for line in (split / "wider_face_val_landmarks.txt").read_text().splitlines():
        if line.startswith("#"):
            rows = from_landmarks.setdefault(line.split()[1], [])
        else:
            assert len(line.split()) == 4 + 15
            x1, y1, x2, y2 = (int(value) for value in line.split()[:4])
            rows.append([x1, y1, x2 - x1, y2 - y1])
    assert from_landmarks == {name: [row[:4] for row in rows] for name, rows in boxes.items()}
    assert [] in boxes.values()  # WIDER has images without faces; so has this set


def test_mat_cells_are_shaped_like_the_official_ones(drawn: Path, shared: Path) -> None:
    name = Path("eval_tools") / "ground_truth" / "wider_easy_val.mat"
    ours, official = loadmat(drawn / name), loadmat(shared / "data" / "wider_face" / name)
    assert {key for key in ours if key[0] != "_"} == {key for key in official if key[0] != "_"}
    for key in (key for key in official if key[0] != "_"):
        for cells in (ours, official):
            assert cells[key].dtype == object
            assert cells[key].shape == (len(cells["event_list"]), 1)
        first, theirs = ours[key][0][0], official[key][0][0]
        assert first.dtype.kind == theirs.dtype.kind
        assert first.ndim == theirs.ndim
        if first.dtype == object:
            assert first.shape[1] == theirs.shape[1] == 1
            assert first[0][0].ndim == theirs[0][0].ndim
            assert first[0][0].dtype.kind == theirs[0][0].dtype.kind
            assert first[0][0].shape[1:] == theirs[0][0].shape[1:]


def test_settings_are_nested_and_one_based(drawn: Path) -> None:
    kept = {}
    for setting in ("easy", "medium", "hard"):
        mat = loadmat(drawn / "eval_tools" / "ground_truth" / f"wider_{setting}_val.mat")
        kept[setting] = set()
        for i, event in enumerate(mat["gt_list"]):
            for j, cell in enumerate(event[0]):
                indices = cell[0].ravel().tolist()
                assert all(1 <= index <= len(mat["face_bbx_list"][i][0][j][0]) for index in indices)
                kept[setting] |= {(i, j, index) for index in indices}
    assert kept["easy"] < kept["medium"] < kept["hard"]


def test_same_seed_same_bytes_whatever_the_workers(drawn: Path, tmp_path: Path) -> None:
    generate(tmp_path, seed=3, train_images=TRAIN, val_images=4, workers=1)
    once, again = hashes(drawn), hashes(tmp_path)
    assert len(again) == TRAIN + 4
    assert all(once[name] == digest for name, digest in again.items())
    assert (tmp_path / "wider_face_split/wider_face_train_bbx_gt.txt").read_bytes() == (
        drawn / "wider_face_split/wider_face_train_bbx_gt.txt"
    ).read_bytes()


def test_other_seeds_and_splits_draw_other_pictures() -> None:
    pictures = [draw_image(0, "val", 2)[1], draw_image(1, "val", 2)[1], draw_image(0, "train", 2)[1]]
    digests = {hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures}
    assert len(digests) == 3


def test_complete_set_is_kept_and_a_broken_one_is_drawn_again(tmp_path: Path) -> None:
    generate(tmp_path, train_images=1, val_images=1)
    assert is_complete(tmp_path, 0, 1, 1)
    assert not is_complete(tmp_path, 1, 1, 1)
    assert not is_complete(tmp_path, 0, 1, 2)
    picture = next(tmp_path.rglob("*.jpg"))
    picture.write_bytes(b"kept")
    generate(tmp_path, train_images=1, val_images=1)
    assert picture.read_bytes() == b"kept"
    (tmp_path / "synth_faces.json").write_text('{"version"')
    stray = picture.with_name("stray.jpg")
    stray.write_bytes(b"")
    generate(tmp_path, train_images=1, val_images=1)
    assert picture.read_bytes() != b"kept"
    assert not stray.exists()
    assert is_complete(tmp_path, 0, 1, 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_scales_follow_the_published_distribution(seed: int) -> None:
    sizes, counts = [], dict.fromkeys(("easy", "medium", "hard"), 0)
    for index in range(96):
        image = plan_image(seed, "val", index)[0].image
        sizes += [image.side_640(face) for face in image.faces if counted(image, face, "hard")]
        for setting in counts:
            counts[setting] += sum(counted(image, face, setting) for face in image.faces)
    for limit, share in PUBLISHED.items():
        assert np.mean(np.array(sizes) < limit) == pytest.approx(share, abs=0.02)
    assert counts["easy"] >= 150
    assert counts["easy"] < counts["medium"] < counts["hard"]


def test_annotations_lie_in_the_image_and_landmarks_in_the_box() -> None:
    labelled = 0
    for index in range(16):
        image = plan_image(5, "val", index)[0].image
        for face in image.faces:
            x, y, w, h = face.box
            assert 0 <= x < x + w <= image.width
            assert 0 <= y < y + h <= image.height
            if face.size < 6 or face.attributes.occlusion == 2 or face.attributes.invalid:
                assert face.landmarks is None
            if face.landmarks is not None:
                labelled += 1
                margin = 1 + 0.1 * w  # a nose in profile may stick out of the face
                assert (face.landmarks > np.array([x, y]) - margin).all()
                assert (face.landmarks < np.array([x + w, y + h]) + margin).all()
    assert labelled > 50


def test_head_projects_by_hand() -> None:
    """A frontal head of scale 10 at (100, 50): chin 10 px below, ears 7.65 px aside, eyes mirrored."""
    head = Head(x=100, y=50, scale=10)
    x1, y1, x2, y2 = head.box()
    np.testing.assert_allclose([x1, y1, y2, x2], [100 - 7.65, 40, 60, 100 + 7.65], atol=0.1)
    left, right, nose, mouth_left, mouth_right = head.landmarks()
    np.testing.assert_allclose(left + right, [200, 98], atol=1e-6)  # x = 100 -+ 3.3, y = 50 - 1
    assert right[0] - left[0] == pytest.approx(6.6)
    np.testing.assert_allclose(nose, [100, 52.6], atol=1e-6)
    assert mouth_left[0] < nose[0] < mouth_right[0]
    quarter = Head(x=100, y=50, scale=10, roll=np.pi / 2).landmarks()
    np.testing.assert_allclose(quarter[2], [100 - 2.6, 50], atol=1e-6)  # down turns to the left, clockwise
    turned = Head(x=100, y=50, scale=10, yaw=0.5).landmarks()
    assert turned[2, 0] > 103  # looking right, the nose moves right, further than the eyes' middle
    assert turned[2, 0] > turned[:2, 0].mean()


def test_labels_by_hand() -> None:
    assert [occlusion_label(share) for share in (0.0, 0.1, 0.29, 0.3, 0.9)] == [0, 1, 1, 2, 2]
    image = AnnotatedImage("e", "n", 1280, 640, ())

    def settings(side: int, **labels: int) -> list[str]:
        face = Face((0, 0, side, side), None, Attributes(**labels))
        return [name for name in ("easy", "medium", "hard") if counted(image, face, name)]

    assert settings(64) == ["easy", "medium", "hard"]  # 32 px at long side 640
    assert settings(40) == ["medium", "hard"]
    assert settings(20) == ["hard"]
    assert settings(64, occlusion=1) == ["medium", "hard"]
    assert settings(64, occlusion=2) == ["hard"]
    assert settings(64, invalid=1) == []


def test_occlusion_labels_agree_with_the_order_of_painting() -> None:
    """Paint every person as a number, farthest first: what is left of a face's own number is what can be seen of it."""
    checked = 0
    for index in range(16):
        scene = plan_image(2, "val", index)[0]
        height, width = scene.image.height, scene.image.width
        numbers = np.zeros((height, width), np.int32)
        for number, person in enumerate(scene.people, 1):
            shapes = [outline for outline, _ in person.body_outlines(height)] + [person.head_silhouette()]
            for shape in shapes:
                cv2.fillPoly(numbers, [np.round(shape).astype(np.int32)], number)
                if person.blur > 1:
                    cv2.polylines(numbers, [np.round(shape).astype(np.int32)], True, number, round(2.5 * person.blur))
            if person.cover is not None:
                cv2.fillPoly(numbers, [np.round(person.cover.outline).astype(np.int32)], -1)
        seen = [(number, person) for number, person in enumerate(scene.people, 1) if person.view == "face"][::-1]
        for face, (number, person) in zip(scene.image.faces, seen, strict=True):
            if face.size < 20:
                continue
            own = np.zeros((height, width), np.uint8)
            cv2.fillPoly(own, [np.round(person.head.outline).astype(np.int32)], 1)
            covered = (numbers[own > 0] != number).mean()
            assert face.attributes.occlusion in {occlusion_label(covered - 0.04), occlusion_label(covered + 0.04)}
            checked += face.attributes.occlusion > 0
    assert checked >= 5


def test_camera_treats_the_colours_alike() -> None:
    """Grey stays near grey, and the grain has the asked strength in every channel."""
    picture = camera(np.full((64, 64, 3), 118, np.uint8), np.random.default_rng(0), 4.0)
    means, spreads = picture.reshape(-1, 3).mean(0), picture.reshape(-1, 3).std(0)
    assert np.ptp(means) < 40
    assert (spreads > 1.5).all()
    assert (spreads < 5).all()


def test_faces_are_drawn_where_the_annotations_say() -> None:
    """A face differs from the background it stands on: inside its box the picture changes when people are left out."""
    scene, rng = plan_image(0, "val", 2)
    empty, rng_empty = plan_image(0, "val", 2)
    full = render(scene, rng).astype(int)
    bare = render(replace(empty, people=()), rng_empty).astype(int)
    difference = np.abs(full - bare).mean(2)
    assert scene.image.faces
    for face in scene.image.faces:
        x, y, w, h = face.box
        assert difference[y : y + h, x : x + w].mean() > 8
