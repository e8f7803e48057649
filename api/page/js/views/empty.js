// What is said before there is anything.

import { h } from "../dom.js";
import { login } from "../session.js";

/** @returns {HTMLElement} */
export function noDevices() {
  return h("section.card.empty", {},
    h("h2", {}, "Plug in your first device"),
    h("p", {}, "There is no device yet. With an ESP32 on USB, on the machine where Noctis runs:"),
    h("pre", {}, `noctis device claim ${login().split("@")[1] ?? "home"}/bedroom --line /dev/ttyUSB0`),
    h("p", {}, "or, without one, a virtual sleeper:"),
    h("pre", {}, "make up"),
    h("p.quiet", {}, "The first night comes by itself."));
}

/** @returns {HTMLElement} */
export function noNights() {
  return h("section.card.empty", {},
    h("h2", {}, "No night yet"),
    h("p", {}, "A night appears here some minutes after somebody goes to bed."));
}
