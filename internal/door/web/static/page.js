// What makes a page more pleasant and is never needed: showing a password, one press per form, local times,
// counting characters, and putting the focus where the change is.

for (const button of document.querySelectorAll("button[data-shows]")) {
  const field = document.getElementById(button.dataset.shows);
  button.hidden = false;
  button.addEventListener("click", () => {
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    button.textContent = show ? button.dataset.hide : button.dataset.show;
    button.setAttribute("aria-pressed", String(show));
    field.focus();
  });
  field.form.addEventListener("submit", () => { field.type = "password"; });
}

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    const button = event.submitter;
    if (button) button.setAttribute("aria-busy", "true");
  });
}
// Back from the browser's memory: forms may be sent again.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});

// The page's language in the reader's own variety: "en" as the browser's "en-GB".
const page = document.documentElement.lang || "en";
const language = navigator.languages?.find((l) => l.split("-")[0] === page.split("-")[0]) ?? page;
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (isNaN(at)) continue;
  const options = time.dataset.day ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  time.textContent = new Intl.DateTimeFormat(language, options).format(at);
}

for (const meter of document.querySelectorAll("[data-meter]")) {
  const field = document.getElementById(meter.dataset.meter);
  const least = Number(meter.dataset.least);
  const tell = () => {
    const length = [...field.value.normalize("NFC")].length;
    const enough = length >= least;
    meter.toggleAttribute("data-ok", enough);
    meter.textContent = length === 0 ? "" : (enough ? meter.dataset.enough : meter.dataset.short.replace("#", String(least - length)));
  };
  field.addEventListener("input", tell);
}

// An answer to a form takes the place of a page of its own in the history: back and reload send nothing again.
const here = document.getElementById("main")?.dataset.here;
if (here) history.replaceState(null, "", here);

const problem = document.getElementById("problem");
if (problem) problem.focus();

const forward = document.querySelector("form[data-forward]");
if (forward && !forward.dataset.sent) forward.requestSubmit();

// A page that waits for an answer says so before it is too old, and one press renews it.
for (const note of document.querySelectorAll("[data-ages]")) {
  setTimeout(() => { note.hidden = false; note.setAttribute("role", "status"); }, Number(note.dataset.ages) * 1000);
}
