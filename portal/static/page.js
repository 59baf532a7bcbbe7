"use strict";
/* Ties the parts together: takes messages in, draws at most four times a second, one cursor. */
(() => {
  const DRAW_EVERY_MS = 250;
  const byId = (id) => document.getElementById(id);
  const store = new State.Store();
  const isLive = document.body.dataset.mode === "live";
  let cursor = null, drawnAt = 0, timer = null, link = isLive ? "live" : "report";

  function draw() {
    timer = null;
    drawnAt = performance.now();
    const title = store.one("title");
    if (title) {
      byId("title").textContent = Words.told(title, "title");
      byId("subtitle").textContent = Words.told(title, "subtitle");
      document.title = `${Words.told(title, "title")} – Wharfinger`;
    }
    drawLink();
    Panels.drawAnswer(byId("answer"), store);
    Strip.drawStrip(byId("strip"), store, cursor);
    Panels.drawLegend(byId("legend"));
    Track.drawMap(byId("map"), byId("map-note"), store, cursor);
    Panels.drawLedger(byId("ledger"), byId("ledger-note"), store);
    Panels.drawCounts(byId("account"), byId("counts"), store);
    Panels.drawVerdict(byId("proof"), byId("verdict"), store);
    if (byId("readings").open) Panels.drawReadings(byId("table"), store);
  }

  function drawSoon() {
    if (timer !== null) return;
    timer = setTimeout(draw, Math.max(0, DRAW_EVERY_MS - (performance.now() - drawnAt)));
  }

  function drawLink() {
    const state = store.one("end") && link !== "report" ? "done" : link;
    const pill = byId("link");
    pill.textContent = Words.say(state);
    pill.className = `pill ${state}`;
  }

  function setCursor(t) {
    cursor = t;
    Strip.moveCursor(t);
    Track.moveCursor(t);
    byId("cursor-time").textContent = t === null ? "" : `${Words.day(t)} ${Words.clock(t, true)}`;
  }

  function setLanguage(language) {
    Words.language = language;
    document.documentElement.lang = Words.language === "zh" ? "zh-Hans" : "en";
    const span = store.span();
    for (const element of document.querySelectorAll("[data-word]")) {
      element.textContent = Words.say(element.dataset.word, { zone: Words.zone(span?.to ?? 0) });
    }
    const button = byId("language");
    button.textContent = Words.say("other");
    button.lang = Words.language === "zh" ? "en" : "zh-Hans";
    draw();
  }

  function listen() {
    const stream = new EventSource("events");
    stream.onopen = () => { link = "live"; drawLink(); };
    stream.onerror = () => { link = "lost"; drawLink(); };
    stream.onmessage = (message) => {
      store.take(JSON.parse(message.data));
      // The file is finished: nothing more comes, so let the server go.
      if (store.one("end")) { stream.close(); link = "live"; }
      drawSoon();
    };
  }

  function wire() {
    const strip = byId("strip");
    const point = (event) => setCursor(Strip.timeAt(event.clientX - strip.getBoundingClientRect().left));
    strip.addEventListener("pointermove", point);
    strip.addEventListener("pointerdown", point);
    strip.addEventListener("pointerleave", () => setCursor(null));
    strip.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (direction) { event.preventDefault(); setCursor(Strip.step(cursor, direction)); }
      if (event.key === "Escape") setCursor(null);
    });
    byId("language").addEventListener("click", () => setLanguage(Words.language === "zh" ? "en" : "zh"));
    byId("readings").addEventListener("toggle", draw);
    new ResizeObserver(drawSoon).observe(strip);
    addEventListener("beforeprint", draw);
  }

  store.take(JSON.parse(byId("data").textContent || "[]"));
  wire();
  const asked = new URLSearchParams(location.search).get("lang");
  setLanguage(asked ?? (navigator.language.startsWith("zh") ? "zh" : "en"));
  if (isLive && !store.one("end")) listen();
})();
