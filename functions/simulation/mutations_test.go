package simulation_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wxrefund/functions/simulation/exhaust"
)

var (
	// every takes out every rule, which takes minutes: some five on two busy cores.
	every = flag.Bool("mutations", false, "TestMutations takes out every rule, and not three alone")
	// keep writes the counterexamples anew.
	keep = flag.Bool("keep", false, "TestMutations takes out every rule, and writes testdata/counterexamples.txt anew")
)

const counterexamples = "testdata/counterexamples.txt"

// Each rule of the protocol is taken out, one at a time: in some history that is noticed,
// and the shortest is the one that is kept. Without -mutations this is tried of some.
func TestMutations(t *testing.T) {
	if race {
		t.Skip("the code that is taken apart is not built with the race detector")
	}
	all := exhaust.Mutations()
	if !*every && !*keep {
		all = all[:3]
	}
	at := time.Now()
	program := mutants(t)
	var mu sync.Mutex
	kills := map[string]exhaust.Killed{}
	t.Run("rules", func(t *testing.T) {
		for _, m := range all {
			t.Run(m.Name, func(t *testing.T) {
				t.Parallel()
				k := kill(t, program, m.Name)
				mu.Lock()
				defer mu.Unlock()
				kills[m.Name] = k
			})
		}
	})
	if t.Failed() {
		return
	}
	killed := 0
	var table, kept strings.Builder
	want := counterexamplesKept(t)
	for _, m := range all {
		k := kills[m.Name]
		if k.World == "" {
			t.Errorf("%q can be taken out, and nothing notices it in %d paths", m.Name, k.Paths)
			continue
		}
		killed++
		fmt.Fprintf(&table, "%-62s %4d steps, %6d paths: %s\n", m.Name, len(k.Steps), k.Paths, k.Steps[len(k.Steps)-1])
		text := fmt.Sprintf("in: %s\n%s\n", k.World, strings.Join(k.Steps, "\n"))
		fmt.Fprintf(&kept, "# without: %s\n%s\n", m.Name, text)
		if d := cmp.Diff(want[m.Name], text); d != "" && !*keep {
			t.Errorf("%s: another counterexample than %s has, which -keep writes anew (-kept +got):\n%s", m.Name, counterexamples, d)
		}
	}
	if *keep {
		if err := os.WriteFile(counterexamples, []byte(kept.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("\n%s%d of %d mutations killed (in %v)", table.String(), killed, len(all), time.Since(at).Round(time.Second))
}

// mutants builds the one program that has every mutation in it.
func mutants(t *testing.T) string {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := exhaust.Sources(root)
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), map[string]string{}
	for name, source := range sources {
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutants")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", program, "./functions/simulation/exhaust") // #nosec G204 -- our own
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// kill runs the program without a rule.
func kill(t *testing.T, program, rule string) (k exhaust.Killed) {
	out := filepath.Join(t.TempDir(), "killed.json")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, program, "-test.run", "^TestMutant$") // #nosec G204 -- our own
	run.Env = append(os.Environ(), "MUTATION="+rule, "MUTANT_OUT="+out, "GOMAXPROCS=1")
	if said, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	b, err := os.ReadFile(out) // #nosec G304 -- our own
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// counterexamplesKept are the counterexamples that are kept, by rule.
func counterexamplesKept(t *testing.T) map[string]string {
	b, err := os.ReadFile(counterexamples)
	if err != nil && !*keep {
		t.Fatal(err)
	}
	kept := map[string]string{}
	for _, section := range strings.Split(string(b), "# without: ")[1:] {
		rule, text, _ := strings.Cut(section, "\n")
		kept[rule] = strings.TrimSuffix(text, "\n")
	}
	return kept
}

// Each counterexample that is kept is one of a rule that is taken out, and ends with what
// is broken; a rule is left out by nobody.
func TestEveryMutationHasItsCounterexample(t *testing.T) {
	kept := counterexamplesKept(t)
	for _, m := range exhaust.Mutations() {
		text := kept[m.Name]
		delete(kept, m.Name)
		if !strings.HasPrefix(text, "in: ") || !strings.Contains(text, "\nBROKEN: ") {
			t.Errorf("%q has none", m.Name)
		}
	}
	for name := range kept {
		t.Errorf("%q is taken out by nobody", name)
	}
}
