package main

import (
	"archive/zip"
	"compress/flate"
	"io"
	"os"
	"path/filepath"
	"time"
)

// epoch is the oldest time that a zip can name: the same for every file, so that
// the same files make the same zip.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack zips the files of a folder, in the order of their names, each executable.
func pack(folder, name string) (s sizes, err error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return s, err
	}
	out, err := os.Create(name) //nolint:gosec // the name is an argument of the person who builds
	if err != nil {
		return s, err
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	w := zip.NewWriter(out)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	for _, f := range files {
		n, err := add(w, filepath.Join(folder, f.Name()))
		if err != nil {
			return s, err
		}
		s.unzipped += n
	}
	if err := w.Close(); err != nil {
		return s, err
	}
	info, err := out.Stat()
	if err != nil {
		return s, err
	}
	s.zipped = info.Size()
	return s, nil
}

// add writes one file and returns its size.
func add(w *zip.Writer, path string) (int64, error) {
	in, err := os.Open(path) //nolint:gosec // built a moment ago
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }() // of what was only read
	header := &zip.FileHeader{Name: filepath.Base(path), Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o755)
	out, err := w.CreateHeader(header)
	if err != nil {
		return 0, err
	}
	return io.Copy(out, in)
}
