// The shares of the stages, as a bar and in words.

import { h } from "./dom.js";
import { duration } from "./format.js";
import { LONG, STAGES } from "./night.js";

/**
 * @param {Record<string, number | null>} minutes by stage
 * @returns {HTMLElement}
 */
export function stageBar(minutes) {
  const total = STAGES.reduce((sum, stage) => sum + (minutes[stage] ?? 0), 0);
  const bar = h("div.stage-bar", { "aria-hidden": "true" });
  const list = h("ul.stage-list");
  for (const stage of STAGES) {
    const share = total ? (minutes[stage] ?? 0) / total : 0;
    const piece = h(`span.bg-${stage}`);
    piece.style.flexGrow = String(share);
    if (share > 0) bar.append(piece);
    list.append(h("li", {},
      h(`span.dot.bg-${stage}`), h("span.stage-name", {}, LONG[stage]),
      h("span.stage-time", {}, duration(minutes[stage])),
      h("span.stage-share", {}, total ? `${Math.round(100 * share)} %` : "")));
  }
  return h("div.shares", {}, bar, list);
}
