package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// headRows is how many rows may stand before the names of the columns.
const headRows = 20

// refundNumbers reads refund numbers, each once and in their order: one a line, or those
// in a column out_refund_no or 商户退款单号 of a CSV file, in UTF-8 or in GBK, as the
// merchant platform writes it. A row without one is a payment.
func refundNumbers(file []byte) ([]string, error) {
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	if !utf8.Valid(file) {
		decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(file)
		if err != nil {
			return nil, errors.New("it is neither UTF-8 nor GBK")
		}
		file = decoded
	}
	rows := csv.NewReader(bytes.NewReader(file))
	rows.FieldsPerRecord, rows.LazyQuotes, rows.ReuseRecord = -1, true, true
	head, _, _ := bytes.Cut(file, []byte("\n"))
	if !bytes.Contains(file, []byte(",")) && bytes.Contains(bytes.TrimSpace(head), []byte("\t")) {
		rows.Comma = '\t'
	}
	var numbers []string
	seen := map[string]bool{}
	column, widest := -1, 0
	for n := 0; ; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is no CSV: %w", err)
		}
		if at := slices.IndexFunc(row, isNumbersColumn); column < 0 && n < headRows && at >= 0 {
			column, numbers = at, nil
			clear(seen)
			continue
		}
		widest = max(widest, len(row))
		at := max(column, 0)
		if at >= len(row) {
			continue // of the sums below the refunds
		}
		if no := bare(row[at]); no != "" && no != "0" && !seen[no] {
			seen[no] = true
			numbers = append(numbers, no)
		}
	}
	if column < 0 && widest > 1 {
		return nil, errors.New("it has several columns, and none is called out_refund_no or 商户退款单号")
	}
	return numbers, nil
}

func isNumbersColumn(cell string) bool {
	name := bare(cell)
	return name == "out_refund_no" || name == "商户退款单号"
}

// bare is a cell without what keeps spreadsheets from taking a number for one: the
// platform's backquote, our own tab or apostrophe.
func bare(cell string) string { return strings.Trim(cell, " \t\r\n`'\"\ufeff") }
