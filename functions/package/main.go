// Package builds what is uploaded: one package for each function, platform and
// ledger, container images, a table of their sizes, and from .env the folder that
// deploys them to CloudBase.
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
	platform := flags.String("for", "", "cloudbase: build what it needs alone, and OUT/cloudbase, which tcb deploys")
	only := flags.String("only", "", "build this one alone, as scf-mysql; all by default")
	env := flags.String("env", ".env", "settings for OUT/cloudbase; empty: it is not made")
	settings := flags.String("settings", "", "print the settings as env (which .env.example is), cloudbase (the shortest .env), markdown-en or markdown-zh, and build nothing")
	limit := flags.Int64("limit", 5<<20, "largest zip that is accepted, in bytes")
	imageLimit := flags.Int64("image-limit", maxImage, "largest image that is accepted, unpacked, in bytes")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *settings != "":
		return printSettings(out, *settings)
	case *platform != "" && *platform != "cloudbase":
		return fmt.Errorf("-for is %q, want cloudbase; for others build all, or one with -only", *platform)
	case *platform != "" && *only != "":
		return errors.New("-for builds what the platform needs, -only one package: choose one of them")
	case *platform != "" && *env == "":
		return errors.New("-for makes a folder from the settings, so -env cannot be empty; the file need not be there")
	}
	parts, images, err := choose(*only)
	if err != nil {
		return err
	}
	var plan *cloudPlan
	if *only == "" && *env != "" {
		// What is wrong is told before minutes have passed.
		if plan, err = planned(ctx, *dir, *env); err != nil {
			return err
		}
	}
	if *platform != "" {
		parts, images = plan.ledger.parts(), nil
	}
	if err := buildAll(ctx, parts, images, *dir, *limit, *imageLimit, out); err != nil {
		return err
	}
	switch {
	case plan == nil:
		return nil
	case plan.absent && *platform == "":
		_, err = fmt.Fprintf(out, "%s is not made, for there is no %s: go run ./functions/package -for cloudbase makes it, and tells what %s has to have\n", cloudFolder(*dir), *env, *env)
		return err
	}
	if err := plan.write(*dir); err != nil {
		return err
	}
	return plan.say(out, *dir)
}

// planned reads the settings, after it has withdrawn what was made of others.
func planned(ctx context.Context, dir, env string) (*cloudPlan, error) {
	if err := withdraw(dir); err != nil {
		return nil, err
	}
	plan, err := planCloudBase(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("%w\nTo build the packages without %s: -env ''", err, cloudFolder(dir))
	}
	return plan, nil
}

// buildAll builds packages and images into dir and writes the table of their sizes.
func buildAll(ctx context.Context, parts []part, images []image, dir string, limit, imageLimit int64, out io.Writer) error {
	if _, err := fmt.Fprintf(out, "%-16s %-16s %13s %12s\n", "package", "function", "packed, bytes", "unpacked"); err != nil {
		return err
	}
	var tooLarge []error
	for _, p := range parts {
		size, err := p.target.build(ctx, p.function, dir)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", p.target.name, p.function.name, err)
		}
		if _, err := fmt.Fprintf(out, "%-16s %-16s %13d %12d\n", p.target.name, p.function.name, size.zipped, size.unzipped); err != nil {
			return err
		}
		if size.zipped > limit {
			tooLarge = append(tooLarge, fmt.Errorf("%s of %s has %d bytes, at most %d are accepted", p.target.name, p.function.name, size.zipped, limit))
		}
	}
	for _, i := range images {
		over, err := i.report(ctx, dir, imageLimit, out)
		if err != nil {
			return err
		}
		tooLarge = append(tooLarge, over...)
	}
	return errors.Join(tooLarge...)
}
