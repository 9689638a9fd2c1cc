// Which screen is shown. The address's part behind # names it, so that the phone's own "back" works: #/account/<device>.
// A screen is a function that gives {title, back, parts, acts, leave}; parts fill the page, acts stand within the thumb's
// reach, leave ends what it started.

import { button, h, icon, p, say, t, whatWent } from "/page.js";

const screens = new Map();
let shown = { leave() {} };
let turn = 0;

/** screen registers a screen. */
export const screen = (name, draw) => screens.set(name, draw);

/** later registers a screen whose file is fetched when it is first opened. */
export const later = (name, file) => screen(name, async (argument) => {
  await import(file);
  return screens.get(name)(argument);
});

/** where is the screen of the address and its argument. */
export function where() {
  const [, name, argument] = location.hash.match(/^#\/([a-z]+)(?:\/(.+))?$/) ?? [];
  return screens.has(name) ? [name, argument && decodeURIComponent(argument)] : ["home"];
}

/** go leads to a screen; instead takes this one's place in the history. */
export function go(name, argument, instead) {
  const hash = name === "home" ? "#/" : "#/" + name + (argument ? "/" + encodeURIComponent(argument) : "");
  if (location.hash === hash) return show();
  if (instead) {
    history.replaceState(null, "", hash);
    return show();
  }
  location.hash = hash; // the event draws it
}

/** show draws the screen of the address and puts the focus on its heading. */
export async function show({ first } = {}) {
  const mine = ++turn;
  const [name, argument] = where();
  const next = await (async () => screens.get(name)(argument))().catch(broken);
  if (mine !== turn || !next) { next?.leave?.(); return; }
  shown.leave?.();
  shown = { name, argument, ...next };
  document.title = next.title + " · " + t("app.name");
  const heading = h("h1", { tabindex: "-1", class: next.quiet ? "hide" : null }, next.title);
  document.getElementById("main").replaceChildren(
    h("div.body" + (next.centre ? ".middle" : ""), null, heading, next.parts), next.acts?.length ? h("div.acts", null, next.acts) : "");
  document.getElementById("top").replaceChildren(bar(next));
  scrollTo(0, 0);
  if (!first) (next.focus ?? heading).focus({ preventScroll: true });
}

/** broken is what is shown of a screen that cannot be: the phone's storage or the network fails. */
const broken = (error) => ({
  title: t("trouble.title"), parts: [say("bad", "alert", p(whatWent(error)))],
  acts: [button(t("app.again"), () => show()), button(t("app.home"), () => go("home"), ".quiet")],
});

/** current is the screen that is seen. */
export const current = () => shown;

/** again draws the screen anew, where something changed under it. */
export const again = (...names) => { if (names.length === 0 || names.includes(shown.name)) show(); };

let brand = "";
export function setBrand(name) {
  brand = name;
  const place = document.getElementById("brand");
  if (place) place.textContent = name;
}

function bar(next) {
  const mark = h("span.mark", null, next.back ? "" : h("span.mark-sign", null, icon("arch", true)), h("span", { id: "brand" }, brand || t("app.name")));
  const [to, argument] = [next.back].flat();
  const back = to && h("button.back", { type: "button", onclick: () => go(to, argument, true) },
    icon("back"), h("span.hide", null, t("app.back")));
  return h("div.top-in", null, back, mark, next.side);
}

addEventListener("hashchange", () => show());
