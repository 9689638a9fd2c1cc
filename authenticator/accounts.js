// The accounts on this phone: the list, each one's passcode, and what can be done with it.

import * as keep from "/keep.js";
import * as passcode from "/passcode.js";
import * as push from "/push.js";
import * as watch from "/watch.js";
import * as wire from "/wire.js";
import { announce, busy, button, digits, drawing, h, icon, more, p, pic, problem, row, rows, say, t, whatWent } from "/page.js";
import { again, go, screen } from "/route.js";
import { house, known, live, look } from "/house.js";
import { help } from "/request.js";

/** ticking draws entry's passcode into a place, and the ring of seconds, until it is ended. */
function ticking(entry, kind) {
  const place = h("span");
  const size = 2 * Math.PI * 9;
  const ring = drawing("ring", "0 0 24 24", { d: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18", class: "track" },
    { d: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18", class: "hand", "stroke-dasharray": size });
  const left = h("span.hide");
  let step = -1;
  const draw = async () => {
    const now = await passcode.code(entry.passcode, Math.floor(Date.now() / 1000) + (entry.skew ?? 0));
    if (now.step !== step) place.replaceChildren(digits(now.code, kind));
    step = now.step;
    place.code = now.code;
    ring.lastChild.setAttribute("stroke-dashoffset", size * (1 - now.left / entry.passcode.period));
    ring.classList.toggle("soon", now.left <= 5);
    left.textContent = t("passcode.left", { count: now.left });
  };
  const drawn = draw();
  const timer = setInterval(draw, 1000);
  return { place, ring, left, drawn, end: () => clearInterval(timer) };
}

/** title is what an account is called: its owner's name where there is a network, else its number. */
const title = (entry) => live.get(entry.device)?.name || live.get(entry.device)?.username || t("account.number", { number: entry.number });
const badge = (entry) => h("span.pic.badge.c" + ((entry.number - 1) % 5 + 1), { "aria-hidden": "true" }, String(entry.number));

/** naming fetches what accounts are called and puts it in its places; without a network the numbers stay. */
function naming(entry, ...places) {
  return look(entry).then((account) => {
    for (const [place, text] of places) place.textContent = text(account);
    return account;
  });
}

function card(entry, clocks) {
  const name = h("bdi", null, title(entry));
  const user = h("bdi", null, live.get(entry.device)?.username ?? entry.institution);
  const head = h("span", null, h("strong", null, name), h("small", null, user));
  if (entry.gone || entry.pending) {
    return h("li.account", null, h("button.choice", { type: "button", onclick: () => go(entry.pending ? "show" : "account", entry.device) },
      badge(entry), h("span", null, h("strong", null, name), h("small.attention", null, t(entry.pending ? "account.pending" : "account.gone"))), icon("next", true)));
  }
  const clock = ticking(entry, "passcode");
  clocks.push(clock);
  naming(entry, [name, (a) => a.name || a.username], [user, (a) => a.username]).catch(() => { if (entry.gone) again("home"); });
  return h("li.account", null,
    h("button.choice", { type: "button", onclick: () => go("account", entry.device) }, badge(entry), head, icon("next", true)),
    h("div.passline", null, h("span.hide", null, t("passcode.title")), clock.place, clock.ring, clock.left));
}

/** status says whether requests can come, and what waits. */
function status() {
  const place = h("div.status");
  const draw = () => {
    const [id] = watch.waiting.keys();
    place.replaceChildren(...(id
      ? [button(t("home.waiting"), () => go("request", id), "", "alert")]
      : navigator.onLine === false ? [h("p", null, icon("cloud", true), t("home.offline"))]
      : watch.reach === "good" ? [h("p", null, h("span.dot", { "aria-hidden": "true" }), t("home.listening"))]
      : [h("p", null, icon("cloud", true), t("home.unreachable", { why: whatWent(watch.reach) }))]));
  };
  draw();
  const off = watch.onChange(draw);
  for (const event of ["online", "offline"]) addEventListener(event, draw);
  return { place, end() { off(); for (const event of ["online", "offline"]) removeEventListener(event, draw); } };
}

screen("home", async () => {
  const entries = await keep.accounts();
  if (entries.length === 0) return empty();
  const clocks = [];
  const list = h("ul.accounts", null, entries.map((entry) => card(entry, clocks)));
  const now = status();
  await Promise.all(clocks.map((c) => c.drawn));
  return {
    title: t("home.title"), quiet: entries.length === 1, parts: [list], acts: [now.place, button(t("home.add"), () => go("add"), ".quiet", "plus")],
    leave() { now.end(); for (const c of clocks) c.end(); },
  };
});

function empty() {
  const first = known() ? t("empty.lead", { institution: house.institution }) : t("empty.unknown");
  return {
    title: t("empty.title"), parts: [h("div.big", null, pic("shield")), p(first, ".lead"), !known() && say("bad", "cloud", p(t("trouble.unreachable"))),
      push.apple() && !push.installed() && say("note", "phone", h("p", null, t("empty.install")), h("p", null, h("button.link", { type: "button", onclick: () => go("install") }, t("empty.install.how")))),
      rows(row("scan", t("add.scan"), t("add.scan.hint"), () => go("scan")), row("keys", t("add.code"), t("add.code.hint"), () => go("code")),
        row("person", t("add.account"), t("add.account.hint"), house.server ? house.server + "/security/add/app" : () => go("code"), "out")),
      h("p.centre", null, h("button.link", { type: "button", onclick: () => go("restore") }, t("add.restore")))],
  };
}

const stored = () => more(t("stored.title"), p(t("stored.lead")), h("ul.plain", null, ["key", "passcode", "lock", "ids", "number", "house"].map((name) => h("li", null, t("stored." + name)))), p(t("stored.not")), p(t("stored.sends")));

function notifications(entry) {
  const state = push.state(house, entry);
  const trouble = problem();
  const line = p(t("push." + state), ".small.muted");
  if (state !== "on" && state !== "off") return h("section", null, h("h2", null, t("push.title")), line);
  const toggle = h("button.switch", { type: "button", role: "switch", "aria-checked": String(state === "on"), onclick: () => busy(toggle, async () => {
    trouble.clear();
    const was = toggle.getAttribute("aria-checked") === "true";
    try {
      if (was) await push.off(entry);
      else if (!await push.on(house, entry)) return trouble.tell(t("push.refused"));
      toggle.setAttribute("aria-checked", String(!was));
      line.textContent = t(was ? "push.off" : "push.on");
      announce(line.textContent);
    } catch (error) {
      trouble.tell(error.code ? error : t("push.failed"));
    }
  }) }, icon("bell"), h("span", null, t("push.title")), h("span.knob", { "aria-hidden": "true" }));
  return h("section", null, toggle, line, trouble);
}

function gone(entry) {
  return {
    title: t("gone.title"), back: "home", parts: [say("note", "alert", p(t("gone.lead"))), p(t("gone.next"))],
    acts: [button(t("add.again"), () => go("add")), button(t("remove.yes"), async () => { await keep.remove(entry.device); go("home", null, true); }, ".quiet", "bin")],
  };
}

screen("account", async (device) => {
  const entry = await keep.account(device);
  if (!entry) { go("home", null, true); return null; }
  if (entry.pending) { go("show", device, true); return null; }
  if (entry.gone) return gone(entry);
  const clock = ticking(entry, "large.passcode");
  await clock.drawn;
  const user = h("bdi", null, live.get(device)?.username ?? "");
  const named = h("p.lead", null, user);
  const links = h("div", null);
  const copy = button(t("passcode.copy"), async () => {
    try {
      await navigator.clipboard.writeText(clock.place.code);
      announce(t("passcode.copied"));
      copy.lastChild.textContent = t("passcode.copied");
      setTimeout(() => { copy.lastChild.textContent = t("passcode.copy"); }, 4000);
    } catch {
      announce(t("passcode.notcopied"));
    }
  }, ".quiet.fit", "copy");
  const draw = () => {
    const account = live.get(device);
    links.replaceChildren(rows(
      account?.passkey_url && row("passkey", t("account.passkey"), t("account.passkey.hint"), account.passkey_url, "out"),
      row("move", t("account.move"), t("account.move.hint"), () => go("move", device)),
      account?.security_url && row("shield", t("account.security"), t("account.security.hint"), account.security_url, "out"),
      row("bin", t("account.remove"), t("account.remove.hint"), () => go("remove", device))));
  };
  draw();
  naming(entry, [user, (a) => a.username]).then((account) => {
    const heading = document.querySelector("#main h1");
    if (heading && location.hash.endsWith(device) && account.name) heading.textContent = account.name;
    draw();
  }, (error) => { if (entry.gone) again("account"); else if (!live.has(device)) user.textContent = t(error.code === "offline" ? "account.noname" : "account.nonamenow"); });
  return {
    title: title(entry), back: "home", parts: [named,
      h("section.code", null, h("h2", null, t("passcode.title")), h("p.passline", null, clock.place, clock.ring, clock.left), p(t("passcode.hint"), ".small.muted"), copy),
      links, notifications(entry), stored()],
    leave: clock.end,
  };
});

screen("remove", async (device) => {
  const entry = await keep.account(device);
  if (!entry) { go("home", null, true); return null; }
  const trouble = problem();
  const forget = async () => { await keep.remove(device); live.delete(device); watch.start(); announce(t("remove.done")); go("home", null, true); };
  const anyway = button(t("remove.anyway"), forget, ".quiet");
  anyway.hidden = true;
  const yes = button(t("remove.yes"), () => busy(yes, async () => {
    try {
      await wire.signed(entry, "DELETE", "/app/v1/device");
    } catch (error) {
      if (!entry.gone) {
        trouble.tell(error.code === "method.last" ? error.message || t("remove.last") : error);
        anyway.hidden = error.code !== "offline";
        return;
      }
    }
    await forget();
  }), ".danger", "bin");
  return {
    title: t("remove.title", { name: title(entry) }), back: ["account", device],
    parts: [p(t("remove.lead"), ".lead"), p(t("remove.sure")), trouble, ...help()],
    acts: [yes, anyway, button(t("app.cancel"), () => go("account", device, true), ".text")],
  };
});
