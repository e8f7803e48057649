// The platform's models: versions, figures, who is in use.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { NOTHING, moment, number } from "../format.js";

/** @type {import("../main.js").View} */
export async function modelsView({ element }) {
  const models = await api.list("/v1/models", "models");
  const versions = await Promise.all(models.map((each) =>
    api.list(`/v1/models/${encodeURIComponent(each.name)}/versions`, "versions")));
  fill(element, h("h1", {}, "Models"), ...models.map((each, index) => card(each, versions[index])));
  return "Models";
}

/**
 * @param {any} model
 * @param {any[]} versions
 */
function card(model, versions) {
  const head = ["Version", "In use as", "Kappa, 95 %", "Macro F1", "Made"];
  const rows = versions.map((each) => h("tr", {},
    h("th", { scope: "row" }, each.version, each.shipped && h("span.tag", {}, "shipped")),
    h("td", {}, aliases(model, each) || NOTHING),
    h("td", {}, each.damage ?? kappa(each)), h("td", {}, number(each.macro_f1, 3)),
    h("td", {}, each.created ? moment(each.created, "UTC") : NOTHING)));
  return h("section.card", { "aria-label": model.name },
    h("div.card-head", {}, h("h2", {}, model.name), h("p.quiet", {}, `${versions.length} version${versions.length === 1 ? "" : "s"}`)),
    h("div.table-holder", { tabIndex: 0, role: "region", "aria-label": `Versions of ${model.name}` },
      h("table", {}, h("thead", {}, h("tr", {}, ...head.map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, ...rows))));
}

/**
 * @param {any} model
 * @param {any} version
 */
function aliases(model, version) {
  const pointing = model.aliases.filter((/** @type {any} */ it) =>
    it.version === version.version || (it.version === null && version.shipped));
  return pointing.map((/** @type {any} */ it) => it.alias).join(", ");
}

/** @param {any} version */
function kappa(version) {
  if (version.kappa === null) return NOTHING;
  const [from, to] = version.kappa_interval ?? [null, null];
  return `${number(version.kappa, 3)} (${number(from, 2)} – ${number(to, 2)})`;
}
