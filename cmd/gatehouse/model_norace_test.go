//go:build !race

package main

// modelSteps is how far the flow model walks.
const modelSteps = 100_000
