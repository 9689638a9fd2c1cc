// The worker: keeps the app's files for when there is no network, and turns a push into a notification. It fetches
// nothing else, and a push carries nothing but that something waits.

const version = "505cd41a6042";
const cache = "gatehouse-" + version;
const files = ["/", "/app.js", "/accounts.js", "/house.js", "/keep.js", "/move.js", "/page.js", "/pair.js", "/passcode.js", "/push.js", "/qr.js",
  "/request.js", "/restore.js", "/route.js", "/scan.js", "/watch.js", "/wire.js", "/app.css", "/en.json", "/icon.svg", "/icon-192.png"];

addEventListener("install", (event) => event.waitUntil(
  caches.open(cache).then((c) => c.addAll(files.map((file) => new Request(file, { cache: "no-cache" }))))));

addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== cache) await caches.delete(name);
  await clients.claim();
})()));

addEventListener("message", (event) => { if (event.data === "now") skipWaiting(); });

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || url.search) return;
  const name = event.request.mode === "navigate" ? "/" : url.pathname;
  if (!files.includes(name)) return;
  event.respondWith(caches.open(cache).then((c) => c.match(name)).then((kept) => kept ?? fetch(event.request)));
});

addEventListener("push", (event) => event.waitUntil((async () => {
  const open = await clients.matchAll({ type: "window" });
  for (const client of open) client.postMessage("waiting");
  const words = await caches.match("/en.json").then((kept) => kept?.json()) ?? {};
  // Shown also where the app is open: browsers take pushes away from sites that stay silent.
  await registration.showNotification(words["notice.title"] ?? "A sign-in is waiting",
    { body: words["notice.body"] ?? "Open the app to see it.", tag: "waiting", renotify: true, icon: "/icon-192.png", badge: "/icon-192.png" });
})()));

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const [open] = await clients.matchAll({ type: "window", includeUncontrolled: true });
    if (!open) return clients.openWindow("/");
    open.postMessage("waiting");
    return open.focus();
  })());
});
