/**
 * Words and figures of the page: pure functions from documents to text.
 *
 * Times are milliseconds since the Unix epoch and are written in the zone of the viewer, or in UTC where a name says so.
 * Prices of one page have the same number of decimals, which `choosePlaces` finds.
 */

export const RESOLUTIONS = { minute: "1 min", "5min": "5 min", "15min": "15 min", hour: "1 hour" };

export const SPANS = { "5min": "5 min", "15min": "15 min", "1h": "1 h", "24h": "24 h" };

export const MINUTE_MS = 60_000;

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

const clocks = {
  minute: new Intl.DateTimeFormat("en-GB", CLOCK),
  second: new Intl.DateTimeFormat("en-GB", { ...CLOCK, second: "2-digit" }),
  day: new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" }),
  zone: new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }),
};

/** Number formats by their decimals; making one takes longer than drawing a slot. */
const numbers = Array.from({ length: 9 }, (_, places) =>
  new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }));

/** Decimals for all prices of a document: below 10 USD enough for four significant digits. */
export function choosePlaces(overview) {
  const slots = Object.values(overview.resolutions).flatMap((resolution) => resolution.slots);
  const prices = [overview.price, ...slots.flatMap((slot) => [slot.close, slot.min])].filter((price) => price !== null);
  const smallest = Math.min(...prices, Infinity);
  return smallest >= 10 ? 2 : [4, 5, 6, 7].find((places) => smallest * 10 ** places >= 1000) ?? 8;
}

/** A price such as `64,123.45`; a dash for none. */
export function formatPrice(price, places) {
  return price === null ? "–" : numbers[places].format(price);
}

/** A relative change with its sign, such as `−0.42%`; zero after rounding has none. */
export function formatPercent(ratio) {
  const places = Math.abs(ratio) < 10 ? 2 : 0;
  const digits = formatPrice(Math.abs(ratio * 100), places);
  return `${/[1-9]/.test(digits) ? (ratio < 0 ? "−" : "+") : ""}${digits}%`;
}

/** A stretch of time in its largest unit and the one below, rounded down: `2 min 30 s`. */
export function formatDuration(seconds) {
  let rest = Math.max(0, Math.floor(seconds));
  const parts = UNITS.map(([size, unit]) => {
    const count = Math.floor(rest / size);
    rest %= size;
    return [count, unit];
  });
  const first = parts.findIndex(([count]) => count);
  const shown = first < 0 ? [] : parts.slice(first, first + 2).filter(([count]) => count);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ") || "0 s";
}

/** Minutes and seconds that are left, such as `4:10`; 0:00 only when nothing is. */
export function formatCountdown(leftMs) {
  const seconds = Math.max(0, Math.ceil(leftMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export const formatMinute = (timeMs) => clocks.minute.format(timeMs);

export const formatSecond = (timeMs) => clocks.second.format(timeMs);

export const formatDay = (timeMs) => clocks.day.format(timeMs);

export const formatUtc = (timeMs) => `${new Date(timeMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** Name of the viewer's zone at that time, such as `CET` or `GMT+5:30`. */
export function nameZone(timeMs) {
  return clocks.zone.formatToParts(timeMs).find((part) => part.type === "timeZoneName").value;
}

/** The names of the viewer's zone at these times: `CEST and CET` where the clocks change between them. */
export const nameZones = (timesMs) => [...new Set(timesMs.map(nameZone))].join(" and ");

/** A text per slot: the time of day, with whatever else tells the slots apart: the weekday, and the zone when the clocks change. */
export function formatStarts(slots) {
  const starts = slots.map((slot) => slot.start_ms);
  const [days, zones] = [formatDay, nameZone].map((name) => new Set(starts.map(name)).size);
  return starts.map((startMs) => {
    const parts = [days > 1 && formatDay(startMs).slice(0, 3), formatMinute(startMs), zones > 1 && nameZone(startMs)];
    return parts.filter(Boolean).join(" ");
  });
}

/** The name of a sign, as `page.css` has it. */
export const nameTrend = (sign) => ({ 1: "up", "-1": "down", 0: "flat" })[sign];

export const formatReason = (code) => code.replaceAll("_", " ");

/** How good a slot is, best first: `settled`, `exact`, `polled`; `missing` without a price. */
export function gradeSlot(slot) {
  if (slot.missing) return "missing";
  return slot.settled ? "settled" : slot.exact ? "exact" : "polled";
}

/** The state of a slot in words, such as `open, exact` or `settled, 43 of 60 min (not reached)`. */
export function describeState(slot, bucketMs) {
  const whole = bucketMs / MINUTE_MS;
  const reason = slot.reason ? ` (${formatReason(slot.reason)})` : "";
  if (slot.missing) return slot.closed ? `no price${reason}` : "open, no price yet";
  const lacking = slot.closed && slot.minutes < whole ? `, ${slot.minutes} of ${whole} min` : "";
  const told = !lacking && (!slot.closed || slot.settled || slot.reason === "polls_only");
  return `${slot.closed ? "" : "open, "}${gradeSlot(slot)}${lacking}${told ? "" : reason}`;
}

/** A slot in figures and words, for the line above the chart. */
export function describeSlot(slot, bucketMs, places) {
  const figures = ["open", "min", "max", "close"].filter((name) => slot[name] !== null);
  const prices = figures.map((name) => `${name} ${formatPrice(slot[name], places)}`);
  return [`${formatDay(slot.start_ms)} ${formatMinute(slot.start_ms)}`, ...prices, describeState(slot, bucketMs)];
}

/** The chart in one sentence, for those who do not see it. */
export function describeChart(name, resolution, simulated, places) {
  const { slots, volatility, gaps } = resolution;
  const about = `${simulated ? "Simulated candles" : "Candles"} of ${RESOLUTIONS[name]}`;
  if (volatility.low === null) return `${about}: no closed slot has a price.`;
  const range = `from ${formatPrice(volatility.low, places)} to ${formatPrice(volatility.high, places)} USD`;
  const lacking = gaps.minutes ? `${gaps.empty} slots without a price, ${gaps.incomplete} incomplete` : "no gaps";
  return `${about}: ${slots.length} slots ${range}, ${lacking}. The table has the figures.`;
}

/** Who agreed on the newest price, in one sentence; empty where that is not known. */
export function describeAgreement(overview) {
  const { members, flag, simulated } = overview;
  if (simulated) return "The prices are simulated: no exchange was asked.";
  if (!members.length) return "";
  if (flag === "single") return `The price is that of one provider alone: ${members.join(", ")}.`;
  if (flag === "disputed") return `Disputed: the providers differ, and ${members.join(", ")} is nearest to the price of before.`;
  return `${members.join(", ")} agreed on the price within 1%.`;
}

/** What is known of each provider, as `{name, state, word, detail}`, in the order of their names. */
export function describeProviders(overview, status) {
  const { providers = {}, streams = {} } = status ?? {};
  const far = new Map(overview.deviating.map(({ provider, deviation }) => [provider, deviation]));
  const names = new Set([...overview.members, ...far.keys(), ...Object.keys(providers), ...Object.keys(streams)]);
  return [...names].sort().map((name) => {
    const [state, word] = judgeProvider(name, overview, far.get(name), providers[name]);
    return { name, state, word, detail: describeSource(providers[name], streams[name]) };
  });
}

function judgeProvider(name, overview, deviation, provider) {
  if (deviation !== undefined) return ["bad", `far: ${formatPercent(deviation)}`];
  if (overview.members.includes(name)) return ["good", "agreed"];
  if (provider?.error) return ["bad", "failed"];
  return ["none", provider?.not_before_ms ? "waits" : "not heard"];
}

function describeSource(provider, stream) {
  if (provider?.error) return provider.error;
  if (provider?.not_before_ms && provider.why) return `until ${formatSecond(provider.not_before_ms)}: ${provider.why}`;
  if (stream?.problem) return `stream: ${stream.problem}`;
  if (stream?.whole_since_ms) return `stream${stream.lag_ms === null ? "" : `, ${Math.max(0, stream.lag_ms)} ms behind`}`;
  if (stream) return "polled, the stream is not whole yet";
  return provider ? "polled" : "";
}

/**
 * Judge what the page knows; the worst comes first. `sight` is what `page.js` keeps.
 *
 * The words hold no age, so that they stay the same while the state does and a screen reader says them once.
 */
export function judgeSight(sight, ageS) {
  const { overview, lostMs, away, status } = sight;
  if (lostMs !== null) return { state: "disconnected", words: `Disconnected since ${formatSecond(lostMs)}. The page keeps trying. ${explainOld(overview)}` };
  if (away) return { state: "away", words: `Redis has not answered since ${formatSecond(away.since_ms)}: ${away.message}. ${explainOld(overview)}` };
  if (!overview) return { state: "connecting", words: "" };
  if (overview.price === null) return { state: "empty", words: "There is no price." };
  const limitS = status?.max_age_s;
  if (!overview.stale && !(ageS > limitS)) return { state: "fresh", words: "" };
  const limit = limitS === undefined ? "" : `, and the limit is ${formatDuration(limitS)}`;
  return { state: "stale", words: `Stale: the newest price is of ${formatSecond(overview.newest_ms)}${limit}.` };
}

const explainOld = (overview) => (overview ? "The figures below are from before." : "");

/** Title of the window: what is wrong, then the price. */
export function describeTitle(overview, state, places) {
  const market = overview?.market ?? "BTC-USD";
  const price = overview?.price == null ? "no price" : formatPrice(overview.price, places);
  const problem = { disconnected: "Disconnected", away: "No Redis", stale: "Stale" }[state];
  const words = [problem && `⚠ ${problem}`, overview?.simulated && "simulated", price, market];
  return (state === "connecting" ? [market] : words).filter(Boolean).join(" · ");
}
