package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// An image is a container image for each architecture: one binary, the authorities whose
// certificates it takes, and nothing else to run.
type image struct {
	name  string // of the target
	title string
	build target // its tags; what is started is /NAME
	from  string // the binary's folder below functions/
	args  []string
	cmd   []string
	ports []string
	port  string // PORT, unless whoever starts it sets another
	files string // a folder beside the binary's source that it has at its root; empty: none
}

var images = []image{
	{
		name: "image-functions", title: "wxrefund: wxpayFunctions, notify and reconcile over plain HTTP",
		build: target{tags: "slim,mysql,postgres,dynamodb", entry: "functions"}, from: "container",
		cmd: []string{"wxpayFunctions"}, ports: []string{"8080/tcp"}, port: "8080",
	},
	{
		name: "image-sandbox", title: "wxrefund sandbox: a WeChat Pay for tests",
		build: target{tags: "slim,sqlite", entry: "sandbox"}, from: "sandbox",
		args: []string{"-container"}, ports: []string{"8700/tcp", "8701/tcp", "8702/tcp"}, port: "8700",
		files: "scenarios",
	},
}

// architectures are those of each image.
var architectures = []string{"amd64", "arm64"}

// nobody is the user that an image runs as: not root, and by number, so that a cluster
// can tell.
const nobody = "65532:65532"

// authorities is where Go looks for the roots on Linux. A file that is mounted there
// takes their place.
const authorities = "etc/ssl/certs/ca-certificates.crt"

// imageSizes are those of an image for one architecture, in bytes: as it is downloaded,
// and what is in it.
type imageSizes struct {
	architecture         string
	compressed, unpacked int64
}

// write makes dir/NAME, an OCI image layout whose index has the image for each
// architecture.
func (i image) write(ctx context.Context, dir string) ([]imageSizes, error) {
	folder := filepath.Join(dir, i.name)
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	var sizes []imageSizes
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range architectures {
		files, err := i.content(ctx, architecture)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", architecture, err)
		}
		made, size, err := i.assemble(architecture, files)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", architecture, err)
		}
		sizes = append(sizes, size)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: made, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	// One entry that names the index: what copies an image from a layout takes the one
	// that there is.
	outer, err := layout.Write(folder, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	if err != nil {
		return nil, err
	}
	return sizes, outer.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
}

// report makes the image and writes its rows of the table. Over are those that are larger
// than limit, unpacked.
func (i image) report(ctx context.Context, dir string, limit int64, out io.Writer) (over []error, err error) {
	all, err := i.write(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.name, err)
	}
	for _, s := range all {
		if _, err := fmt.Fprintf(out, "%-16s %-16s %13d %12d\n", i.name, "linux/"+s.architecture, s.compressed, s.unpacked); err != nil {
			return nil, err
		}
		if s.unpacked > limit {
			over = append(over, fmt.Errorf("%s for %s has %d bytes, at most %d are accepted", i.name, s.architecture, s.unpacked, limit))
		}
	}
	return over, nil
}

// A file of an image.
type file struct {
	name string // from the root, without a slash before it
	mode int64
	data []byte
}

// content builds the binary for an architecture and puts the other files beside it.
func (i image) content(ctx context.Context, architecture string) (files []file, err error) {
	work, err := os.MkdirTemp("", "image")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	binary := filepath.Join(work, i.build.entry)
	if err := i.build.compile(ctx, architecture, i.from, binary); err != nil {
		return nil, err
	}
	if err := checkStatic(binary); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(binary) //nolint:gosec // built a moment ago
	if err != nil {
		return nil, err
	}
	roots, err := rootCertificates()
	if err != nil {
		return nil, err
	}
	files = []file{{authorities, 0o644, roots}, {i.build.entry, 0o755, data}}
	if i.files == "" {
		return files, nil
	}
	source, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "wxrefund/functions/"+i.from).Output() //nolint:gosec // from the table above
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(strings.TrimSpace(string(source)), i.files)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name())) //nolint:gosec // a file of ours
		if err != nil {
			return nil, err
		}
		files = append(files, file{i.files + "/" + e.Name(), 0o644, data})
	}
	return files, nil
}

// rootCertificates are Mozilla's, from a module, so that the bytes are those of go.sum and
// not of the machine that builds. One that Mozilla trusts with conditions only is left
// out: a file cannot say those.
func rootCertificates() ([]byte, error) {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// assemble makes the image of these files, whose bytes depend on nothing else.
func (i image) assemble(architecture string, files []file) (v1.Image, imageSizes, error) {
	size := imageSizes{architecture: architecture}
	for _, f := range files {
		size.unpacked += int64(len(f.data))
	}
	archive, err := tarOf(files)
	if err != nil {
		return nil, size, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, size, err
	}
	if size.compressed, err = layer.Size(); err != nil {
		return nil, size, err
	}
	ports := map[string]struct{}{}
	for _, p := range i.ports {
		ports[p] = struct{}{}
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	made, err := mutate.ConfigFile(base, &v1.ConfigFile{
		OS: "linux", Architecture: architecture, Created: v1.Time{Time: epoch},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User: nobody, WorkingDir: "/", Entrypoint: append([]string{"/" + i.build.entry}, i.args...), Cmd: i.cmd,
			Env: []string{"PORT=" + i.port}, ExposedPorts: ports,
			Labels: map[string]string{"org.opencontainers.image.title": i.title, "org.opencontainers.image.licenses": "MIT"},
		},
	})
	if err != nil {
		return nil, size, err
	}
	made, err = mutate.Append(made, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "go run ./functions/package"}})
	return made, size, err
}

// tarOf is an archive of files, in their order, with the folders that they are in.
func tarOf(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	made := map[string]bool{}
	for _, f := range files {
		parts := strings.Split(f.name, "/")
		for n := range len(parts) - 1 {
			folder := strings.Join(parts[:n+1], "/") + "/"
			if made[folder] {
				continue
			}
			made[folder] = true
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o755, ModTime: epoch}); err != nil {
				return nil, err
			}
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: epoch}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
