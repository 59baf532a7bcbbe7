"use strict";
/* The map: a plain ground, the track in the look of its state. No tiles, nothing from outside. */
const Track = (() => {
  const { svg, round } = Draw;
  const PAD = 26;
  let frame = null;

  function project(points) {
    // Equal lengths in both directions at the middle latitude: true enough for one trip.
    const middle = points.reduce((sum, p) => sum + p.value, 0) / points.length / 1e7;
    const squeeze = Math.max(0.05, Math.cos((middle * Math.PI) / 180));
    return { squeeze, metre: 111_195 };
  }

  function bounds(all) {
    const box = { south: Infinity, north: -Infinity, west: Infinity, east: -Infinity };
    for (const p of all) {
      box.south = Math.min(box.south, p.value); box.north = Math.max(box.north, p.value);
      box.west = Math.min(box.west, p.lon); box.east = Math.max(box.east, p.lon);
    }
    return box;
  }

  function drawMap(box, note, store, cursor) {
    const tracks = store.tracks().filter((line) => line.points.size);
    frame = null;
    if (!tracks.length) {
      box.replaceChildren(Draw.html("p", { class: "empty" }, Words.say("noTrack")));
      note.textContent = "";
      return;
    }
    const width = Math.max(240, box.clientWidth || 340), height = Math.round(Math.min(300, width * 0.72));
    const all = tracks.flatMap((line) => store.sorted(line));
    const { squeeze, metre } = project(all);
    const { south, north, west, east } = bounds(all);
    const spanX = Math.max((east - west) * squeeze, 2000), spanY = Math.max(north - south, 2000);
    const unit = Math.min((width - 2 * PAD) / spanX, (height - 2 * PAD) / spanY);
    const centreX = (west + east) / 2, centreY = (south + north) / 2;
    const x = (p) => width / 2 + (p.lon - centreX) * squeeze * unit;
    const y = (p) => height / 2 - (p.value - centreY) * unit;
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "map-svg", role: "img", "aria-label": Words.say("map") });
    root.append(svg("rect", { x: 0.5, y: 0.5, width: width - 1, height: height - 1, class: "ground", rx: 4 }));
    drawGraticule(root, { x, y, width, height, centreX, centreY, squeeze, unit });
    for (const line of tracks) drawTrack(root, store, line, x, y);
    drawScale(root, { unit, metre, width, height });
    frame = { store, tracks, x, y, dot: root.appendChild(svg("circle", { r: 5.5, class: "here" })) };
    box.replaceChildren(root);
    note.textContent = tracks.map((line) => line.gateway).join(", ");
    moveCursor(cursor);
  }

  function drawGraticule(root, { x, y, width, height, centreX, centreY, squeeze, unit }) {
    const room = 90 / unit; // ten-millionths of a degree for about 90 px
    const power = 10 ** Math.floor(Math.log10(room));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= room);
    const digits = Math.max(0, Math.ceil(7 - Math.log10(step)));
    const halfX = width / 2 / (squeeze * unit), halfY = height / 2 / unit;
    const lines = svg("g", { class: "graticule" });
    for (let lon = Math.ceil((centreX - halfX) / step) * step; lon <= centreX + halfX; lon += step) {
      const at = round(x({ lon, value: 0 }));
      lines.append(svg("line", { x1: at, x2: at, y1: 1, y2: height - 1 }));
      if (at > 30 && at < width - 30) lines.append(svg("text", { x: at + 3, y: 11 }, `${(lon / 1e7).toFixed(digits)}°`));
    }
    for (let lat = Math.ceil((centreY - halfY) / step) * step; lat <= centreY + halfY; lat += step) {
      const at = round(y({ lon: 0, value: lat }));
      lines.append(svg("line", { x1: 1, x2: width - 1, y1: at, y2: at }));
      if (at > 24 && at < height - 8) lines.append(svg("text", { x: 4, y: at - 3 }, `${(lat / 1e7).toFixed(digits)}°`));
    }
    root.append(lines);
  }

  function drawTrack(root, store, line, x, y) {
    const points = store.sorted(line);
    const { parts } = State.stretches(points, store.bands(line.gateway).filter((band) => band.kind === "gap"));
    const group = svg("g", { class: "track", "data-gateway": line.gateway });
    for (const part of parts) {
      if (part.points.length > 1) group.append(svg("path", { d: Draw.path(part.points, x, y), class: `s${part.state}` }));
    }
    for (const band of store.bands(line.gateway).filter((b) => b.kind !== "gap")) {
      const inside = points.filter((p) => p.t >= band.from_ms && p.t <= (band.to_ms ?? Infinity));
      if (inside.length > 1) group.append(svg("path", { d: Draw.path(inside, x, y), class: `track-band ${band.kind}` }));
    }
    const first = points[0];
    group.append(svg("circle", { cx: round(x(first)), cy: round(y(first)), r: 4, class: "from" }),
      svg("text", { x: round(x(first)) + 7, y: round(y(first)) + 4, class: "label" }, `${Words.say("start")} ${Words.clock(first.t)}`));
    root.append(group);
  }

  function drawScale(root, { unit, metre, width, height }) {
    const metres = (90 / unit / 1e7) * metre;
    const power = 10 ** Math.floor(Math.log10(metres));
    const length = [5, 2, 1].map((m) => m * power).find((m) => m <= metres);
    const pixels = round((length / metre) * 1e7 * unit);
    const text = length >= 1000 ? `${length / 1000} km` : `${length} m`;
    const left = width - 12 - pixels;
    root.append(svg("path", { d: `M${left} ${height - 14}v4h${pixels}v-4`, class: "scale" }),
      svg("text", { x: left - 5, y: height - 9, class: "tick", "text-anchor": "end" }, text));
  }

  function moveCursor(t) {
    if (!frame) return;
    const line = frame.tracks[0], points = frame.store.sorted(line);
    const point = t === null ? points.at(-1) : State.nearest(points, t);
    if (!point) return;
    frame.dot.setAttribute("cx", round(frame.x(point)));
    frame.dot.setAttribute("cy", round(frame.y(point)));
    frame.dot.setAttribute("class", `here s${point.state}`);
  }

  return { drawMap, moveCursor };
})();
