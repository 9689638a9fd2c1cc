// Copy buttons, and a fresh page when the passcodes change. Without this file the page shows everything all the same.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  const words = button.firstChild.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.firstChild.textContent = "Copied";
    setTimeout(() => { button.firstChild.textContent = words; }, 2000);
  });
}
const counters = [...document.querySelectorAll("[data-left]")];
const end = Date.now() + 1000 * Math.min(30, ...counters.map((c) => Number(c.dataset.left)));
if (counters.length) {
  setInterval(() => {
    const left = Math.ceil((end - Date.now()) / 1000);
    for (const c of counters) c.textContent = Math.max(0, left);
    if (left <= 0 && !document.querySelector("details[open]")) location.reload();
  }, 500);
}
