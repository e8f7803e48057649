// Numbers, times and durations as people read them. Pure: no DOM, no clock.

/** What stands where nothing is known. */
export const NOTHING = "–";

/**
 * @param {number | null | undefined} minutes
 * @returns {string} such as `7 h 16 min`
 */
export function duration(minutes) {
  if (minutes === null || minutes === undefined || !Number.isFinite(minutes)) return NOTHING;
  const whole = Math.round(minutes);
  const hours = Math.floor(whole / 60);
  const rest = whole % 60;
  if (hours === 0) return `${rest} min`;
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

/**
 * @param {number | null | undefined} value
 * @param {number} [digits]
 * @param {string} [unit]
 */
export function number(value, digits = 0, unit = "") {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  return unit ? `${value.toFixed(digits)} ${unit}` : value.toFixed(digits);
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const known = new Map();

/**
 * @param {string} zone IANA name
 * @param {Intl.DateTimeFormatOptions} options
 */
function formatter(zone, options) {
  const key = zone + JSON.stringify(options);
  let found = known.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
    known.set(key, found);
  }
  return found;
}

/**
 * @param {number | string} moment unix seconds, or ISO 8601
 * @returns {number} unix seconds
 */
export function seconds(moment) {
  return typeof moment === "number" ? moment : Date.parse(moment) / 1000;
}

/**
 * @param {number | string} moment
 * @param {string} zone
 * @returns {string} such as `23:04`, where the bed stands
 */
export function clock(moment, zone) {
  const options = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return formatter(zone, options).format(seconds(moment) * 1000);
}

/**
 * @param {number | string} moment
 * @param {string} zone
 */
export function moment(moment, zone) {
  const day = formatter(zone, { day: "numeric", month: "short" }).format(seconds(moment) * 1000);
  return `${day}, ${clock(moment, zone)}`;
}

/**
 * @param {string} evening `2026-03-01`
 * @param {"long" | "short"} [how]
 * @returns {string} such as `Sunday 1 March`
 */
export function evening(evening, how = "long") {
  const options = /** @type {Intl.DateTimeFormatOptions} */ ({
    weekday: how, day: "numeric", month: how,
  });
  return formatter("UTC", options).format(Date.parse(`${evening}T12:00:00Z`)).replace(",", "");
}

/**
 * @param {number} minutes since noon, by the clock on the wall
 * @returns {string} such as `23:04`
 */
export function wall(minutes) {
  const at = (((Math.round(minutes) + 720) % 1440) + 1440) % 1440;
  return `${String(Math.floor(at / 60)).padStart(2, "0")}:${String(at % 60).padStart(2, "0")}`;
}

/**
 * @param {number} then unix seconds
 * @param {number} now unix seconds
 * @returns {string} such as `3 min ago`
 */
export function ago(then, now) {
  const passed = Math.max(0, now - then);
  if (passed < 60) return "just now";
  if (passed < 5400) return `${Math.round(passed / 60)} min ago`;
  if (passed < 129600) return `${Math.round(passed / 3600)} h ago`;
  return `${Math.round(passed / 86400)} days ago`;
}

/**
 * @param {number} from unix seconds
 * @param {number} to unix seconds
 * @param {string} zone
 * @param {number} every hours
 * @returns {number[]} full local hours that `every` divides; the hour that a change of clocks
 *   repeats comes twice, the one that it skips not at all
 */
export function hours(from, to, zone, every) {
  const options = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const told = formatter(zone, options);
  const found = [];
  for (let at = Math.ceil(from / 900) * 900; at <= to; at += 900) {
    const [hour, minute] = told.format(at * 1000).split(":").map(Number);
    if (minute === 0 && hour % every === 0) found.push(at);
  }
  return found;
}

/** A night that grows has a new revision with each epoch. */
const FRESH_S = 180;
/** What ended longer ago comes late, however much of it comes now. */
const RECENT_S = 12 * 3600;

/**
 * @param {{state: string, ended_at: string, revised_at: string}} recording
 * @param {number} now unix seconds
 * @returns {string} what a night that has not closed is; empty for one that has
 */
export function openness({ state, ended_at, revised_at }, now) {
  if (state !== "open") return "";
  const isGrowing = now - seconds(revised_at) < FRESH_S && now - seconds(ended_at) < RECENT_S;
  return isGrowing ? "recording" : "not closed yet";
}
