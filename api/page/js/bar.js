// The bar above everything: the name, where to go, who is signed in.

import { fill, h } from "./dom.js";
import * as session from "./session.js";

/** @type {[string, string, string][]} place, title, the scope that it needs */
const PLACES = [
  ["tonight", "Tonight", "predictions:read"],
  ["nights", "Nights", "recordings:read"],
  ["trends", "Trends", "recordings:read"],
  ["compare", "Compare", "recordings:read"],
  ["devices", "Devices", "devices:read"],
  ["alerts", "Alerts", "alerts:read"],
  ["drift", "Drift", "drift:read"],
  ["models", "Models", "models:read"],
];

/**
 * @param {HTMLElement} element
 * @param {string} here
 */
export function bar(element, here) {
  const links = PLACES.filter(([, , scope]) => session.may(scope)).map(([place, title]) =>
    h("li", {}, h("a", { href: `#/${place}`, "aria-current": isHere(place, here) ? "page" : null }, title)));
  element.hidden = false;
  fill(element,
    h("a.brand", { href: "#/tonight" }, "Noctis"),
    h("nav", { "aria-label": "Main" }, h("ul", {}, ...links)),
    h("a.who", { href: "#/account", "aria-current": here === "account" ? "page" : null,
      "aria-label": `Account of ${session.login()}` }, session.login().split("@")[0]));
}

/** @param {string} place @param {string} here */
function isHere(place, here) {
  return place === here || (place === "nights" && here === "night");
}
