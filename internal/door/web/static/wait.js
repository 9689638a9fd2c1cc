// Pages that wait for a phone. [data-events] is where the server tells how things stand; as soon as there is nothing to wait
// for, the form in [data-wait] is sent, as a person without JavaScript would press it. Nothing is decided here.

const wait = document.querySelector("[data-wait]");
const form = wait?.querySelector("form[data-next]");
let source = null;
let retry = 0;
let ends = 0; // by this browser's monotonic clock

function go() {
  source?.close();
  if (!form || form.dataset.sent) return;
  if (form.method === "post") { form.requestSubmit(); return; }
  form.dataset.sent = "yes";
  // In place of the page that waited: the back button does not lead to a number that is over.
  location.replace(form.action + "?" + new URLSearchParams(new FormData(form)));
}

function showDelivery(name) {
  const all = document.querySelectorAll("[data-delivery]");
  if (![...all].some((e) => e.dataset.delivery === name)) return;
  for (const e of all) e.hidden = e.dataset.delivery !== name;
}

function showLeft() {
  const left = Math.max(0, (ends - performance.now()) / 1000);
  for (const e of document.querySelectorAll("[data-left]")) {
    const minutes = Math.ceil(left / 60);
    const words = minutes > 1 ? e.dataset.left.replace("#", String(minutes)) : e.dataset.last;
    if (e.textContent !== words) e.textContent = words;
  }
  for (const e of document.querySelectorAll("[data-soon]")) if (left < 75) { e.hidden = false; e.setAttribute("role", "status"); }
}

function listen() {
  if (!wait?.dataset.events || !form) return;
  source = new EventSource(wait.dataset.events);
  source.addEventListener("state", (event) => {
    retry = 0;
    const state = JSON.parse(event.data);
    if (state.standing !== "open") { go(); return; }
    if (state.delivery) showDelivery(state.delivery);
    ends = performance.now() + state.left * 1000;
    showLeft();
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    retry += 1;
    if (retry > 2) { go(); return; } // the server says what it thinks of this page
    setTimeout(listen, 3000);
  });
}

if (wait) {
  ends = performance.now() + Number(wait.dataset.seconds || 600) * 1000;
  listen();
  showLeft();
  setInterval(showLeft, 5000);
  // A press of any button is an answer of its own: nothing overtakes it.
  addEventListener("submit", () => source?.close());
  addEventListener("pagehide", () => source?.close());
  // On the way to another page, which may end what is waited for here: a reload begins another pairing. Where the way
  // leads nowhere, as to a download, this page goes on.
  addEventListener("beforeunload", () => { source?.close(); setTimeout(listen, 10000); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  // Nothing on the phone after a while: what to try unfolds by itself.
  for (const tip of document.querySelectorAll("details[data-after]")) {
    setTimeout(() => { if (document.querySelector("[data-delivery=shown]")?.hidden) tip.open = true; }, Number(tip.dataset.after) * 1000);
  }
}

// One press counts once, also on a form that page.js leaves alone because it is sent by GET.
form?.addEventListener("submit", (event) => {
  if (form.method === "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

// Signing in on the phone itself: one press copies the number, the link opens the app. The number is in no address.
for (const link of document.querySelectorAll("a[data-copy]")) {
  if (/Android|iPhone|iPad|iPod|Mobile/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1)) {
    link.closest("[data-same-phone]").hidden = false;
  }
  link.addEventListener("click", () => { navigator.clipboard?.writeText(link.dataset.copy).catch(() => {}); });
}

for (const button of document.querySelectorAll("button[data-copies]")) {
  const text = document.getElementById(button.dataset.copies);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.innerText);
      button.textContent = button.dataset.done;
    } catch { getSelection().selectAllChildren(text); }
  });
}
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
