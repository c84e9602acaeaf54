// Charts whose lines can be hidden and whose values can be read; the section in view; paper with everything open.
"use strict";

/** An element with attributes and children; `svg` elements have a namespace of their own. */
function make(name, attributes = {}, ...children) {
  const is_svg = ["g", "line", "circle"].includes(name);
  const element = is_svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** What one of a chart's drawings holds: its series with their points, and where the plot ends. */
function read(svg) {
  const plot = svg.querySelector("[data-plot]");
  const [top, bottom] = plot.dataset.plot.split(",").map(Number);
  const series = [...plot.querySelectorAll("[data-points]")].map((group) => ({
    number: group.dataset.series,
    end: group.dataset.end, // what happened where the line breaks off: of that point y is no number
    points: group.dataset.points.split(" ").filter(Boolean).map((point) => {
      const [x, y, left, top] = point.split(",").map(Number);
      return { x, y, left, top };
    }),
  }));
  // The browser's own tips would lie over ours.
  svg.querySelectorAll("title").forEach((title) => title.remove());
  const cross = plot.appendChild(make("g", { class: "cross" }));
  return { svg, series, cross, top, bottom };
}

function interactive(figure) {
  const stage = figure.querySelector(".stage");
  const keys = [...figure.querySelectorAll(".keys button")];
  const drawings = [...stage.querySelectorAll("svg")].map(read);
  const tip = stage.appendChild(make("div", { class: "tip", role: "status", hidden: "" }));
  const hidden = new Set();
  let shown = null; // the x that the tip tells about

  const visible = (drawing) => drawing.series.filter((series) => !hidden.has(series.number));
  const places = (drawing) => visible(drawing).flatMap((series) => series.points);
  const on_screen = () => drawings.find((drawing) => drawing.svg.getClientRects().length > 0);

  const written = (number, digits) => `${+number.toPrecision(digits)}`.replaceAll("-", "−");
  const value = (y) => (stage.dataset.format === "percent" ? `${written(100 * y, 5)}%` : written(y, 5));

  function hide() {
    shown = null;
    tip.hidden = true;
    drawings.forEach((drawing) => drawing.cross.replaceChildren());
  }

  /** Tells the value of every visible series at x. */
  function show(drawing, x) {
    const found = visible(drawing).flatMap((series) => {
      const point = series.points.find((point) => point.x === x);
      return point ? [{ point, key: keys[series.number], end: series.end }] : [];
    });
    if (found.length === 0) return hide();
    shown = x;
    const { svg, cross, top, bottom } = drawing;
    const left = found[0].point.left;
    cross.replaceChildren(
      make("line", { x1: left, x2: left, y1: top, y2: bottom }),
      ...found.map(({ point }) => make("circle", { cx: point.left, cy: point.top, r: 7 })),
    );
    const rows = found.flatMap(({ point, key, end }) => [
      key.querySelector("svg").cloneNode(true),
      make("span", {}, key.textContent.trim()),
      make("b", {}, Number.isNaN(point.y) ? end : value(point.y)),
    ]);
    tip.replaceChildren(`${stage.dataset.x} ${written(x, 8)}`, make("div", {}, ...rows));
    tip.hidden = false;
    // At the right of the line, or where that is too far, at its left; never outside.
    const scale = svg.clientWidth / svg.viewBox.baseVal.width;
    const fits = left * scale + 14 + tip.offsetWidth <= stage.clientWidth;
    const at = fits ? left * scale + 14 : left * scale - 14 - tip.offsetWidth;
    tip.style.setProperty("--left", `${Math.max(0, Math.min(at, stage.clientWidth - tip.offsetWidth))}px`);
    tip.style.setProperty("--top", `${top * scale + 8}px`);
  }

  function point_at(drawing, event) {
    const box = drawing.svg.getBoundingClientRect();
    const left = ((event.clientX - box.left) / box.width) * drawing.svg.viewBox.baseVal.width;
    const points = places(drawing);
    if (points.length === 0) return hide();
    const distance = (point) => Math.abs(point.left - left);
    show(drawing, points.reduce((best, point) => (distance(point) < distance(best) ? point : best)).x);
  }

  function step(event) {
    const drawing = on_screen();
    const xs = [...new Set(places(drawing).map((point) => point.x))].sort((a, b) => a - b);
    const at = xs.indexOf(shown);
    const to = { ArrowLeft: at < 0 ? xs.length - 1 : at - 1, ArrowRight: at + 1, Home: 0, End: xs.length - 1 }[event.key];
    if (event.key === "Escape") return hide();
    if (to === undefined || xs.length === 0) return;
    event.preventDefault();
    show(drawing, xs[Math.max(0, Math.min(to, xs.length - 1))]);
  }

  function toggle(key) {
    const number = key.dataset.series;
    const off = !hidden.delete(number) && hidden.add(number);
    key.setAttribute("aria-pressed", String(!off));
    stage.querySelectorAll(`[data-series="${number}"]`).forEach((group) => {
      group.style.display = off ? "none" : "";
    });
    hide(); // what the tip tells may be of this series
  }

  keys.forEach((key) => key.addEventListener("click", () => toggle(key)));
  drawings.forEach((drawing) => {
    for (const event of ["pointermove", "pointerdown"]) {
      drawing.svg.addEventListener(event, (event) => point_at(drawing, event));
    }
  });
  // After a touch the tip stays until another place is touched.
  stage.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && hide());
  document.addEventListener("pointerdown", (event) => stage.contains(event.target) || hide());
  stage.tabIndex = 0;
  stage.setAttribute("role", "group");
  stage.addEventListener("keydown", step);
  stage.addEventListener("blur", hide);
}

document.querySelectorAll("figure.chart").forEach(interactive);

// The entry of the section in view
const entries = new Map([...document.querySelectorAll("nav a")].map((entry) => [entry.hash.slice(1), entry]));
const watch = new IntersectionObserver(
  (seen) => {
    const section = seen.find((section) => section.isIntersecting);
    if (!section) return;
    entries.forEach((entry) => entry.removeAttribute("aria-current"));
    entries.get(section.target.id)?.setAttribute("aria-current", "true");
  },
  { rootMargin: "-20% 0px -75% 0px" },
);
document.querySelectorAll("main > section").forEach((section) => watch.observe(section));

// On paper everything is open; afterwards it is as it was.
let opened = [];
function unfold(printing) {
  if (printing) {
    const closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => (details.open = true));
    opened.push(...closed);
  } else {
    opened.forEach((details) => (details.open = false));
    opened = [];
  }
}
matchMedia("print").addEventListener("change", (paper) => unfold(paper.matches));
addEventListener("beforeprint", () => unfold(true));
addEventListener("afterprint", () => unfold(false));
