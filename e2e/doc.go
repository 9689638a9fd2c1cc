// Package e2e shows the real program to real browsers and real clients.
//
//	TestMain ─► go build ─► gatehouse demo --json ─► Campus (addresses, people, passwords)
//	                                                    ├─ e2e/browser: Chromium with virtual authenticators
//	                                                    └─ e2e/visitor: a browser without JavaScript
//
// What is asserted is what a person sees. The demonstration's own pages give the passcode of the moment, the mail and
// the clock, so that "in 31 days" takes no time.
package e2e
