package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseRefusesWhatEncodingJSONLetsPass(t *testing.T) {
	bound := Options{MaxDepth: 3}
	for name, tt := range map[string]struct {
		text string
		o    Options
		want error
		path string
	}{
		"a name twice":                   {`{"a":1,"b":2,"a":1}`, Options{}, nil, "a"},
		"spelt in another way":           {`{"a":1,"\u0061":2}`, Options{}, nil, "a"},
		"twice, deeper":                  {`{"a":{"b":[0,[{"c":{"d":1,"d":2}}]]}}`, Options{}, nil, "a.b[][].c.d"},
		"twice in an element":            {`[{"a":1,"a":2}]`, Options{}, nil, "[].a"},
		"a name in two cases":            {`{"a":1,"A":2}`, Options{}, nil, ""},
		"a name in two objects":          {`{"a":{"a":1}}`, Options{}, nil, ""},
		"nothing":                        {``, Options{}, ErrSyntax, ""},
		"broken off":                     {`{"a":1`, Options{}, ErrSyntax, ""},
		"an object behind":               {`{} {}`, Options{}, ErrTrailing, ""},
		"a bracket behind":               {`{}}`, Options{}, ErrTrailing, ""},
		"space around":                   {" \t\r\n{ } \t\r\n", Options{}, nil, ""},
		"not UTF-8":                      {"\"\xff\"", Options{}, ErrSyntax, ""},
		"not UTF-8 in a name":            {"{\"\xff\":1}", Options{}, ErrSyntax, ""},
		"mended":                         {"\"\xff\"", Options{Mend: true}, nil, ""},
		"the same when mended":           {"{\"\xff\":1,\"\xfe\":1}", Options{Mend: true}, nil, "�"},
		"as deep as may be":              {`[[[1]]]`, bound, nil, ""},
		"too deep":                       {`[[[[1]]]]`, bound, ErrDepth, ""},
		"too deep in an object":          {`{"a":[{"b":{"c":1}}]}`, bound, ErrDepth, ""},
		"too deep for encoding/json":     {strings.Repeat("[", 10001) + strings.Repeat("]", 10001), Options{}, ErrSyntax, ""},
		"twice, where the last counts":   {`{"a":1,"a":2}`, Options{KeepLast: true}, nil, ""},
		"a quote behind two backslashes": {`{"a":"\\","a":1}`, Options{}, nil, "a"},
		"a quote behind three":           {`{"a":"\\\",","b":1}`, Options{}, nil, ""},
	} {
		_, err := Parse([]byte(tt.text), tt.o)
		if twice, ok := errors.AsType[*DuplicateError](err); tt.path != "" {
			if !ok || twice.Path != tt.path {
				t.Errorf("%s: error %v, want that %s is there twice", name, err, tt.path)
			}
		} else if !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
}

func TestValueTellsKinds(t *testing.T) {
	for text, want := range map[string]struct {
		text                string
		number              int64
		isText, isInt, isOb bool
	}{
		`"a\n"`: {text: "a\n", isText: true}, `"12"`: {text: "12", isText: true}, `""`: {isText: true},
		`12`: {number: 12, isInt: true}, `-3`: {number: -3, isInt: true}, `1.0`: {}, `1e2`: {}, `9223372036854775808`: {},
		`{}`: {isOb: true}, `[]`: {}, `true`: {}, `null`: {},
	} {
		v, err := Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s, isText := v.Text()
		n, isInt := v.Int()
		if s != want.text || isText != want.isText || isInt != want.isInt || isInt && n != want.number || v.IsObject() != want.isOb || v.IsNull() != (text == "null") {
			t.Errorf("%s: %q %t, %d %t, object %t, null %t", text, s, isText, n, isInt, v.IsObject(), v.IsNull())
		}
	}
	var none Value
	if _, ok := none.Text(); ok || none.IsObject() || none.IsNull() {
		t.Error("the zero Value is something")
	}
	for range none.Members() {
		t.Error("the zero Value has members")
	}
}

func TestMembersComeInOrderAndAsOftenAsWritten(t *testing.T) {
	v, err := Read([]byte(` { "b" : [1, {"}":2}] , "a":"x","\u0062":null } `))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for name, value := range v.Members() {
		got = append(got, name+"="+value.written)
	}
	if want := []string{"b=[1, {\"}\":2}]", "a=\"x\"", "b=null"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for name := range v.Members() {
		if name != "b" {
			t.Error("it goes on when told to stop")
		}
		break
	}
}

// FuzzParse: what encoding/json accepts is read as encoding/json reads it, what it
// refuses is refused, numbers are kept as they are written, and the strict reading
// differs only in refusing more.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,"x\"\\",{"b":null}],"c":true}`, `{"a":1,"a":2}`, `{"a":{"b":1},"a":{"c":2}}`, `"\ud800"`, "\"\xff\xfe\"", `[ ]`, ` { } `, `{} x`, `1 2`, `[9007199254740993, 1.0, 1e2]`, `-0`, `1e400`, `nul`, ``, `{"":{"":[]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		valid := json.Valid(data)
		if err := dec.Decode(&want); valid && err != nil {
			t.Fatal(err)
		}
		lenient, err := Parse(data, Options{KeepLast: true, Mend: true})
		if (err == nil) != valid {
			t.Fatalf("error %v, valid %t", err, valid)
		}
		if valid && !reflect.DeepEqual(lenient, want) {
			t.Fatalf("%#v, encoding/json %#v", lenient, want)
		}
		strict, err := Parse(data, Options{})
		if _, twice := errors.AsType[*DuplicateError](err); twice {
			return
		}
		if (err == nil) != (valid && utf8.Valid(data)) {
			t.Fatalf("error %v, valid %t", err, valid)
		}
		if err == nil && !reflect.DeepEqual(strict, want) {
			t.Fatalf("%#v, encoding/json %#v", strict, want)
		}
		// Members alone find the same as the tree.
		v, err := Read(data)
		if object, ok := strict.(map[string]any); err == nil && ok {
			n := 0
			for name, value := range v.Members() {
				n++
				inner, err := Parse([]byte(value.written), Options{})
				if err != nil || !reflect.DeepEqual(inner, object[name]) {
					t.Fatalf("%s: %v, %v, want %v", name, inner, err, object[name])
				}
			}
			if n != len(object) {
				t.Fatalf("%d members of %d", n, len(object))
			}
		}
	})
}
