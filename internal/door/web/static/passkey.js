// Passkeys: the only thing here that cannot be done without JavaScript. The page carries the options in
// data-options; the answer goes back in a hidden field of an ordinary form, so that what follows is an ordinary
// navigation. data-mode: "autofill" (waits in the user-name field), "ask" (starts at once, one time) or "create".

const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toText = (buffer) => buffer
  ? btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")
  : undefined;

function readOptions(form) {
  const all = JSON.parse(form.dataset.options);
  const key = all.publicKey ?? all;
  const descriptors = (list) => (list ?? []).map((d) => ({ ...d, id: toBytes(d.id) }));
  const options = { ...key, challenge: toBytes(key.challenge) };
  if (key.user) options.user = { ...key.user, id: toBytes(key.user.id) };
  if (key.excludeCredentials) options.excludeCredentials = descriptors(key.excludeCredentials);
  if (key.allowCredentials) options.allowCredentials = descriptors(key.allowCredentials);
  return options;
}

function writeAnswer(credential) {
  const r = credential.response;
  const response = { clientDataJSON: toText(r.clientDataJSON) };
  if (r.attestationObject) {
    response.attestationObject = toText(r.attestationObject);
    response.transports = r.getTransports ? r.getTransports() : [];
  } else {
    response.authenticatorData = toText(r.authenticatorData);
    response.signature = toText(r.signature);
    response.userHandle = toText(r.userHandle);
  }
  return JSON.stringify({
    id: credential.id, rawId: toText(credential.rawId), type: credential.type, response,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
  });
}

const form = document.querySelector("form[data-passkey]");
let waiting = null; // the autofill request, which a press of the button replaces

function say(name) {
  for (const text of document.querySelectorAll("[data-says]")) text.hidden = text.dataset.says !== name;
}

function nameOf(error) {
  switch (error.name) {
    case "NotAllowedError": case "AbortError": return "cancelled";
    case "InvalidStateError": return "already";
    case "SecurityError": return "address";
    case "NotSupportedError": case "ConstraintError": return "unsuited";
    default: return "failed";
  }
}

async function run(mode) {
  if (waiting) waiting.abort();
  const control = new AbortController();
  waiting = control;
  const publicKey = readOptions(form);
  const button = form.querySelector("button[data-start]");
  try {
    if (mode !== "autofill") { say("waiting"); button?.setAttribute("aria-busy", "true"); }
    const credential = mode === "create"
      ? await navigator.credentials.create({ publicKey, signal: control.signal })
      : await navigator.credentials.get({ publicKey, signal: control.signal, ...(mode === "autofill" && { mediation: "conditional" }) });
    form.elements.namedItem("answer").value = writeAnswer(credential);
    try { sessionStorage.setItem("passkey", JSON.stringify({ rpId: publicKey.rpId, credentialId: credential.id })); } catch { /* private mode */ }
    say("sent");
    form.submit();
  } catch (error) {
    button?.removeAttribute("aria-busy");
    if (waiting !== control || mode === "autofill") return; // replaced by a press, or nobody chose one
    say(nameOf(error));
    for (const text of document.querySelectorAll("[data-start] [data-again]")) { text.hidden = false; text.previousElementSibling.hidden = true; }
  }
}

if (form) {
  const able = typeof window.PublicKeyCredential === "function";
  for (const part of document.querySelectorAll("[data-able]")) part.hidden = (part.dataset.able === "yes") !== able;
  if (able) {
    const mode = form.dataset.mode;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (form.reportValidity()) run(mode === "create" ? "create" : "ask");
    });
    if (mode === "autofill") {
      PublicKeyCredential.isConditionalMediationAvailable?.().then((yes) => { if (yes) run("autofill"); });
    } else if (mode === "ask" && !form.hasAttribute("data-wait")) {
      run("ask");
    }
  }
}

// Tell the browser which passkeys are gone, where it listens (WebAuthn Level 3, signal methods).
const gone = document.querySelector("[data-passkey-unknown]");
if (gone && window.PublicKeyCredential?.signalUnknownCredential) {
  try {
    const last = JSON.parse(sessionStorage.getItem("passkey"));
    if (last?.rpId) PublicKeyCredential.signalUnknownCredential(last).catch(() => {});
  } catch { /* nothing kept */ }
}
const left = document.querySelector("[data-passkeys-left]");
if (left && window.PublicKeyCredential?.signalAllAcceptedCredentials) {
  PublicKeyCredential.signalAllAcceptedCredentials(JSON.parse(left.dataset.passkeysLeft)).catch(() => {});
}
