// Bringing this phone to an account: a link, a QR code or a short code ─► the phone's own lock ─► a code for the page
// that began it ─► done.

import * as keep from "/keep.js";
import * as passcode from "/passcode.js";
import * as push from "/push.js";
import * as watch from "/watch.js";
import * as wire from "/wire.js";
import { busy, button, digits, h, p, pic, problem, row, rows, t } from "/page.js";
import { go, screen, show } from "/route.js";
import { house, load } from "/house.js";
import { help } from "/request.js";

// The pairing under way: what the house answered, and what was made for it, so that a second try makes nothing twice.
let under = null;

const canUnlock = async () => Boolean(await globalThis.PublicKeyCredential?.isUserVerifyingPlatformAuthenticatorAvailable?.().catch(() => false));

/** begin opens a pairing by {token} or {code}; trouble is thrown. */
export async function begin(by) {
  under = { opened: await wire.call("POST", "/app/v1/pairings/open", by), able: await canUnlock() };
  go("pair", null, true);
}

let offered = ""; // a link's token, for going on in Safari after all; in no address

/** link takes a pairing link that this app was opened with. On an iPhone that is Safari, which is not the installed app. */
export async function link(token) {
  if (push.apple() && !push.installed()) { offered = token; return go("install", null, true); }
  go("opening", null, true);
  try {
    await begin({ token });
  } catch (error) {
    refusal = error;
    show();
  }
}

let refusal = null;
screen("opening", () => {
  const error = refusal;
  refusal = null;
  if (!error) return { title: t("pair.opening"), centre: true, parts: [p(t("app.moment"), ".lead")], back: "home" };
  const trouble = problem();
  trouble.tell(error);
  return { title: t("pair.notopen"), back: "home", parts: [trouble, p(t("pair.notopen.next"))], focus: trouble,
    acts: [button(t("add.code"), () => go("code", null, true), "", "keys"), button(t("app.home"), () => go("home", null, true), ".quiet")] };
});

screen("add", () => ({
  title: t("add.title"), back: "home",
  parts: [p(t("add.lead"), ".lead"), rows(
    row("scan", t("add.scan"), t("add.scan.hint"), () => go("scan")),
    row("keys", t("add.code"), t("add.code.hint"), () => go("code")),
    row("person", t("add.account"), t("add.account.hint"), house.server ? house.server + "/security/add/app" : () => go("code"), "out"),
    row("refresh", t("add.restore"), t("add.restore.hint"), () => go("restore")))],
}));

screen("code", () => {
  const trouble = problem();
  const input = h("input.code-in", { id: "code", type: "text", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", enterkeyhint: "go", "aria-describedby": "code-hint" });
  const press = h("button.button", { type: "submit", form: "typed" }, t("app.continue"));
  const form = h("form", { id: "typed", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    const plain = input.value.normalize("NFKC").toUpperCase().replace(/[^A-Z0-9]/g, "");
    if (plain.length !== 8) { trouble.tell(t("code.short")); input.focus(); return; }
    trouble.clear();
    busy(press, () => begin({ code: plain.slice(0, 4) + "-" + plain.slice(4) })).catch((error) => trouble.tell(error));
  } }, h("label", { for: "code" }, t("code.label")), h("p.hint", { id: "code-hint" }, t("code.hint")), input);
  return { title: t("code.title"), back: "add", parts: [p(t("code.lead"), ".lead"), trouble, form], acts: [press] };
});

screen("install", () => ({
  title: t("install.title"), back: "home",
  parts: [p(t("install.why"), ".lead"), h("ol.steps", null, h("li", null, t("install.share")), h("li", null, t("install.add")), h("li", null, t("install.open")),
    h("li", null, t("install.code"))), p(t("install.link"), ".small.muted")],
  acts: [offered ? button(t("install.anyway"), (event) => busy(event.currentTarget, () => begin({ token: offered })).catch((error) => { refusal = error; go("opening", null, true); }), ".text") : null].filter(Boolean),
}));

/** phoneName is what the house calls this phone until its owner gives it another name. */
export async function phoneName() {
  const agent = navigator.userAgent;
  const model = await navigator.userAgentData?.getHighEntropyValues?.(["model"]).then((v) => v.model, () => "");
  if (model) return model.slice(0, 40);
  const kind = [[/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Android/, "Android phone"], [/Mac/, "Mac"], [/Windows/, "Windows computer"], [/Linux/, "Linux computer"]].find(([is]) => is.test(agent));
  return kind?.[1] ?? "Phone";
}

/** claim makes what is missing, brings it to the house, and keeps what comes back. */
async function claim(locked) {
  const { opened } = under;
  if (locked && !under.unlock) {
    under.unlock = wire.registration(await navigator.credentials.create({ publicKey: wire.options(opened.unlock.options) }));
  }
  under.pair ??= await wire.newKey();
  const key = await wire.publicKey(under.pair);
  const device = await wire.thumbprint(key);
  if (!house.server) await load();
  const send = async (time) => wire.call("POST", "/app/v1/pairings/claim", {
    state: opened.state, key, unlock: under.unlock ?? null, name: await phoneName(),
    proof: await wire.jws(under.pair, device, "pairing", { pairing: opened.pairing, aud: location.origin, iat: time }),
  });
  let skew = house.now ? house.now - house.at : 0;
  const answer = await send(Math.floor(Date.now() / 1000) + skew).catch((error) => {
    if (error.code !== "device.clock" || !error.now) throw error;
    skew = error.now - Math.floor(Date.now() / 1000);
    return send(error.now);
  });
  const entry = await settle(answer, under.pair, under.unlock?.id, { pairing: opened.pairing, code: answer.code, expires: answer.expires }, skew);
  under = null;
  return entry;
}

/** settle keeps an account as the house has given it. */
export async function settle(answer, key, unlock, pending, skew) {
  return keep.add({ device: answer.device, account: answer.account, institution: house.institution, key, unlock: unlock ?? "",
    passcode: await passcode.take(answer.passcode), skew: wire.ahead(skew), gone: false, pushed: "", pending });
}

screen("pair", () => {
  if (!under) { go("home", null, true); return null; }
  const { required } = under.opened.unlock;
  const trouble = problem();
  const run = (locked) => (event) => busy(event.currentTarget, () => claim(locked)).then((entry) => go("show", entry.device, true), (error) => {
    if (error.name === "NotAllowedError") trouble.tell(t(required ? "pair.needslock" : "pair.nolock"));
    else trouble.tell(error);
    without.hidden = required || !(error instanceof DOMException);
  });
  const without = button(t("pair.without"), (event) => run(false)(event), ".quiet");
  without.hidden = true;
  const lead = under.able ? "pair.lock" : required ? "pair.missing" : "pair.plain";
  return {
    title: t("pair.title", { institution: house.institution ?? "" }), back: "home",
    parts: [h("div.big", null, pic(under.able ? "passkey" : "phone")), p(t(lead), ".lead"), under.able && p(t("pair.stays"), ".small.muted"), trouble],
    acts: [under.able || !required ? button(t("app.continue"), run(under.able)) : button(t("app.again"), async () => { under.able = await canUnlock(); show(); }), without],
  };
});

const until = (ms, signal) => new Promise((resolve) => { setTimeout(resolve, ms); signal.addEventListener("abort", resolve, { once: true }); });

/** end waits for the end of a pairing: "paired" or "ended"; "" where the screen was left. */
async function end(entry, signal, trouble) {
  for (let failures = 0; !signal.aborted;) {
    const began = Date.now();
    try {
      const { standing } = await wire.signed(entry, "GET", "/app/v1/pairings/" + encodeURIComponent(entry.pending.pairing) + "?wait=25", null, { signal });
      if (standing !== "claimed") return standing;
      if (failures > 1) trouble.clear();
      failures = 0;
      if (Date.now() - began < 500) await until(1000, signal);
    } catch (error) {
      if (signal.aborted) return "";
      if (error.status === 404 || error.status === 410 || error.code === "device.unknown") return "ended";
      if (failures++ === 1) trouble.tell(error);
      await until(Math.min(10000, 1000 * 2 ** failures), signal);
    }
  }
  return "";
}

screen("show", async (device) => {
  const entry = await keep.account(device);
  if (!entry) { go("home", null, true); return null; }
  if (!entry.pending) { go("paired", device, true); return null; }
  const control = new AbortController();
  const trouble = problem();
  end(entry, control.signal, trouble).then(async (standing) => {
    if (standing === "paired") {
      await keep.change(device, { pending: null });
      watch.start();
      go("paired", device, true);
    } else if (standing === "ended") {
      await keep.remove(device);
      go("ended", null, true);
    }
  });
  const cancel = button(t("show.cancel"), () => busy(cancel, async () => {
    control.abort();
    await wire.signed(entry, "DELETE", "/app/v1/pairings/" + encodeURIComponent(entry.pending.pairing)).catch(() => {}); // it ends by itself
    await keep.remove(device);
    go("home", null, true);
  }), ".quiet");
  return {
    title: t("show.title"), centre: true, back: "home",
    parts: [p(t("show.lead"), ".lead"), h("p", null, digits(entry.pending.code, "code-out")), h("p.wait", null, h("span.dots", { "aria-hidden": "true" }), t("show.waiting")),
      p(t("show.time"), ".small.muted"), trouble],
    acts: [cancel], leave() { control.abort(); },
  };
});

screen("paired", async (device) => {
  const entry = await keep.account(device);
  if (!entry) { go("home", null, true); return null; }
  const trouble = problem();
  const home = button(t("app.done"), () => go("home", null, true), ".quiet");
  const parts = [h("div.big", null, pic("done", ".good")), p(t("paired.lead"), ".lead"), trouble];
  const state = push.state(house, entry);
  if (state !== "off") {
    home.classList.remove("quiet");
    return { title: t("paired.title"), centre: true, parts: [...parts, state !== "on" && p(t("push.without"), ".small.muted")], acts: [home] };
  }
  const on = button(t("push.turnon"), () => busy(on, async () => {
    try {
      if (await push.on(house, entry)) go("home", null, true);
      else trouble.tell(t("push.refused"));
    } catch (error) {
      trouble.tell(error.code ? error : t("push.failed"));
    }
    home.classList.remove("quiet");
    on.hidden = true;
  }), "", "bell");
  return { title: t("paired.title"), centre: true, parts: [...parts, p(t("push.offer"))], acts: [on, home] };
});

screen("ended", () => ({
  title: t("ended.title"), centre: true, parts: [h("div.big", null, pic("clock")), p(t("ended.lead"), ".lead"), ...help()],
  acts: [button(t("add.again"), () => go("add", null, true)), button(t("app.home"), () => go("home", null, true), ".quiet")],
}));
