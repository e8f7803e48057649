// The night as it comes.

import * as api from "../api.js";
import { fill, h, say } from "../dom.js";
import { LiveNight } from "../live.js";
import { clock, duration, number } from "../format.js";
import { LONG, minutes } from "../night.js";
import { nightChart } from "../night-chart.js";
import { stageBar } from "../stage-bar.js";
import { may } from "../session.js";
import { row } from "./alerts.js";
import { noDevices } from "./empty.js";
import { deviceChoice, usual } from "./parts.js";

const LEAST_S = 8 * 3600;

/** @type {import("../main.js").View} */
export async function tonightView({ element, signal }) {
  const devices = (await api.devices()).filter((each) => !each.revoked_at);
  if (devices.length === 0) {
    fill(element, h("h1", {}, "Tonight"), noDevices());
    return "Tonight";
  }
  const device = usual(devices);
  const live = new LiveNight(device);
  const [alerts] = await Promise.all([openAlerts(device), live.load()]);
  const shown = parts(live, device, signal);
  fill(element, h("div.heading", {},
    h("div", {}, h("p.over", {}, device.name), h("h1", {}, "Tonight")),
    deviceChoice(devices, device.name, () => dispatchEvent(new HashChangeEvent("hashchange")))),
  ...alerts.map((each) => row(each, device.time_zone)), shown.element);
  live.follow(signal, shown.update);
  return "Tonight";
}

/** @param {any} device */
async function openAlerts(device) {
  if (!may("alerts:read")) return [];
  return api.list("/v1/alerts", "alerts", { device: device.name, state: "open", acknowledged: "false" }, 1);
}

/**
 * @param {LiveNight} live
 * @param {any} device
 * @param {AbortSignal} signal
 */
function parts(live, device, signal) {
  const zone = device.time_zone;
  const now = h("section.card.now", { "aria-label": "Now" });
  const shares = h("div");
  const until = () => (live.night.times[0] ?? Date.now() / 1000) + LEAST_S;
  const chart = nightChart(() => live.night, { zone, until, signal, title: "The night so far" });
  let announced = "";
  const update = () => {
    const { stage, since, state } = live;
    fill(now, ...moment(live, zone));
    fill(shares, stageBar(minutes(live.night)));
    chart.redraw();
    const told = stage && state === "live" ? `${LONG[stage]} since ${clock(since, zone)}` : "";
    if (told && told !== announced) say(told);
    announced = told || announced;
  };
  update();
  return { element: h("div", {}, h("div.pair", {}, now, h("section.card", { "aria-label": "So far" }, shares)), chart.element), update };
}

/**
 * @param {LiveNight} live
 * @param {string} zone
 */
function moment(live, zone) {
  const { stage, since, state, error, isFresh } = live;
  const last = live.last();
  const link = state === "live" ? h("span.state.good", {}, isFresh ? "live" : "connected") : h("span.state.off", {}, error ? "reconnecting" : "connecting");
  if (!stage) {
    return [h("div.card-head", {}, h("p.quiet", {}, "Now"), link), h("p.hero-value.waiting", {}, "Waiting for sleep"),
      h("p.quiet", {}, "The first stage comes some minutes after somebody lies down.")];
  }
  return [
    h("div.card-head", {}, h("p.quiet", {}, `${isFresh ? "Now" : "Last heard"}, ${clock(last.time, zone)}`), link),
    h("p.hero-value", {}, h(`span.dot.big.bg-${stage}`, { "aria-hidden": "true" }), LONG[stage]),
    h("p.quiet", {}, `since ${clock(since, zone)}, ${duration((last.time + 30 - since) / 60)}`),
    h("dl.figures", {},
      h("div", {}, h("dt", {}, "Heart rate"), h("dd", {}, number(last.heart, 0, "bpm"))),
      h("div", {}, h("dt", {}, "Breathing"), h("dd", {}, number(last.breath, 1, "/min"))),
      h("div", {}, h("dt", {}, "Moving"), h("dd", {}, number(last.motion, 0, "%")))),
  ];
}
