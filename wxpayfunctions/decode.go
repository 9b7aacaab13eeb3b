package wxpayfunctions

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"wxrefund/shared/refund"
)

func refuse(format string, args ...any) error {
	return refund.Invalid(fmt.Sprintf(format, args...))
}

// A reading reads the fields of one event and gathers all that is wrong with
// them, so that whoever wrote it has to mend it once.
type reading struct {
	place map[string]int  // of each field that was looked for, in the order of the types
	wrong map[string]bool // fields of which something was said
	said  []complaint
}

type complaint struct{ path, says string }

func newReading() *reading {
	return &reading{place: map[string]int{}, wrong: map[string]bool{}}
}

// look notes that a field is looked for.
func (r *reading) look(path string) {
	if _, ok := r.place[path]; !ok {
		r.place[path] = len(r.place)
	}
}

// complain says what is wrong with a field, unless something was said already of
// it or of what it stands in.
func (r *reading) complain(path, says string) {
	for outer := path; outer != ""; outer = outer[:max(0, strings.LastIndexAny(outer, ".["))] {
		if r.wrong[outer] {
			return
		}
	}
	r.wrong[path] = true
	r.said = append(r.said, complaint{path, says})
}

// add takes over what the domain finds wrong. A rule between fields says nothing
// while one of them is wrong by itself.
func (r *reading) add(problems ...refund.Problem) {
	for _, p := range problems {
		if !slices.ContainsFunc(p.Fields, func(f string) bool { return r.wrong[f] }) {
			r.complain(p.Fields[0], p.Says)
		}
	}
}

// err is one error of all that was said, in the order of the fields.
func (r *reading) err() error {
	if len(r.said) == 0 {
		return nil
	}
	slices.SortStableFunc(r.said, func(a, b complaint) int { return cmp.Compare(r.placeOf(a.path), r.placeOf(b.path)) })
	says := make([]string, len(r.said))
	for i, c := range r.said {
		says[i] = c.says
	}
	return refund.Invalid(says...)
}

func (r *reading) placeOf(path string) int {
	if at, ok := r.place[path]; ok {
		return at
	}
	return math.MaxInt
}

// find returns what an object holds under a name; nil if nothing, or null. A name
// that differs from it in case alone is wrong, and read as what it was meant to be.
func (r *reading) find(o object, path, name string) any {
	r.look(join(path, name))
	v := o[name]
	var others []string
	for other := range o {
		if other != name && strings.EqualFold(other, name) {
			others = append(others, other)
		}
	}
	slices.Sort(others)
	for _, other := range others {
		at := join(path, other)
		r.place[at] = r.place[join(path, name)]
		r.complain(at, fmt.Sprintf("%s must be written %s", short(at), name))
		if v == nil {
			v = o[other]
		}
	}
	return v
}

// eventType reads which operation is wanted.
func (r *reading) eventType(o object) string {
	switch v := r.find(o, "", "type").(type) {
	case nil:
		r.complain("type", "type is required")
	case string:
		return v
	default:
		r.complain("type", "type must be a string, not "+kind(v))
	}
	return ""
}

// business finds the object that holds the business fields: the event itself, or
// the named one inside, outermost first, but they must not stand in both places.
// It returns nil if that is not to be told.
func (r *reading) business(o object, t reflect.Type, wraps []string) object {
	for _, wrap := range wraps {
		v := r.find(o, "", wrap)
		if v == nil {
			continue
		}
		inner, ok := v.(object)
		if !ok {
			r.complain(wrap, fmt.Sprintf("%s must be an object, not %s", wrap, kind(v)))
			return nil
		}
		var beside []string
		for i := range t.NumField() {
			name := nameOf(t.Field(i))
			if _, both := o[name]; both {
				beside = append(beside, name)
			}
		}
		if beside != nil {
			r.complain(wrap, fmt.Sprintf("%s must not stand beside %s: put all fields in one place", strings.Join(beside, ", "), wrap))
			return nil
		}
		o = inner
	}
	return o
}

func nameOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// tagged reports whether one of a field's rules is the given one.
func tagged(f reflect.StructField, key, rule string) bool {
	return slices.Contains(strings.Split(f.Tag.Get(key), ","), rule)
}

// fields reads an object into a struct. Names that it does not know are ignored.
func (r *reading) fields(path string, o object, dst reflect.Value) {
	t := dst.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		at := join(path, nameOf(f))
		v := r.find(o, path, nameOf(f))
		switch {
		case v != nil:
			r.value(at, v, dst.Field(i), tagged(f, "wire", "fen"))
		case tagged(f, "validate", "required") || tagged(f, "wire", "required"):
			says := at + " is required"
			if _, null := o[nameOf(f)]; null && tagged(f, "wire", "fen") {
				says += ": in fen, an integer, not null"
			}
			r.complain(at, says)
		}
	}
}

// maxEntries bounds a list: the longest that any field allows.
const maxEntries = 100

// value reads one value into a field of the struct.
func (r *reading) value(path string, v any, dst reflect.Value, fen bool) {
	switch dst.Kind() {
	case reflect.Struct:
		if o, ok := v.(object); ok {
			r.fields(path, o, dst)
			return
		}
		r.unfit(path, "an object", v)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			r.unfit(path, "an array", v)
			return
		}
		if len(list) > maxEntries {
			r.complain(path, fmt.Sprintf("%s must have at most %d entries", path, maxEntries))
			return
		}
		dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
		for i, e := range list {
			at := fmt.Sprintf("%s[%d]", path, i)
			r.look(at)
			r.value(at, e, dst.Index(i), false)
		}
	case reflect.Int, reflect.Int64:
		n, ok := v.(json.Number)
		switch {
		case ok && whole(n):
			i, _ := strconv.ParseInt(string(n), 10, 64) // the nearest there is, which the field's bounds refuse
			dst.SetInt(i)
		case fen:
			r.unfit(path, "in fen, an integer (in other currencies the minor unit)", v)
		default:
			r.unfit(path, "an integer", v)
		}
	default:
		s, ok := v.(string)
		if !ok {
			r.unfit(path, "a string", v)
			return
		}
		dst.SetString(s)
	}
}

func (r *reading) unfit(path, want string, v any) {
	r.complain(path, fmt.Sprintf("%s must be %s, not %s", path, want, kind(v)))
}

// read reads the business fields into dst, checks their shape and, if anything is
// wrong with it, says in the same error what the channel would not carry.
func (h *Handler) read(r *reading, event object, dst any, problems func(refund.Spec) []refund.Problem, wraps ...string) error {
	v := reflect.ValueOf(dst).Elem()
	if o := r.business(event, v.Type(), wraps); o != nil {
		r.fields("", o, v)
		if err := h.check(r, dst); err != nil {
			return err
		}
		if len(r.said) > 0 {
			r.add(problems(h.refunds.Channel.Spec())...)
		}
	}
	return r.err()
}
