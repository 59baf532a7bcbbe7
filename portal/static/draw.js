"use strict";
/* Small hands for HTML and SVG. No style attribute is ever set: the page's policy forbids it. */
const Draw = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null) element.setAttribute(name, String(value));
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  const html = (name, attributes = {}, ...children) =>
    fill(document.createElement(name), attributes, children);
  const svg = (name, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, name), attributes, children);

  const round = (value) => Math.round(value * 10) / 10;

  /* At most four points a pixel column: first, lowest, highest, last. The shape stays exact. */
  function thin(points, x) {
    if (points.length < 600) return points;
    const kept = [];
    let column = null, group = [];
    const flush = () => {
      if (group.length <= 4) { kept.push(...group); return; }
      const low = group.reduce((a, b) => (b.value < a.value ? b : a));
      const high = group.reduce((a, b) => (b.value > a.value ? b : a));
      kept.push(...new Set([group[0], ...[low, high].sort((a, b) => a.t - b.t), group.at(-1)]));
    };
    for (const point of points) {
      const here = Math.floor(x(point.t));
      if (here !== column) { flush(); group = []; column = here; }
      group.push(point);
    }
    flush();
    return kept;
  }

  function path(points, x, y) {
    return points.map((p, i) => `${i ? "L" : "M"}${round(x(p))} ${round(y(p))}`).join("");
  }

  const MINUTE = 60_000;
  const STEPS = [1 / 60, 1 / 12, 1 / 6, 1 / 2, 1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440]
    .map((minutes) => minutes * MINUTE);

  /* Ticks on whole clock times of the reader's zone. */
  function timeTicks(from, to, width) {
    const room = Math.max(2, Math.floor(width / 84));
    const step = STEPS.find((s) => (to - from) / s <= room) ?? STEPS.at(-1) * Math.ceil((to - from) / room / STEPS.at(-1));
    const offset = -new Date(from).getTimezoneOffset() * MINUTE;
    const ticks = [];
    for (let t = Math.ceil((from + offset) / step) * step - offset; t <= to; t += step) ticks.push(t);
    return { ticks, withSeconds: step < MINUTE };
  }

  function copyButton(text) {
    const button = html("button", { type: "button", class: "plain copy" }, Words.say("copy"));
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = Words.say("copied");
      } catch {
        getSelection().selectAllChildren(button.previousElementSibling ?? button);
      }
    });
    return button;
  }

  /* Eight characters, the whole on a tap: a digest is for comparing, not for reading. */
  function digest(hex) {
    if (!hex) return html("span", { class: "quiet" }, "–");
    const button = html("button", { type: "button", class: "digest", "aria-label": hex, "aria-expanded": "false" }, hex.slice(0, 8));
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      button.textContent = open ? hex.slice(0, 8) : hex;
    });
    return button;
  }

  const celsius = (milli, digits = 1) => (milli / 1000).toFixed(digits).replace("-", "−");

  return { html, svg, round, thin, path, timeTicks, copyButton, digest, celsius };
})();
