// What screens are made of: elements, icons, texts, and the colour of the institution.

const words = await (await fetch("/en.json")).json();

const plural = new Intl.PluralRules(document.documentElement.lang);

/** t is a text of the catalogue, with its places filled in; where values has a count, the text for that number. */
export const t = (key, values = {}) => (words[key] ?? words[key + "." + plural.select(values.count)] ?? words[key + ".other"] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

/** h makes an element. Handlers are on…; what is null or false is left out. Text is always text, never markup. */
export function h(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false && c !== ""));
  return element;
}

const shapes = {
  arch: "M5 20V11a7 7 0 0 1 14 0v9M3 20h18M9.5 20v-7a2.5 2.5 0 0 1 5 0v7",
  back: "m15 5.5-6.5 6.5 6.5 6.5",
  next: "m9 5.5 6.5 6.5L9 18.5",
  plus: "M12 5v14M5 12h14",
  phone: "M8.5 2.5h7A2.5 2.5 0 0 1 18 5v14a2.5 2.5 0 0 1-2.5 2.5h-7A2.5 2.5 0 0 1 6 19V5a2.5 2.5 0 0 1 2.5-2.5ZM10.8 18.4h2.4",
  done: "M12 2.8a9.2 9.2 0 1 1 0 18.4 9.2 9.2 0 0 1 0-18.4Zm-4.2 9.6 2.9 2.9 5.6-6",
  alert: "M12 2.8a9.2 9.2 0 1 1 0 18.4 9.2 9.2 0 0 1 0-18.4ZM12 7.5v5.2M12 16.4h.01",
  stop: "M12 2.8a9.2 9.2 0 1 1 0 18.4 9.2 9.2 0 0 1 0-18.4ZM8 12h8",
  clock: "M12 2.8a9.2 9.2 0 1 1 0 18.4 9.2 9.2 0 0 1 0-18.4ZM12 7v5.2l3.4 2",
  passkey: "M4.5 13.5V12a7.5 7.5 0 0 1 12.8-5.3M19.2 9.9c.2.7.3 1.4.3 2.1v2.5M7.8 18.5c-.2-1.1-.3-2.3-.3-3.5v-3a4.5 4.5 0 0 1 9 0v2.5c0 1.3-.1 2.6-.4 3.8M10.7 20.5c-.5-1.7-.7-3.5-.7-5.3V12a2 2 0 0 1 4 0v3c0 1.9-.2 3.8-.7 5.6",
  scan: "M4 8V6a2 2 0 0 1 2-2h2M16 4h2a2 2 0 0 1 2 2v2M20 16v2a2 2 0 0 1-2 2h-2M8 20H6a2 2 0 0 1-2-2v-2M8 8h3v3H8zM13.5 8H16v2.5M8 13.5V16h2.5M13.5 13.5h2.5V16h-2.5z",
  keys: "M5 6h14a2.5 2.5 0 0 1 2.5 2.5v7A2.5 2.5 0 0 1 19 18H5a2.5 2.5 0 0 1-2.5-2.5v-7A2.5 2.5 0 0 1 5 6ZM6.5 10h.01M10 10h.01M14 10h.01M17.5 10h.01M8 14.3h8",
  person: "M12 3.8a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4ZM4 20.5c.8-3.8 4-6 8-6s7.2 2.2 8 6",
  shield: "M12 2.8 4.8 5.6v5.6c0 4.6 3 8.3 7.2 10 4.2-1.7 7.2-5.4 7.2-10V5.6L12 2.8ZM8.8 11.8l2.3 2.3 4.2-4.4",
  bell: "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 2h-15l1.5-2ZM10 21h4",
  move: "M4.5 3.5h5A1.5 1.5 0 0 1 11 5v14a1.5 1.5 0 0 1-1.5 1.5h-5M14 12h7M18 8.5l3.5 3.5-3.5 3.5",
  bin: "M4 6.5h16M9 6.5V4.8A1.3 1.3 0 0 1 10.3 3.5h3.4A1.3 1.3 0 0 1 15 4.8v1.7M6 6.5l1 12.2a2 2 0 0 0 2 1.8h6a2 2 0 0 0 2-1.8l1-12.2",
  copy: "M9 8.5h9a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H9A1.5 1.5 0 0 1 7.5 19v-9A1.5 1.5 0 0 1 9 8.5ZM4.5 15.5V5A1.5 1.5 0 0 1 6 3.5h9.5",
  out: "M13.5 4.5h6v6M19.5 4.5 11 13M17.5 14v4a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V8.500a2 2 0 0 1 2-2h4",
  cloud: "M4 4l16 16M8 8.200A5.500 5.500 0 0 0 5.500 18H17M19.800 16.500A4 4 0 0 0 17.500 10 5.800 5.800 0 0 0 11.500 6.200",
  refresh: "M19.5 12a7.5 7.5 0 1 1-2.3-5.4M19.8 3.5v4h-4",
};

/** icon says nothing to a screen reader: the words stand beside it. */
export function icon(name, small) {
  return drawing("icon" + (small ? " icon-s" : ""), "0 0 24 24", { d: shapes[name] });
}

/** drawing is an SVG of one path. */
export function drawing(kind, box, ...paths) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [key, value] of Object.entries({ class: kind, viewBox: box, "aria-hidden": "true", focusable: "false" })) svg.setAttribute(key, value);
  for (const attributes of paths) {
    const path = document.createElementNS(space, "path");
    for (const [key, value] of Object.entries(attributes)) path.setAttribute(key, value);
    svg.append(path);
  }
  return svg;
}

export const pic = (name, kind = "") => h("span.pic" + kind, null, icon(name));
export const button = (text, press, kind = "", name = "") => h("button.button" + kind, { type: "button", onclick: press }, name && icon(name, true), text);
export const say = (kind, name, ...parts) => h("div.say." + kind, null, icon(name), h("div", null, ...parts));
export const p = (text, kind = "") => h("p" + kind, null, text);

/** row is a line of a list that leads somewhere. */
export function row(name, title, hint, press, more) {
  const parts = [pic(name), h("span", null, h("strong", null, title), hint && h("small", null, hint)), icon(more ?? "next", true)];
  return h("li", null, typeof press === "string"
    ? h("a.choice", { href: press, target: "_blank", rel: "noopener noreferrer" }, parts)
    : h("button.choice", { type: "button", onclick: press }, parts));
}
export const rows = (...items) => h("ul.choices", null, items);
export const more = (title, ...parts) => h("details.more", { ontoggle: (event) => event.target.open && event.target.scrollIntoView({ block: "center" }) }, h("summary", null, icon("next", true), title), h("div", null, ...parts));

/** digits shows a code in groups, and has it read digit by digit. */
export function digits(code, kind) {
  const half = code.length > 4 ? Math.ceil(code.length / 2) : code.length;
  return h("span." + kind, null,
    h("span", { "aria-hidden": "true" }, h("span", null, code.slice(0, half)), code.length > half && h("span.gap", null, code.slice(half))),
    h("span.hide", null, [...code].join(" ")));
}

/** announce has a screen reader say text, without moving the focus. */
export function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = text; });
}

/** busy marks a button while act runs; a second press does nothing. */
export async function busy(element, act) {
  if (element?.getAttribute("aria-busy")) return;
  element?.setAttribute("aria-busy", "true");
  try {
    return await act();
  } finally {
    element?.removeAttribute("aria-busy");
  }
}

/** whatWent puts trouble into words: what happened and what to do. */
export function whatWent(error) {
  switch (error?.code) {
    case "offline": return t(navigator.onLine === false ? "trouble.offline" : "trouble.unreachable");
    case "broken": return t("trouble.broken");
    case "device.unknown": return t("trouble.gone");
    case "device.clock": return t("trouble.clock");
  }
  switch (error?.name) {
    case "NotAllowedError": case "AbortError": return t("trouble.cancelled");
    case "SecurityError": return t("trouble.address");
    case "InvalidStateError": return t("trouble.already");
    case "NotSupportedError": case "ConstraintError": return t("trouble.unsuited");
    case "QuotaExceededError": return t("trouble.full");
  }
  if (error?.retry) return error.message || t("trouble.busy", { count: Math.ceil(error.retry / 60) });
  return error?.code && error.message ? error.message : t("trouble.unknown");
}

/** problem is the place on a screen where trouble is said; tell fills it and moves the focus there. */
export function problem() {
  const place = h("div", { tabindex: "-1", role: "group", hidden: true });
  place.tell = (error) => {
    place.replaceChildren(say("bad", "alert", p(typeof error === "string" ? error : whatWent(error))));
    place.hidden = false;
    place.focus();
  };
  place.clear = () => { place.hidden = true; };
  return place;
}

const parse = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
const mix = (a, b, share) => a.map((v, i) => Math.round(v * (1 - share) + b[i] * share));

/** accent takes the institution's colour, moved until text in it and on it can be read in both themes (WCAG 2.2, 1.4.3). */
export function accent(hex) {
  if (!/^#[0-9a-f]{6}$/i.test(hex ?? "")) return;
  const root = document.documentElement.style;
  const fit = (name, ground, text, toward, least) => {
    for (let share = 0; share <= 0.5; share += 0.02) {
      const colour = mix(parse(hex), toward, share);
      if (contrast(colour, mix(ground, colour, 0.13)) >= least && contrast(colour, text) >= least) {
        root.setProperty("--accent-" + name, `rgb(${colour.join(" ")})`);
        return;
      }
    }
  };
  fit("light", [243, 244, 246], [255, 255, 255], [0, 0, 0], 4.5);
  fit("dark", [23, 27, 33], [14, 17, 21], [255, 255, 255], 6.2);
}
