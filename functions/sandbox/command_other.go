//go:build !unix

package main

import (
	"os/exec"
	"syscall"
)

func lead(*exec.Cmd) {}

// tell ends a command, since there are no signals here.
func tell(c *exec.Cmd, _ syscall.Signal) error { return c.Process.Kill() }
