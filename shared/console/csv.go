package console

import (
	"bufio"
	"encoding/csv"
	"iter"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// A Column is one of a [Table]: its name, and what stands there of an item. What came
// from elsewhere is to be a [Cell].
type Column[T any] struct {
	Name string
	Of   func(T) string
}

// A Table is a list as a file that a browser keeps and a spreadsheet opens: CSV. It is
// written as it is read, however long it is.
type Table[T any] struct {
	Name    string // of the file
	Columns []Column[T]
	Rows    iter.Seq2[T, error] // an error ends it
}

// rowTime bounds how long a client may take to read a part of a table.
const rowTime = 30 * time.Second

// flushEvery is how many rows are sent at a time.
const flushEvery = 256

// ServeHTTP answers with the file. Where it cannot be read to its end the connection
// breaks, since half a file that looks like a whole one would be believed.
func (t Table[T]) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+t.Name+`"`)
	control := http.NewResponseController(w)
	b := bufio.NewWriterSize(w, 1<<16)
	_, _ = b.WriteString(bom)
	out := csv.NewWriter(b)
	out.UseCRLF = true // RFC 4180
	record := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		record[i] = c.Name
	}
	_ = out.Write(record) // its errors stay with it until it is flushed
	n := 0
	for row, err := range t.Rows {
		switch {
		case err != nil && n == 0: // nothing has been sent yet
			w.Header().Del("Content-Disposition")
			(&Refusal{http.StatusServiceUnavailable, err.Error()}).Write(w)
			return
		case err != nil:
			panic(http.ErrAbortHandler)
		}
		for i, c := range t.Columns {
			record[i] = c.Of(row)
		}
		_ = out.Write(record)
		if n++; n%flushEvery == 0 {
			_ = control.SetWriteDeadline(time.Now().Add(rowTime)) // not every server can
			if out.Flush(); out.Error() != nil {
				return // the client has gone; that is its affair
			}
		}
	}
	out.Flush()
	_ = b.Flush()
}

// bom tells spreadsheets that a file is in UTF-8.
const bom = "\xef\xbb\xbf"

// exact is how many digits of a number a spreadsheet keeps.
const exact = 15

// Cell writes a text that came from elsewhere so that a spreadsheet takes it for text: not
// for a formula, which could send away what stands beside it, and a number of twenty-eight
// digits not for one that can be rounded.
func Cell(text string) string {
	switch first, _ := utf8.DecodeRuneInString(text); {
	case text != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first):
		return "'" + text
	case len(text) > exact && strings.Trim(text, "0123456789") == "":
		return "\t" + text
	}
	return text
}
