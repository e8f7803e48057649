// Who is signed in, and out again.

import { fill, h } from "../dom.js";
import { login, signOut } from "../session.js";

/** @type {import("../main.js").View} */
export function accountView({ element }) {
  fill(element, h("h1", {}, "Account"),
    h("section.card.account", {},
      h("p", {}, "Signed in as ", h("b", {}, login()), "."),
      h("p.quiet", {}, "The session lives in this tab alone, and ends with it."),
      h("p", {}, h("button", { async onclick() {
        await signOut();
        location.hash = "#/";
        location.reload();
      } }, "Sign out"))),
    h("p.quiet.about", {}, h("a", { href: "/docs" }, "The API of this platform"), ", for programs of your own. ",
      h("a", { href: "/licences" }, "Licences"), " of what others made of this page."));
  return "Account";
}
