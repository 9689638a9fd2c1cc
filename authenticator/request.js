// The request screen: who asks, from where, and the number that only the sign-in page shows.

import { announce, busy, button, h, icon, more, p, pic, problem, say, t } from "/page.js";
import { go, screen } from "/route.js";
import * as watch from "/watch.js";
import * as wire from "/wire.js";
import { house, live, look } from "/house.js";

/** clean takes out what could turn or break a line: names come from strangers' browsers. */
const clean = (text) => String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/g, " ").trim().slice(0, 120);
const shown = (text) => h("bdi", null, clean(text));

let outcome = null;
let replaced = null;

/** decide signs the answer, has it unlocked where it approves, and sends it. */
async function decide({ request, entry }, decision, number) {
  const answer = await wire.jws(entry.key, entry.device, "answer",
    { request: request.id, number, decision, account: entry.account, server: house.server, time: wire.now(entry) });
  const unlock = decision === "approve" ? await wire.unlock(entry, answer) : null;
  return wire.signed(entry, "POST", "/app/v1/requests/" + encodeURIComponent(request.id) + "/answer", { answer, unlock });
}

/** answer decides and goes on to what came of it; what leaves the request open is said here. */
async function answer(item, decision, number, trouble) {
  trouble.clear();
  try {
    const { standing } = await decide(item, decision, number);
    finish(item, standing);
  } catch (error) {
    if (error.code === "request.wrong_number") finish(item, "wrong");
    else if (error.code === "request.over" || error.status === 404) finish(item, "over");
    else if (error.name === "NotAllowedError" || error.name === "AbortError") trouble.tell(t("request.locked"));
    else trouble.tell(error);
  }
}

function finish(item, kind) {
  watch.settle(item.request.id);
  outcome = { kind, item };
  navigator.vibrate?.(kind === "approved" ? 30 : [30, 60, 30]);
  go("result", null, true);
}

const fact = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, value));

function facts({ request, entry }) {
  const at = new Intl.DateTimeFormat(navigator.language, { timeStyle: "short" }).format(new Date((request.created - (entry.skew ?? 0)) * 1000));
  return h("dl.facts", null,
    fact(t("request.application"), h("strong", null, shown(request.application))),
    fact(t("request.place"), ...(request.country ? [shown(request.place), h("small", null, t("request.unsure"))] : [t("request.nowhere")])),
    fact(t("request.agent"), clean(request.agent) ? shown(request.agent) : t("request.noagent"),
      h("small", null, t(request.known ? "request.known" : "request.new"))),
    fact(t("request.time"), at),
    fact(t("request.address"), shown(request.address)));
}

/** clock tells how long the request still waits, warns once, and gives more time for a press. */
function clock(item, trouble) {
  const text = h("span");
  const again = h("button.link", { type: "button", onclick: () => busy(again, async () => {
    try {
      const { expires } = await wire.signed(item.entry, "POST", "/app/v1/requests/" + encodeURIComponent(item.request.id) + "/extend");
      item.request.expires = expires;
      draw();
      announce(t("request.extended", { count: Math.round((expires - wire.now(item.entry)) / 60) }));
    } catch (error) {
      if (error.code === "request.over") finish(item, "over");
      else trouble.tell(error);
    }
  }) }, t("request.extend"));
  const line = h("p.left", null, icon("clock", true), text, again);
  let warned = false;
  const draw = () => {
    const left = item.request.expires - wire.now(item.entry);
    again.hidden = !item.request.extend;
    line.classList.toggle("soon", left < 75);
    text.textContent = left < 75 ? t("request.soon") : t("request.left", { count: Math.round(left / 60) });
    if (left < 75 && !warned) announce(t("request.warn"));
    warned = left < 75;
    if (left <= 0) finish(item, "over");
  };
  draw();
  const timer = setInterval(draw, 5000);
  return { line, end: () => clearInterval(timer) };
}

function numberForm(item, trouble) {
  const { digits } = item.request;
  const input = h("input.number", { id: "number", type: "text", inputmode: "numeric", autocomplete: "off", enterkeyhint: "go",
    pattern: "[0-9]*", "aria-describedby": "number-hint", required: true });
  input.addEventListener("input", () => {
    const only = input.value.normalize("NFKC").replace(/\D/g, "").slice(0, digits);
    if (only !== input.value) input.value = only;
    trouble.clear();
  });
  const approve = h("button.button", { type: "submit", form: "match" }, icon("done", true), t("request.approve"));
  const form = h("form" + (digits > 3 ? ".match" : ".match.beside"), { id: "match", novalidate: true },
    h("div", null, h("label", { for: "number" }, t("request.number")),
      h("p.hint", { id: "number-hint" }, t(digits === 2 ? "request.two" : "request.many", { digits }))), input);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.length !== digits) {
      input.setAttribute("aria-invalid", "true");
      trouble.tell(t("request.short", { digits }));
      input.focus();
      return;
    }
    input.removeAttribute("aria-invalid");
    busy(approve, () => answer(item, "approve", input.value, trouble));
  });
  return { form, approve };
}

function whose({ entry }) {
  const name = h("bdi");
  const draw = (a) => { name.textContent = t("request.whose", { name: clean(a?.username ?? t("account.number", { number: entry.number })) }); };
  draw(live.get(entry.device));
  look(entry).then(draw, () => {});
  return h("p.for", null, icon("person", true), name);
}

/** instead is what the same sign-in page sent in place of a request. */
const instead = ({ request, entry }) => [...watch.waiting.values()]
  .find((w) => w.entry.device === entry.device && ["application", "address", "agent"].every((k) => w.request[k] === request[k]))?.request.id;

screen("request", (id) => {
  const item = watch.waiting.get(id);
  if (!item) {
    const [next] = watch.waiting.keys();
    if (next) { go("request", next, true); return null; }
    outcome = { kind: "over" };
    go("result", null, true);
    return null;
  }
  const trouble = problem();
  const time = clock(item, trouble);
  const { form, approve } = numberForm(item, trouble);
  const others = h("p.small.muted");
  const count = () => { others.textContent = watch.waiting.size > 1 ? t("request.others", { count: watch.waiting.size - 1 }) : ""; };
  count();
  const off = watch.onChange((what, gone) => {
    if (what !== "went" || gone !== id) return count();
    replaced = instead(item);
    if (!replaced) return finish(item, "over");
    go("request", replaced, true);
  });
  return {
    title: t("request.title"), parts: [id === replaced && say("note", "alert", p(t("request.replaced"))), whose(item), facts(item), more(t("request.unseen"), p(t("request.unseen.same")), p(t("request.unseen.none"))), time.line, others],
    // The number stays in view, within the thumb's reach, however small the screen.
    acts: [trouble, form, approve, button(t("request.notme"), () => go("report", id), ".quiet.warn", "stop")],
    leave() { time.end(); off(); },
  };
});

screen("report", (id) => {
  const item = watch.waiting.get(id);
  if (!item) { go("home", null, true); return null; }
  const trouble = problem();
  const report = button(t("report.yes"), () => busy(report, () => answer(item, "report", "", trouble)), ".danger", "stop");
  const deny = button(t("report.mine"), () => busy(deny, () => answer(item, "deny", "", trouble)), ".quiet");
  return {
    title: t("report.title"), back: ["request", id],
    parts: [p(t("report.what"), ".lead"), h("ul.plain", null, h("li", null, t("report.ends")), h("li", null, t("report.blocks")),
      h("li", null, t("report.desk")), h("li", null, t("report.password"))), trouble],
    acts: [report, deny, button(t("report.back"), () => go("request", id, true), ".text")],
  };
});

/** What came of it: icon, its kind, and what may be done next. */
const results = {
  approved: ["done", "good"], denied: ["stop", ""], reported: ["shield", "good"], wrong: ["alert", "bad"], over: ["clock", ""],
};

screen("result", () => {
  if (!outcome) { go("home", null, true); return null; }
  const { kind, item } = outcome;
  const [name, look] = results[kind] ?? results.over;
  const account = item && live.get(item.entry.device);
  const next = () => {
    const [id] = watch.waiting.keys();
    outcome = null;
    if (id) go("request", id, true); else go("home", null, true);
  };
  const parts = [h("div.big", null, pic(name, look && "." + look)), p(t("result." + kind), ".lead")];
  if (kind === "reported") {
    parts.push(h("h2", null, t("result.next")), h("ol.plain", null, h("li", null, t("result.password")), h("li", null, t("result.look")), h("li", null, t("result.ask"))), ...help());
    if (account?.security_url) parts.push(h("a.button.quiet", { href: account.security_url, target: "_blank", rel: "noopener noreferrer" }, icon("out", true), t("result.security")));
  }
  if (kind === "wrong") parts.push(say("note", "alert", p(t("result.wrong.stranger"))), ...help());
  return { title: t("result." + kind + ".title"), centre: true, parts, acts: [button(t("app.done"), next)] };
});

/** help says who helps, as far as the institution has told. */
export function help() {
  const { url, phone, mail } = house.help ?? {};
  const way = [
    phone && h("a", { href: "tel:" + phone.replace(/[^\d+]/g, "") }, phone),
    mail && h("a", { href: "mailto:" + mail }, mail),
    url && h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, t("help.page")),
  ].filter(Boolean);
  return way.length ? [h("p.ways", null, t("help.who"), way)] : [];
}
