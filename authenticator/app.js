// Where the app begins: the house, the worker, the link it was opened with, and what is said above every screen.

import * as push from "/push.js";
import * as watch from "/watch.js";
import { announce, button, h, icon, t } from "/page.js";
import { again, current, go, later, show, where } from "/route.js";
import { known, load, recall } from "/house.js";
import { link } from "/pair.js";
import "/accounts.js";
import "/request.js";

for (const name of ["move", "moved"]) later(name, "/move.js");
for (const name of ["restore", "scan"]) later(name, "/" + name + ".js");

// Screens in the middle of something: there a request is announced and not put in the way.
const held = new Set(["request", "report", "result", "pair", "show", "scan", "code", "opening", "restore", "move"]);

const notes = new Map();
/** note says something above every screen; null takes it away. */
function note(name, ...parts) {
  if (parts[0] === null) notes.delete(name);
  else notes.set(name, h("div.note", null, parts));
  document.getElementById("notes").replaceChildren(...notes.values());
}

/** takeLink takes "#pair=…" out of the address before anything else sees it. */
function takeLink() {
  const token = location.hash.match(/^#pair=([\w-]+)$/)?.[1];
  if (!token) return false;
  history.replaceState(null, "", "#/");
  link(token);
  return true;
}

function network() {
  if (navigator.onLine === false) note("offline", icon("cloud", true), h("p", null, t("note.offline")));
  else note("offline", null);
}

watch.onChange((what, id) => {
  if (what === "gone") again("home", "account");
  if (what !== "came" && what !== "went") return;
  const name = current().name;
  if (what === "came") announce(t("note.came"));
  if (what === "came" && !held.has(name)) return go("request", id);
  const [next] = watch.waiting.keys();
  if (next && held.has(name) && !["request", "report"].includes(name)) {
    note("waiting", icon("alert", true), h("p", null, t("note.came")), button(t("note.show"), () => { note("waiting", null); go("request", next); }, ".fit"));
  } else note("waiting", null);
});

/** worker keeps the app for when there is no network, and says when there is a newer one. */
async function worker() {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  const mine = Boolean(serviceWorker.controller);
  const registration = await serviceWorker.register("/sw.js", { updateViaCache: "none" });
  const offer = () => {
    if (!registration.waiting || !mine) return;
    note("update", icon("refresh", true), h("p", null, t("note.update")), button(t("note.restart"), () => registration.waiting?.postMessage("now"), ".fit"));
  };
  registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", offer));
  serviceWorker.addEventListener("controllerchange", () => { if (mine) location.reload(); });
  serviceWorker.addEventListener("message", (event) => { if (event.data === "waiting") watch.start(); });
  offer();
}

let installer = null;
addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  installer = event;
  note("install", icon("phone", true), h("p", null, t("note.install")), button(t("note.install.go"), async () => {
    note("install", null);
    await installer.prompt();
  }, ".fit"));
});
addEventListener("appinstalled", () => note("install", null));

addEventListener("online", () => { network(); fetchHouse(); watch.start(); });
addEventListener("offline", network);
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") watch.start(); else watch.stop(); });
addEventListener("pagehide", watch.stop);
addEventListener("pageshow", (event) => { if (event.persisted) watch.start(); });
addEventListener("hashchange", takeLink, true);

async function fetchHouse() {
  const had = known();
  try {
    const house = await load();
    push.refresh(house).catch(() => {}); // the app finds requests without it, and says so where it is off
  } catch { /* nothing kept and no network: the empty screen says it */ }
  if (!had) again("home", "add");
}

// A request and its outcome live in memory: a page that is loaded anew begins at home and finds them again.
if (["request", "report", "result"].includes(where()[0])) history.replaceState(null, "", "#/");
network();
worker().catch(() => {}); // a browser without one works, as long as there is a network
const fetched = fetchHouse();
if (!await recall()) await fetched;
if (!takeLink()) await show({ first: true });
watch.start();
