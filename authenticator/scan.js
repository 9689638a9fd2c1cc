// Scanning a pairing's QR code with the camera, inside the app: where the browser can read one by itself, else with the
// reader that comes along. Nothing of the picture leaves the phone.

import { announce, button, h, p, problem, t } from "/page.js";
import { go, screen } from "/route.js";
import { begin } from "/pair.js";

/** reader gives a function from a video element to the text of the QR code in it, or "". */
async function reader() {
  const formats = await globalThis.BarcodeDetector?.getSupportedFormats?.().catch(() => []);
  if (formats?.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (video) => (await detector.detect(video).catch(() => []))[0]?.rawValue ?? "";
  }
  const { read } = await import("/qr.js");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    const share = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * share);
    canvas.height = Math.round(video.videoHeight * share);
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    try {
      return read(context.getImageData(0, 0, canvas.width, canvas.height));
    } catch {
      return ""; // no code in this picture
    }
  };
}

/** means says what a QR code's text is: {token}, or the key of the words about it. */
export function means(text) {
  if (/^otpauth/i.test(text)) return { wrong: "scan.otpauth" };
  let url;
  try { url = new URL(text); } catch { return { wrong: "scan.foreign" }; }
  const token = url.hash.match(/^#pair=([\w-]{16,200})$/)?.[1];
  return url.origin === location.origin && token ? { token } : { wrong: "scan.foreign" };
}

screen("scan", () => {
  const trouble = problem();
  const video = h("video", { playsinline: true, muted: true, "aria-hidden": "true" });
  video.muted = true;
  const frame = h("div.camera", null, video, h("span.frame"));
  let stream, ended = false;
  const stop = () => { ended = true; stream?.getTracks().forEach((track) => track.stop()); };

  const look = async () => {
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "NotFoundError");
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
    if (ended) return stop();
    video.srcObject = stream;
    await video.play();
    const read = await reader();
    let last = "";
    while (!ended) {
      const text = video.videoWidth ? await read(video) : "";
      if (text && text !== last) {
        last = text;
        const { token, wrong } = means(text);
        if (wrong) trouble.tell(t(wrong));
        else {
          stop();
          announce(t("scan.read"));
          return begin({ token });
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
  };
  look().catch((error) => {
    if (ended && !error.code) return;
    stop();
    frame.hidden = true;
    const known = { NotAllowedError: "scan.refused", NotFoundError: "scan.nocamera", NotReadableError: "scan.nocamera", OverconstrainedError: "scan.nocamera" };
    trouble.tell(typeof error.code === "string" ? error : t(known[error.name] ?? "scan.failed"));
  });
  return {
    title: t("scan.title"), back: "add", parts: [p(t("scan.lead"), ".lead"), frame, trouble],
    acts: [button(t("add.code"), () => go("code", null, true), ".quiet", "keys")], leave: stop,
  };
});
