// Moving to another phone: this one unlocks, shows a code for the new one, and takes the code that the new one shows.
// In the moment that the house takes it this phone is a method no more.

import * as keep from "/keep.js";
import * as watch from "/watch.js";
import * as wire from "/wire.js";
import { announce, busy, button, digits, h, p, pic, problem, t } from "/page.js";
import { go, screen, show } from "/route.js";

let moving = null; // {device, pairing, code, expires}

screen("move", async (device) => {
  const entry = await keep.account(device);
  if (!entry || entry.gone) { go("home", null, true); return null; }
  if (moving?.device === device && moving.expires > wire.now(entry)) return underway(entry);
  const trouble = problem();
  const start = button(t("move.start"), () => busy(start, async () => {
    try {
      moving = { device, ...await wire.move(entry) };
      await show();
    } catch (error) {
      trouble.tell(error);
    }
  }), "", "move");
  return {
    title: t("move.title"), back: ["account", device],
    parts: [h("div.big", null, pic("move")), p(t("move.lead"), ".lead"), h("ol.steps", null, h("li", null, t("move.first", { address: location.host })), h("li", null, t("move.second")), h("li", null, t("move.third"))), p(t("move.gap"), ".small.muted"), trouble],
    acts: [start],
  };
});

function underway(entry) {
  const trouble = problem();
  const input = h("input.code-in", { id: "code", type: "text", inputmode: "numeric", autocomplete: "off", enterkeyhint: "go", "aria-describedby": "code-hint" });
  const press = h("button.button", { type: "submit", form: "typed" }, t("move.confirm"));
  const form = h("form", { id: "typed", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    const code = input.value.normalize("NFKC").replace(/\D/g, "");
    if (code.length !== 6) { trouble.tell(t("move.short")); input.focus(); return; }
    busy(press, async () => {
      try {
        await wire.signed(entry, "POST", "/app/v1/move/confirm", { pairing: moving.pairing, code });
      } catch (error) {
        if (error.status === 404 || error.status === 410) moving = null;
        return trouble.tell(error);
      }
      moving = null;
      await keep.remove(entry.device);
      watch.start();
      go("moved", null, true);
    });
  } }, h("label", { for: "code" }, t("move.code")), h("p.hint", { id: "code-hint" }, t("move.code.hint")), input);
  const cancel = button(t("app.cancel"), () => busy(cancel, async () => {
    await wire.signed(entry, "DELETE", "/app/v1/pairings/" + encodeURIComponent(moving.pairing)).catch(() => {}); // it ends by itself
    moving = null;
    announce(t("move.cancelled"));
    go("account", entry.device, true);
  }), ".text");
  return {
    title: t("move.new"), back: ["account", entry.device],
    parts: [p(t("move.type"), ".lead"), h("p.centre", null, digits(moving.code.replace("-", ""), "code-out")), trouble, form], acts: [press, cancel],
  };
}

screen("moved", () => ({
  title: t("moved.title"), centre: true, parts: [h("div.big", null, pic("done", ".good")), p(t("moved.lead"), ".lead")],
  acts: [button(t("app.done"), () => go("home", null, true))],
}));
