// Who are you?

import { fill, h } from "../dom.js";
import { SignInError, signIn } from "../session.js";

/**
 * @param {import("../main.js").Place} place
 * @param {() => void} onsignedin
 * @returns {string}
 */
export function signInView({ element }, onsignedin) {
  const message = h("p.form-message", { role: "alert" });
  const name = h("input", { id: "login", name: "username", autocomplete: "username", required: true,
    autocapitalize: "none", spellcheck: false, placeholder: "name@home" });
  const password = h("input", { id: "password", name: "password", type: "password",
    autocomplete: "current-password", required: true });
  const button = h("button.primary", { type: "submit" }, "Sign in");
  const form = h("form.sign-in", { async onsubmit(/** @type {SubmitEvent} */ event) {
    event.preventDefault();
    button.disabled = true;
    fill(message);
    try {
      await signIn(name.value.trim(), password.value);
      onsignedin();
    } catch (error) {
      fill(message, error instanceof SignInError ? error.message : "Noctis cannot be reached. Is it running?");
      password.select();
    } finally {
      button.disabled = false;
    }
  } },
  h("label", { htmlFor: "login" }, "Name"), name,
  h("label", { htmlFor: "password" }, "Password"), password, message, button);
  fill(element, h("div.door", {}, h("div.moon", { "aria-hidden": "true" }), h("h1", {}, "Noctis"),
    h("p.quiet", {}, "Your nights, kept at home."), form));
  return "Sign in";
}
