package sandboxtest

import (
	"net/url"
	"strings"
	"time"
)

// China is the zone of bills.
var China = time.FixedZone("UTC+8", 8*60*60)

// Today is the day in China that the virtual clock shows, and a day so many days later.
func (w *World) Today(days int) string {
	return w.Sandbox.Now().In(China).AddDate(0, 0, days).Format(time.DateOnly)
}

// Issued moves the virtual clock to the hour, ten in the morning of the next day, at which
// the bill of the present one is issued, and returns that day.
func (w *World) Issued() (day string) {
	w.T.Helper()
	now := w.Sandbox.Now().In(China)
	y, m, d := now.Date()
	w.Advance(time.Date(y, m, d+1, 10, 0, 0, 0, China).Sub(now).String())
	return now.Format(time.DateOnly)
}

// Download follows the download_url of an answer.
func (w *World) Download(a Answer) Answer {
	w.T.Helper()
	address, _ := a.Field("download_url").(string)
	u, err := url.Parse(address)
	if err != nil || address == "" {
		w.T.Fatalf("no download_url in %s", a.Body)
	}
	return w.Call("GET", u.RequestURI(), "")
}

// Bill asks for a bill of APIv3 and downloads it, or ends the test.
func (w *World) Bill(path string) string {
	w.T.Helper()
	a := w.Call("GET", path, "")
	if a.Status != 200 {
		w.T.Fatalf("%s: status %d %s", path, a.Status, a.Body)
	}
	file := w.Download(a)
	if file.Status != 200 {
		w.T.Fatalf("%s: download: status %d %s", path, file.Status, file.Body)
	}
	return string(file.Body)
}

// BillRows takes a bill apart, by its headings; the sums are the last of the rows.
func (w *World) BillRows(file string) (rows []map[string]string) {
	w.T.Helper()
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(file, "\ufeff"), "\r\n"), "\r\n")
	var names []string
	for _, line := range lines {
		values, ok := strings.CutPrefix(line, "`")
		if !ok {
			names = strings.Split(line, ",")
			continue
		}
		row := map[string]string{}
		texts := strings.Split(values, ",`")
		if len(texts) != len(names) {
			w.T.Fatalf("%d values under %d headings: %s", len(texts), len(names), line)
		}
		for i, name := range names {
			row[name] = texts[i]
		}
		rows = append(rows, row)
	}
	return rows
}
