// Package builds what is uploaded: one package for each function, platform and
// ledger, container images, a table of their sizes, and from .env the cloudbaserc.json
// that deploys them to CloudBase.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

// maxImage is how large an image may be, unpacked too, in bytes.
const maxImage = 20_000_000

// run builds the packages that args choose and writes the table to out. Its
// error is all that is wrong with .env, the first build that failed, or every
// package that is over the limit.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	dir := flags.String("out", "dist", "folder for the packages")
	only := flags.String("only", "", "build this one alone, as scf-mysql; all by default")
	env := flags.String("env", ".env", "settings for cloudbase/cloudbaserc.json; empty: none is made")
	settings := flags.String("settings", "", "print the settings as env (which .env.example is), markdown-en or markdown-zh, and build nothing")
	limit := flags.Int64("limit", 6<<20, "largest zip that is accepted, in bytes")
	imageLimit := flags.Int64("image-limit", maxImage, "largest image that is accepted, unpacked, in bytes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *settings != "" {
		return printSettings(out, *settings)
	}
	chosen, chosenImages, err := choose(*only)
	if err != nil {
		return err
	}
	// What is wrong is told before minutes have passed.
	said, err := writeCloudBase(ctx, *dir, *env, chosen)
	if err != nil {
		return fmt.Errorf("%w\nTo build the packages without cloudbaserc.json: -env ''", err)
	}
	if _, err := fmt.Fprintf(out, "%-16s %-16s %13s %12s\n", "package", "function", "packed, bytes", "unpacked"); err != nil {
		return err
	}
	var tooLarge []error
	for _, t := range chosen {
		for _, f := range functions {
			p, err := t.build(ctx, f, *dir)
			if err != nil {
				return fmt.Errorf("%s of %s: %w", t.name, f.name, err)
			}
			if _, err := fmt.Fprintf(out, "%-16s %-16s %13d %12d\n", t.name, f.name, p.zipped, p.unzipped); err != nil {
				return err
			}
			if p.zipped > *limit {
				tooLarge = append(tooLarge, fmt.Errorf("%s of %s has %d bytes, at most %d are accepted", t.name, f.name, p.zipped, *limit))
			}
		}
	}
	for _, i := range chosenImages {
		over, err := i.report(ctx, *dir, *imageLimit, out)
		if err != nil {
			return err
		}
		tooLarge = append(tooLarge, over...)
	}
	if said != "" && len(tooLarge) == 0 {
		_, err = fmt.Fprintln(out, said)
	}
	return errors.Join(append(tooLarge, err)...)
}
