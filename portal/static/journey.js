// Draws a journey: limits as a band, spells outside it, silences hatched, what is not anchored
// dashed. A silence is never bridged; chart and map share one cursor.
import { WayMap } from "/static/map.js";

const FEW = 3, BUCKETS = 720;
const zone = "UTC";
const stamp = new Intl.DateTimeFormat(document.documentElement.lang, { timeZone: zone, dateStyle: "medium", timeStyle: "medium" });
const number = (milli) => (milli / 1000).toFixed(2).replace("-", "−");

/** A line's points with a break in each silence. */
function broken(line) {
  const t = [], v = [], rest = [...line.silences];
  line.t.forEach((at, i) => {
    while (rest.length && rest[0][0] < at) {
      const [from, to] = rest.shift();
      if (i && from > line.t[i - 1] && to <= at) { t.push(from); v.push(null); }
    }
    t.push(at); v.push(line.v[i]);
  });
  return { t, v };
}

/** Few lines: each with its own moments, anchored and unproven parts apart. */
function tablesOfFew(lines) {
  return uPlot.join(lines.map((line) => {
    const { t, v } = broken(line), edge = line.proven ?? -Infinity;
    const last = t.findLastIndex((at) => at <= edge);
    return [t.map((at) => at / 1000), v.map((y, i) => (i <= last ? scaled(y) : null)), v.map((y, i) => (i >= last ? scaled(y) : null))];
  }));
}
const scaled = (milli) => (milli === null ? null : milli / 1000);

/** Many lines: shared buckets, least and greatest of each exactly, in the order they came. */
function tablesOfMany(lines, from, to) {
  const width = Math.max(60_000, Math.ceil((to - from) / BUCKETS)), count = Math.ceil((to - from) / width) + 1;
  const x = Array.from({ length: 2 * count }, (_, i) => (from + (i * width) / 2) / 1000);
  return [x, ...lines.map((line) => {
    const y = new Array(2 * count).fill(null), low = new Array(count).fill(-1), high = new Array(count).fill(-1);
    line.t.forEach((at, i) => {
      const k = Math.floor((at - from) / width);
      if (k < 0 || k >= count) return;
      if (low[k] < 0 || line.v[i] < line.v[low[k]]) low[k] = i;
      if (high[k] < 0 || line.v[i] > line.v[high[k]]) high[k] = i;
    });
    low.forEach((i, k) => {
      if (i < 0) return;
      const [first, second] = i <= high[k] ? [i, high[k]] : [high[k], i];
      y[2 * k] = line.v[first] / 1000; y[2 * k + 1] = line.v[second] / 1000;
    });
    return y;
  })];
}

/** Ticks of the time axis: hours of the day, with the date where a day begins. */
function hours(_chart, ticks, _axis, _space, step) {
  return ticks.map((s) => {
    const text = new Date(s * 1000).toISOString(), day = text.slice(5, 10), hour = text.slice(11, 16);
    if (step >= 86_400) return day;
    return hour === "00:00" ? `${hour}\n${day}` : hour;
  });
}

function hatch(ink) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = ink; pen.lineWidth = 1;
  pen.beginPath(); pen.moveTo(0, 8); pen.lineTo(8, 0); pen.moveTo(-2, 2); pen.lineTo(2, -2); pen.moveTo(6, 10); pen.lineTo(10, 6); pen.stroke();
  return tile;
}

class Evidence {
  constructor(root) {
    this.root = root;
    this.box = root.querySelector(".chart");
    this.readout = root.querySelector(".readout");
    this.map = new WayMap(root.querySelector(".map"), (ms) => this.point(ms));
    this.box.addEventListener("keydown", (event) => this.key(event));
    const button = root.querySelector("[data-table]");
    button.addEventListener("click", () => this.table(button));
    new ResizeObserver(() => this.chart?.setSize(this.size())).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async load() {
    const answer = await fetch(this.root.dataset.journey, { headers: { accept: "application/json" } });
    if (!answer.ok) { this.readout.textContent = this.root.dataset.failed; return; }
    this.data = await answer.json();
    this.draw();
    const proven = this.data.lines.map((line) => line.proven).filter((ms) => ms !== null);
    await this.map.show(this.data.track, { sideAt: (ms) => this.sideAt(ms), provenMs: proven.length ? Math.max(...proven) : null });
    this.root.dataset.drawn = String(Math.round(performance.now()));
  }

  ink(name) { return getComputedStyle(this.root).getPropertyValue(name).trim(); }
  size() { return { width: Math.max(240, this.box.clientWidth), height: 320 }; }
  sideAt(ms) {
    for (const line of this.data.lines) for (const [from, to, side] of line.spells) if (ms >= from && ms <= to) return side;
    return null;
  }

  draw() {
    if (!this.data) return;
    const { lines, from, to } = this.data;
    this.few = lines.length <= FEW;
    this.rows = this.few ? tablesOfFew(lines.length ? lines : [{ t: [], v: [], silences: [], proven: null }]) : tablesOfMany(lines, from, to);
    const solid = { stroke: this.ink("--ink"), width: this.few ? 2 : 1, points: { show: false } };
    const dashed = { ...solid, stroke: this.ink("--quiet"), dash: [5, 5] };
    const series = lines.flatMap((line) => (this.few ? [{ ...solid, label: line.name }, { ...dashed, label: line.name }] : [{ ...solid, label: line.name, alpha: 0.7 }]));
    const axis = { stroke: this.ink("--quiet"), grid: { stroke: this.ink("--rule"), width: 1 }, ticks: { stroke: this.ink("--faint") }, font: "13px system-ui" };
    this.chart?.destroy();
    this.chart = new uPlot({
      ...this.size(), tzDate: (s) => uPlot.tzDate(new Date(s * 1000), zone), cursor: { drag: { x: true, y: false } },
      scales: { x: { min: from / 1000, max: to / 1000 }, y: { range: (_, low, high) => this.range(low, high) } },
      axes: [{ ...axis, values: hours }, { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => `${String(tick).replace("-", "−")}°`) }],
      series: [{}, ...(series.length ? series : [solid, dashed])],
      hooks: { drawClear: [(chart) => this.behind(chart)], draw: [(chart) => this.before(chart)], setCursor: [(chart) => this.cursor(chart)], setScale: [(chart) => this.holders(chart)] },
    }, this.rows, this.box);
    this.holders(this.chart);
  }

  range(low, high) {
    const edges = [low, high, ...this.data.limits.filter((x) => x !== null).map((x) => x / 1000)].filter((x) => x !== null && Number.isFinite(x));
    if (!edges.length) return [0, 10];
    const [least, most] = [Math.min(...edges), Math.max(...edges)], room = Math.max(0.5, (most - least) * 0.08);
    return [least - room, most + room];
  }

  behind(chart) {
    const { ctx: pen, bbox } = chart, x = (ms) => chart.valToPos(ms / 1000, "x", true), y = (milli) => chart.valToPos(milli / 1000, "y", true);
    pen.save(); pen.beginPath(); pen.rect(bbox.left, bbox.top, bbox.width, bbox.height); pen.clip();
    const [low, high] = this.data.limits;
    if (low !== null || high !== null) {
      const top = high === null ? bbox.top : y(high), bottom = low === null ? bbox.top + bbox.height : y(low);
      pen.fillStyle = this.ink("--band"); pen.fillRect(bbox.left, top, bbox.width, bottom - top);
    }
    if (this.few) {
      pen.fillStyle = pen.createPattern(hatch(this.ink("--hatch")), "repeat");
      for (const line of this.data.lines) for (const [from, to] of line.silences) pen.fillRect(x(from), bbox.top, x(to) - x(from), bbox.height);
    }
    for (const line of this.data.lines) for (const [from, to, side] of line.spells) {
      pen.fillStyle = this.ink(side === "above" ? "--warm-band" : "--cold-band");
      pen.fillRect(x(from), bbox.top, Math.max(2, x(to) - x(from)), bbox.height);
    }
    pen.restore();
  }

  before(chart) {
    const { ctx: pen, bbox } = chart, x = (ms) => chart.valToPos(ms / 1000, "x", true), y = (milli) => chart.valToPos(milli / 1000, "y", true);
    pen.save(); pen.beginPath(); pen.rect(bbox.left, bbox.top, bbox.width, bbox.height); pen.clip();
    pen.font = `${14 * devicePixelRatio}px system-ui`; pen.textAlign = "center";
    for (const line of this.data.lines) {
      for (const [from, to, side, extreme] of line.spells) {
        pen.fillStyle = this.ink(side === "above" ? "--warm" : "--cold");
        pen.fillText(side === "above" ? "▲" : "▼", x((from + to) / 2), y(extreme) + (side === "above" ? -4 : 16) * devicePixelRatio);
      }
      pen.fillStyle = this.ink("--bad");
      for (const [at] of line.marks) pen.fillText("◇", x(at), bbox.top + 14 * devicePixelRatio);
    }
    pen.restore();
  }

  holders(chart) {
    const strip = this.root.querySelector(".holders"), { holders } = this.data;
    strip.hidden = !holders.length;
    if (!holders.length || !chart?.bbox) return;
    const left = chart.bbox.left / devicePixelRatio, width = chart.bbox.width / devicePixelRatio;
    strip.replaceChildren(...holders.map(([from, to, name]) => {
      const band = document.createElement("span");
      const [a, b] = [from, to].map((ms) => Math.min(width, Math.max(0, chart.valToPos(ms / 1000, "x"))));
      band.style.left = `${left + a}px`; band.style.width = `${Math.max(0, b - a)}px`;
      band.textContent = name; band.title = name; band.hidden = b <= a;
      return band;
    }));
  }

  cursor(chart) {
    const { idx } = chart.cursor;
    if (idx === null || idx === undefined) return;
    const at = chart.data[0][idx];
    const values = chart.data.slice(1).map((row, i) => [chart.series[i + 1].label, row[idx]]).filter(([, y]) => y !== null && y !== undefined);
    const shown = [...new Map(values)].slice(0, 4).map(([name, y]) => `${number(y * 1000)} °C  ${name}`);
    this.readout.textContent = `${stamp.format(at * 1000)} ${zone}   ${shown.join("   ")}`;
    this.map.point(at * 1000);
  }

  point(ms) {
    const left = this.chart.valToPos(ms / 1000, "x");
    this.chart.setCursor({ left, top: 10 });
  }

  key(event) {
    const chart = this.chart, moments = chart?.data[0];
    if (!moments?.length) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity }[event.key];
    const zoom = { "+": 0.5, "=": 0.5, "-": 2, "−": 2 }[event.key];
    if (step !== undefined) {
      const index = Math.min(moments.length - 1, Math.max(0, (chart.cursor.idx ?? 0) + step));
      chart.setCursor({ left: chart.valToPos(moments[index], "x"), top: 10 });
    } else if (zoom) {
      const { min, max } = chart.scales.x, middle = moments[chart.cursor.idx ?? 0] ?? (min + max) / 2, half = ((max - min) * zoom) / 2;
      chart.setScale("x", { min: Math.max(this.data.from / 1000, middle - half), max: Math.min(this.data.to / 1000, middle + half) });
    } else return;
    event.preventDefault();
  }

  table(button) {
    const place = this.root.querySelector(".table");
    place.hidden = !place.hidden;
    button.setAttribute("aria-expanded", String(!place.hidden));
    if (place.hidden || !this.data) return;
    const table = document.createElement("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    for (const name of [this.root.dataset.time, "", this.root.dataset.value]) {
      const cell = document.createElement("th"); cell.textContent = name; cell.scope = "col"; head.append(cell);
    }
    for (const line of this.data.lines) line.t.slice(0, 2000).forEach((at, i) => {
      const row = body.insertRow(), proof = line.proven !== null && at <= line.proven ? this.root.dataset.proven : this.root.dataset.unproven;
      for (const text of [stamp.format(at), `${line.name} · ${proof}`, `${number(line.v[i])} °C`]) row.insertCell().textContent = text;
    });
    place.replaceChildren(table);
  }
}

for (const root of document.querySelectorAll("[data-journey]")) {
  const evidence = new Evidence(root);
  evidence.load();
  document.addEventListener("wharf:change", () => evidence.load());
}
