// Watching for requests while the app is seen: one long poll for each account, so that a request shows within a moment
// even where pushes never arrive. It backs off where the house cannot be reached, and rests while the app is hidden.

import * as keep from "/keep.js";
import * as wire from "/wire.js";

// HTTP/1.1 gives a site six connections. Accounts beyond these ask every two seconds and hold none open.
const held = 3;
const often = 2000; // ms

/** waiting are the open requests by id: {request, entry, late}; late is how far the house's clock is ahead, in seconds. */
export const waiting = new Map();
/** reach is "good" or why the house cannot be asked: a Trouble. */
export let reach = "good";

const told = new Set();
const answered = new Set();
let control = null;

/** onChange has act called with "came" (a request), "went", "reach" or "gone" (an account). It gives what ends that. */
export function onChange(act) {
  told.add(act);
  return () => told.delete(act);
}
const tell = (what, ...more) => { for (const act of [...told]) act(what, ...more); };

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

/** start watches all accounts; called again it begins anew, with those there are by now. */
export async function start() {
  stop();
  if (document.visibilityState !== "visible") return;
  control = new AbortController();
  const { signal } = control;
  const entries = (await keep.accounts()).filter((a) => !a.gone && !a.pending);
  const known = new Set(entries.map((a) => a.device));
  for (const [id, item] of waiting) if (!known.has(item.entry.device)) forget(id);
  entries.forEach((entry, i) => { if (!signal.aborted) follow(entry, i < held, signal); });
}

export function stop() {
  control?.abort();
  control = null;
}

async function follow(entry, hold, signal) {
  let failures = 0;
  while (!signal.aborted) {
    const open = [...waiting.values()].some((w) => w.entry.device === entry.device);
    const wait = open || !hold ? 0 : 25;
    const began = Date.now();
    try {
      const answer = await ask(entry, wait, signal);
      failures = 0;
      setReach("good");
      await wire.setClock(entry, answer.now);
      take(entry, answer.requests);
      // What answers at once although nothing waits must not be asked in a circle.
      if (wait === 0 || Date.now() - began < 500) await pause(often, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (entry.gone) {
        for (const [id, item] of waiting) if (item.entry.device === entry.device) forget(id);
        tell("gone", entry);
        return;
      }
      failures++;
      if (failures > 1) setReach(error);
      const ms = error.retry ? error.retry * 1000 : Math.min(30000, 500 * 2 ** failures);
      await pause(ms * (0.75 + Math.random() / 2), signal);
    }
  }
}

/** ask gives up on an answer that never comes, as after a change of networks. */
async function ask(entry, wait, signal) {
  const one = new AbortController();
  const end = () => one.abort();
  const timer = setTimeout(end, (wait + 15) * 1000);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await wire.signed(entry, "GET", "/app/v1/requests?wait=" + wait, null, { signal: one.signal });
  } catch (error) {
    throw one.signal.aborted ? new wire.Trouble("offline") : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

function setReach(next) {
  if ((reach.code ?? reach) === (next.code ?? next)) return;
  reach = next;
  tell("reach");
}

function take(entry, requests) {
  const there = new Set();
  for (const request of requests) {
    if (answered.has(request.id)) continue;
    there.add(request.id);
    const had = waiting.get(request.id);
    waiting.set(request.id, { request, entry });
    if (!had) tell("came", request.id);
  }
  for (const [id, item] of waiting) if (item.entry.device === entry.device && !there.has(id)) forget(id);
}

function forget(id) {
  waiting.delete(id);
  tell("went", id);
}

/** settle says that a request is answered: it is not shown again, whatever is still under way. */
export function settle(id) {
  answered.add(id);
  waiting.delete(id);
}
