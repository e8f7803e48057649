// What people should know of their devices, who has seen it, and by which rules it is told.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { duration, moment } from "../format.js";
import { may } from "../session.js";

/** @type {Record<string, string>} */
export const RULES = {
  no_breathing: "No breathing rate", silent: "Not heard of", missing_epochs: "Missing epochs", drift: "Drift",
};

/** @type {import("../main.js").View} */
export async function alertsView({ element }) {
  const [alerts, rules, devices] = await Promise.all([
    api.list("/v1/alerts", "alerts", {}, 2), api.get("/v1/alert-rules"), api.devices(),
  ]);
  const zones = new Map(devices.map((each) => [each.name, each.time_zone]));
  const rows = (/** @type {any[]} */ some) => h("ul.alerts", {},
    ...some.map((each) => h("li", {}, row(each, zones.get(each.device) ?? "UTC"))));
  const open = alerts.filter((each) => each.state === "open");
  const earlier = alerts.filter((each) => each.state !== "open");
  fill(element, h("h1", {}, "Alerts"),
    h("p.lead", {}, "Noctis tells of devices, not of health: it is no medical alarm, and a platform that is down tells nothing."),
    open.length ? rows(open) : h("section.card.empty", {}, h("h2", {}, "Nothing to tell"), h("p", {}, "No alert is open.")),
    earlier.length > 0 && h("h2.section", {}, "Earlier"), earlier.length > 0 && rows(earlier),
    h("h2.section", {}, "Rules"), ruleTable(rules.rules));
  return "Alerts";
}

/**
 * @param {any} alert
 * @param {string} zone
 * @returns {HTMLElement}
 */
export function row(alert, zone) {
  const isOpen = alert.state === "open";
  const seen = alert.acknowledged_at
    ? `seen by ${alert.acknowledged_by.replace("user:", "")}` : "";
  const passed = alert.cleared_at
    ? (Date.parse(alert.cleared_at) - Date.parse(alert.raised_at)) / 60000 : null;
  const told = [alert.device, moment(alert.raised_at, zone),
    passed !== null && (passed < 1 ? "over within a minute" : `over after ${duration(passed)}`), seen];
  const card = h(isOpen ? "section.card.alert.open" : "section.card.alert", { "aria-label": RULES[alert.rule] ?? alert.rule },
    h("div", {}, h("p.alert-message", {}, alert.message), h("p.quiet", {}, told.filter(Boolean).join(" · "))),
    !alert.acknowledged_at && may("alerts:acknowledge") && h("button", { async onclick(/** @type {any} */ event) {
      event.target.disabled = true;
      try {
        const now = await (await api.request(`/v1/alerts/${alert.id}:acknowledge`, { method: "POST" })).json();
        card.replaceWith(row(now, zone));
      } catch (error) {
        event.target.disabled = false;
        fill(event.target, "Try again");
      }
    } }, "I have seen it"));
  return card;
}

/** @param {any[]} rules */
function ruleTable(rules) {
  const head = ["Rule", "Told", "From", "After so many looks", "Quiet afterwards"];
  const rows = rules.map((each) => h("tr", {}, h("th", { scope: "row" }, RULES[each.rule] ?? each.rule),
    h("td", {}, each.enabled ? "yes" : "no"), h("td", {}, `${each.threshold} ${each.unit}`),
    h("td", {}, each.raise_after), h("td", {}, duration(each.cooldown_s / 60))));
  return h("section.card", {}, h("div.table-holder", { tabIndex: 0, role: "region", "aria-label": "Rules of alerts" },
    h("table", {}, h("thead", {}, h("tr", {}, ...head.map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, ...rows))));
}
