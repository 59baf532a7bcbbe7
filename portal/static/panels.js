"use strict";
/* What stands in words and tables: the answer, the legend, the blocks, the account, the proof. */
const Panels = (() => {
  const { html, svg, celsius } = Draw;
  const ROWS_MAX = 9, TABLE_MAX = 400;
  const COLUMNS = ["sent", "acknowledged", "journaled", "in_blocks", "mirrored", "anchored", "opened", "missing", "uncovered"];

  function drawAnswer(box, store) {
    const verdict = store.one("verdict"), progress = store.one("progress");
    const facts = temperatureFacts(store);
    const parts = [];
    if (verdict) {
      parts.push(html("p", { class: `headline ${verdict.ok ? "good" : "bad"}` },
        html("span", { class: "seal", "aria-hidden": "true" }, verdict.ok ? "✓" : "✕"),
        Words.say(verdict.ok ? "proven" : "refuted")),
      html("p", { class: "lead" }, Words.say(verdict.ok ? "provenLine" : "refutedLine")));
    } else if (progress) {
      parts.push(html("p", { class: "headline small" }, Words.told(progress, "text")));
      if (progress.total) {
        parts.push(html("div", { class: "progress" },
          html("progress", { max: progress.total, value: progress.done ?? 0 }),
          html("span", { class: "figures" }, `${progress.done ?? 0} / ${progress.total}`)));
      }
    } else if (!facts) {
      parts.push(html("p", { class: "headline small" }, Words.say("waiting")), html("p", { class: "lead" }, Words.say("waitingHint")));
    }
    if (facts) parts.push(facts);
    const rejected = store.one("rejected");
    if (rejected) parts.push(html("p", { class: "note" }, Words.say("rejected", { count: rejected.count })));
    box.replaceChildren(...parts);
  }

  /* "2.1 to 6.8 °C over 2 h 10 min" and how long outside: the first thing anyone asks. */
  function temperatureFacts(store) {
    const series = store.series().filter((line) => line.points.size);
    if (!series.length) return null;
    let low = Infinity, high = -Infinity, outsideMs = 0, outsideCount = 0;
    for (const line of series) {
      const points = store.sorted(line);
      for (const p of points) { if (p.value < low) low = p.value; if (p.value > high) high = p.value; }
      const out = State.outside(points, store.limits(line.sensor));
      outsideMs += out.ms;
      outsideCount += out.count;
    }
    const span = store.span();
    const facts = [Words.say("span", { low: celsius(low), high: celsius(high), time: Words.duration(span.to - span.from) })];
    if (outsideCount) facts.push(`${Words.say("someOutside", { count: outsideCount })} (${Words.duration(outsideMs)})`);
    // A sensor without limits can be neither inside nor outside: then nothing is claimed.
    else if (series.every((line) => store.limits(line.sensor))) facts.push(Words.say("allInside"));
    return html("p", { class: "lead figures" }, facts.join(" · "));
  }

  function drawLegend(list) {
    const sample = (className) => svg("svg", { width: 28, height: 12, class: "sample", "aria-hidden": "true" },
      svg("path", { d: "M1 8L9 5L18 8L27 4", class: className }));
    const box = (className) => svg("svg", { width: 22, height: 12, class: "sample", "aria-hidden": "true" },
      svg("rect", { x: 1, y: 1, width: 20, height: 10, class: className }));
    const items = [
      [sample("s0"), "stateLive"], [sample("s1"), "stateJournaled"], [sample("s2"), "stateAnchored"],
      [sample("s3"), "stateOpened"], [box("hole"), "gap"], [box("shade outage"), "outage"], [box("shade kill"), "kill"],
    ];
    list.replaceChildren(...items.map(([shape, word]) => html("li", {}, shape, Words.say(word))));
  }

  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

  function table(plain, rows, className = "") {
    const columns = plain.map((c) => ({ ...c, title: capital(c.title) }));
    const head = html("tr", {}, ...columns.map((c) => html("th", { scope: "col", class: c.number ? "number" : null, "data-key": c.key }, c.title)));
    const body = rows.map((row) => html("tr", { class: row.className ?? null }, ...columns.map((c) => {
      const cell = html("td", { class: [c.number ? "number" : "", row.classes?.[c.key] ?? ""].join(" ").trim() || null, "data-key": c.key, "data-title": c.title });
      cell.append(row[c.key] ?? "–");
      return cell;
    })));
    return html("table", { class: className }, html("thead", {}, head), html("tbody", {}, ...body));
  }

  function drawLedger(box, note, store) {
    const blocks = store.ofType("block").sort((a, b) => b.t_ms - a.t_ms || b.height - a.height);
    if (!blocks.length) {
      note.textContent = "";
      box.replaceChildren(html("p", { class: "empty" }, Words.say("noBlocks")));
      return;
    }
    const anchors = new Map(blocks.map((block) => [block, store.anchorOf(block)]));
    const done = [...anchors.values()].filter(Boolean).length;
    note.textContent = Words.say("blocks", { blocks: blocks.length, anchors: done });
    const span = store.span(), long = span.to - span.from > 3_600_000;
    const rows = blocks.slice(0, ROWS_MAX).map((block) => {
      const anchor = anchors.get(block);
      return {
        time: Words.clock(block.t_ms, !long), gateway: block.gateway, block: String(block.height),
        count: String(block.readings ?? "–"), digest: Draw.digest(block.digest),
        chain: anchor ? `◆ ${anchor.chain_height ?? ""}` : Words.say("notYet"),
        classes: { chain: anchor ? "anchored" : "quiet" },
      };
    });
    box.replaceChildren(table([
      { key: "time", title: Words.say("time") }, { key: "gateway", title: Words.say("gateway") },
      { key: "block", title: Words.say("block"), number: true }, { key: "count", title: Words.say("count"), number: true },
      { key: "digest", title: Words.say("digest") }, { key: "chain", title: Words.say("chain"), number: true },
    ], rows, "compact blocks"));
  }

  function drawCounts(section, box, store) {
    const counts = store.one("counts");
    section.hidden = !counts?.rows.length;
    if (section.hidden) return;
    const used = COLUMNS.filter((column) => counts.rows.some((row) => column in row));
    const total = { name: Words.say("total"), className: "total" };
    for (const column of used) total[column] = counts.rows.reduce((sum, row) => sum + (row[column] ?? 0), 0);
    const source = counts.rows.length > 1 ? [...counts.rows, total] : counts.rows;
    const rows = source.map((row) => {
      const shown = { name: row.name, className: row.className, classes: {} };
      for (const column of used) {
        shown[column] = row[column] === undefined ? "–" : row[column].toLocaleString("en-GB").replaceAll(",", "\u202f");
        if (column === "missing" || column === "uncovered") shown.classes[column] = row[column] ? "bad" : "good";
      }
      return shown;
    });
    box.replaceChildren(table([
      { key: "name", title: Words.say("name") },
      ...used.map((key) => ({ key, title: Words.say(key), number: true })),
    ], rows, "cards"));
  }

  function drawVerdict(section, box, store) {
    const verdict = store.one("verdict");
    section.hidden = !verdict;
    if (!verdict) return;
    const lines = (Words.language === "zh" && verdict.lines_zh) || verdict.lines;
    const parts = [html("ul", { class: "lines" }, ...lines.map((line) => html("li", {}, line)))];
    if (verdict.command) {
      parts.push(html("p", { class: "quiet" }, Words.say("verifyWith")),
        html("div", { class: "command" }, html("code", {}, verdict.command), Draw.copyButton(verdict.command)));
    }
    box.replaceChildren(...parts);
  }

  function drawReadings(box, store) {
    const all = store.series().flatMap((line) => store.sorted(line).map((point) => ({ line, point })))
      .sort((a, b) => b.point.t - a.point.t);
    const rows = all.slice(0, TABLE_MAX).map(({ line, point }) => ({
      time: `${Words.day(point.t)} ${Words.clock(point.t, true)}`, sensor: line.sensor,
      value: celsius(point.value, 3), state: Words.say(State.NAMES[point.state]),
    }));
    box.replaceChildren(
      html("p", { class: "quiet" }, Words.say("lastRows", { shown: rows.length, all: all.length })),
      table([
        { key: "time", title: Words.say("time") }, { key: "sensor", title: Words.say("sensor") },
        { key: "value", title: Words.say("value"), number: true }, { key: "state", title: Words.say("state") },
      ], rows, "compact"));
  }

  return { drawAnswer, drawLegend, drawLedger, drawCounts, drawVerdict, drawReadings };
})();
