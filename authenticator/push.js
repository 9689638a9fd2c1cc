// Notifications (Web Push). One subscription serves all accounts of this app. A push says that something waits and no
// more; without it the open app finds requests by itself.

import * as keep from "/keep.js";
import * as wire from "/wire.js";

/** How the app was opened, where that decides what a phone can do. */
export const installed = () => matchMedia("(display-mode: standalone)").matches || navigator.standalone === true;
export const apple = () => /iPhone|iPad|iPod/.test(navigator.userAgent) || (navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1);

/** state of notifications for an account: "on", "off", "refused" (by the phone), "install" (first), "never". */
export function state(house, entry) {
  if (!house?.push) return "never";
  if (!("PushManager" in window) || !("Notification" in window)) return apple() && !installed() ? "install" : "never";
  if (Notification.permission === "denied") return "refused";
  return Notification.permission === "granted" && entry.pushed ? "on" : "off";
}

async function subscription(house) {
  const { pushManager } = await navigator.serviceWorker.ready;
  const have = await pushManager.getSubscription();
  const key = wire.toBytes(house.push);
  if (have) {
    const old = have.options?.applicationServerKey;
    if (!old || wire.toText(old) === house.push) return have;
    await have.unsubscribe(); // the house has a new key
  }
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

async function hand(entry, sub) {
  const mark = wire.toText(await wire.digest(sub.endpoint));
  if (entry.pushed === mark) return;
  await wire.signed(entry, "PUT", "/app/v1/push",
    { endpoint: sub.endpoint, p256dh: wire.toText(sub.getKey("p256dh")), auth: wire.toText(sub.getKey("auth")) });
  entry.pushed = mark;
  await keep.change(entry.device, { pushed: mark });
}

/** on asks the person, subscribes, and tells the house where pushes for entry go. Called from a press. */
export async function on(house, entry) {
  if (await Notification.requestPermission() !== "granted") return false;
  await hand(entry, await subscription(house));
  return true;
}

/** off stops them for entry; the last one gives the subscription up. */
export async function off(entry) {
  await wire.signed(entry, "DELETE", "/app/v1/push");
  entry.pushed = "";
  await keep.change(entry.device, { pushed: "" });
  if ((await keep.accounts()).some((a) => a.pushed)) return;
  const sub = await (await navigator.serviceWorker.ready).pushManager.getSubscription();
  await sub?.unsubscribe();
}

/** refresh tells the house of an address that the push service has changed. */
export async function refresh(house) {
  if (!house.push || !("PushManager" in window) || Notification.permission !== "granted") return;
  for (const entry of await keep.accounts()) {
    if (entry.pushed && !entry.gone) await hand(entry, await subscription(house));
  }
}
