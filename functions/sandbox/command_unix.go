//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// lead has a command lead a process group, so that what it starts can be ended with it:
// npm, for one, passes no signal on.
func lead(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// tell sends a signal to a command, and to all that it has started if it leads a group.
func tell(c *exec.Cmd, s syscall.Signal) error {
	if c.SysProcAttr != nil {
		return syscall.Kill(-c.Process.Pid, s)
	}
	return c.Process.Signal(s)
}
