// Passcodes (RFC 6238), without a network. The secret is handed over once and lives on as a key that signs and cannot be
// read again.

const hashes = { SHA1: "SHA-1", SHA256: "SHA-256", SHA512: "SHA-512" };
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function base32(text) {
  const out = [];
  let bits = 0, value = 0;
  for (const c of text.toUpperCase().replace(/[=\s]/g, "")) {
    const at = alphabet.indexOf(c);
    if (at < 0) throw new Error("passcode: not base32");
    value = (value << 5 | at) & 0xfff;
    bits += 5;
    if (bits >= 8) { bits -= 8; out.push(value >> bits & 0xff); }
  }
  return new Uint8Array(out);
}

/** take makes of the wire's passcode what is kept. */
export async function take({ secret, algorithm, digits, period }) {
  const hash = hashes[algorithm];
  if (!hash || !(digits >= 6 && digits <= 8) || !(period >= 15)) throw new Error("passcode: a kind that this app does not know");
  const key = await crypto.subtle.importKey("raw", base32(secret), { name: "HMAC", hash }, false, ["sign"]);
  return { key, digits, period };
}

/** code is the passcode at time, in seconds, and how long it lasts. */
export async function code({ key, digits, period }, time) {
  const counter = new DataView(new ArrayBuffer(8));
  const step = Math.floor(time / period);
  counter.setUint32(0, Math.floor(step / 2 ** 32));
  counter.setUint32(4, step % 2 ** 32);
  const sum = new DataView(await crypto.subtle.sign("HMAC", key, counter));
  const at = sum.getUint8(sum.byteLength - 1) & 0x0f; // RFC 4226 section 5.3
  const number = (sum.getUint32(at) & 0x7fffffff) % 10 ** digits;
  return { code: String(number).padStart(digits, "0"), left: period - time % period, step };
}
