// The wire (docs/authenticator-protocol.md): what is signed, what is sent, and what came back.

import * as keep from "/keep.js";

const utf8 = new TextEncoder();
const ecdsa = { name: "ECDSA", namedCurve: "P-256" };

export const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
export const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
export const digest = async (text) => new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(text)));

/** Trouble is what went wrong on the wire. code is the protocol's, or "offline" or "broken"; message is a sentence for the person, or "". */
export class Trouble extends Error {
  constructor(code, status = 0, answer = {}) {
    super(answer.message ?? "");
    Object.assign(this, { code, status, left: answer.left, now: answer.now, retry: answer.retry_after });
  }
}

export const newKey = () => crypto.subtle.generateKey(ecdsa, false, ["sign"]);

/** publicKey is the JWK's four fields, and thumbprint its name (RFC 7638). */
export async function publicKey(pair) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { kty, crv, x, y };
}
export const thumbprint = async ({ kty, crv, x, y }) => toText(await digest(JSON.stringify({ crv, kty, x, y })));

/** jws signs claims as a compact JWS (RFC 7515, ES256). */
export async function jws(pair, device, typ, claims) {
  const part = (value) => toText(utf8.encode(JSON.stringify(value)));
  const signed = part({ alg: "ES256", typ: "gatehouse-" + typ + "+jwt", kid: device }) + "." + part(claims);
  return signed + "." + toText(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, utf8.encode(signed)));
}

/** The house's time in seconds, as far as this account knows it. */
export const now = (entry) => Math.floor(Date.now() / 1000) + (entry?.skew ?? 0);

async function send(method, path, body, headers, signal) {
  let response;
  try {
    response = await fetch(path, {
      method, body, signal, headers: { ...(body && { "Content-Type": "application/json" }), ...headers },
      credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
    });
  } catch (error) {
    throw signal?.aborted ? error : new Trouble("offline");
  }
  if (response.status === 204) return {};
  let answer;
  try {
    answer = await response.json();
  } catch {
    if (signal?.aborted) throw new DOMException("", "AbortError");
    throw new Trouble("broken", response.status); // a captive portal, a proxy's page
  }
  if (!response.ok) throw new Trouble(answer.error ?? "broken", response.status, answer);
  return answer;
}

/** call asks without a signature. */
export const call = (method, path, body) => send(method, path, body && JSON.stringify(body));

/**
 * signed asks as entry's phone. A wrong clock is learned once; a key that is in use no more marks the account. over gives
 * the body from the JWS, where it speaks of that; such a JWS names no body.
 */
export async function signed(entry, method, path, body, { signal, over } = {}) {
  const once = async () => {
    const text = body && JSON.stringify(body);
    const token = await jws(entry.key, entry.device, "device", {
      aud: location.origin, htm: method, htp: path, iat: now(entry), jti: toText(crypto.getRandomValues(new Uint8Array(16))),
      ...(text && { bh: toText(await digest(text)) }),
    });
    return send(method, path, over ? JSON.stringify(await over(token)) : text, { Authorization: "Device " + token }, signal);
  };
  try {
    return await once();
  } catch (error) {
    if (error.code === "device.clock" && error.now) {
      await setClock(entry, error.now);
      return once();
    }
    if (error.code === "device.unknown") {
      entry.gone = true;
      await keep.change(entry.device, { gone: true });
    }
    throw error;
  }
}

/** ahead is how far the house's clock is ahead, in seconds: what a slow network may cause is no difference. */
export const ahead = (skew) => Math.abs(skew) < 20 ? 0 : skew;

/** setClock learns the house's time. */
export async function setClock(entry, time) {
  const next = ahead(time - Math.floor(Date.now() / 1000));
  if (Math.abs(next - (entry.skew ?? 0)) < 10) return;
  entry.skew = next;
  await keep.change(entry.device, { skew: next });
}

/** unlock asks the platform for its owner: a finger, a face or the PIN. text is what the assertion speaks of. */
export async function unlock(entry, text) {
  if (!entry.unlock) return null;
  const credential = await navigator.credentials.get({ publicKey: {
    challenge: await digest(text), userVerification: "required", timeout: 180000,
    allowCredentials: [{ type: "public-key", id: toBytes(entry.unlock), transports: ["internal"] }],
  } });
  return assertion(credential);
}

export function assertion(credential) {
  const r = credential.response;
  return whole(credential, {
    clientDataJSON: toText(r.clientDataJSON), authenticatorData: toText(r.authenticatorData), signature: toText(r.signature),
    ...(r.userHandle && { userHandle: toText(r.userHandle) }),
  });
}

export function registration(credential) {
  const r = credential.response;
  return whole(credential, {
    clientDataJSON: toText(r.clientDataJSON), attestationObject: toText(r.attestationObject), transports: r.getTransports?.() ?? [],
  });
}

const whole = (credential, response) => ({
  id: credential.id, rawId: toText(credential.rawId), type: credential.type, response,
  ...(credential.authenticatorAttachment && { authenticatorAttachment: credential.authenticatorAttachment }),
  clientExtensionResults: credential.getClientExtensionResults(),
});

/** options turns the JSON form of WebAuthn options into what the browser takes. */
export function options(json) {
  const key = json.publicKey ?? json;
  const ids = (list) => (list ?? []).map((d) => ({ ...d, id: toBytes(d.id) }));
  return {
    ...key, challenge: toBytes(key.challenge),
    ...(key.user && { user: { ...key.user, id: toBytes(key.user.id) } }),
    ...(key.excludeCredentials && { excludeCredentials: ids(key.excludeCredentials) }),
    ...(key.allowCredentials && { allowCredentials: ids(key.allowCredentials) }),
  };
}

/** move begins a pairing from entry's phone, which its owner unlocks for it. */
export const move = (entry) => signed(entry, "POST", "/app/v1/move", null, { over: async (token) => ({ unlock: await unlock(entry, token) }) });
