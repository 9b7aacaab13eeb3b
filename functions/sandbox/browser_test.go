//go:build heavy

package main

import (
	"os"
	"testing"

	"wxrefund/shared/console/consoletest"
	"wxrefund/shared/needs"
)

// TestMain ends with the line that lists what did not run.
func TestMain(m *testing.M) { os.Exit(needs.Main(m)) }

// A tab is the console in a browser.
type tab struct {
	*program
	*consoletest.Tab
}

// browse opens the console in a browser of its own.
func browse(t *testing.T, p *program, width, height int64) *tab {
	t.Helper()
	return &tab{p.in(t), consoletest.Browse(t, p.ready.Listen, "/", width, height)}
}

// in returns the page as a subtest sees it.
func (b *tab) in(t *testing.T) *tab {
	b.program, b.T = b.program.in(t), t
	return b
}

// ask evaluates an expression of JavaScript.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	return consoletest.Ask[T](b.Tab, expression)
}
