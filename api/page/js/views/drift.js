// Whether devices still send what the model was trained on.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { evening, moment, number } from "../format.js";

/** @type {Record<string, [string, string]>} */
const VERDICTS = {
  stable: ["good", "as in training"], drift: ["bad", "drifted"], unknown: ["off", "too few nights"],
};

/** @type {import("../main.js").View} */
export async function driftView({ element }) {
  const reports = await api.list("/v1/drift", "reports");
  fill(element, h("h1", {}, "Drift"),
    h("p.lead", {}, "Whether your devices still measure what the model learnt from. Where they do not, stages are less to be trusted."),
    ...(reports.length ? reports.map(card) : [h("section.card.empty", {}, h("h2", {}, "No report yet"),
      h("p", {}, "One is made whenever a night closes; three nights are needed for a verdict."))]));
  return "Drift";
}

/** @param {any} kept */
function card(kept) {
  const [mood, told] = VERDICTS[kept.verdict] ?? VERDICTS.unknown;
  const { channels = [], nights = 0, acknowledged = [] } = kept.report;
  const head = ["Feature", "Verdict", "PSI", "KS", "Missing"];
  const rows = channels.map((/** @type {any} */ it) => h("tr", {},
    h("th", { scope: "row" }, it.name), h("td", {}, h(`span.state.${VERDICTS[it.verdict]?.[0] ?? "off"}`, {}, it.verdict)),
    h("td", {}, number(it.psi, 2)), h("td", {}, number(it.ks, 2)),
    h("td", {}, number(it.missing === null ? null : 100 * it.missing, 0, "%"))));
  const name = kept.device ?? "All devices";
  return h("section.card", { "aria-label": name },
    h("div.card-head", {}, h("h2", {}, name), h(`span.state.${mood}`, {}, told)),
    h("p.quiet", {}, `${nights} nights up to ${evening(kept.until)} · ${kept.model} · looked at ${moment(kept.made_at, "UTC")} UTC`),
    acknowledged.length > 0 && h("p", {}, `${acknowledged.length} acknowledged by a person.`),
    rows.length > 0 && h("details.as-table", {}, h("summary", {}, "Feature by feature"),
      h("div.table-holder", { tabIndex: 0, role: "region", "aria-label": `Features of ${name}` }, h("table", {}, h("thead", {}, h("tr", {}, ...head.map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, ...rows)))));
}
