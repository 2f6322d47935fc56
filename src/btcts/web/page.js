/**
 * The page of `btcts serve`: keeps what the server tells, and draws it in place.
 *
 * `/events` sends an overview document for each new price, and a `beat` each second with the time and whether Redis
 * answers; `/api/status` tells who was asked and what is wrong. What is old is never drawn as fresh: ages go on between events,
 * and a server that falls silent counts as lost, whatever the connection says.
 */

import { drawChart, layOut } from "./chart.js";
import { elapse } from "./clock.js";
import { item, patch, reveal, write } from "./patch.js";
import * as words from "./words.js";

const STATUS_EVERY_MS = 15_000;
const RETRY_MS = 3_000;
const SILENCE_MS = { beating: 10_000, mute: 90_000 };
const COLUMNS = { start: "Start", close: "Close", min: "Min", max: "Max", open: "Open", state: "State" };
const ARROWS = { up: "▲ ", down: "▼ ", flat: "" };
const SIGNS = { settled: "settled", exact: "exact, by trades", polled: "polled only" };

/** What is known, and what was chosen. Times with `At` are of `elapse`, which goes on while the machine sleeps. */
const sight = {
  overview: null, serverMs: 0, heardAt: 0, beating: false, lostMs: null, away: null,
  status: null, statusAt: -Infinity, name: "minute", pointed: null, state: "connecting",
};

const byId = (id) => document.getElementById(id);

/** The present by the clock of Redis: what it was at the last word, and the time since then. */
const tellServerTime = () => sight.serverMs + elapse() - sight.heardAt;

// ---- the parts of the page

const time = (key, timeMs, text) =>
  item(key, "time", text, { datetime: new Date(timeMs).toISOString(), title: words.formatUtc(timeMs) });

function draw() {
  const { overview } = sight;
  const ageS = overview?.newest_ms == null ? null : Math.max(0, tellServerTime() - overview.newest_ms) / 1000;
  const places = overview ? words.choosePlaces(overview) : 2;
  const { state, words: alarm } = words.judgeSight(sight, ageS);
  sight.state = state;
  document.title = words.describeTitle(overview, state, places);
  if (document.hidden) return;
  drawState(state, alarm);
  if (!overview) return;
  drawNow(overview, ageS, state, places);
  drawSlots(overview, places);
  drawProviders(overview);
}

function drawState(state, alarm) {
  const { overview, status } = sight;
  const old = ["disconnected", "away", "stale"].includes(state);
  const trusted = !["disconnected", "away"].includes(state);
  const weak = overview?.flag && state === "fresh" && !overview.simulated ? words.describeAgreement(overview) : "";
  document.documentElement.dataset.state = state;
  byId("page").classList.toggle("old", old);
  reveal(byId("alarm"), alarm);
  reveal(byId("caution"), weak);
  write(byId("link"), { disconnected: "disconnected", connecting: "connecting", away: "no Redis" }[state] ?? "connected");
  byId("simulated").hidden = !overview?.simulated;
  drawRemarks("reasons", "reasons", trusted ? status?.reasons : [], status?.reason_codes);
  drawRemarks("notices", "warnings", trusted ? status?.warnings : []);
}

/** List remarks, and hide their box without any; that the price is old stands above already. */
function drawRemarks(box, list, remarks = [], codes = []) {
  const told = remarks.filter((_, at) => codes[at] !== "stale_price");
  patch(byId(list), told.map((remark) => item(remark, "li", remark)));
  byId(box).hidden = !told.length;
}

function drawNow(overview, ageS, state, places) {
  write(byId("market"), overview.market);
  write(byId("price"), overview.price === null ? "no price" : words.formatPrice(overview.price, places));
  byId("unit").hidden = overview.price === null;
  write(byId("age"), ageS === null ? "" : `${words.formatDuration(ageS)} old${state === "stale" ? ", stale" : ""}`);
  byId("age").title = overview.newest_ms === null ? "" : `observed ${words.formatUtc(overview.newest_ms)}`;
  patch(byId("moves"), Object.entries(words.SPANS).map(([span, label]) => shapeMove(span, label, overview.change[span], places)));
  drawDay(overview, places);
  const zones = words.nameZones([...overview.resolutions.hour.slots.map((slot) => slot.start_ms), overview.generated_ms]);
  patch(byId("zone"), [
    item("words", "span", `Times are ${zones === "UTC" ? zones : `${zones}; hover over one for UTC`}. Last news: `),
    time("at", overview.generated_ms, words.formatSecond(overview.generated_ms)),
  ]);
}

function shapeMove(span, label, move, places) {
  const trend = words.nameTrend(move ? Math.sign(move.usd) : 0);
  const title = move ? `from ${words.formatPrice(move.from, places)} USD` : "not known";
  const figure = item("figure", "dd", `${ARROWS[trend]}${move ? words.formatPercent(move.ratio) : "–"}`, { class: `figure ${trend}`, title });
  return { key: span, tag: "div", children: [item("label", "dt", label), figure] };
}

function drawDay({ low_24h: low, high_24h: high, price }, places) {
  const known = low !== null && high !== null;
  write(byId("day-words"), known ? `24 h range ${words.formatPercent(high / low - 1).replace("+", "")}` : "24 h range not known");
  write(byId("day-low"), known ? `low ${words.formatPrice(low, places)}` : "");
  write(byId("day-high"), known ? `high ${words.formatPrice(high, places)}` : "");
  byId("place").hidden = !known || price === null;
  const share = known && high > low ? (price - low) / (high - low) : 0.5;
  byId("place").style.left = `${100 * Math.min(1, Math.max(0, share))}%`;
}

function drawSlots(overview, places) {
  const resolution = overview.resolutions[sight.name];
  drawTabs();
  drawSvg(overview, resolution, places);
  drawReadout(resolution, places);
  drawLegend(resolution);
  drawTable(overview, resolution, places);
}

function drawTabs() {
  const tabs = Object.entries(words.RESOLUTIONS).map(([name, label]) => {
    const chosen = name === sight.name;
    const attributes = { id: `tab-${name}`, type: "button", role: "tab", "aria-controls": "panel", "aria-selected": chosen, tabindex: chosen ? 0 : -1 };
    return item(name, "button", label, attributes);
  });
  patch(byId("tabs"), tabs);
  byId("panel").setAttribute("aria-labelledby", `tab-${sight.name}`);
}

function measure({ simulated }, places) {
  const { clientWidth: width, clientHeight: height } = byId("chart");
  return { width, height, places, top: simulated ? 28 : 10 };
}

function drawSvg(overview, resolution, places) {
  const chart = byId("chart");
  chart.setAttribute("aria-label", words.describeChart(sight.name, resolution, overview.simulated, places));
  patch(chart, drawChart(resolution, overview, sight.pointed, measure(overview, places)));
}

function drawReadout({ slots, bucket_ms: bucketMs }, places) {
  const slot = slots.find(({ start_ms: startMs }) => startMs === sight.pointed) ?? slots.at(-1);
  const [start, ...parts] = slot ? words.describeSlot(slot, bucketMs, places) : [""];
  const rest = parts.map((part, at) => item(`part-${at}`, "span", part));
  patch(byId("readout"), slot ? [time("start", slot.start_ms, start), ...rest] : []);
}

/** Explain the signs that occur in this chart. */
function drawLegend({ slots, gaps, bucket_ms: bucketMs }) {
  const grades = new Set(slots.filter((slot) => !slot.missing).map(words.gradeSlot));
  const open = slots.find((slot) => !slot.closed);
  const leftMs = open && open.start_ms + bucketMs - tellServerTime();
  const reasons = Object.keys(gaps.reasons).map(words.formatReason).join(", ");
  const signs = [
    ...(grades.size ? [["up", "up"], ["down", "down"]] : []),
    ...Object.keys(SIGNS).filter((grade) => grades.has(grade)).map((grade) => [grade, SIGNS[grade]]),
    open && grades.size && ["open", `open, ${words.formatCountdown(leftMs)} left`],
    gaps.minutes && ["gap", `no price (${reasons})`],
  ];
  patch(byId("legend"), signs.filter(Boolean).map(shapeSign));
}

function shapeSign([sign, text]) {
  return { key: sign, tag: "li", children: [item("sign", "span", "", { class: `sign ${sign}`, "aria-hidden": true }), item("text", "span", text)] };
}

function drawTable({ simulated }, { slots, bucket_ms: bucketMs }, places) {
  const kind = simulated ? "Simulated slots" : "Slots";
  write(byId("caption"), `${kind} of ${words.RESOLUTIONS[sight.name]} in USD, the newest first`);
  const headings = Object.entries(COLUMNS).map(([name, label]) => item(name, "th", label, { scope: "col", class: name }));
  patch(byId("headings"), [{ key: "row", tag: "tr", children: headings }]);
  const starts = words.formatStarts(slots);
  patch(byId("rows"), slots.map((slot, at) => shapeRow(slot, bucketMs, starts[at], places)).reverse());
}

function shapeRow(slot, bucketMs, text, places) {
  const start = time("time", slot.start_ms, text);
  const prices = ["close", "min", "max", "open"].map((name) => item(name, "td", words.formatPrice(slot[name], places), { class: name }));
  const state = item("state", "td", words.describeState(slot, bucketMs), { class: "state" });
  const head = { key: "start", tag: "th", attributes: { scope: "row", class: "start" }, children: [start] };
  const kind = slot.missing && slot.closed ? "gap" : slot.closed ? "" : "open";
  return { key: slot.start_ms, tag: "tr", attributes: { class: kind }, children: [head, ...prices, state] };
}

function drawProviders(overview) {
  const unknown = overview.price === null ? "There is no price to agree on." : "Who agreed on the newest price is not known.";
  write(byId("agreement"), words.describeAgreement(overview) || unknown);
  const cards = overview.simulated ? [] : words.describeProviders(overview, sight.status);
  patch(byId("providers"), cards.map(shapeProvider));
}

function shapeProvider({ name, state, word, detail }) {
  const texts = [item("word", "span", word, { class: `word ${state}` }), item("detail", "span", detail, { class: "detail" })];
  return { key: name, tag: "li", children: [item("name", "b", name), ...texts] };
}

// ---- what the server tells

let [source, askedAt] = [null, 0];

function connect() {
  source?.close();
  askedAt = elapse();
  source = new EventSource("/events");
  source.onmessage = ({ data }) => {
    const overview = JSON.parse(data);
    hear(overview.generated_ms, { overview, away: null });
  };
  source.addEventListener("beat", ({ data }) => {
    const { now_ms: nowMs, away } = JSON.parse(data);
    hear(nowMs, { beating: true, away });
  });
  source.onerror = lose;
}

/** Learn what an event tells; the next tick draws a beat that changes the time alone. */
function hear(nowMs, news) {
  const was = sight.state;
  const changed = news.overview || news.away || sight.away || sight.lostMs !== null;
  Object.assign(sight, news, { serverMs: nowMs, heardAt: elapse(), lostMs: null });
  if (changed) draw();
  if (was !== sight.state) askStatus();
}

/** An EventSource comes back by itself, except when the answer was no stream of events. */
function lose() {
  sight.lostMs ??= Date.now();
  draw();
  if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
}

function notice() {
  const limitMs = sight.beating ? SILENCE_MS.beating : SILENCE_MS.mute;
  if (elapse() - Math.max(sight.heardAt, askedAt) > limitMs && source.readyState !== EventSource.CLOSED) {
    sight.lostMs ??= Date.now() - limitMs;
    connect();
  }
}

async function askStatus() {
  if (elapse() - sight.statusAt < RETRY_MS) return;
  sight.statusAt = elapse();
  try {
    const answer = await fetch("/api/status", { cache: "no-store" });
    const document = await answer.json();
    sight.status = document.reasons ? document : null;
  } catch {
    sight.status = null;
  }
  draw();
}

function tick() {
  notice();
  const due = sight.lostMs === null && elapse() - sight.statusAt >= STATUS_EVERY_MS;
  const was = sight.state;
  draw();
  if ((due && !document.hidden) || was !== sight.state) askStatus();
}

// ---- what the viewer does

function choose(name) {
  Object.assign(sight, { name, pointed: null });
  history.replaceState(null, "", `#${name}`);
  draw();
}

function steer(event) {
  const names = Object.keys(words.RESOLUTIONS);
  const at = names.indexOf(sight.name);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + names.length, Home: 0, End: names.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  choose(names[next % names.length]);
  byId(`tab-${sight.name}`).focus();
}

function point(event) {
  const resolution = sight.overview?.resolutions[sight.name];
  const plan = resolution && layOut(resolution, sight.overview.price, measure(sight.overview, words.choosePlaces(sight.overview)));
  const at = plan && Math.floor((event.clientX - byId("chart").getBoundingClientRect().left) / plan.pitch);
  sight.pointed = resolution?.slots[at]?.start_ms ?? null;
  draw();
}

function start() {
  const wanted = location.hash.slice(1);
  if (wanted in words.RESOLUTIONS) sight.name = wanted;
  byId("tabs").addEventListener("click", ({ target }) => target.id.startsWith("tab-") && choose(target.id.slice(4)));
  byId("tabs").addEventListener("keydown", steer);
  byId("chart").addEventListener("pointermove", point);
  byId("chart").addEventListener("pointerdown", point);
  byId("chart").addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && ((sight.pointed = null), draw()));
  document.addEventListener("visibilitychange", tick);
  addEventListener("online", connect);
  new ResizeObserver(draw).observe(byId("chart"));
  setInterval(tick, 1000);
  connect();
  askStatus();
}

start();
