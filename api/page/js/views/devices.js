// Devices, and how each is.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { ago, duration, moment } from "../format.js";
import { noDevices } from "./empty.js";

/** @type {Record<string, ["good" | "off" | "bad", string]>} */
const STATES = {
  online: ["good", "online"], sleeping: ["off", "sleeping"], lost: ["bad", "connection lost"],
};

/** @type {import("../main.js").View} */
export async function devicesView({ element }) {
  const devices = await api.devices();
  const latest = await Promise.all(devices.map((each) => api.nights(each.name, 1)));
  fill(element, h("h1", {}, "Devices"),
    devices.length ? h("div.devices", {}, ...devices.map((each, index) => card(each, latest[index][0]))) : noDevices());
  return "Devices";
}

/**
 * @param {any} device
 * @returns {["good" | "off" | "bad", string]}
 */
export function state(device) {
  if (device.revoked_at) return ["off", "revoked"];
  if (!device.reported) return ["off", "never online"];
  return STATES[device.reported.status.state] ?? ["off", device.reported.status.state];
}

/**
 * @param {any} device
 * @param {any} night
 */
function card(device, night) {
  const [mood, told] = state(device);
  const status = device.reported?.status;
  return h("section.card.device", { "aria-label": device.name },
    h("div.card-head", {}, h("h2", {}, device.name), h(`span.state.${mood}`, {}, told)),
    h("p.quiet", {}, device.reported
      ? `heard ${ago(Date.parse(device.reported.at) / 1000, Date.now() / 1000)} · ${device.time_zone}`
      : `added ${moment(device.created_at, device.time_zone)}`),
    status && h("dl.facts", {}, ...facts(status, night, device.time_zone).map(([name, value, isBad]) =>
      h("div", {}, h("dt", {}, name), h(isBad ? "dd.bad" : "dd", {}, value)))));
}

/**
 * @param {any} status
 * @param {any} night
 * @param {string} zone
 * @returns {[string, string, boolean?][]} name, value, whether it is not as it should be
 */
export function facts(status, night, zone) {
  /** @type {[string, string | null, boolean?][]} */
  const all = [
    ["Last epoch", night ? moment(night.ended_at, zone) : "none yet"],
    ["Waiting to be sent", status.backlog ? `${status.backlog} epochs (${duration(status.backlog / 2)})` : "nothing", status.backlog > 120],
    ["Firmware", status.firmware || "not told"],
    ["Link", link(status), (status.rssi ?? 0) < -80],
    ["Radar", [status.radar, status.radar_family].filter(Boolean).join(" · ") || "not told", !["ok", ""].includes(status.radar)],
    ["Accelerometer", status.accelerometer || "not told", !["ok", ""].includes(status.accelerometer)],
    ["Clock", status.clock || "not told"],
    ["Running for", status.uptime_s ? duration(status.uptime_s / 60) : null],
    ["Reconnects", status.reconnects ? String(status.reconnects) : null],
    ["Lost in the flash", status.overwritten + status.damaged ? `${status.overwritten + status.damaged} epochs` : null, true],
  ];
  return /** @type {any} */ (all.filter(([, value]) => value !== null));
}

/** @param {any} status */
function link(status) {
  const told = [];
  if (status.rssi !== null) told.push(`${status.rssi} dBm`);
  if (status.puback_ms) told.push(`answer in ${status.puback_ms} ms`);
  return told.join(" · ") || "not told";
}
