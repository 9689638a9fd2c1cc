// Package campusfiles carries the campus files that come with Gatehouse: five worked examples, started by
// `gatehouse demo --campus NAME` and copied by whoever begins a file of their own.
//
//	campus/*.yaml ─► Files (embedded) ─► internal/campus parses
package campusfiles

import "embed"

// Files holds NAME.yaml for each campus.
//
//go:embed *.yaml
var Files embed.FS
