// The way back for a phone that has lost what the app kept: its platform passkey proves that it is the same phone.

import * as keep from "/keep.js";
import * as watch from "/watch.js";
import * as wire from "/wire.js";
import { announce, busy, button, more, p, problem, t } from "/page.js";
import { go, screen } from "/route.js";
import { house, load } from "/house.js";
import { phoneName, settle } from "/pair.js";

screen("restore", () => {
  const trouble = problem();
  const press = button(t("restore.go"), () => busy(press, restore).then(async (entry) => {
    await watch.start();
    announce(t("paired.title"));
    go("paired", entry.device, true);
  }, (error) => trouble.tell(error.name === "NotAllowedError" ? t("restore.none") : error)), "", "passkey");
  return {
    title: t("restore.title"), back: "add", parts: [p(t("restore.lead"), ".lead"), trouble, more(t("restore.how"), p(t("restore.how.text")))],
    acts: [press, button(t("restore.instead"), () => go("add", null, true), ".quiet", "plus")],
  };
});

/** restore takes the place of what this phone was before it lost its storage. */
async function restore() {
  if (!house.server) await load();
  const opened = await wire.call("POST", "/app/v1/restore/open", {});
  const credential = await navigator.credentials.get({ publicKey: wire.options(opened.options) });
  const pair = await wire.newKey();
  const key = await wire.publicKey(pair);
  const device = await wire.thumbprint(key);
  const state = wire.toText(await wire.digest(opened.state));
  const skew = house.now ? house.now - house.at : 0;
  const answer = await wire.call("POST", "/app/v1/restore", {
    state: opened.state, assertion: wire.assertion(credential), key, name: await phoneName(),
    proof: await wire.jws(pair, device, "restore", { state, aud: location.origin, iat: Math.floor(Date.now() / 1000) + skew }),
  });
  for (const old of await keep.accounts()) if (old.account === answer.account) await keep.remove(old.device);
  return settle(answer, pair, credential.id, null, skew);
}

