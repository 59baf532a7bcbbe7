"use strict";
/* What the page knows: the latest of each thing, points by time. The server has merged already. */
const State = (() => {
  const LIVE = 0, JOURNALED = 1, ANCHORED = 2, OPENED = 3;
  const NAMES = ["live", "journaled", "anchored", "opened"];

  class Store {
    constructor() {
      this.things = new Map();
      this.lines = new Map(); // key -> {gateway, sensor, points: Map(t_ms -> point), sorted}
      this.revision = 0;
    }

    take(messages) {
      for (const message of messages) {
        if (message.type === "series") this.takePoints(message, "celsius_milli");
        else if (message.type === "track") this.takePoints(message, "lat_e7");
        else this.things.set(message.key ?? message.type, message);
      }
      this.revision += 1;
    }

    takePoints(message, field) {
      let line = this.lines.get(message.key);
      if (!line) {
        line = { ...message, points: new Map(), sorted: [] };
        this.lines.set(message.key, line);
      }
      message.t_ms.forEach((t, i) => {
        const point = { t, state: message.state[i], value: message[field][i] };
        if (message.lon_e7) point.lon = message.lon_e7[i];
        line.points.set(t, point);
      });
      line.sorted = null;
    }

    sorted(line) {
      line.sorted ??= [...line.points.values()].sort((a, b) => a.t - b.t);
      return line.sorted;
    }

    series() {
      return [...this.lines.values()].filter((line) => line.type === "series")
        .sort((a, b) => a.gateway.localeCompare(b.gateway) || a.sensor.localeCompare(b.sensor));
    }

    tracks() {
      return [...this.lines.values()].filter((line) => line.type === "track");
    }

    ofType(type) {
      return [...this.things.values()].filter((thing) => thing.type === type);
    }

    one(type) {
      return this.things.get(type);
    }

    limits(sensor) {
      return this.things.get(`limits ${sensor}`);
    }

    gateways() {
      const names = new Set(this.series().map((line) => line.gateway));
      for (const type of ["block", "anchor", "band"]) {
        for (const thing of this.ofType(type)) if (thing.gateway) names.add(thing.gateway);
      }
      for (const line of this.tracks()) names.add(line.gateway);
      return [...names].sort();
    }

    /* A band may speak of all, of one gateway, or of one sensor of it. */
    bands(gateway, sensor) {
      return this.ofType("band").filter((band) => (!band.gateway || band.gateway === gateway) &&
        (!band.sensor || !sensor || band.sensor === sensor));
    }

    /* Anchoring a height anchors every block below it: one head covers all before it. */
    anchorOf(block) {
      return this.ofType("anchor")
        .filter((anchor) => anchor.gateway === block.gateway && anchor.height >= block.height)
        .sort((a, b) => a.height - b.height || a.t_ms - b.t_ms)[0];
    }

    span() {
      let from = Infinity, to = -Infinity;
      const see = (t) => { if (t < from) from = t; if (t > to) to = t; };
      for (const line of this.lines.values()) {
        const points = this.sorted(line);
        if (points.length) { see(points[0].t); see(points.at(-1).t); }
      }
      for (const type of ["block", "anchor"]) for (const thing of this.ofType(type)) see(thing.t_ms);
      for (const band of this.ofType("band")) { see(band.from_ms); if (band.to_ms) see(band.to_ms); }
      return from <= to ? { from, to: Math.max(to, from + 1000) } : null;
    }
  }

  /* The usual distance between readings; three of it without one is a hole (never drawn across). */
  function usualInterval(points) {
    const steps = [];
    for (let i = 1; i < points.length; i += 1) steps.push(points[i].t - points[i - 1].t);
    steps.sort((a, b) => a - b);
    return steps.length ? steps[steps.length >> 1] : 0;
  }

  /* Cut points into stretches of one look. Cut at holes and at signed gaps; share the end point
     where only the state changes, and give the joining line the less sure of both looks. */
  function stretches(points, breaks) {
    const holeMs = Math.max(usualInterval(points) * 3.5, 1);
    const result = [], holes = [];
    let current = null;
    points.forEach((point, i) => {
      const before = points[i - 1];
      if (!before) { current = { state: point.state, points: [point] }; result.push(current); return; }
      const broken = point.t - before.t > holeMs ||
        breaks.some((band) => spans(before.t, point.t, band));
      if (broken) {
        if (point.t - before.t > holeMs) holes.push({ from: before.t, to: point.t });
        current = { state: point.state, points: [point] };
        result.push(current);
        return;
      }
      const state = Math.min(point.state, before.state);
      if (state === current.state || current.points.length === 1) {
        current.state = state;
        current.points.push(point);
      } else {
        current = { state, points: [before, point] };
        result.push(current);
      }
    });
    return { parts: result, holes };
  }

  /* Two readings span a gap when most of it lies between them. */
  function spans(from, to, band) {
    const end = band.to_ms ?? Infinity;
    const covered = Math.min(to, end) - Math.max(from, band.from_ms);
    return covered > 0 && covered * 2 >= end - band.from_ms;
  }

  function nearest(points, t) {
    let low = 0, high = points.length - 1;
    if (high < 0) return null;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle].t < t) low = middle + 1; else high = middle;
    }
    const before = points[low - 1];
    return before && t - before.t < points[low].t - t ? before : points[low];
  }

  /* Time outside the limits, counted from reading to reading, holes left out. */
  function outside(points, limits) {
    let ms = 0, count = 0;
    if (!limits) return { ms, count };
    const holeMs = usualInterval(points) * 3.5;
    const isOut = (p) => p.value > (limits.high_milli ?? Infinity) || p.value < (limits.low_milli ?? -Infinity);
    points.forEach((point, i) => {
      if (!isOut(point)) return;
      count += 1;
      const next = points[i + 1];
      if (next && next.t - point.t <= holeMs) ms += next.t - point.t;
    });
    return { ms, count };
  }

  return { Store, stretches, nearest, outside, NAMES, LIVE, JOURNALED, ANCHORED, OPENED };
})();
