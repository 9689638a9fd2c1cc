// What the institution and the accounts are called: fetched when it is shown, and forgotten when the app is closed.

import * as keep from "/keep.js";
import * as wire from "/wire.js";
import { accent } from "/page.js";
import { setBrand } from "/route.js";

/** house is GET /app/v1/house, or what of it was kept; now is its clock when ours said at. */
export let house = {};
/** live has GET /app/v1/account by device: in memory alone. */
export const live = new Map();

function take(next) {
  house = next;
  setBrand(house.institution);
  accent(house.accent);
  return house;
}

/** recall takes what was kept, at once and without a network; it says whether there was anything. */
export async function recall() {
  const kept = await keep.fact("house").catch(() => null);
  if (kept) take(kept);
  return Boolean(kept);
}

/** load fetches the house anew. */
export async function load() {
  const { now, ...rest } = await wire.call("GET", "/app/v1/house");
  await keep.setFact("house", rest);
  return take({ ...rest, now, at: Math.floor(Date.now() / 1000) });
}

/** look fetches an account. It throws as wire.signed does. */
export async function look(entry) {
  const account = await wire.signed(entry, "GET", "/app/v1/account");
  live.set(entry.device, account);
  return account;
}

export const known = () => Boolean(house.institution);
