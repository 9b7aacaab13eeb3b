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

// A decoder reads the fields of one event and collects all that is wrong with them,
// so that whoever wrote the event can correct it in one go.
type decoder struct {
	order    map[string]int  // of each field that was looked for: the order of the types
	wrong    map[string]bool // fields with a problem
	problems []problem

	outRefundNo string // of the event, for the log; "" if it names none
}

type problem struct{ path, message string }

func newDecoder() *decoder {
	return &decoder{order: map[string]int{}, wrong: map[string]bool{}}
}

// visit notes that a field is looked for.
func (d *decoder) visit(path string) {
	if _, ok := d.order[path]; !ok {
		d.order[path] = len(d.order)
	}
}

// report adds what is wrong with a field, unless something is already known to be
// wrong with it or with what it stands in.
func (d *decoder) report(path, message string) {
	for outer := path; outer != ""; outer = outer[:max(0, strings.LastIndexAny(outer, ".["))] {
		if d.wrong[outer] {
			return
		}
	}
	d.wrong[path] = true
	d.problems = append(d.problems, problem{path, message})
}

// reportProblems adds what the domain finds wrong. A rule between fields counts for
// nothing while one of them is wrong by itself.
func (d *decoder) reportProblems(problems ...refund.Problem) {
	for _, p := range problems {
		if !slices.ContainsFunc(p.Fields, func(f string) bool { return d.wrong[f] }) {
			d.report(p.Fields[0], p.Says)
		}
	}
}

// err is one error with all problems, in the order of the fields.
func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b problem) int { return cmp.Compare(d.orderOf(a.path), d.orderOf(b.path)) })
	messages := make([]string, len(d.problems))
	for i, p := range d.problems {
		messages[i] = p.message
	}
	return refund.Invalid(messages...)
}

func (d *decoder) orderOf(path string) int {
	if at, ok := d.order[path]; ok {
		return at
	}
	return math.MaxInt
}

// find returns what an object holds under a name; nil if nothing, or null. A name
// that differs from it in case alone is wrong, and read as what it was meant to be.
func (d *decoder) find(o object, path, name string) any {
	d.visit(join(path, name))
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
		d.order[at] = d.order[join(path, name)]
		d.report(at, fmt.Sprintf("%s must be written %s", short(at), name))
		if v == nil {
			v = o[other]
		}
	}
	return v
}

// eventType reads which operation is wanted.
func (d *decoder) eventType(o object) string {
	switch v := d.find(o, "", "type").(type) {
	case nil:
		d.report("type", "type is required")
	case string:
		return v
	default:
		d.report("type", "type must be a string, not "+kind(v))
	}
	return ""
}

// business finds the object that holds the business fields: the event itself, or
// the named one inside, outermost first, but they must not stand in both places.
// It returns nil if they are not to be found.
func (d *decoder) business(o object, t reflect.Type, wraps []string) object {
	for _, wrap := range wraps {
		v := d.find(o, "", wrap)
		if v == nil {
			continue
		}
		inner, ok := v.(object)
		if !ok {
			d.report(wrap, fmt.Sprintf("%s must be an object, not %s", wrap, kind(v)))
			return nil
		}
		var beside []string
		for i := range t.NumField() {
			name := nameOf(t.Field(i))
			if _, both := o[name]; both && name != "type" { // which every event has
				beside = append(beside, name)
			}
		}
		if beside != nil {
			d.report(wrap, fmt.Sprintf("%s must not stand beside %s: put all fields in one place", strings.Join(beside, ", "), wrap))
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
func (d *decoder) fields(path string, o object, dst reflect.Value) {
	t := dst.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		at := join(path, nameOf(f))
		v := d.find(o, path, nameOf(f))
		switch {
		case v != nil:
			d.value(at, v, dst.Field(i), tagged(f, "wire", "fen"))
		case tagged(f, "validate", "required") || tagged(f, "wire", "required"):
			message := at + " is required"
			if _, null := o[nameOf(f)]; null && tagged(f, "wire", "fen") {
				message += ": in fen, an integer, not null"
			}
			d.report(at, message)
		}
	}
}

// maxEntries bounds a list: the longest that any field allows.
const maxEntries = 100

// value reads one value into a field of the struct.
func (d *decoder) value(path string, v any, dst reflect.Value, fen bool) {
	switch dst.Kind() {
	case reflect.Struct:
		if o, ok := v.(object); ok {
			d.fields(path, o, dst)
			return
		}
		d.reportKind(path, "an object", v)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			d.reportKind(path, "an array", v)
			return
		}
		if len(list) > maxEntries {
			d.report(path, fmt.Sprintf("%s must have at most %d entries", path, maxEntries))
			return
		}
		dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
		for i, e := range list {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.visit(at)
			d.value(at, e, dst.Index(i), false)
		}
	case reflect.Int, reflect.Int64:
		n, ok := v.(json.Number)
		switch {
		case ok && whole(n):
			i, _ := strconv.ParseInt(string(n), 10, 64) // the nearest there is, which the field's bounds refuse
			dst.SetInt(i)
		case fen:
			d.reportKind(path, "in fen, an integer (in other currencies the minor unit)", v)
		default:
			d.reportKind(path, "an integer", v)
		}
	default:
		s, ok := v.(string)
		if !ok {
			d.reportKind(path, "a string", v)
			return
		}
		dst.SetString(s)
	}
}

func (d *decoder) reportKind(path, want string, v any) {
	d.report(path, fmt.Sprintf("%s must be %s, not %s", path, want, kind(v)))
}

// fields reads the business fields into dst, checks their shape, and returns the object in
// which they stand. What is wrong with them d has noted; an error is a defect.
func (h *Handler) fields(d *decoder, event object, dst any, wraps ...string) (object, error) {
	v := reflect.ValueOf(dst).Elem()
	o := d.business(event, v.Type(), wraps)
	if o == nil {
		return nil, d.err()
	}
	d.fields("", o, v)
	if no := v.FieldByName("OutRefundNo"); no.IsValid() {
		d.outRefundNo = short(no.String())
	}
	return o, h.check(d, dst)
}

// read reads the business fields into dst, checks their shape and, if anything is
// wrong with it, has the same error name what the channel would not carry.
func (h *Handler) read(d *decoder, event object, dst any, problems func(refund.Spec) []refund.Problem, wraps ...string) error {
	if _, err := h.fields(d, event, dst, wraps...); err != nil {
		return err
	}
	if len(d.problems) > 0 {
		d.reportProblems(problems(h.refunds.Channel.Spec())...)
	}
	return d.err()
}
