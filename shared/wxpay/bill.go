package wxpay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

const (
	maxBillLine = 64 << 10   // bytes of one line of a bill; a row has some 500
	maxBill     = 1 << 30    // bytes of a bill, unpacked
	maxBillRows = 10_000_000 // of one day
)

// A Bill is one day's bill of WeChat Pay while it is read, line by line, once: of trade
// (docs/merchant/products/bill-download/format-trade.html) or of what moved in an account
// (format-fundflow.html there). Its columns are found by their headings, since the layouts
// differ by the type of the bill, by system and by age. However long a bill is, a line of
// it is in memory at a time.
//
// A file has one line of headings, the rows, one line of other headings and one of sums.
// Each value has a back-tick before it and none is quoted, so that values are told apart
// by a comma with a back-tick: names of goods hold commas, quotes and JSON.
//
// Errors about what stands in a bill are [ErrFormat] and name line and heading; beyond
// 1 GiB unpacked, 64 KiB in a line or ten million rows they are [ErrTooLarge].
type Bill struct {
	// Day, written 2006-01-02 and set before rows are read, is looked for among their
	// dates, of whatever event; OfDay says whether one had it.
	Day   string
	OfDay bool

	in    *bufio.Reader
	hash  io.Writer // nil: none is wanted
	funds bool
	err   error // the first one

	line int64 // that was read last, from 1
	size int64 // bytes read
	rows int64
	raw  []byte // the line that was read last, with its end

	columns []string // their headings
	values  [][]byte // of the row at hand, one for each column; good until the next line is read

	// The columns from free to after hold what people write. Where one holds what
	// separates values, nobody can tell their border; the columns on either side stand
	// where they stand, counted from the nearer end.
	free, after int

	at    map[string]int // columns by heading
	dates []int          // columns that hold times
	sums  []billSum
	ended bool // the sums have been read, and hold
}

// A billSum is a number that the file's last line tells of its rows.
type billSum struct {
	heading string
	columns []string // one of which is added up; none: the rows are counted
	of      string   // the rows that have this word in the column way; "": all

	column int // the place of the one that the bill has; below zero: it has none, or rows are counted
	sum    decimal
}

// OpenBill reads a bill's headings. r is the file as it came, packed with gzip or not. All
// that is in it, unpacked, is written into h, which may be nil; it is all there when the
// last row has been handed out.
func OpenBill(r io.Reader, h io.Writer) (*Bill, error) {
	in := bufio.NewReaderSize(r, maxBillLine)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%w bill: its gzip is damaged", ErrFormat)
		}
		in = bufio.NewReaderSize(unpacked, maxBillLine)
	}
	b := &Bill{in: in, hash: h, at: map[string]int{}}
	line, err := b.next()
	if err != nil {
		return nil, err
	}
	if line == nil {
		return nil, fmt.Errorf("%w bill: it is empty", ErrFormat)
	}
	if err := b.headings(bytes.TrimPrefix(line, []byte("\ufeff"))); err != nil {
		return nil, err
	}
	return b, nil
}

// Funds tells a bill of an account from one of trade.
func (b *Bill) Funds() bool { return b.funds }

// Has reports whether the bill has a column with this heading.
func (b *Bill) Has(heading string) bool { _, ok := b.at[heading]; return ok }

// Rows is how many rows have been read, whatever they are about.
func (b *Bill) Rows() int64 { return b.rows }

// headings reads the first line.
func (b *Bill) headings(line []byte) error {
	for _, h := range strings.Split(string(line), ",") {
		h = heading(h)
		if _, twice := b.at[h]; twice {
			return b.fault(h, "is there twice")
		}
		b.at[h] = len(b.columns)
		b.columns = append(b.columns, h)
	}
	b.values = make([][]byte, len(b.columns))
	required, free, sums := tradeHeadings(), tradeFree(), tradeSums()
	if b.funds = b.Has(hFlowID); b.funds {
		required, free, sums = fundsHeadings(), fundsFree(), fundsSums()
	}
	for _, h := range required {
		if !b.Has(h) {
			return b.fault(h, "is missing: this is no bill of WeChat Pay's, or in a layout that nobody knows")
		}
	}
	b.free = len(b.columns)
	for _, h := range free {
		if i, ok := b.at[h]; ok {
			b.free, b.after = min(b.free, i), max(b.after, i+1)
		}
	}
	if b.after-b.free > len(free) || b.after == 0 { // they do not stand together: none is free
		b.free, b.after = len(b.columns), len(b.columns)
	}
	for _, h := range []string{hTradeTime, hAppliedAt, hSucceededAt, hBookedAt} {
		if i, ok := b.at[h]; ok {
			b.dates = append(b.dates, i)
		}
	}
	for i := range sums {
		sums[i].column = -1
		if j := slices.IndexFunc(sums[i].columns, b.Has); j >= 0 {
			sums[i].column = b.at[sums[i].columns[j]]
		}
	}
	b.sums = sums
	return nil
}

// heading is one as we look for it, whichever brackets it has.
func heading(s string) string {
	s = strings.TrimPrefix(strings.TrimSpace(s), "`")
	return strings.NewReplacer("（", "(", "）", ")").Replace(s)
}

// fault is an error about what stands in the line that was read last.
func (b *Bill) fault(heading, what string) error {
	at := fmt.Sprintf("line %d", b.line)
	if heading != "" {
		at += ": " + printableHeading(heading)
	}
	return fmt.Errorf("%w bill: %s: %s", ErrFormat, at, what)
}

// printableHeading bounds what a file calls a heading.
func printableHeading(s string) string {
	out := []rune(strings.ToValidUTF8(s, "\ufffd"))
	out = slices.DeleteFunc(out[:min(len(out), 40)], func(r rune) bool { return r < ' ' || r == 0x7f })
	return string(out)
}

// next reads one line, without its end; nil at the end of the file. It is good until the
// next is read.
func (b *Bill) next() ([]byte, error) {
	line, err := b.in.ReadSlice('\n')
	b.line++
	b.size += int64(len(line))
	if b.hash != nil {
		_, _ = b.hash.Write(line) // a hash never fails
	}
	b.raw = line
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w bill: line %d has more than %d bytes", ErrTooLarge, b.line, maxBillLine)
	case b.size > maxBill:
		return nil, fmt.Errorf("%w bill: more than %d bytes, at line %d", ErrTooLarge, maxBill, b.line)
	case err == io.EOF && len(line) == 0:
		return nil, nil
	case err != nil && err != io.EOF:
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || isFlate(err) {
			return nil, b.fault("", "the file is cut off or damaged: it cannot be unpacked further")
		}
		return nil, fmt.Errorf("wxpay: bill: line %d: %w", b.line, err)
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// isFlate recognises what compress/flate says of damaged bytes, whose types have no
// sentinel of their own.
func isFlate(err error) bool { return strings.HasPrefix(err.Error(), "flate: ") }

// walk goes through the rows; each is in b.values while row is called. At the end the
// file's own sums are held against its rows.
func (b *Bill) walk(row func() bool) error {
	for b.err == nil && !b.ended {
		line, err := b.next()
		switch {
		case err != nil:
			b.err = err
		case line == nil:
			b.err = b.fault("", "the file ends before its sums: it is cut off")
		case len(line) == 0 || line[0] != '`':
			b.err = b.end(line)
		default:
			if b.err = b.row(line); b.err == nil && !row() {
				return nil
			}
		}
	}
	return b.err
}

// row takes one row apart, and adds it up.
func (b *Bill) row(line []byte) error {
	if b.rows++; b.rows > maxBillRows {
		return fmt.Errorf("%w bill: more than %d rows, at line %d", ErrTooLarge, maxBillRows, b.line)
	}
	if err := b.split(line[1:]); err != nil {
		return err
	}
	for _, i := range b.dates {
		b.OfDay = b.OfDay || b.Day != "" && bytes.HasPrefix(b.values[i], []byte(b.Day))
	}
	for i := range b.sums {
		s := &b.sums[i]
		if s.of != "" && !b.is(hWay, s.of) {
			continue
		}
		n := decimal(one)
		if s.column >= 0 {
			var ok bool
			if n, ok = parseDecimal(b.values[s.column]); !ok && len(b.values[s.column]) > 0 {
				return b.fault(b.columns[s.column], "is no amount")
			}
		} else if s.columns != nil {
			continue
		}
		if s.sum = s.sum.plus(n); s.sum == tooMuch {
			return b.fault(s.heading, "cannot be added up")
		}
	}
	return nil
}

// separator stands between two values.
const separator = ",`"

// split puts a row's values where b.values has their columns.
func (b *Bill) split(line []byte) error {
	extra := bytes.Count(line, []byte(separator)) + 1 - len(b.columns)
	if extra < 0 || extra > 0 && b.free == len(b.columns) {
		return b.fault("", fmt.Sprintf("the row has %d values where %d are", len(b.columns)+extra, len(b.columns)))
	}
	for i := range b.columns {
		if extra > 0 && i == b.free {
			// All that is free is one text.
			end := len(line)
			for range len(b.columns) - b.after {
				end = bytes.LastIndex(line[:end], []byte(separator))
			}
			for j := b.free; j < b.after; j++ {
				b.values[j] = line[:end]
			}
			line = line[min(end+len(separator), len(line)):]
			continue
		}
		if extra > 0 && i > b.free && i < b.after {
			continue
		}
		value, rest, _ := bytes.Cut(line, []byte(separator))
		b.values[i], line = value, rest
	}
	return nil
}

// end reads the file's sums: their headings are in line.
func (b *Bill) end(line []byte) error {
	var names []string
	for _, h := range strings.Split(string(line), ",") {
		names = append(names, heading(h))
	}
	if names[0] != b.sums[0].heading {
		return b.fault("", "the line is neither a row nor the headings of the sums")
	}
	line, err := b.next()
	if err != nil {
		return err
	}
	if len(line) == 0 || line[0] != '`' {
		return b.fault("", "the file ends before its sums: it is cut off")
	}
	values := strings.Split(string(line[1:]), separator)
	if len(values) != len(names) {
		return b.fault("", fmt.Sprintf("there are %d sums where %d are", len(values), len(names)))
	}
	for i, name := range names {
		at := slices.IndexFunc(b.sums, func(s billSum) bool {
			return s.heading == name && (s.column >= 0 || s.columns == nil)
		})
		if at < 0 {
			continue // one that WeChat Pay has added
		}
		told, ok := parseDecimal([]byte(values[i]))
		if !ok || told != b.sums[at].sum {
			return b.fault(name, fmt.Sprintf("the file says %s where its rows make %s", printableHeading(values[i]), b.sums[at].sum))
		}
	}
	return b.rest()
}

// rest reads what stands behind the sums, which is nothing but the ends of lines.
func (b *Bill) rest() error {
	for {
		line, err := b.next()
		if err != nil {
			return err
		}
		if line == nil {
			b.ended = true
			return nil
		}
		if len(line) > 0 {
			return b.fault("", "something stands behind the sums")
		}
	}
}

// text is a value that is short and printable, as numbers and codes are.
func (b *Bill) text(heading string, max int) (string, error) {
	i, ok := b.at[heading]
	if !ok {
		return "", nil
	}
	v := b.values[i]
	if len(v) > max || bytes.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '`' }) {
		return "", b.fault(heading, fmt.Sprintf("is not of at most %d letters, digits and signs", max))
	}
	return string(v), nil
}

// rowsOf yields what read makes of the rows that are wanted.
func rowsOf[T any](b *Bill, read func() (row T, want bool, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var failed error
		stopped := false
		err := b.walk(func() bool {
			row, want, err := read()
			if err != nil {
				failed, b.err = err, err
				return false
			}
			if want && !yield(row, nil) {
				stopped = true
				return false
			}
			return true
		})
		if failed != nil {
			err = failed
		}
		if err != nil && !stopped {
			var zero T
			yield(zero, err)
		}
	}
}
