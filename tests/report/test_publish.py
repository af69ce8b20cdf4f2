import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from bench.records.record import RecordError
from bench.report.compare.board_report import report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.publish import publish
from bench.report.site.page import render_page
from bench.report.site.readme import BEGIN, END, ReadmeError, write_between_marks


class Balance(HTMLParser):
    """Counts that every element is closed, and collects the cells."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.sorts = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "img", "input", "line", "circle", "polygon", "path"):
            self.open.append(tag)
        if tag == "td":
            self.sorts.append(dict(attrs)["data-sort"])

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def reports_on(records, reported=None):
    return [report_on(board, reported) for board in build_boards(records)]


@pytest.fixture
def records(make_record, failed):
    return [
        make_record(seed=0, metrics={"val/AP_hard": 1 / 3}),
        make_record(detector="big", metrics={"val/AP_hard": 0.8}, cost={"macs": 34_000_000_000}),
        make_record(seed=0, ablations={"neck": "bifpn"}, metrics={"val/AP_hard": 0.4}),
        failed(detector="broken", error="<b>bold</b> & more\nsecond line"),
        make_record(dataset={"name": "coco"}, metrics={"val/AP": 0.3}),
    ]


def test_the_page_is_whole_and_asks_nobody(records):
    page = render_page(reports_on(records), {"coco": [("a <face>", "data:image/png;base64,AAAA")]})
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert repr(1 / 3) in parser.sorts  # sorted by the full value, shown rounded
    assert "33.33" in page
    outside = re.findall(r'(?:src|href)="(?!#|data:)[^"]*"|url\(|@import|https?://', page)
    assert outside == []
    assert page.count("<section") == 2
    assert "a &lt;face&gt;" in page


def test_text_of_records_is_escaped(records):
    page = render_page(reports_on(records))
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in page
    assert "<b>bold</b>" not in page
    assert "second line" not in page


def test_one_board_has_no_tabs(make_record):
    page = render_page(reports_on([make_record()]))
    assert 'role="tablist"' not in page
    assert "1 record of 1 detector on 1 board." in page


def test_publish_writes_everything_from_the_records(records, results, tmp_path):
    folder = results(*records)
    (folder / "pictures" / "coco").mkdir(parents=True)
    cv2.imwrite(str(folder / "pictures" / "coco" / "street_1.png"), np.zeros((8, 8, 3), np.uint8))
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n{BEGIN}\nold\n{END}\ntail\n")
    written = publish(folder, tmp_path / "out", readme)
    assert all(path.is_file() for path in written)
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    assert names >= {
        "out/index.html",
        "out/leaderboard.md",
        "out/wider_face_val_wider_vga_v1.csv",
        "out/wider_face_val_wider_vga_v1_ablations.csv",
        "out/coco_val_wider_vga_v1.csv",
        "out/figures/pareto_wider_face_val_wider_vga_v1.svg",
        "README.md",
    }
    assert "street 1" in (tmp_path / "out/index.html").read_text()
    text = readme.read_text()
    assert text.startswith(f"# Title\n{BEGIN}\n\n### coco val")
    assert text.endswith(f"{END}\ntail\n")
    assert "old" not in text.split(END)[0].split("\n")


def test_publishing_twice_changes_nothing(records, results, tmp_path):
    folder = results(*records)
    before = {path: path.read_bytes() for path in publish(folder, tmp_path / "out")}
    assert {path: path.read_bytes() for path in publish(folder, tmp_path / "out")} == before


def test_failures_alone_can_be_published(failed, results, tmp_path):
    publish(results(failed()), tmp_path / "out")
    assert "diverged" in (tmp_path / "out/index.html").read_text()


def test_nothing_to_publish_is_an_error(results, tmp_path):
    with pytest.raises(RecordError, match="expected records"):
        publish(results(), tmp_path / "out")


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_readme_without_one_pair_of_marks_is_refused(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ReadmeError, match="expected one line"):
        write_between_marks(readme, "table")
    assert readme.read_text() == text
