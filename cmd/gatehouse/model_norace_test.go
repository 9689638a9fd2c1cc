//go:build !race

package main

// modelSteps is how far the flow model walks.
const modelSteps = 100_000

// nastyShare is how many of the nasty values of the administration's test stand for one that is sent.
const nastyShare = 1
