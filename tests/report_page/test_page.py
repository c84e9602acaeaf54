"""A report as its reader meets it: on three screens, in the dark, on paper, with pointer and keys.

    COTANGENT_REPORT=report.html python3 -m unittest discover -s tests/report_page

COTANGENT_REPORT names the page. If COTANGENT_SCREENSHOTS names a folder, it gets pictures of the whole page, such
as 360-light-1.png. Needs Chromium and chromedriver.
"""
import os
import re
import unittest
from pathlib import Path

from check_page import Browser, Missing

WIDTHS = [360, 820, 1600]

# For each figure: its name, and what is wrong with what it shows.
EMPTY_FIGURES = """
const drawn = "path, line, circle, rect, text";
const visible = (element) => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
const problems = {
  drawing: (figure) => [...figure.querySelectorAll("svg")].some((svg) => visible(svg) && svg.querySelectorAll(drawn).length > 1)
    ? "" : "no drawing",
  chart: (figure) => {
    const shown = [...figure.querySelectorAll(".stage svg")].filter(visible);
    if (shown.length !== 1) return `${shown.length} drawings`;
    const points = [...shown[0].querySelectorAll("[data-points]")].map((g) => g.dataset.points.split(" ").length);
    return points.length > 0 && points.every((count) => count >= 2) ? "" : `series with ${points} points`;
  },
  formulas: (figure) => [...figure.querySelectorAll("math")].some(visible) ? "" : "no formula",
  images: (figure) => {
    const images = [...figure.querySelectorAll("img")];
    return images.length > 0 && images.every((image) => image.complete && image.naturalWidth > 0) ? "" : "a picture is broken";
  },
};
document.querySelectorAll("details").forEach((details) => (details.open = true));
return [...document.querySelectorAll("figure")]
  .map((figure) => [figure.id, (problems[figure.className] ?? (() => "of no known kind"))(figure)]);
"""

# Moves the pointer to the first, the middle and the last point of a chart's first series; returns for each its value and
# what the tip says.
HOVER = """
const figure = document.getElementById(arguments[0]);
const svg = [...figure.querySelectorAll(".stage svg")].find((svg) => svg.getClientRects().length > 0);
const points = svg.querySelector("[data-points]").dataset.points.split(" ").map((point) => point.split(",").map(Number));
const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
const stage = figure.querySelector(".stage"), tip = figure.querySelector(".tip"), room = stage.getBoundingClientRect();
return [points.at(0), points[Math.floor(points.length / 2)], points.at(-1)].map(([x, y, left, top]) => {
  svg.dispatchEvent(new PointerEvent("pointermove",
    { bubbles: true, clientX: box.left + left * scale, clientY: box.top + top * scale }));
  const place = tip.getBoundingClientRect();
  return { y, percent: stage.dataset.format === "percent", hidden: tip.hidden, text: tip.innerText,
    inside: place.left >= room.left - 1 && place.right <= room.right + 1 };
});
"""

# Presses a chart's first button; returns whether it is pressed, and which of its series' groups are displayed.
PRESS = """
const figure = document.getElementById(arguments[0]);
const button = figure.querySelector(".keys button");
button.click();
const groups = [...figure.querySelectorAll(`.stage [data-series="${button.dataset.series}"]`)];
return { pressed: button.getAttribute("aria-pressed"), shown: groups.map((group) => getComputedStyle(group).display !== "none") };
"""

# What the tip says after keys were pressed.
TYPE = """
const figure = document.getElementById(arguments[0]), stage = figure.querySelector(".stage");
stage.focus();
for (const key of arguments[1]) stage.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const tip = figure.querySelector(".tip");
return tip.hidden ? null : tip.innerText;
"""

# The colours of all texts with what lies behind them, as painted by the style sheet; each pair once. The zeros of a
# matrix of counts step back and are left out.
COLOURS = """
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (!/^rgba\\(.*, 0\\)$/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const painted = (text) => {
  const svg = text.ownerSVGElement, box = text.getBBox(), point = svg.createSVGPoint();
  [point.x, point.y] = [box.x + box.width / 2, box.y + box.height / 2];
  const below = [...svg.querySelectorAll("rect, path")].filter((shape) =>
    shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING
    && getComputedStyle(shape).fill !== "none" && !shape.hasAttribute("fill-opacity") && shape.isPointInFill(point));
  return below.length > 0 ? getComputedStyle(below.at(-1)).fill : behind(svg);
};
const pairs = new Set();
for (const element of document.querySelectorAll("body *")) {
  if (!element.checkVisibility() || ![...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
  if (!element.closest("svg")) {
    pairs.add(`${getComputedStyle(element).color}|${behind(element)}|${element.localName}`);
  } else if (element.localName === "text" && element.textContent !== "0" && !element.hasAttribute("transform")) {
    pairs.add(`${getComputedStyle(element).fill}|${painted(element)}|svg`);
  }
}
return [...pairs].map((pair) => pair.split("|"));
"""


def channels(colour: str) -> list[float]:
    """Red, green and blue from 0 to 1."""
    numbers = [float(number) for number in re.findall(r"[\d.]+(?:e-?\d+)?", colour.removeprefix("color(srgb"))]
    return numbers[:3] if colour.startswith("color(srgb") else [number / 255 for number in numbers[:3]]


def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text.replace("−", "-"))]


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        path = os.environ.get("COTANGENT_REPORT")
        if not path:
            raise Missing("COTANGENT_REPORT is not set; let it name the HTML file that is to be checked")
        cls.page = Path(path)
        if not cls.page.is_file():
            raise Missing(f"COTANGENT_REPORT names {path}, which is no file; write the report first")
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.browser.media()
        self.browser.resize(1600)
        self.browser.log("browser"), self.browser.log("performance")  # what went before
        self.browser.open(self.page)

    def charts(self) -> list[str]:
        return self.browser.run("return [...document.querySelectorAll('figure.chart')].map((figure) => figure.id)")

    def test_nothing_is_logged_and_nothing_else_is_loaded(self):
        self.browser.run("return document.readyState")
        logged = [entry for entry in self.browser.log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.assertEqual(logged, [])
        asked = self.browser.requests()
        self.assertIn(self.page.resolve().as_uri(), asked)
        others = [url for url in asked if url != self.page.resolve().as_uri() and not url.startswith("data:")]
        self.assertEqual(others, [])

    def test_every_figure_shows_something_at_every_width(self):
        for width in WIDTHS:
            self.browser.resize(width)
            figures = self.browser.run(EMPTY_FIGURES)
            self.assertGreater(len(figures), 0)
            self.assertEqual([figure for figure in figures if figure[1]], [], f"at {width} px")

    def test_the_page_itself_never_scrolls_sideways(self):
        for width in [320, *WIDTHS, 1200, 2560]:
            self.browser.resize(width)
            for state in ["folded", "unfolded"]:
                self.browser.run("document.querySelectorAll('details').forEach((d) => (d.open = arguments[0]))", state == "unfolded")
                found = self.browser.run("return [innerWidth, document.documentElement.scrollWidth, document.body.scrollWidth]")
                self.assertEqual(found[0], width)
                self.assertLessEqual(max(found[1:]), width, f"{state} at {width} px")

    def test_a_chart_tells_the_value_under_the_pointer(self):
        for width in WIDTHS:
            self.browser.resize(width)
            for chart in self.charts():
                for told in self.browser.run(HOVER, chart):
                    self.assertFalse(told["hidden"], chart)
                    self.assertTrue(told["inside"], f"{chart} at {width} px")
                    value = told["y"] * (100 if told["percent"] else 1)
                    near = [n for n in numbers(told["text"]) if abs(n - value) <= 1e-4 * abs(value)]
                    self.assertTrue(near, f"{chart}: {value} is not in {told['text']!r}")

    def test_a_button_hides_its_series_and_shows_it_again(self):
        for chart in self.charts():
            name = self.browser.run("return document.querySelector(`#${arguments[0]} .keys button`).textContent.trim()", chart)
            self.assertIn(name, self.browser.run(TYPE, chart, ["End"]))
            hidden = self.browser.run(PRESS, chart)
            self.assertEqual((hidden["pressed"], any(hidden["shown"])), ("false", False), chart)
            self.assertIsNone(self.browser.run(TYPE, chart, []), "it still tells of what is hidden")
            self.assertNotIn(name, self.browser.run(TYPE, chart, ["End"]) or "")
            shown = self.browser.run(PRESS, chart)
            self.assertEqual((shown["pressed"], all(shown["shown"])), ("true", True), chart)

    def test_a_chart_is_read_with_keys_too(self):
        for chart in self.charts():
            first, second = self.browser.run(TYPE, chart, ["Home"]), self.browser.run(TYPE, chart, ["ArrowRight"])
            self.assertNotEqual(first, second)
            self.assertEqual(self.browser.run(TYPE, chart, ["ArrowLeft"]), first)
            self.assertIsNone(self.browser.run(TYPE, chart, ["Escape"]))

    def test_mathematics_is_set(self):
        sizes = self.browser.run("""
            document.querySelectorAll("details").forEach((details) => (details.open = true));
            return [...document.querySelectorAll("math")].map((math) => {
              const box = math.getBoundingClientRect();
              return [math.namespaceURI, box.width > 0 && box.height > 0, math.textContent];
            })""")
        self.assertGreater(len(sizes), 0)
        self.assertEqual([size for size in sizes if size[:2] != ["http://www.w3.org/1998/Math/MathML", True]], [])

    def test_texts_are_readable_in_the_light_and_in_the_dark(self):
        grounds = []
        for scheme in ["light", "dark"]:
            self.browser.media(scheme=scheme)
            self.browser.run("document.querySelectorAll('details').forEach((details) => (details.open = true))")
            grounds.append(self.browser.run("return getComputedStyle(document.body).backgroundColor"))
            for colour, ground, element in self.browser.run(COLOURS):
                ratio = contrast(colour, ground)
                self.assertGreaterEqual(ratio, 3 if element == "svg" else 4.5, f"{scheme}: <{element}> {colour} on {ground}")
        self.assertGreater(luminance(grounds[0]), 0.8)
        self.assertLess(luminance(grounds[1]), 0.05)

    def test_paper_is_light_with_everything_open_and_nothing_cut_off(self):
        closed = "document.querySelectorAll('details:not([open])').length"
        count = self.browser.run(f"return {closed}")
        self.browser.resize(680)  # between the margins of A4
        self.browser.media("print", "dark")
        self.assertTrue(self.browser.until(f"return {closed} === 0"), "something stays closed")
        ink, clipped = self.browser.run("""
            const clipped = [...document.querySelectorAll("main *")].filter((e) => !e.closest("svg, math"))
              .filter((e) => getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1);
            return [getComputedStyle(document.body).color, clipped.map((e) => e.outerHTML.slice(0, 80))]""")
        self.assertLess(luminance(ink), 0.1)
        self.assertEqual(clipped, [])
        wide = self.browser.run("""
            const end = document.documentElement.clientWidth;
            return [...document.querySelectorAll("table, svg, pre, math")].filter((e) => e.getBoundingClientRect().right > end + 1)
              .map((e) => `${e.localName}: ${e.textContent.slice(0, 60)} ends at ${e.getBoundingClientRect().right}`)""")
        self.assertEqual(wide, [])
        self.browser.media()
        self.assertTrue(self.browser.until(f"return {closed} === {count}"), "something stays open")

    def test_entries_of_the_contents_lead_to_their_sections(self):
        links = self.browser.run("""
            return [...document.querySelectorAll("nav a")].map((a) => document.getElementById(a.hash.slice(1))?.localName)""")
        self.assertGreater(len(links), 0)
        self.assertEqual(set(links), {"section"})

    def test_pictures_are_taken_where_asked_for(self):
        folder = os.environ.get("COTANGENT_SCREENSHOTS")
        if not folder:
            self.skipTest("COTANGENT_SCREENSHOTS names no folder")
        Path(folder).mkdir(parents=True, exist_ok=True)
        for scheme in ["light", "dark"]:
            self.browser.media(scheme=scheme)
            for width in WIDTHS:
                self.browser.resize(width)
                for number, picture in enumerate(self.browser.pictures(), 1):
                    self.assertEqual(picture[:4], b"\x89PNG")
                    (Path(folder) / f"{width}-{scheme}-{number}.png").write_bytes(picture)


if __name__ == "__main__":
    unittest.main()
