// A quiet map of our own: land from Natural Earth, the way, its stops, and one dot for "now".
const E7 = 1e7;
const STOP_MS = 5 * 60_000, STOP_DEGREES = 0.003;
let land = null;

/** Rings of [longitude, latitude] out of a TopoJSON file with one geometry collection. */
function rings(topology) {
  const { scale: [kx, ky], translate: [dx, dy] } = topology.transform;
  const arcs = topology.arcs.map((arc) => {
    let x = 0, y = 0;
    return arc.map(([a, b]) => [(x += a) * kx + dx, (y += b) * ky + dy]);
  });
  const ring = (indexes) => indexes.flatMap((i) => (i < 0 ? [...arcs[~i]].reverse() : arcs[i]));
  const geometries = Object.values(topology.objects)[0].geometries;
  return geometries.flatMap((shape) => (shape.type === "Polygon" ? [shape.arcs] : shape.arcs)).flat().map(ring);
}

async function landRings() {
  if (!land) land = fetch("/static/vendor/land-50m.json").then((a) => a.json()).then(rings);
  return land;
}

/** Where the way stood still: [longitude, latitude, ms]. */
function stops(track) {
  const found = [];
  for (let i = 0; i < track.length;) {
    let j = i + 1;
    while (j < track.length && Math.hypot(track[j][1] - track[i][1], track[j][2] - track[i][2]) / E7 < STOP_DEGREES) j++;
    const length = track[Math.min(j, track.length - 1)][0] - track[i][0];
    if (length >= STOP_MS) found.push([track[i][2] / E7, track[i][1] / E7, length]);
    i = j;
  }
  return found;
}

export class WayMap {
  /** sideAt(ms): "above", "below" or null; provenMs: later points are not anchored. */
  constructor(canvas, onPoint) {
    this.canvas = canvas;
    this.now = null;
    canvas.addEventListener("pointermove", (event) => {
      const at = this.nearest(event.offsetX, event.offsetY);
      if (at !== null) onPoint(at);
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  async show(track, { sideAt, provenMs }) {
    Object.assign(this, { track, sideAt, provenMs, halts: stops(track) });
    this.canvas.hidden = track.length === 0;
    if (track.length) { this.land = await landRings(); this.draw(); }
  }

  frame() {
    const lat = this.track.map((p) => p[1] / E7), lon = this.track.map((p) => p[2] / E7);
    const [south, north, west, east] = [Math.min(...lat), Math.max(...lat), Math.min(...lon), Math.max(...lon)];
    const middle = (south + north) / 2, squeeze = Math.cos((middle * Math.PI) / 180) || 1e-6;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const spanX = Math.max((east - west) * squeeze, 0.4) * 1.3, spanY = Math.max(north - south, 0.2) * 1.3;
    const scale = Math.min(width / spanX, height / spanY);
    const centre = (west + east) / 2;
    return (x, y) => [width / 2 + (x - centre) * squeeze * scale, height / 2 - (y - middle) * scale];
  }

  draw() {
    if (!this.track?.length || !this.land) return;
    const { canvas } = this, ratio = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const pen = canvas.getContext("2d"), ink = (name) => getComputedStyle(canvas).getPropertyValue(name).trim();
    pen.scale(ratio, ratio);
    const place = this.place = this.frame();
    pen.fillStyle = ink("--paper"); pen.strokeStyle = ink("--faint"); pen.lineWidth = 1;
    for (const ring of this.land) {
      pen.beginPath();
      for (const [x, y] of ring) pen.lineTo(...place(x, y));
      pen.closePath(); pen.fill(); pen.stroke();
    }
    this.way(pen, ink);
    pen.fillStyle = ink("--quiet");
    for (const [x, y, length] of this.halts) {
      pen.beginPath(); pen.arc(...place(x, y), Math.min(12, 3 + Math.sqrt(length / STOP_MS)), 0, 7); pen.globalAlpha = 0.5; pen.fill(); pen.globalAlpha = 1;
    }
    if (this.now !== null) this.dot(pen, ink);
  }

  way(pen, ink) {
    pen.lineWidth = 3; pen.lineCap = "round";
    const hues = { above: ink("--warm"), below: ink("--cold") };
    for (let i = 1; i < this.track.length; i++) {
      const [a, b] = [this.track[i - 1], this.track[i]];
      pen.setLineDash(this.provenMs !== null && b[0] > this.provenMs ? [4, 6] : []);
      pen.strokeStyle = hues[this.sideAt(b[0])] ?? ink("--ink");
      pen.beginPath(); pen.moveTo(...this.place(a[2] / E7, a[1] / E7)); pen.lineTo(...this.place(b[2] / E7, b[1] / E7)); pen.stroke();
    }
    pen.setLineDash([]);
  }

  dot(pen, ink) {
    const at = this.track.reduce((best, p) => (Math.abs(p[0] - this.now) < Math.abs(best[0] - this.now) ? p : best));
    pen.beginPath(); pen.arc(...this.place(at[2] / E7, at[1] / E7), 7, 0, 7);
    pen.fillStyle = ink("--accent"); pen.fill(); pen.lineWidth = 2; pen.strokeStyle = ink("--card"); pen.stroke();
  }

  point(ms) { this.now = ms; this.draw(); }

  nearest(x, y) {
    if (!this.place) return null;
    let best = null, least = 40;
    for (const p of this.track) {
      const [px, py] = this.place(p[2] / E7, p[1] / E7), far = Math.hypot(px - x, py - y);
      if (far < least) { least = far; best = p[0]; }
    }
    return best;
  }
}
