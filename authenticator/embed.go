// Package authenticator is the app in the pocket: an installable web app of plain files, without a framework and without
// a build step. A door serves Files at the root of an origin of its own (docs/authenticator-protocol.md).
//
//	index.html ─► app.js ─┬─ route.js    which screen, and where the focus goes
//	                      ├─ wire.js     signed calls ─► /app/v1/…
//	                      ├─ keep.js     IndexedDB: keys that cannot be exported, nothing personal
//	                      ├─ watch.js    the long poll while the app is seen; what waits is shown at once
//	                      ├─ accounts.js, request.js, pair.js    the screens; later move.js, restore.js,
//	                      │              scan.js and qr.js
//	                      └─ en.json     every text
//	sw.js: keeps these files for days without a network; a push becomes "A sign-in is waiting"
//
// The manifest is written by the door, for it carries the institution's name. sw.js names the content of the other
// files in its version, so that a changed file is a new version; a test holds it to that.
package authenticator

import "embed"

// Files are the app, by the names that they are served under; "index.html" is "/".
//
//go:embed index.html *.js *.css en.json *.svg *.png
var Files embed.FS
