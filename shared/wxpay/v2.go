package wxpay

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

const (
	maxMessage  = 64 << 10 // bytes of a v2 message; one that lists ten refunds has some 6 KiB
	maxElements = 512
)

// Fields is a v2 message, which is flat: the names and texts of the children of
// its one root element. An element that is empty is there, with "".
type Fields map[string]string

// ParseFields reads a v2 message, whose root element is called "xml", or what
// [APIKey.OpenReqInfo] returns, whose root is "root". Faults are [ErrFormat], and
// [ErrTooLarge] beyond 64 KiB; their texts quote nothing.
//
// White space around a value is dropped, but what stands in CDATA is kept as it
// is, the ends of lines excepted, which XML makes into line feeds. Names that we do not know are read like others, since WeChat Pay adds some
// from time to time and signs them.
//
// Read are a root, its children and their text: nothing else occurs in these
// messages. encoding/xml finds the tokens, which it does without ever fetching
// or expanding anything; it would pass over a DOCTYPE, a second root, attributes
// and elements that occur twice, and here they are refused. So are comments:
// of <a>1<!---->2</a> one reader makes 12, another 1.
func ParseFields(body []byte, root string) (Fields, error) {
	if len(body) > maxMessage {
		return nil, fmt.Errorf("%w: v2 message of %d bytes", ErrTooLarge, len(body))
	}
	r := fieldsReader{root: root, fields: Fields{}}
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		from := d.InputOffset()
		// Raw tokens, because we watch the order of tags ourselves: depth costs no
		// memory, since the third level is refused.
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && r.closed {
			return r.fields, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w v2 message: not XML in UTF-8", ErrFormat)
		}
		if fault := r.take(token, body[from:d.InputOffset()]); fault != "" {
			return nil, fmt.Errorf("%w v2 message: %s", ErrFormat, fault)
		}
	}
}

// A fieldsReader is how far a message has been read.
type fieldsReader struct {
	root   string
	fields Fields
	begun  bool // something has been read
	depth  int  // 0 outside, 1 in the root, 2 in one of its children
	closed bool // the root has ended

	name   string // of the child that is open
	value  []byte // of it, so far
	pieces int    // of which value is made
	exact  int    // how much of value must not be trimmed
}

// take goes on by one token, which stands in the message as raw. It returns what
// is wrong with it, or "".
func (r *fieldsReader) take(token xml.Token, raw []byte) (fault string) {
	first := !r.begun
	r.begun = true
	switch t := token.(type) {
	case xml.StartElement:
		return r.open(t)
	case xml.EndElement:
		return r.close(t)
	case xml.CharData:
		return r.text(t, raw)
	case xml.ProcInst:
		if !first || !isDeclaration(string(raw)) {
			return "a processing instruction"
		}
		return ""
	default:
		return "a comment or a directive, such as a DOCTYPE"
	}
}

// open goes on by a start tag. The name is entered at once, so that an element that
// occurs twice is refused before its text is read.
func (r *fieldsReader) open(t xml.StartElement) (fault string) {
	switch {
	case len(t.Attr) > 0 || t.Name.Space != "":
		return "an attribute or a namespace"
	case r.depth == 0 && (r.closed || t.Name.Local != r.root):
		return "another root element, or a second one"
	case r.depth == 2:
		return "an element within an element"
	}
	if r.depth++; r.depth == 1 {
		return ""
	}
	if !isName(t.Name.Local) {
		return "an element with an odd name"
	}
	if _, twice := r.fields[t.Name.Local]; twice {
		return "an element is there twice"
	}
	if len(r.fields) == maxElements {
		return "too many elements"
	}
	r.name, r.value, r.pieces, r.exact = t.Name.Local, nil, 0, 0
	r.fields[r.name] = ""
	return ""
}

// close goes on by an end tag. encoding/xml makes one of <a/> too.
func (r *fieldsReader) close(t xml.EndElement) (fault string) {
	want := r.root
	if r.depth == 2 {
		want = r.name
		r.fields[r.name] = string(r.value[:r.exact]) + strings.TrimRight(string(r.value[r.exact:]), space)
	}
	if r.depth == 0 || t.Name.Space != "" || t.Name.Local != want {
		return "a tag closes what it did not open"
	}
	r.depth--
	r.closed = r.depth == 0
	return ""
}

// text goes on by a run of text or by one CDATA section, which encoding/xml hands
// over separately but alike: it is raw that tells them apart.
func (r *fieldsReader) text(t xml.CharData, raw []byte) (fault string) {
	if r.depth < 2 {
		// Between elements any white space will do: the examples in WeChat Pay's own
		// documents are indented with no-break spaces.
		if len(bytes.TrimSpace(raw)) > 0 || r.depth == 0 && len(bytes.Trim(raw, space)) > 0 {
			return "text outside of elements"
		}
		return ""
	}
	// encoding/xml reads the number of a surrogate, which is no character, as a
	// replacement character. Nobody means that.
	if bytes.ContainsRune(t, '\uFFFD') && !bytes.ContainsRune(raw, '\uFFFD') {
		return "a reference to no character"
	}
	cdata := bytes.HasPrefix(raw, []byte("<![CDATA["))
	if r.pieces++; r.pieces == 1 && !cdata {
		t = bytes.TrimLeft(t, space)
	}
	r.value = append(r.value, t...)
	if cdata {
		r.exact = len(r.value)
	}
	return ""
}

// XML writes the message down, in one line: an acknowledgement of several lines
// is said not to be understood. The names are sorted, and each value is in CDATA.
//
// It never writes anything but one flat message, whatever is in f. What XML cannot
// carry is lost in it: a character that is none becomes U+FFFD, and a field whose
// name is none is left out. [APIKey.Sign] refuses such a message beforehand.
func (f Fields) XML() []byte {
	var b bytes.Buffer
	b.WriteString("<xml>")
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if isName(name) {
			b.WriteString("<" + name + "><![CDATA[")
			b.WriteString(toCDATA.Replace(clean(f[name])))
			b.WriteString("]]></" + name + ">")
		}
	}
	b.WriteString("</xml>")
	return b.Bytes()
}

// toCDATA keeps a value from ending its own CDATA section, and a carriage return
// from being read as the end of a line, which every XML parser makes of one that
// is not written as a reference.
var toCDATA = strings.NewReplacer("]]>", "]]]]><![CDATA[>", "\r", "]]>&#13;<![CDATA[")

// space is what XML takes for white space.
const space = " \t\r\n"

// isDeclaration reports whether raw is <?xml version="1.0"?>, with UTF-8 or
// nothing said of the encoding.
func isDeclaration(raw string) bool {
	raw = strings.ToLower(strings.ReplaceAll(raw, "'", `"`))
	raw = strings.Join(strings.Fields(strings.TrimSuffix(raw, "?>")), " ")
	raw, ok := strings.CutPrefix(raw, `<?xml version="1.0"`)
	raw = strings.TrimPrefix(raw, ` encoding="utf-8"`)
	return ok && (raw == "" || raw == ` standalone="yes"` || raw == ` standalone="no"`)
}

// isName reports whether s can be the name of a field: those that WeChat Pay uses
// are of lower-case letters, digits and underscores, and XML would allow much
// that nobody can tell apart.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// clean replaces what is no character of XML.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == '\uFFFE' || r == '\uFFFF' {
			return '\uFFFD'
		}
		return r // of bytes that are not UTF-8 strings.Map makes U+FFFD
	}, s)
}
