//go:build !scf && !lambda

package metrics

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Prometheus's kinds of metrics that there are here. Its client library would be a third
// of a function's package and of its image's binary, for a dozen numbers; the format is
// small, and the tests read what is written with Prometheus's own parser (Exposition
// formats, text format 0.0.4).
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// A family is one metric: a series for each combination of its labels' values.
type family struct {
	name, help, kind string
	labels           []string
	bounds           []float64 // of a histogram: upper bounds of its buckets, ascending

	mu     sync.Mutex
	series map[string]*series // by their labels as they are written
}

// A series is what was measured under one combination.
type series struct {
	value   float64 // of a histogram: the sum
	count   uint64
	buckets []uint64 // how many fell into each, and not into a lesser one
}

// of returns the series of some values, in the order of the labels. f.mu is held.
func (f *family) of(values []string) *series {
	var key strings.Builder
	for i, value := range values {
		if i > 0 {
			key.WriteByte(',')
		}
		key.WriteString(f.labels[i] + `="` + escaped(value) + `"`)
	}
	s := f.series[key.String()]
	if s == nil {
		s = &series{buckets: make([]uint64, len(f.bounds))}
		f.series[key.String()] = s
	}
	return s
}

// escaped writes a label's value as the format wants it.
func escaped(value string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(value, "?"))
}

func (f *family) set(value float64, labels ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(labels).value = value
}

func (f *family) add(n float64, labels ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(labels).value += n
}

func (f *family) observe(value float64, labels ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.of(labels)
	s.value, s.count = s.value+value, s.count+1
	if i, _ := slices.BinarySearch(f.bounds, value); i < len(f.bounds) { // a bound belongs to its bucket
		s.buckets[i]++
	}
}

// append writes the family behind b, if it has any series.
func (f *family) append(b []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.series) == 0 {
		return b
	}
	b = append(b, "# HELP "+f.name+" "+f.help+"\n# TYPE "+f.name+" "+f.kind+"\n"...)
	for _, labels := range slices.Sorted(maps.Keys(f.series)) {
		s := f.series[labels]
		if f.kind != histogram {
			b = sample(b, f.name, labels, "", s.value)
			continue
		}
		below := uint64(0)
		for i, bound := range f.bounds {
			below += s.buckets[i]
			b = sample(b, f.name+"_bucket", labels, `le="`+number(bound)+`"`, float64(below))
		}
		b = sample(b, f.name+"_bucket", labels, `le="+Inf"`, float64(s.count))
		b = sample(b, f.name+"_sum", labels, "", s.value)
		b = sample(b, f.name+"_count", labels, "", float64(s.count))
	}
	return b
}

// sample writes one line.
func sample(b []byte, name, labels, more string, value float64) []byte {
	if labels != "" && more != "" {
		labels += ","
	}
	if labels += more; labels != "" {
		labels = "{" + labels + "}"
	}
	return append(b, name+labels+" "+number(value)+"\n"...)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
