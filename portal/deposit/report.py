"""The printed report of a deposit: what is proven, by whom, what is not; English and Chinese."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import segno
from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer

from ledger.verdict import Verdict
from logistics.deposit import StampFound
from logistics.moments import moment_words
from logistics.verdict_words import verdict_lines
from portal.deposit.words import WORDS, stamp_line

LATIN, CHINESE = "Helvetica", "STSong-Light"  # the latter is drawn by the reader's own font
QR_MM: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the report is about. `verifier_sha256`: of the page by which anyone can check it."""

    file_name: str
    file_sha256: str
    made_ms: int
    verdict: Verdict
    stamps: Sequence[StampFound]
    trust_hex: str
    verifier_sha256: str


def report_pdf(reported: Reported) -> bytes:
    """The report's bytes, A4. The same input gives the same bytes."""
    registerFont(UnicodeCIDFont(CHINESE))
    target = io.BytesIO()
    document = SimpleDocTemplate(
        target,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=WORDS["en"]["title"],
        invariant=1,
    )
    story: list[Flowable] = []
    for language in ("en", "zh"):
        story += _part(reported, language)
    document.build(story)
    return target.getvalue()


def _part(reported: Reported, language: str) -> list[Flowable]:
    words = WORDS[language]
    font = LATIN if language == "en" else CHINESE
    head = ParagraphStyle("head", fontName=font, fontSize=16, leading=22, spaceAfter=6)
    sub = ParagraphStyle("sub", fontName=font, fontSize=12, leading=17, spaceBefore=10)
    # A digest has no place to break: Chinese rules may break anywhere.
    body = ParagraphStyle(
        "body", fontName=CHINESE, fontSize=10, leading=15, alignment=TA_LEFT, wordWrap="CJK"
    )
    lines = verdict_lines(reported.verdict, language)
    facts = [
        f"{words['file']}: {reported.file_name}",
        f"{words['digest']}: {reported.file_sha256}",
        f"{words['trust']}: {reported.trust_hex or words['no_trust']}",
        f"{words['verifier']}: {reported.verifier_sha256}",
        f"{words['made']}: {moment_words(reported.made_ms)}",
    ]
    stamps = [stamp_line(found, language) for found in reported.stamps] or [words["no_stamps"]]
    return [
        Paragraph(words["title"], head),
        Paragraph(_escaped(lines[0]), sub),
        *(Paragraph(_escaped(line), body) for line in lines[1:]),
        Paragraph(words["stamps"], sub),
        *(Paragraph(_escaped(line), body) for line in stamps),
        Paragraph(words["not_proven"], sub),
        *(Paragraph(line, body) for line in words["limits"].split("\n")),
        Paragraph(words["which"], sub),
        *(Paragraph(_escaped(line), body) for line in facts),
        Spacer(1, 4 * mm),
        _qr(reported.file_sha256),
        Spacer(1, 10 * mm),
    ]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _qr(text: str) -> Drawing:
    """The file's digest to be read by a camera."""
    rows = [list(row) for row in segno.make(f"sha256:{text}", error="q").matrix]
    side = QR_MM * mm / (len(rows) + 8)
    drawing = Drawing(QR_MM * mm, QR_MM * mm)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                left, bottom = (x + 4) * side, (len(rows) + 3 - y) * side
                drawing.add(Rect(left, bottom, side, side, strokeWidth=0, strokeColor=None))
    return drawing
