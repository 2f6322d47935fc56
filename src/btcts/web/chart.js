/**
 * The candle chart as a list of shapes: pure functions from a resolution to SVG elements, which `page.js` draws.
 *
 * A shape is `{key, tag, attributes, text}`; the same thing has the same key in the next drawing. Lengths are CSS pixels.
 */

import { formatDay, formatMinute, formatPrice, formatReason, gradeSlot, MINUTE_MS, nameTrend, nameZone } from "./words.js";

const TOP = 10;
const STRIP = 8;
const BELOW = STRIP + 42;
const LETTER = 7.4;
const WIDEST_BODY = 36;

/** Smallest share of the price that the axis spans, so that noise does not look like a move; and what it leaves free. */
const [QUIET, AIR] = [0.001, 0.06];

const ROUND_MINUTES = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440];
/** Height of the mark for each grade of a slot: the better, the higher. */
const GRADES = { settled: STRIP, exact: STRIP / 2, polled: 1.5 };

/** Round prices between `low` and `high`, at most `most` of them, ascending. */
export function chooseSteps(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, at) => (first + at) * step);
}

/** Candlesticks by slot, null without a price; an unknown open is the close of the slot before. */
export function makeSticks(slots) {
  return slots.map((slot, at) => {
    if (slot.close === null) return null;
    const open = slot.open ?? slots[at - 1]?.close ?? null;
    const trend = open === null ? 0 : Math.sign(slot.close - open);
    return { open: open ?? slot.close, close: slot.close, low: slot.min ?? slot.close, high: slot.max ?? slot.close, trend };
  });
}

/** Runs of closed slots without a price, as `{from, to, reason}` by the position of their slots, `to` excluded. */
export function findGaps(slots) {
  const gaps = [];
  slots.forEach((slot, at) => {
    if (!slot.closed || !slot.missing) return;
    const before = gaps.at(-1);
    if (before?.to === at && before.reason === slot.reason) before.to = at + 1;
    else gaps.push({ from: at, to: at + 1, reason: slot.reason });
  });
  return gaps;
}

/** Positions and texts of round local times at least `apart` slots from each other. */
export function labelTimes(slots, bucketMs, apart) {
  const bucket = bucketMs / MINUTE_MS;
  const step = ROUND_MINUTES.find((minutes) => minutes % bucket === 0 && minutes >= apart * bucket) ?? 1440;
  return slots.flatMap(({ start_ms: startMs }, at) => {
    const start = new Date(startMs);
    const minutes = start.getHours() * 60 + start.getMinutes();
    return (Math.floor(minutes / bucket) * bucket) % step ? [] : [{ at, startMs, text: formatMinute(startMs) }];
  });
}

/** Positions and texts of the first slot and of the first of each local day; with the zone when the clocks change between them. */
export function labelDays(slots) {
  const zones = slots.map((slot) => nameZone(slot.start_ms));
  const changes = new Set(zones).size > 1;
  const days = slots.map((slot, at) => formatDay(slot.start_ms) + (changes ? ` ${zones[at]}` : ""));
  return slots.flatMap(({ start_ms: startMs }, at) => (days[at] === days[at - 1] ? [] : [{ at, startMs, text: days[at] }]));
}

/** The geometry of a chart: where slots and prices lie, the highest at `top`; null when no slot has a price. */
export function layOut({ slots, bucket_ms: bucketMs }, newest, { width, height, places, top = TOP }) {
  const sticks = makeSticks(slots);
  const prices = sticks.filter(Boolean).flatMap(({ open, low, high }) => [open, low, high]);
  if (newest !== null && sticks.at(-1)) prices.push(newest);
  if (!prices.length) return null;
  const [lowest, highest] = [Math.min(...prices), Math.max(...prices)];
  const span = highest - lowest;
  const margin = Math.max(highest * QUIET - span, span * AIR) / 2;
  const [low, high] = [lowest - margin, highest + margin];
  const right = width - formatPrice(high, places).length * LETTER - 18;
  const bottom = height - BELOW;
  const pitch = right / slots.length;
  return {
    sticks, right, bottom, pitch, width,
    minutes: bucketMs / MINUTE_MS,
    steps: chooseSteps(low, high, (bottom - top) / 48),
    x: (at) => (at + 0.5) * pitch,
    y: (price) => top + ((high - price) / (high - low)) * (bottom - top),
  };
}

/** Draw a resolution from back to front; `pointed` is the start of the slot under the pointer, or null. */
export function drawChart(resolution, { price: newest, simulated }, pointed, size) {
  const plan = layOut(resolution, newest, size);
  if (!plan) return drawAbsence(size);
  const { slots, bucket_ms: bucketMs } = resolution;
  return [
    ...drawGrid(plan, newest, size.places),
    ...drawGaps(plan, findGaps(slots)),
    ...slots.flatMap((slot, at) => drawSlot(plan, slot, at, slot.start_ms === pointed)),
    ...drawTimes(plan, slots, bucketMs),
    ...(newest === null ? [] : drawNewest(plan, newest, size.places)),
    ...(simulated ? [text("fake", 6, TOP + 14, "simulated prices", "fake")] : []),
  ];
}

function drawAbsence({ width, height }) {
  return [
    hatch("gap", 0, TOP, width, height - BELOW + STRIP - TOP),
    text("absent", width / 2, height / 2, "none of these slots has a price", "reason middle"),
  ];
}

function drawGrid({ steps, right, bottom, y }, newest, places) {
  const lines = steps.map((price) => line(`grid-${price}`, 0, y(price), right, y(price), "grid"));
  const clear = steps.filter((price) => newest === null || Math.abs(y(price) - y(newest)) > 18);
  const labels = clear.map((price) => text(`price-${price}`, right + 9, y(price) + 4, formatPrice(price, places), "label"));
  return [...lines, ...labels, line("axis", 0, bottom, right, bottom, "axis")];
}

/** Hatch each gap, and write its reason into it where there is room. */
function drawGaps({ pitch, bottom }, gaps) {
  return gaps.flatMap(({ from, to, reason }) => {
    const [left, width] = [from * pitch, (to - from) * pitch];
    const words = reason ? formatReason(reason) : "no price";
    const room = words.length * LETTER < width;
    const gap = hatch(`gap-${from}`, left, TOP, width, bottom + STRIP - TOP);
    return room ? [gap, text(`reason-${from}`, left + width / 2, TOP + 16, words, "reason middle")] : [gap];
  });
}

function drawSlot(plan, slot, at, pointed) {
  const { sticks, pitch, bottom } = plan;
  const key = slot.start_ms;
  const shapes = [];
  if (pointed) shapes.push(rect(`pointed-${key}`, at * pitch, TOP, pitch, bottom - TOP, "pointed"));
  if (!slot.closed) {
    shapes.push(rect(`open-${key}`, at * pitch, TOP, pitch, bottom - TOP, "open-band"));
    shapes.push(rect(`running-${key}`, at * pitch, bottom - 2, pitch, 4, "running"));
  }
  if (!sticks[at]) return shapes;
  return [...shapes, ...drawStick(plan, sticks[at], at, key, gradeSlot(slot)), ...drawMark(plan, slot, at)];
}

/** Mark how good a slot is by the height of a bar, and which share of its minutes has a price by its length. */
function drawMark({ pitch, bottom, minutes, x }, slot, at) {
  const width = Math.max(1, pitch - Math.min(3, pitch / 3));
  const share = slot.closed ? slot.minutes / minutes : 1;
  const left = x(at) - width / 2;
  const lacking = share < 1 ? [hatch(`lacking-${slot.start_ms}`, left, bottom + 4, width, STRIP)] : [];
  return [...lacking, rect(`mark-${slot.start_ms}`, left, bottom + 4, width * share, GRADES[gradeSlot(slot)], "mark")];
}

/** A hollow body for a rise, a filled one for a fall; a dashed wick where minimum and maximum are those of polls. */
function drawStick({ pitch, x, y }, { open, close, low, high, trend }, at, key, grade) {
  const width = Math.min(WIDEST_BODY, Math.max(2, pitch * 0.62));
  const [top, bottom] = [y(Math.max(open, close)), y(Math.min(open, close))];
  const kind = `${nameTrend(trend)} ${grade}`;
  return [
    line(`wick-${key}`, x(at), y(high), x(at), y(low), `wick ${kind}`),
    rect(`body-${key}`, x(at) - width / 2, top, width, Math.max(1.5, bottom - top), `body ${kind}`),
  ];
}

function drawTimes({ pitch, bottom, right, x }, slots, bucketMs) {
  const base = bottom + STRIP + 20;
  const clear = ({ at }) => x(at) > 2.5 * LETTER && x(at) < right - LETTER;
  const times = labelTimes(slots, bucketMs, (8 * LETTER) / pitch).filter(clear);
  const days = labelDays(slots).filter(({ at, text: words }, index, all) => !all[index + 1] || (all[index + 1].at - at) * pitch > (words.length + 1) * LETTER);
  return [
    ...times.map(({ at, startMs, text: words }) => text(`time-${startMs}`, x(at), base, words, "label middle")),
    ...days.map(({ at, startMs, text: words }) => text(`day-${startMs}`, dayStart(at, words, pitch, right), base + 18, words, "label faint")),
  ];
}

const dayStart = (at, words, pitch, right) => Math.min(at * pitch, right - words.length * LETTER);

function drawNewest({ right, width, y }, newest, places) {
  const words = formatPrice(newest, places);
  return [
    line("newest-line", 0, y(newest), right, y(newest), "newest-line"),
    rect("newest-box", right + 3, y(newest) - 11, width - right - 3, 22, "newest-box"),
    text("newest-price", right + 9, y(newest) + 4, words, "newest-price"),
  ];
}

const round = (length) => Math.round(length * 10) / 10;

function line(key, x1, y1, x2, y2, kind) {
  return { key, tag: "line", attributes: { x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2), class: kind } };
}

function rect(key, x, y, width, height, kind) {
  const attributes = { x: round(x), y: round(y), width: round(Math.max(0, width)), height: round(height), class: kind };
  return { key, tag: "rect", attributes };
}

function hatch(key, x, y, width, height) {
  const shape = rect(key, x, y, width, height, "gap");
  shape.attributes.fill = "url(#hatch)";
  return shape;
}

function text(key, x, y, words, kind) {
  return { key, tag: "text", attributes: { x: round(x), y: round(y), class: kind }, text: words };
}
