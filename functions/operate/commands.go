package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"wxrefund/shared/spelling"
)

// A command is one thing that the program can do.
type command struct {
	name     string
	operands string // what stands behind it, a word each: "NO"
	synopsis string // one line
	more     string // what else somebody should know before using it, in sentences
	example  string // arguments of the program

	// setup declares the command's own flags and returns what it does with its operands.
	setup func(f *flag.FlagSet) action

	// limit is how long it may take, and anew after a person was asked; zero: a minute,
	// negative: as long as it likes.
	limit time.Duration
}

// An action is a command with its flags read. ctx ends with its limit, or when the person
// has had enough.
type action func(ctx context.Context, p *program, operands []string) error

// plain is the setup of a command without flags of its own.
func plain(act action) func(*flag.FlagSet) action {
	return func(*flag.FlagSet) action { return act }
}

// commands is the whole table: a new command is a new row.
func commands() []command {
	return []command{
		checkCommand(),
		listCommand(),
		showCommand(),
		queryCommand(),
		refundCommand(),
		applicationsCommand(),
		applicationCommand(),
		approveCommand(),
		rejectCommand(),
		withdrawCommand(),
		abnormalCommand(),
		reconcileCommand(),
		releaseCommand(),
		cancelCommand(),
		redeliverCommand(),
		alarmsCommand(),
		forgetCommand(),
		explainCommand(),
		copyCommand(),
		verifyCommand(),
		rebuildCommand(),
		billCommand(),
		consoleCommand(),
	}
}

// form is how the command is written.
func (c command) form() string { return strings.TrimSpace(c.name + " [flags] " + c.operands) }

// flags returns the command's flags, with those that every command has.
func (p *program) flags(c command) (*flag.FlagSet, action) {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // what is wrong is one line, and the usage is for whoever asks
	f.BoolVar(&p.json, "json", p.json, "print JSON")
	f.BoolVar(&p.yes, "yes", p.yes, "do it without asking")
	f.Var((*operatorName)(&p.as), "as", "your `name`, for the history; by default that of your login")
	f.StringVar(&p.env, "env", p.env, "read settings from this `file` too, as .env; the environment's come first")
	return f, c.setup(f)
}

// parse finds the command, wherever it stands, and reads all flags, before it and behind
// it. Behind -- stand operands alone. act is nil if help was asked for, and shown.
func (p *program) parse(args []string) (c command, act action, operands []string, err error) {
	var behind []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, behind = args[:i], args[i+1:]
	}
	at := p.commandAt(args)
	if at < 0 {
		if slices.ContainsFunc(args, isHelp) {
			p.overview(p.stdout)
			return c, nil, nil, nil
		}
		return c, nil, nil, usage("a command is missing; operate -h lists them")
	}
	name := args[at]
	args = slices.Delete(slices.Clone(args), at, at+1)
	if name == "help" {
		if len(args) == 0 {
			p.overview(p.stdout)
			return c, nil, nil, nil
		}
		name, args = args[0], []string{"-h"}
	}
	if c, err = find(name); err != nil {
		return c, nil, nil, err
	}
	f, act := p.flags(c)
	for len(args) > 0 {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			p.help(c, f)
			return c, nil, nil, nil
		} else if err != nil {
			return c, nil, nil, wrongFlag(c, f, err)
		}
		if args = f.Args(); len(args) > 0 {
			operands, args = append(operands, args[0]), args[1:]
		}
	}
	if err := emptyFlag(f); err != nil {
		return c, nil, nil, err
	}
	return c, act, append(operands, behind...), nil
}

// narrowing are flags that take part of what there is, or all if they are left out: an empty
// one, of a script's variable that is not set, must not mean all.
var narrowing = []string{"since", "until", "before", "date", "state", "order", "find"}

func emptyFlag(f *flag.FlagSet) (err error) {
	f.Visit(func(g *flag.Flag) {
		if g.Value.String() == "" && slices.Contains(narrowing, g.Name) {
			err = usage("-%s is empty: give it a value, or leave it out", g.Name)
		}
	})
	return err
}

// given are the flags that were given.
func given(f *flag.FlagSet) map[string]bool {
	all := map[string]bool{}
	f.Visit(func(g *flag.Flag) { all[g.Name] = true })
	return all
}

// isJSON reports whether JSON is wanted, whatever else the arguments say.
func isJSON(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--":
			return false
		case "-json", "--json", "-json=true", "--json=true":
			return true
		}
	}
	return false
}

func isHelp(arg string) bool { return slices.Contains([]string{"-h", "--h", "-help", "--help"}, arg) }

// commandAt returns where the command stands: the first argument that is neither a flag
// nor the value of one; -1: nowhere.
func (p *program) commandAt(args []string) int {
	valued := map[string]bool{} // flags of any command: whether a value follows
	for _, c := range commands() {
		f, _ := new(program).flags(c)
		f.VisitAll(func(g *flag.Flag) {
			b, ok := g.Value.(interface{ IsBoolFlag() bool })
			valued[g.Name] = !ok || !b.IsBoolFlag()
		})
	}
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		switch name = strings.TrimPrefix(name, "-"); {
		case !isFlag || name == "":
			return i
		case valued[name]: // -env FILE; -env=FILE has no such name
			i++
		}
	}
	return -1
}

// find returns the command of a name.
func find(name string) (command, error) {
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	if near := spelling.Nearest(name, names...); near != "" {
		return command{}, usage("there is no command %q: did you mean %s?", name, near)
	}
	return command{}, usage("there is no command %q; operate -h lists them", name)
}

// wrongFlag says which flag was meant.
func wrongFlag(c command, f *flag.FlagSet, err error) error {
	name, undefined := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !undefined {
		return usage("%s: %v; operate %s -h lists the flags", c.name, err, c.name)
	}
	var names []string
	f.VisitAll(func(g *flag.Flag) { names = append(names, g.Name) })
	if near := spelling.Nearest(name, names...); near != "" {
		return usage("%s has no flag -%s: did you mean -%s?", c.name, name, near)
	}
	return usage("%s has no flag -%s; operate %s -h lists them (a number that begins with - stands behind --)", c.name, name, c.name)
}

// help says how a command is used.
func (p *program) help(c command, f *flag.FlagSet) {
	fmt.Fprintf(p.stdout, "Usage: operate %s\n\n%s.\n%s\nExample:\n    go run ./functions/operate %s\n\nFlags:\n",
		c.form(), cmp.Or(c.synopsis), paragraphs(c.more), c.example)
	f.SetOutput(p.stdout)
	f.PrintDefaults()
}

// paragraphs sets a text off from what stands before and behind it.
func paragraphs(text string) string {
	if text == "" {
		return ""
	}
	return text + "\n"
}
