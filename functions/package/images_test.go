//go:build heavy

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ocivalidate "github.com/google/go-containerregistry/pkg/v1/validate"

	"wxrefund/functions/process"
)

// An unpacked image is what a container of it starts with.
type unpacked struct {
	root   string
	config v1.Config
}

// unpackImages builds an image and unpacks it for each architecture.
func unpackImages(t *testing.T, name string) map[string]unpacked {
	t.Helper()
	dir := t.TempDir()
	table, err := command("-only", name, "-out", dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, table)
	}
	checkImageSizes(t, name, table)
	outer, err := layout.ImageIndexFromPath(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := ocivalidate.Index(outer); err != nil {
		t.Errorf("%s is no valid layout: %v", name, err)
	}
	all := map[string]unpacked{}
	index := inner(t, outer)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		made, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := made.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if m.Platform == nil || m.Platform.OS != "linux" || config.OS != "linux" || config.Architecture != m.Platform.Architecture {
			t.Errorf("%s: the index says %v, the image %s/%s", name, m.Platform, config.OS, config.Architecture)
		}
		all[config.Architecture] = unpacked{extract(t, made), config.Config}
	}
	return all
}

// inner is the index that is the one entry of a layout.
func inner(t *testing.T, outer v1.ImageIndex) v1.ImageIndex {
	t.Helper()
	manifest, err := outer.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%+v, %v: want one entry", manifest, err)
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// extract unpacks an image into a folder, with the modes that it has.
func extract(t *testing.T, made v1.Image) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil { // another user runs in it
		t.Fatal(err)
	}
	stream := mutate.Extract(made)
	defer stream.Close()
	for in := tar.NewReader(stream); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(epoch) {
			t.Errorf("%s: owner %d:%d, time %v, want root's of %v", header.Name, header.Uid, header.Gid, header.ModTime, epoch)
		}
		name := filepath.Join(root, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(name, header.FileInfo().Mode())
		} else {
			var b []byte
			if b, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(name, b, header.FileInfo().Mode())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// command is the image's process with other arguments than it brings, in its root and as
// its user if whoever tests is root.
func (u unpacked) command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	argv := append(slices.Clone(u.config.Entrypoint), args...)
	if len(args) == 0 {
		argv = append(argv, u.config.Cmd...)
	}
	c := exec.Command(argv[0], argv[1:]...) // a test ends it by a signal
	c.Env = append(slices.Clone(u.config.Env), env...)
	c.Dir = u.config.WorkingDir
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: u.root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	} else {
		c.Path = filepath.Join(u.root, argv[0])
	}
	return c
}

// serve starts it and stops it when the test ends; what it writes comes with a failure.
func (u unpacked) serve(t *testing.T, env []string, args ...string) {
	t.Helper()
	c := u.command(t, env, args...)
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil || t.Failed() {
			t.Errorf("it ended with %v, want it to stop when it is told to:\n%s", err, output.String())
		}
	})
}

// post waits until somebody listens, and posts.
func post(t *testing.T, url, body string) (status int, reply string) {
	t.Helper()
	process.Await(t, "an answer from "+url, func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		status, reply = res.StatusCode, string(b)
		return err == nil
	})
	return status, reply
}

// checkImage holds an image to what each of them is: small, of nobody's, and complete.
func checkImage(t *testing.T, all map[string]unpacked) {
	t.Helper()
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Errorf("%d architectures, want 2", len(all))
	}
	for architecture, u := range all {
		if u.config.User != "65532:65532" || u.config.Labels["org.opencontainers.image.title"] == "" {
			t.Errorf("%s: %+v, want a user that is not root, and a title", architecture, u.config)
		}
		pem, err := os.ReadFile(filepath.Join(u.root, authorities))
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(pem) || bytes.Count(pem, []byte("BEGIN")) < 100 {
			t.Errorf("%s: %d bytes of authorities, %v", architecture, len(pem), err)
		}
		binary := filepath.Join(u.root, u.config.Entrypoint[0])
		info, err := os.Stat(binary)
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Fatalf("%s: the binary: %v, %v", architecture, info, err)
		}
		b, err := os.ReadFile(binary)
		if err != nil || bytes.Contains(b, []byte(source)) || secretIn(b) != nil {
			t.Errorf("%s: the binary holds a secret (%.30q) or the path of the machine that built it, %v", architecture, secretIn(b), err)
		}
	}
}

// The image of the functions, unpacked and run as a container is, is each of the three by
// its argument, at the PORT that is set.
func TestImageOfTheFunctionsRuns(t *testing.T) {
	all := unpackImages(t, "image-functions")
	checkImage(t, all)
	u := all[runtime.GOARCH]
	w := process.NewWorld(t)
	for _, c := range []struct {
		args   []string
		status int
		reply  string
	}{
		{nil, 200, denied},
		{[]string{"wxpayFunctions"}, 200, denied},
		{[]string{"notify"}, 401, `{"code":"FAIL","message":"the signature is missing, stale or wrong"}`},
		{[]string{"reconcile"}, 401, `{"code":403,"err_code":"NOAUTH","message":"over HTTP only a server may call this: it sends Authorization: Bearer with the token that is set as REFUND_SERVER_TOKEN, on plain HTTP (PORT) alone","retry":"never"}`},
	} {
		port := process.FreePort(t)
		u.serve(t, w.With("PORT="+port, "LEDGER_URL=postgres://wxrefund:x@127.0.0.1:1/wxrefund"), c.args...)
		status, reply := post(t, "http://127.0.0.1:"+port+"/", `{}`)
		if status != c.status || strings.TrimSpace(reply) != c.reply {
			t.Errorf("%v: got %d %s, want %d %s", c.args, status, reply, c.status, c.reply)
		}
	}
	out, err := u.command(t, nil, "refund").CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !bytes.Contains(out, []byte("wxpayFunctions, notify and reconcile")) {
		t.Errorf("another argument: %v, %s; want exit code 2 and the names", err, out)
	}
}

// The image of the sandbox, unpacked and run as a container is, plays WeChat Pay at the
// PORT that is set, and plays the scenarios that it holds.
func TestImageOfTheSandboxRuns(t *testing.T) {
	all := unpackImages(t, "image-sandbox")
	checkImage(t, all)
	u := all[runtime.GOARCH]
	port := process.FreePort(t)
	u.serve(t, []string{"PORT=" + port}, "-wechat", "127.0.0.1:0", "-wechat-tls", "127.0.0.1:0")
	base := "http://127.0.0.1:" + port
	if status, reply := post(t, base+"/_sandbox/orders", `{"out_trade_no":"order-1","total":100}`); status != 200 {
		t.Errorf("an order: got %d %s", status, reply)
	}
	_, reply := post(t, base+"/functions/wxpayFunctions", process.RefundEvent(process.Order{OutTradeNo: "order-1", Total: 100}, "R1", 60))
	var wrapper struct{ Result struct{ Code int } }
	if err := json.Unmarshal([]byte(reply), &wrapper); err != nil || wrapper.Result.Code != 0 || !strings.Contains(reply, "PROCESSING") {
		t.Errorf("a refund: got %s", reply)
	}
	out, err := u.command(t, nil, "-scenario", "/scenarios/lost-notification.json").Output()
	if err != nil || !bytes.Contains(out, []byte("ok 9 ")) {
		t.Errorf("a scenario: %v\n%s", err, out)
	}
}

// An image over the limit fails the command.
func TestImagesOverTheLimit(t *testing.T) {
	var out bytes.Buffer
	err := run(context.Background(), []string{"-only", "image-sandbox", "-out", t.TempDir(), "-image-limit", "1000000"}, &out)
	if err == nil || !strings.Contains(err.Error(), "image-sandbox for arm64 has") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("got %v, want both refused after the table:\n%s", err, out.String())
	}
}

// imageRow is a row of the table of images.
var imageRow = regexp.MustCompile("(?m)^\\| `(image-[a-z]+)` \\| ([0-9.]+) \\| ([0-9.]+) \\| ([0-9.]+) \\| ([0-9.]+) \\|$")

// checkImageSizes wants the sizes that a table of the command tells in both documents.
func checkImageSizes(t *testing.T, name, table string) {
	t.Helper()
	told := regexp.MustCompile(name+` +linux/\w+ +(\d+) +(\d+)`).FindAllStringSubmatch(table, -1)
	if len(told) != 2 {
		t.Fatalf("the command prints\n%s", table)
	}
	for _, document := range []string{englishFile, chineseFile} {
		rows := imageRow.FindAllStringSubmatch(readFile(t, document), -1)
		i := slices.IndexFunc(rows, func(row []string) bool { return row[1] == name })
		if i < 0 {
			t.Errorf("%s has no row of %s", document, name)
			continue
		}
		for j, text := range []string{told[0][1], told[0][2], told[1][1], told[1][2]} {
			bytes, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			says, err := strconv.ParseFloat(rows[i][2+j], 64)
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes / 1e6; math.Abs(got-says) > 0.3 {
				t.Errorf("%s: %s has %.2f MB, and is said to have %.2f", document, name, got, says)
			}
		}
	}
}
