"""Looks at pages as a phone, a screen, the dark and a printer do, and fails on what is amiss.

    look.py CHROMIUM FOLDER PAGE.html...

Leaves what it saw in the folder, to be looked at.
"""

import pathlib
import sys
import tempfile

from chromium import Chromium

WIDTHS = (400, 800, 1280)
SMALLEST_TEXT = 9.0

# What is wider than its page and does not scroll within itself.
TOO_WIDE = """[...document.querySelectorAll('body *')]
    .filter(one => !one.closest('.scroll') && !one.closest('svg') && one.getBoundingClientRect().right > innerWidth + 0.5)
    .slice(0, 5).map(one => one.tagName + '.' + one.className)"""
# The height of the smallest letters in pictures that are shown, in pixels.
SMALLEST = """Math.min(...[...document.querySelectorAll('svg text')].filter(one => one.getClientRects().length)
    .map(one => parseFloat(one.getAttribute('font-size')) * one.ownerSVGElement.getBoundingClientRect().width
        / one.ownerSVGElement.viewBox.baseVal.width))"""
# Labels of one picture that lie on each other.
OVERLAPS = """[...document.querySelectorAll('svg')].filter(svg => svg.getClientRects().length).flatMap(svg => {
    const boxes = [...svg.querySelectorAll('text')].map(one => [one.textContent.trim(), one.getBoundingClientRect()]);
    return boxes.flatMap(([text, a], at) => boxes.slice(at + 1)
        .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
        .map(([other]) => text + ' / ' + other));
}).slice(0, 5)"""
# Labels that are cut off by the edge of their picture.
CUT_OFF = """[...document.querySelectorAll('svg')].filter(svg => svg.getClientRects().length).flatMap(svg => {
    const edge = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(one => {
        const box = one.getBoundingClientRect();
        return box.left < edge.left - 1 || box.right > edge.right + 1;
    }).map(one => one.textContent.trim());
}).slice(0, 5)"""


def look(chromium, page, folder):
    page = page.resolve(strict=True)
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            chromium.open(page.as_uri(), width, scheme)
            where = f"{page.stem}-{width}-{scheme}"
            chromium.screenshot(folder / f"{where}.png")
            yield from (f"{where}: {one}" for one in chromium.complaints())
            wide = chromium.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                yield f"{where}: the page is {wide} px wide: {chromium.evaluate(TOO_WIDE)}"
            for what, expression in (("too wide", TOO_WIDE), ("on each other", OVERLAPS), ("cut off", CUT_OFF)):
                if found := chromium.evaluate(expression):
                    yield f"{where}: {what}: {found}"
            smallest = chromium.evaluate(SMALLEST)
            if smallest is not None and smallest < SMALLEST_TEXT:
                yield f"{where}: text of {smallest:.1f} px"
    chromium.print(folder / f"{page.stem}.pdf")
    if (folder / f"{page.stem}.pdf").read_bytes()[:5] != b"%PDF-":
        yield f"{page.stem}: it cannot be printed"


def main(program, folder, *pages):
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as profile:
        chromium = Chromium(program, profile)
        try:
            troubles = [trouble for page in pages for trouble in look(chromium, pathlib.Path(page), folder)]
        finally:
            chromium.close()
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    print(f"{len(pages)} pages looked at, {len(troubles)} troubles; what was seen is in {folder}")
    sys.exit(bool(troubles))


main(*sys.argv[1:])
