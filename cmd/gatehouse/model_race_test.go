//go:build race

package main

// modelSteps is how far the flow model walks: the race detector makes each step about ten times as slow, so that the
// full walk runs without it (scripts/test).
const modelSteps = 5_000

// nastyShare is how many of the nasty values of the administration's test stand for one that is sent.
const nastyShare = 8
