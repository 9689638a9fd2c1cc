// Package authenticator shows the authenticator app to a real browser, against the real program: one tab is the computer,
// another, of the size of a phone and with a visitor's storage of its own, is the phone.
//
//	computer ─► signs in, adds the app ─► link ─► phone ─► code ─► computer
//	computer ─► signs in ─► number ─► phone: request, number, its own lock ─► the computer goes on
//
// What the phone keeps and sends is listed in full and compared with what it may keep and send.
package authenticator
