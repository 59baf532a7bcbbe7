"use strict";
/* The strip: bands, one lane a sensor, one lane a gateway's blocks, all over one time axis. */
const Strip = (() => {
  const { svg, round, celsius } = Draw;
  const LEFT = 34, RIGHT = 10, BAND = 22, TITLE = 24, LEDGER = 30, AXIS = 26, GAP = 10;
  let frame = null; // what the last drawing placed where: the cursor needs it

  function drawStrip(box, store, cursor) {
    const span = store.span();
    if (!span) { box.replaceChildren(); frame = null; return; }
    const width = Math.max(280, box.clientWidth || 720);
    const x = (t) => LEFT + ((t - span.from) / (span.to - span.from)) * (width - LEFT - RIGHT);
    const root = svg("svg", { width, class: "strip-svg", "aria-hidden": "true" });
    frame = { span, width, x, lanes: [], store, box };
    root.append(patterns());
    const axisLayer = svg("g", { class: "grid" });
    root.append(axisLayer);
    let y = drawBands(root, store, x, span, width);
    const series = store.series();
    const plot = series.length > 5 ? 64 : series.length > 3 ? 84 : 108;
    for (const line of series) y = drawLane(root, store, line, { x, y, width, plot, span });
    for (const gateway of store.gateways()) y = drawLedger(root, store, gateway, { x, y, width, span });
    drawAxis(axisLayer, { span, x, y, width });
    frame.bottom = y;
    frame.line = svg("line", { class: "cursor", y1: 0, y2: y, hidden: "" });
    root.append(frame.line);
    root.setAttribute("height", y + AXIS);
    root.setAttribute("viewBox", `0 0 ${width} ${y + AXIS}`);
    box.replaceChildren(root);
    box.setAttribute("aria-label", Words.say("stripHint", { count: series.length }));
    moveCursor(cursor);
  }

  function patterns() {
    const hatch = (id, className, size) => svg("pattern",
      { id, width: size, height: size, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("line", { x1: 0, y1: 0, x2: 0, y2: size, class: className }));
    return svg("defs", {}, hatch("hatch-gap", "hatch", 6), hatch("hatch-kill", "hatch-kill", 4));
  }

  /* Bands as labelled bars on top; their shade runs down through their own gateway's lanes. */
  function drawBands(root, store, x, span, width) {
    const bands = store.ofType("band").sort((a, b) => a.from_ms - b.from_ms);
    if (!bands.length) return 4;
    const rowEnds = [];
    const layer = svg("g", { class: "bands" });
    for (const band of bands) {
      const [from, to] = bandEnds(band, span);
      const name = Words.told(band, "label") || Words.say(band.kind);
      const text = band.gateway && !name.includes(band.gateway) ? `${band.gateway}: ${name}` : name;
      const left = x(from), wide = Math.max(3, x(to) - x(from));
      const textWide = [...text].reduce((sum, c) => sum + (c.charCodeAt(0) > 255 ? 12.5 : 6.6), 12);
      const beside = textWide > wide;
      const onLeft = beside && left + wide + textWide > width - 4;
      const end = beside && !onLeft ? left + wide + textWide : left + wide;
      const begin = onLeft ? left - textWide : left;
      let row = rowEnds.findIndex((taken) => taken < begin - 4);
      if (row < 0) row = rowEnds.push(0) - 1;
      rowEnds[row] = end;
      const top = 2 + row * BAND;
      layer.append(svg("g", { class: `band ${band.kind}`, "data-band": band.id },
        svg("rect", { x: round(left), y: top, width: round(wide), height: BAND - 5, class: "bar", rx: 2 }),
        svg("text", {
          x: round(onLeft ? left - 5 : beside ? left + wide + 5 : left + 6),
          y: top + 12.5, "text-anchor": onLeft ? "end" : "start",
        }, text)));
    }
    root.append(layer);
    return rowEnds.length * BAND + 6;
  }

  function bandEnds(band, span) {
    return [Math.max(band.from_ms, span.from), Math.min(band.to_ms ?? span.to, span.to)];
  }

  function shade(layer, bands, { x, span, top, height }) {
    for (const band of bands) {
      const [from, to] = bandEnds(band, span);
      if (to < from) continue;
      layer.append(svg("rect", {
        x: round(x(from)), y: top, width: Math.max(2, round(x(to) - x(from))), height,
        class: `shade ${band.kind}`,
      }));
    }
  }

  function valueRange(points, limits) {
    const all = points.map((p) => p.value);
    if (limits?.low_milli !== undefined) all.push(limits.low_milli);
    if (limits?.high_milli !== undefined) all.push(limits.high_milli);
    let low = Infinity, high = -Infinity;
    for (const value of all) { if (value < low) low = value; if (value > high) high = value; }
    const margin = Math.max((high - low) * 0.12, 250);
    return [low - margin, high + margin];
  }

  function drawLane(root, store, line, { x, y: top, width, plot, span }) {
    const points = store.sorted(line), limits = store.limits(line.sensor);
    const bands = store.bands(line.gateway, line.sensor);
    const [low, high] = valueRange(points, limits);
    const base = top + TITLE + plot;
    const yOf = (value) => base - ((value - low) / (high - low)) * plot;
    const lane = svg("g", { class: "lane", "data-sensor": line.sensor });
    drawScale(lane, { limits, yOf, low, high, width, top: top + TITLE, plot });
    const cutting = bands.filter((band) => band.kind === "gap");
    const { parts, holes } = State.stretches(points, cutting);
    shade(lane, bands, { x, span, top: top + TITLE, height: plot });
    for (const hole of holes) {
      lane.append(svg("rect", {
        x: round(x(hole.from)), y: top + TITLE, width: round(Math.max(1, x(hole.to) - x(hole.from))),
        height: plot, class: "hole",
      }));
    }
    drawCurve(lane, { parts, limits, x, yOf, id: `lane${Math.round(top)}`, width, top: top + TITLE, plot });
    drawExcursions(lane, points, limits, x, yOf);
    const title = laneTitle(lane, { name: line.sensor, top, width });
    frame.lanes.push({ line, points, limits, yOf, value: title, dot: lane.appendChild(svg("circle", { r: 3.5, class: "dot", hidden: "" })) });
    root.append(lane);
    return base + GAP;
  }

  function laneTitle(lane, { name, top, width }) {
    const value = svg("text", { x: width - RIGHT, y: top + 17, class: "value", "text-anchor": "end" });
    lane.append(svg("text", { x: LEFT, y: top + 16, class: "name" }, name), value);
    return value;
  }

  function drawScale(lane, { limits, yOf, low, high, width, top, plot }) {
    const right = width - RIGHT;
    lane.append(svg("rect", { x: LEFT, y: top, width: right - LEFT, height: plot, class: "frame" }));
    const label = (value, className) => lane.append(
      svg("line", { x1: LEFT, x2: right, y1: round(yOf(value)), y2: round(yOf(value)), class: className }),
      svg("text", { x: LEFT - 5, y: round(yOf(value)) + 4, class: "tick", "text-anchor": "end" },
        celsius(value, value % 1000 ? 1 : 0)));
    if (!limits) { label(Math.round((low + high) / 2000) * 1000, "rule"); return; }
    const lower = limits.low_milli, upper = limits.high_milli;
    const upperY = round(yOf(upper ?? high)), lowerY = round(yOf(lower ?? low));
    lane.append(svg("rect", { x: LEFT, y: upperY, width: right - LEFT, height: lowerY - upperY, class: "inside" }));
    if (upper !== undefined) label(upper, "limit");
    if (lower !== undefined) label(lower, "limit");
  }

  /* One curve, three clips: what lies above the limit is warm ink, below cold, between plain. */
  function drawCurve(lane, { parts, limits, x, yOf, id, width, top, plot }) {
    const bottom = top + plot;
    const upper = limits?.high_milli === undefined ? top : Math.max(top, yOf(limits.high_milli));
    const lower = limits?.low_milli === undefined ? bottom : Math.min(bottom, yOf(limits.low_milli));
    const zones = [["above", top - 4, upper], ["within", upper, lower], ["below", lower, bottom + 4]];
    const heights = parts.flatMap((part) => part.points.map((p) => yOf(p.value)));
    const highest = heights.reduce((a, b) => Math.min(a, b), Infinity);
    const lowest = heights.reduce((a, b) => Math.max(a, b), -Infinity);
    for (const [zone, from, to] of zones) {
      if (to <= from || lowest < from || highest > to) continue;
      const clip = `${id}-${zone}`;
      const group = svg("g", { class: `curve ${zone}`, "clip-path": `url(#${clip})` });
      lane.append(svg("clipPath", { id: clip }, svg("rect", { x: 0, y: round(from), width, height: round(to - from) })));
      for (const part of parts) group.append(stretch(part, x, yOf));
      lane.append(group);
    }
  }

  function stretch(part, x, yOf) {
    const className = `s${part.state}`;
    if (part.points.length === 1) {
      const [only] = part.points;
      return svg("circle", { cx: round(x(only.t)), cy: round(yOf(only.value)), r: 2, class: `lone ${className}` });
    }
    const points = Draw.thin(part.points, x);
    return svg("path", { d: Draw.path(points, (p) => x(p.t), (p) => yOf(p.value)), class: className });
  }

  /* A shape beside the colour: one triangle at the peak of each time outside the limits. */
  function drawExcursions(lane, points, limits, x, yOf) {
    if (!limits) return;
    let side = 0, peak = null;
    const mark = () => {
      if (!peak) return;
      const cx = round(x(peak.t)), cy = round(yOf(peak.value)) - side * 8;
      const d = `M${cx - 4.5} ${cy + side * 3.5}h9l-4.5 ${-side * 7.5}z`;
      lane.append(svg("path", { d, class: `mark ${side > 0 ? "above" : "below"}` },
        svg("title", {}, `${celsius(peak.value)} °C, ${Words.say(side > 0 ? "above" : "below")}`)));
    };
    for (const point of points) {
      const here = point.value > (limits.high_milli ?? Infinity) ? 1 : point.value < (limits.low_milli ?? -Infinity) ? -1 : 0;
      if (here !== side) { mark(); side = here; peak = null; }
      if (here && (!peak || (point.value - peak.value) * here > 0)) peak = point;
    }
    mark();
  }

  function drawLedger(root, store, gateway, { x, y: top, width, span }) {
    const lane = svg("g", { class: "lane blocks", "data-gateway": gateway });
    const blocks = store.ofType("block").filter((block) => block.gateway === gateway);
    const anchors = store.ofType("anchor").filter((anchor) => anchor.gateway === gateway);
    const row = top + TITLE, middle = row + LEDGER / 2;
    shade(lane, store.bands(gateway), { x, span, top: row, height: LEDGER });
    lane.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: row + LEDGER, y2: row + LEDGER, class: "rule" }));
    const most = Math.max(1, ...blocks.map((block) => block.readings ?? 1));
    let anchoredCount = 0;
    for (const block of blocks) {
      const anchored = Boolean(store.anchorOf(block));
      anchoredCount += anchored ? 1 : 0;
      const tall = round(5 + 14 * ((block.readings ?? 1) / most));
      lane.append(svg("rect", {
        x: round(x(block.t_ms)) - 2, y: round(row + LEDGER - tall), width: 4, height: tall,
        class: anchored ? "block anchored" : "block",
      }));
    }
    for (const anchor of anchors) {
      lane.append(svg("path", { d: `M${round(x(anchor.t_ms))} ${middle - 13}l4 4l-4 4l-4 -4z`, class: "anchor" }));
    }
    const value = laneTitle(lane, { name: gateway, top, width });
    value.textContent = Words.say("blocks", { blocks: blocks.length, anchors: anchoredCount });
    value.classList.add("small");
    root.append(lane);
    return row + LEDGER + GAP;
  }

  function drawAxis(layer, { span, x, y, width }) {
    const { ticks, withSeconds } = Draw.timeTicks(span.from, span.to, width - LEFT - RIGHT);
    layer.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: y, y2: y, class: "axis" }));
    const place = `${Words.day(span.from)} ${Words.zone(span.from)}`; // which day, whose clock
    let free = LEFT + place.length * 7 + 8;
    layer.append(svg("text", { x: LEFT, y: y + 18, class: "tick" }, place));
    for (const tick of ticks) {
      const at = round(x(tick));
      layer.append(svg("line", { x1: at, x2: at, y1: 2, y2: y + 4, class: "rule" }));
      if (at - 20 < free || at + 20 > width) continue;
      layer.append(svg("text", { x: at, y: y + 18, class: "tick", "text-anchor": "middle" }, Words.clock(tick, withSeconds)));
      free = at + 36;
    }
  }

  /* Put the cursor at a time, or take it away (null): lane titles tell the value there. */
  function moveCursor(t) {
    if (!frame) return;
    const at = t === null ? null : Math.min(Math.max(t, frame.span.from), frame.span.to);
    frame.line.toggleAttribute("hidden", at === null);
    if (at !== null) {
      frame.line.setAttribute("x1", round(frame.x(at)));
      frame.line.setAttribute("x2", round(frame.x(at)));
    }
    for (const lane of frame.lanes) {
      const point = at === null ? lane.points.at(-1) : State.nearest(lane.points, at);
      lane.dot.toggleAttribute("hidden", !point);
      if (!point) continue;
      lane.dot.setAttribute("cx", round(frame.x(point.t)));
      lane.dot.setAttribute("cy", round(lane.yOf(point.value)));
      lane.dot.setAttribute("class", `dot s${point.state}`);
      lane.value.textContent = `${celsius(point.value, 2)} °C`;
      lane.value.setAttribute("class", `value ${side(point, lane.limits)}`);
    }
  }

  function side(point, limits) {
    if (!limits) return "";
    if (point.value > (limits.high_milli ?? Infinity)) return "above";
    return point.value < (limits.low_milli ?? -Infinity) ? "below" : "";
  }

  function timeAt(pixels) {
    if (!frame) return null;
    const part = (pixels - LEFT) / (frame.width - LEFT - RIGHT);
    return frame.span.from + Math.min(1, Math.max(0, part)) * (frame.span.to - frame.span.from);
  }

  /* The next reading's time of any sensor, for the arrow keys. */
  function step(t, direction) {
    if (!frame) return null;
    const times = frame.lanes.flatMap((lane) => lane.points.map((p) => p.t));
    if (!times.length) return null;
    if (t === null) return Math.max(...times);
    const onward = times.filter((time) => (time - t) * direction > 0);
    return onward.length ? onward.reduce((a, b) => ((a - b) * direction < 0 ? a : b)) : t;
  }

  return { drawStrip, moveCursor, timeAt, step };
})();
